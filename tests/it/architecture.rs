//! The shape of the house, held by a test: which crate may know which, what the pure crates may not use, how long a file is.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace, and the crates of the workspace it may be built on. Tests of a crate may use more.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("ccms-core", &[]),
    ("ccms-device", &["ccms-core"]),
    ("ccms-fleet", &["ccms-core", "ccms-device"]),
    ("ccms-store", &["ccms-core"]),
    ("ccms-store-sqlite", &["ccms-block", "ccms-core", "ccms-store"]),
    ("ccms-store-postgres", &["ccms-core", "ccms-store"]),
    ("ccms-block", &["ccms-core", "ccms-store"]),
    ("ccms-archive", &["ccms-core", "ccms-store"]),
    ("ccms-service", &["ccms-archive", "ccms-block", "ccms-core", "ccms-store"]),
    // Only its server half may use the service; see the test of its features.
    ("ccms-app", &["ccms-core", "ccms-service"]),
    ("ccms", &["ccms-core", "ccms-store", "ccms-store-sqlite", "ccms-store-postgres", "ccms-service", "ccms-app"]),
    (
        "ccms-bench",
        &[
            "ccms",
            "ccms-block",
            "ccms-core",
            "ccms-device",
            "ccms-fleet",
            "ccms-store",
            "ccms-store-postgres",
            "ccms-store-sqlite",
            "ccms-service",
        ],
    ),
];

/// All that the two pure crates are made of: no IO, no clock, no chance, and they compile to wasm.
const PURE: [(&str, &[&str]); 2] = [
    ("ccms-core", &["jiff", "serde", "serde_json", "thiserror"]),
    ("ccms-device", &["ccms-core", "hmac", "serde", "serde_json", "sha2"]),
];
/// What the source of the pure crates may not name.
const IMPURE: [&str; 7] = ["SystemTime", "Instant", "std::fs", "std::net", "std::thread", "tokio", "std::env"];

const LINES_MAX: usize = 400;
/// Longer all the same, with the bound that holds for each until it is split. Nothing may be added here.
const LONG_FILES: [(&str, usize); 2] =
    [("crates/ccms-device/src/device.rs", 440), ("crates/ccms-fleet/src/world.rs", 440)];

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let names: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let ruled: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ruled, "every crate of the workspace has its rule here");
    for (name, allowed) in MAY_USE {
        for dependency in built_on(&packages[name]) {
            let of_ours = names.contains(dependency.as_str());
            assert!(!of_ours || allowed.contains(&dependency.as_str()), "{name} may not use {dependency}");
        }
    }
}

#[test]
fn core_and_device_are_made_of_pure_crates() {
    let packages = packages();
    for (name, allowed) in PURE {
        for dependency in built_on(&packages[name]) {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not use {dependency}: it stays pure");
        }
    }
}

#[test]
fn only_the_stores_know_sql_and_only_the_server_knows_http() {
    let packages = packages();
    let users = |of: &str| -> Vec<&str> {
        let uses = |p: &&String| built_on(&packages[*p]).contains(of);
        packages.keys().filter(uses).map(String::as_str).collect()
    };
    assert_eq!(users("sqlx"), ["ccms-store-postgres", "ccms-store-sqlite"]);
    // The benchmark compares with bare servers.
    assert_eq!(users("axum"), ["ccms", "ccms-app", "ccms-bench"]);
    assert_eq!(users("leaflet"), ["ccms-app"]);
    assert_eq!(users("jsonwebtoken"), ["ccms", "ccms-service"]);
}

/// What runs in the browser knows core alone; the service comes with the server's feature.
#[test]
fn the_browser_half_does_not_know_the_service() {
    let app = &packages()["ccms-app"];
    let service = dependencies(app).find(|d| d["name"] == "ccms-service").expect("the app's use of the service");
    assert_eq!(service["optional"], true);
    let features = app["features"].as_object().expect("features");
    let turned_on = |by: &str| features[by].as_array().expect("a list").iter().any(|f| f == "dep:ccms-service");
    assert!(turned_on("ssr"));
    assert!(features.keys().filter(|f| *f != "ssr").all(|f| !turned_on(f) || f == "ccms-service"));
    let hydrate = features["hydrate"].as_array().expect("a list");
    assert!(hydrate.iter().all(|f| f != "ssr"), "hydrate must not bring the server with it");
}

#[test]
fn core_and_device_read_no_clock_no_file_and_no_network() {
    for crate_ in ["ccms-core", "ccms-device"] {
        for file in rust_files(&root().join("crates").join(crate_).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            // A file that only tests use is named so by its module's attribute, and may read the contract's examples.
            if file.ends_with("wire/golden.rs") {
                continue;
            }
            for (number, line) in code_of(&text).enumerate() {
                let found = IMPURE.iter().find(|name| has_word(line, name));
                assert!(found.is_none(), "{}:{}: {} in {line:?}", file.display(), number + 1, found.unwrap_or(&""));
            }
        }
    }
}

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for folder in ["src", "app/src", "bench/src", "crates"] {
        for file in rust_files(&root().join(folder)) {
            let shown = file.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            let lines = code_of(&std::fs::read_to_string(&file).expect("a source file")).count();
            let max = LONG_FILES.iter().find(|(name, _)| *name == shown).map_or(LINES_MAX, |(_, max)| *max);
            if !shown.contains("/tests/") && lines > max {
                long.push(format!("{shown}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "split these, at most {LINES_MAX} lines each: {long:#?}");
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
}

/// The workspace's packages as cargo sees them, by name.
fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("packages").clone();
    packages.into_iter().map(|p| (p["name"].as_str().expect("a name").to_owned(), p)).collect()
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().expect("dependencies").iter()
}

/// Names of what it needs to be built, for whatever target; not what only its tests need.
fn built_on(package: &Value) -> BTreeSet<String> {
    let needed = dependencies(package).filter(|d| d["kind"] != "dev");
    needed.map(|d| d["name"].as_str().expect("a name").to_owned()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The lines before the file's own tests, comments blanked.
fn code_of(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]" && !line.starts_with("mod tests {"));
    lines.map(|line| line.split("//").next().unwrap_or(""))
}

fn has_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_name) && !after.starts_with(is_name)
    })
}
