//! The outcome of a run: who was examined, when, and every check with what was expected and what was seen.
use std::collections::BTreeMap;

use ccms_core::time::UtcMillis;
use serde::Serialize;

use super::call::Call;
use super::check::{Check, Finding, Outcome};
use super::script::Rules;
use super::sections::{SECTIONS, decision, title};

/// A check that was judged.
#[derive(Debug, Clone)]
pub struct Entry {
    pub check: &'static Check,
    pub finding: Finding,
}

impl Entry {
    pub fn new(check: &'static Check, finding: Finding) -> Self {
        Self { check, finding }
    }
}

/// One script, and when it was played.
#[derive(Debug, Clone, Serialize)]
pub struct Passage {
    pub name: &'static str,
    pub title: &'static str,
    pub began_ms: u64,
    pub ended_ms: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    pub device: DeviceFacts,
    pub began_at: UtcMillis,
    pub duration_s: u64,
    /// Long scripts were left out.
    pub quick: bool,
    /// Only some of the scripts were asked for.
    pub partial: bool,
    pub referee: &'static str,
    pub sections: Vec<SectionSum>,
    pub checks: Vec<CheckResult>,
    pub decisions: BTreeMap<String, &'static str>,
    pub scripts: Vec<Passage>,
    /// Calls by route, and how many of them were accepted.
    pub calls: BTreeMap<&'static str, (usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was examined is as documented.
    Passed,
    Failed,
    /// Nothing failed, and something did not happen that was to be seen.
    Incomplete,
}

impl Verdict {
    /// For the shell.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Incomplete => 3,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::Incomplete => "INCOMPLETE",
        }
    }
}

/// What the device said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeviceFacts {
    pub device_id: Option<String>,
    pub device_type: Option<String>,
    pub name: Option<String>,
    pub firmware_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SectionSum {
    pub section: u8,
    pub title: &'static str,
    pub pass: usize,
    pub fail: usize,
    pub not_seen: usize,
    pub left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    pub name: &'static str,
    pub sections: &'static [u8],
    pub decisions: Vec<String>,
    pub optional: bool,
    pub expected: &'static str,
    pub seen: String,
    pub outcome: Outcome,
}

impl CheckResult {
    pub fn section(&self) -> u8 {
        self.sections.first().copied().unwrap_or_default()
    }
}

impl Report {
    pub(super) fn new(rules: &Rules, ended_ms: u64, entries: &[Entry], passages: &[Passage], calls: &[Call]) -> Self {
        let mut checks: Vec<CheckResult> = entries.iter().map(result).collect();
        checks.sort_by_key(CheckResult::section);
        let spoken =
            entries.iter().flat_map(|e| e.check.decisions).filter_map(|n| Some((format!("G{n}"), decision(*n)?)));
        Self {
            verdict: verdict(&checks),
            device: facts(rules, calls),
            began_at: UtcMillis::from_seconds(rules.start.seconds()),
            duration_s: ended_ms / 1000,
            quick: rules.quick,
            partial: !rules.only.is_empty(),
            referee: concat!("ccms-fleet ", env!("CARGO_PKG_VERSION")),
            sections: SECTIONS.iter().map(|(section, _)| sum(*section, &checks)).collect(),
            decisions: spoken.collect(),
            scripts: passages.to_vec(),
            calls: counted(calls),
            checks,
        }
    }

    /// Names of the checks that came out so.
    pub fn names(&self, outcome: Outcome) -> Vec<&'static str> {
        self.checks.iter().filter(|c| c.outcome == outcome).map(|c| c.name).collect()
    }

    pub fn check(&self, name: &str) -> Option<&CheckResult> {
        self.checks.iter().find(|c| c.name == name)
    }
}

fn result(entry: &Entry) -> CheckResult {
    CheckResult {
        name: entry.check.name,
        sections: entry.check.sections,
        decisions: entry.check.decisions.iter().map(|n| format!("G{n}")).collect(),
        optional: entry.check.optional,
        expected: entry.check.expected,
        seen: entry.finding.seen.clone(),
        outcome: entry.finding.outcome,
    }
}

fn verdict(checks: &[CheckResult]) -> Verdict {
    let any = |outcome| checks.iter().any(|c| c.outcome == outcome && (outcome == Outcome::Fail || !c.optional));
    match () {
        () if any(Outcome::Fail) => Verdict::Failed,
        () if any(Outcome::NotSeen) || !any(Outcome::Pass) => Verdict::Incomplete,
        () => Verdict::Passed,
    }
}

fn sum(section: u8, checks: &[CheckResult]) -> SectionSum {
    let count = |outcome| checks.iter().filter(|c| c.section() == section && c.outcome == outcome).count();
    SectionSum {
        section,
        title: title(section),
        pass: count(Outcome::Pass),
        fail: count(Outcome::Fail),
        not_seen: count(Outcome::NotSeen),
        left_out: count(Outcome::LeftOut),
    }
}

fn facts(rules: &Rules, calls: &[Call]) -> DeviceFacts {
    let newest = |of: fn(&Call) -> Option<&String>| calls.iter().rev().find_map(of).map(|text| short(text));
    DeviceFacts {
        device_id: newest(|c| c.said.device_id.as_ref()).or(rules.device_id.clone()),
        device_type: newest(|c| c.said.device_type.as_ref()),
        name: newest(|c| c.said.name.as_ref()),
        firmware_version: newest(|c| c.said.firmware.as_ref()),
    }
}

/// What a device says of itself is cut and cleaned: it is printed.
fn short(text: &str) -> String {
    const MOST: usize = 80;
    text.chars().filter(|c| !c.is_control()).take(MOST).collect()
}

fn counted(calls: &[Call]) -> BTreeMap<&'static str, (usize, usize)> {
    let mut counted = BTreeMap::<_, (usize, usize)>::new();
    for call in calls {
        let (all, taken) = counted.entry(call.kind.map_or("no documented route", |k| k.as_str())).or_default();
        *all += 1;
        *taken += usize::from(call.is_taken());
    }
    counted
}
