//! The report as it is handed in.
use ccms_fleet::conformance::check::Outcome;
use ccms_fleet::conformance::{Rules, markdown, terminal};
use serde_json::Value;

use super::bench::{Broken, Outgoing, START, Sound, examine};

#[test]
fn the_markdown_names_device_sections_and_every_check() {
    let report = examine(Rules::new(START), Sound);
    let text = markdown::write(&report);
    for wanted in [
        "# Conformance of a street-light controller",
        "| Device | IMEI:35",
        "| Firmware | v0.1.0 |",
        "| Begun | 2025-12-17T10:30:00Z |",
        "| Result | **PASSED** |",
        "| 7 | Data Persistence & Offline Mode |",
        "## §3 Periodic Command Polling",
        "- **G17** A poll does not consume",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
    }
    for check in &report.checks {
        assert!(text.contains(&format!("| {}", check.name)) && text.contains("pass"), "{}", check.name);
    }
    // Every table has as many cells in each row as in its head.
    let mut cells = None;
    for line in text.lines() {
        let count = line.starts_with('|').then(|| line.replace("\\|", "").matches('|').count());
        assert!(cells.is_none() || count.is_none() || cells == count, "{line}");
        cells = count;
    }
}

#[test]
fn the_json_can_be_read_by_machines() {
    let report = examine(Rules { quick: true, ..Rules::new(START) }, Sound);
    let json: Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "passed");
    assert_eq!(json["quick"], true);
    let checks = json["checks"].as_array().unwrap();
    let once = checks.iter().find(|c| c["name"] == "once-per-command").unwrap();
    assert_eq!(
        (&once["sections"][0], &once["decisions"][0], &once["outcome"]),
        (&3.into(), &"G17".into(), &"pass".into())
    );
    assert!(checks.iter().any(|c| c["outcome"] == "left_out"));
}

struct Nasty;

impl Broken for Nasty {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if out.body.get("firmware_version").is_some() {
            out.body["firmware_version"] = "v1 | <b>**bold**</b>\n# head".into();
        }
        1
    }
}

#[test]
fn a_device_cannot_write_into_the_report() {
    let report = examine(Rules { quick: true, ..Rules::new(START) }, Nasty);
    assert_eq!(report.names(Outcome::Fail), [""; 0]);
    let text = markdown::write(&report);
    assert!(text.contains(r"| Firmware | v1 \| &lt;b&gt;\*\*bold\*\*&lt;/b&gt;# head |"), "{text}");
    assert!(terminal::write(&report).contains("PASSED"));
}
