//! The report as Markdown, to be attached to a tender: what was examined, the outcome in one line, the sections in one table,
//! then every check with what was expected and what was seen.
use std::fmt::Write as _;

use super::check::Outcome;
use super::report::{CheckResult, Report, Verdict};
use super::sections::title;

pub fn write(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    sections(&mut text, report);
    for section in report.sections.iter().map(|s| s.section) {
        let checks: Vec<&CheckResult> = report.checks.iter().filter(|c| c.section() == section).collect();
        if !checks.is_empty() {
            part(&mut text, section, &checks);
        }
    }
    foot(&mut text, report);
    text
}

fn head(text: &mut String, report: &Report) {
    let device = &report.device;
    let or_none = |value: &Option<String>| value.as_deref().filter(|v| !v.is_empty()).map_or("–".into(), cell);
    let _ = writeln!(text, "# Conformance of a street-light controller\n");
    let _ = writeln!(text, "| | |\n| --- | --- |");
    for (name, value) in [
        ("Device", or_none(&device.device_id)),
        ("Type", or_none(&device.device_type)),
        ("Name", or_none(&device.name)),
        ("Firmware", or_none(&device.firmware_version)),
        ("Begun", report.began_at.to_string()),
        ("Duration", duration(report.duration_s)),
        ("Examined by", report.referee.into()),
        ("Result", format!("**{}**", report.verdict.as_str())),
    ] {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let count = |outcome| report.names(outcome).len();
    let _ = writeln!(
        text,
        "\n{} checks: {} passed, {} failed, {} not seen, {} left out. {}\n",
        report.checks.len(),
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::NotSeen),
        count(Outcome::LeftOut),
        in_words(report.verdict),
    );
    if report.quick {
        let _ = writeln!(text, "**A quick run**: the long scenarios were left out. It does not show conformance.\n");
    }
    if report.partial {
        let _ =
            writeln!(text, "**A partial run**: only some scenarios were asked for. It does not show conformance.\n");
    }
}

pub(super) const fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Everything that was examined is as documented.",
        Verdict::Failed => "The device does not conform.",
        Verdict::Incomplete => "Nothing failed, but not everything that has to be seen was seen.",
    }
}

fn sections(text: &mut String, report: &Report) {
    let _ = writeln!(text, "## Sections of the device document\n");
    let _ = writeln!(
        text,
        "| § | section | pass | fail | not seen | left out |\n| ---: | --- | ---: | ---: | ---: | ---: |"
    );
    for s in &report.sections {
        let figure = |n: usize| if n == 0 { String::new() } else { n.to_string() };
        let (pass, fail, not_seen, left_out) = (figure(s.pass), figure(s.fail), figure(s.not_seen), figure(s.left_out));
        let _ = writeln!(text, "| {} | {} | {pass} | {fail} | {not_seen} | {left_out} |", s.section, s.title);
    }
    let _ = writeln!(
        text,
        "\nA check is counted under the first section that it names. §4 is optional and §10 an example; neither has checks of its \
         own.\n"
    );
}

fn part(text: &mut String, section: u8, checks: &[&CheckResult]) {
    let _ = writeln!(text, "## §{section} {}\n", title(section));
    let _ = writeln!(text, "| result | check | expected | seen |\n| --- | --- | --- | --- |");
    for check in checks {
        let also: Vec<String> = check.sections.iter().skip(1).map(|s| format!("§{s}")).collect();
        let named: Vec<&str> = also.iter().chain(&check.decisions).map(String::as_str).collect();
        let named = if named.is_empty() { String::new() } else { format!("<br>{}", named.join(" ")) };
        let optional = if check.optional { "<br>optional" } else { "" };
        let result = match check.outcome {
            Outcome::Fail => "**FAIL**",
            other => other.as_str(),
        };
        let (expected, seen) = (cell(check.expected), cell(&check.seen));
        let _ = writeln!(text, "| {result} | {}{named}{optional} | {expected} | {seen} |", check.name);
    }
    text.push('\n');
}

fn foot(text: &mut String, report: &Report) {
    let _ = writeln!(text, "## Decisions\n\nWhere the device document is silent these hold.\n");
    // By number, not by letters.
    let mut decisions: Vec<_> = report.decisions.iter().collect();
    decisions.sort_by_key(|(number, _)| number[1..].parse::<u32>().unwrap_or_default());
    for (number, words) in decisions {
        let _ = writeln!(text, "- **{number}** {words}");
    }
    let _ = writeln!(text, "\n## Course\n\n| from | lasted | scenario |\n| ---: | ---: | --- |");
    for p in &report.scripts {
        let lasted = duration((p.ended_ms - p.began_ms) / 1000);
        let _ = writeln!(text, "| {} | {lasted} | {}: {} |", duration(p.began_ms / 1000), p.name, p.title);
    }
    let _ = writeln!(text, "\n| route | calls | accepted |\n| --- | ---: | ---: |");
    for (route, (all, taken)) in &report.calls {
        let _ = writeln!(text, "| {route} | {all} | {taken} |");
    }
}

/// `1 h 04 min 05 s`
pub(super) fn duration(seconds: u64) -> String {
    let (h, min, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (h, min) {
        (0, 0) => format!("{s} s"),
        (0, _) => format!("{min} min {s:02} s"),
        _ => format!("{h} h {min:02} min {s:02} s"),
    }
}

/// Text in a cell: what a device says of itself must not become markup.
fn cell(text: impl AsRef<str>) -> String {
    let mut cell = String::new();
    for c in text.as_ref().chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => cell.extend(['\\', c]),
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '&' => cell.push_str("&amp;"),
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_does_not_become_markup() {
        assert_eq!(cell("a|b<script>\n*x*"), "a\\|b&lt;script&gt; \\*x\\*");
        assert_eq!(duration(3_845), "1 h 04 min 05 s");
        assert_eq!(duration(65), "1 min 05 s");
    }
}
