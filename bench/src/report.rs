//! What was measured: a line for whoever watches, and a line of JSON in the file that `--out` names.
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use anyhow::Context;
use serde_json::json;

static OUT: OnceLock<Mutex<File>> = OnceLock::new();

/// What a figure is held against.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// Every figure from now on goes to this file as well; the first line says of what they are.
pub fn write_to(path: &Path, options: &str) -> anyhow::Result<()> {
    let mut file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let from = |path: &str, field: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.rsplit(':').next().unwrap_or_default().trim().to_owned()
    };
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok();
        output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
    };
    let first = json!({
        "ccms": env!("CARGO_PKG_VERSION"),
        "compiler": said("rustc"),
        "postgres": said("postgres"),
        "kernel": from("/proc/sys/kernel/osrelease", ""),
        "processor": from("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "optimised": !cfg!(debug_assertions),
        "options": options,
    });
    writeln!(file, "{first}")?;
    OUT.set(Mutex::new(file)).map_err(|_| anyhow::anyhow!("two files at once"))
}

/// Begins a part, in a sentence.
pub fn part(says: &str) {
    println!("\n{says}");
    note(&json!({ "part": says }));
}

/// One figure, with its unit and what it should be.
pub fn row(what: &str, figure: f64, unit: &str, bar: Bar) {
    let (says, held) = match bar {
        Bar::None => (String::new(), None),
        Bar::AtLeast(least) => (format!("bar: at least {least}"), Some(figure >= least)),
        Bar::AtMost(most) => (format!("bar: at most {most}"), Some(figure <= most)),
    };
    let verdict = held.map_or("", |held| if held { ", held" } else { ", NOT held" });
    let digits = if figure.abs() >= 1_000.0 { 0 } else { 2 };
    println!("  {what:<78}{figure:>12.digits$} {unit:<11}{says}{verdict}");
    note(&json!({ "what": what, "figure": figure, "unit": unit, "bar": says, "held": held }));
}

fn note(line: &serde_json::Value) {
    if let Some(Ok(mut file)) = OUT.get().map(Mutex::lock) {
        // A full disk must not end a measurement.
        let _ = writeln!(file, "{line}");
    }
}

/// The middle one; of an even number, the upper of the two.
pub fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
