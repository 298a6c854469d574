//! One thing to prove, and what came of it.
use serde::Serialize;

/// What is expected of a device, where the document says so, and which decision says the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Short and stable, for machines.
    pub name: &'static str,
    pub expected: &'static str,
    /// Sections of the device document; the check is counted under the first.
    pub sections: &'static [u8],
    pub decisions: &'static [u8],
    /// The document, or the decision, leaves it to the device.
    pub optional: bool,
}

impl Check {
    pub const fn new(
        name: &'static str,
        sections: &'static [u8],
        decisions: &'static [u8],
        expected: &'static str,
    ) -> Self {
        Self { name, expected, sections, decisions, optional: false }
    }

    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub fn section(&self) -> u8 {
        self.sections.first().copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Fail,
    /// What the check is about did not happen.
    NotSeen,
    /// Left out on purpose: a quick run, or a declared property of the device.
    LeftOut,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::NotSeen, Self::LeftOut];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NotSeen => "not seen",
            Self::LeftOut => "left out",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub outcome: Outcome,
    /// In a sentence, with figures.
    pub seen: String,
}

impl Finding {
    pub fn pass(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Pass, seen: seen.into() }
    }

    pub fn fail(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, seen: seen.into() }
    }

    pub fn not_seen(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotSeen, seen: seen.into() }
    }

    pub fn left_out(seen: impl Into<String>) -> Self {
        Self { outcome: Outcome::LeftOut, seen: seen.into() }
    }

    pub fn of(good: bool, seen: impl Into<String>) -> Self {
        if good { Self::pass(seen) } else { Self::fail(seen) }
    }

    /// The first of the complaints, and how many there are.
    pub fn of_complaints(complaints: &[String], otherwise: impl Into<String>) -> Self {
        match complaints {
            [] => Self::pass(otherwise),
            [one] => Self::fail(one.clone()),
            [first, rest @ ..] => Self::fail(format!("{first} (and {} more)", rest.len())),
        }
    }
}
