//! What a judge may look at: every call so far, what of it belongs to this script, and the server's part.
use std::collections::BTreeMap;

use ccms_device::Kind;

use super::call::{Call, Got};
use super::orders::Order;
use super::part::Part;
use super::script::Rules;
use super::seen::Seen;

#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub now_ms: u64,
    /// When the script began.
    pub began_ms: u64,
    /// Of the whole run, in the order of their arrival.
    pub calls: &'a [Call],
    pub part: &'a Part,
    pub rules: &'a Rules,
    pub marks: &'a BTreeMap<&'static str, u64>,
}

impl<'a> Scene<'a> {
    /// Calls from this time on.
    pub fn since(&self, ms: u64) -> &'a [Call] {
        &self.calls[self.calls.partition_point(|c| c.at_ms < ms)..]
    }

    /// Calls after this mark. Nothing before the mark is set.
    pub fn after(&self, mark: &str) -> &'a [Call] {
        self.marks.get(mark).map_or(&[], |ms| self.since(ms + 1))
    }

    pub fn between(&self, from: &str, to: &str) -> &'a [Call] {
        let end = self.mark(to);
        let calls = self.after(from);
        &calls[..calls.partition_point(|c| c.at_ms <= end)]
    }

    /// Calls of this script.
    pub fn here(&self) -> &'a [Call] {
        self.since(self.began_ms)
    }

    /// When it was set; now, if it was not.
    pub fn mark(&self, name: &str) -> u64 {
        self.marks.get(name).copied().unwrap_or(self.now_ms)
    }

    pub fn order(&self, name: &str) -> Option<&'a Order> {
        self.part.orders.get(name)
    }

    pub fn handed(&self, name: &str) -> Option<u64> {
        self.order(name)?.handed_ms.first().copied()
    }

    /// When it was handed out last.
    pub fn handed_last(&self, name: &str) -> Option<u64> {
        self.order(name)?.handed_ms.last().copied()
    }

    pub fn acked(&self, name: &str) -> Option<u64> {
        self.order(name)?.acks.first().map(|(at, _)| *at)
    }

    pub fn is_acked_executed(&self, name: &str) -> bool {
        self.order(name).is_some_and(|o| o.acks.iter().any(|(_, word)| word == "executed"))
    }

    /// Readings of the present that the server took in after `ms`.
    pub fn present(&self, ms: u64) -> impl Iterator<Item = (&'a Call, &'a Seen)> {
        self.since(ms + 1).iter().filter(|c| c.is_taken()).filter_map(|c| Some((c, c.said.readings.first()?)))
    }

    /// A status with this power after `ms`.
    pub fn shows_power(&self, ms: u64, power: &str) -> Option<u64> {
        self.present(ms).find(|(_, r)| r.power.as_deref() == Some(power)).map(|(c, _)| c.at_ms)
    }

    /// A status with this brightness after `ms`.
    pub fn shows_brightness(&self, ms: u64, percent: u8) -> Option<u64> {
        self.present(ms).find(|(_, r)| r.brightness == Some(f64::from(percent))).map(|(c, _)| c.at_ms)
    }

    /// A poll and a report were taken since the script began: the device is there and in its stride.
    pub fn is_settled(&self) -> bool {
        let took = |kind: fn(&Call) -> bool| self.here().iter().any(|c| kind(c) && c.got == Got::Accepted);
        took(|c| c.is(Kind::Commands)) && took(Call::is_report)
    }
}

/// Calls of one kind.
pub fn of(calls: &[Call], kind: Kind) -> Vec<&Call> {
    calls.iter().filter(|c| c.is(kind)).collect()
}

pub fn reports(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|c| c.is_report()).collect()
}

/// Distances from one to the next, in seconds.
pub fn gaps(calls: &[&Call]) -> Vec<f64> {
    calls.windows(2).map(|w| seconds(w[1].at_ms - w[0].at_ms)).collect()
}

pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// `29.9 to 30.2 s (4 times)`
pub fn figures(gaps: &[f64]) -> String {
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = gaps.iter().copied().fold(0.0, f64::max);
    match gaps.len() {
        0 => "none".into(),
        1 => format!("{most:.1} s"),
        n if most - least < 0.1 => format!("{most:.1} s ({n} times)"),
        n => format!("{least:.1} to {most:.1} s ({n} times)"),
    }
}

/// `10.1, 31.4, 63.0 s`
pub fn listed(gaps: &[f64]) -> String {
    const MOST: usize = 12;
    let shown: Vec<String> = gaps.iter().take(MOST).map(|g| format!("{g:.1}")).collect();
    let more = if gaps.len() > MOST { ", …" } else { "" };
    if shown.is_empty() { "none".into() } else { format!("{}{more} s", shown.join(", ")) }
}
