//! The report on a terminal: the sections, what failed or was not seen, the outcome.
use std::fmt::Write as _;

use super::check::Outcome;
use super::markdown::{duration, in_words};
use super::report::Report;

pub fn write(report: &Report) -> String {
    let mut text = String::new();
    let device = report.device.device_id.as_deref().unwrap_or("no device");
    let firmware = report.device.firmware_version.as_deref().unwrap_or("unknown");
    let _ = writeln!(text, "\n{device}, firmware {firmware}, {}", duration(report.duration_s));
    let _ = writeln!(text, "\n  §  {:48} pass  fail  not seen  left out", "section");
    for s in report.sections.iter().filter(|s| s.pass + s.fail + s.not_seen + s.left_out > 0) {
        let _ = writeln!(
            text,
            " {:>2}  {:48} {:>4}  {:>4}  {:>8}  {:>8}",
            s.section, s.title, s.pass, s.fail, s.not_seen, s.left_out
        );
    }
    for outcome in [Outcome::Fail, Outcome::NotSeen] {
        for check in report.checks.iter().filter(|c| c.outcome == outcome) {
            let optional = if check.optional { " (optional)" } else { "" };
            let _ = writeln!(text, "\n{} §{} {}{optional}", outcome.as_str(), check.section(), check.name);
            let _ = writeln!(text, "  expected: {}", check.expected);
            let _ = writeln!(text, "  seen:     {}", check.seen);
        }
    }
    if report.quick || report.partial {
        let _ = writeln!(text, "\nScenarios were left out: this does not show conformance.");
    }
    let _ = writeln!(text, "\n{}. {}", report.verdict.as_str(), in_words(report.verdict));
    text
}
