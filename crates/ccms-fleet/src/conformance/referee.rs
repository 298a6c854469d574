//! Plays the scripts, one after the other. It is told the time and never asks for it; between two things that happen it does
//! nothing.
use std::collections::{BTreeMap, VecDeque};

use ccms_core::wire::envelope::{ErrorCode, ErrorEnvelope};

use super::call::{Call, Heard, Reaction};
use super::check::Finding;
use super::part::Part;
use super::report::{Entry, Passage, Report};
use super::scene::Scene;
use super::script::{InVain, Rules, Script, Step, Stimulus};
use super::scripts::ALL;

/// Calls that are kept; a device that calls more often than this in a run is turned away.
const CALLS_MAX: usize = 100_000;

#[derive(Debug)]
pub struct Referee {
    rules: Rules,
    part: Part,
    calls: Vec<Call>,
    marks: BTreeMap<&'static str, u64>,
    script: usize,
    step: usize,
    began_ms: u64,
    /// End of the rest or the wait under way.
    until_ms: Option<u64>,
    asked: Option<Asked>,
    entries: Vec<Entry>,
    passages: Vec<Passage>,
    news: VecDeque<String>,
    ended_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Nobody took it up yet.
    Waits(Stimulus),
    UnderWay(Stimulus),
    Done(bool),
}

impl Referee {
    pub fn new(rules: Rules) -> Self {
        let part = Part::new(rules.start, rules.device_id.clone());
        let mut referee = Self {
            rules,
            part,
            calls: Vec::new(),
            marks: BTreeMap::new(),
            script: 0,
            step: 0,
            began_ms: 0,
            until_ms: None,
            asked: None,
            entries: Vec::new(),
            passages: Vec::new(),
            news: VecDeque::new(),
            ended_ms: None,
        };
        referee.begin(0);
        referee.advance(0);
        referee
    }

    /// A call of the device, and what it gets.
    pub fn hear(&mut self, now_ms: u64, heard: &Heard) -> Reaction {
        if self.calls.len() >= CALLS_MAX {
            let envelope =
                ErrorEnvelope::new(ErrorCode::RateLimited, "more calls than an examination has room for", 60);
            let body = serde_json::to_vec(&envelope).unwrap_or_default();
            return Reaction::Answer { status: ErrorCode::RateLimited.http_status(), body, after_ms: 0, twice: false };
        }
        // What was to happen until now comes first.
        self.advance(now_ms);
        let (call, reaction) = self.part.hear(now_ms, heard);
        self.calls.push(call);
        self.advance(now_ms);
        reaction
    }

    /// Nothing happened, and [`wake_at_ms`](Self::wake_at_ms) has come.
    pub fn tick(&mut self, now_ms: u64) {
        self.advance(now_ms);
    }

    /// When something is to happen even if the device does nothing.
    pub fn wake_at_ms(&self) -> Option<u64> {
        self.until_ms
    }

    /// What has to be done to the device; each is told once, and [`done`](Self::done) is to follow.
    pub fn ask(&mut self) -> Option<Stimulus> {
        let Some(Asked::Waits(stimulus)) = self.asked else { return None };
        self.asked = Some(Asked::UnderWay(stimulus));
        Some(stimulus)
    }

    /// Whether what was asked for only helps and is not worth a person's time.
    pub fn is_only_tried(&self) -> bool {
        matches!(self.current(), Some(Step::Try(_)))
    }

    /// What was asked for is done, or nobody can.
    pub fn done(&mut self, now_ms: u64, was_done: bool) {
        if let Some(Asked::UnderWay(_)) = self.asked {
            self.asked = Some(Asked::Done(was_done));
            self.advance(now_ms);
        }
    }

    /// Ends the run here; what was not judged was not seen.
    pub fn stop(&mut self, now_ms: u64) {
        if self.ended_ms.is_none() {
            self.stop_because("the run was stopped");
            self.advance(now_ms);
        }
    }

    /// A line about what happens, for whoever watches.
    pub fn news(&mut self) -> Option<String> {
        self.news.pop_front()
    }

    pub fn is_over(&self) -> bool {
        self.ended_ms.is_some()
    }

    pub fn report(&self, now_ms: u64) -> Report {
        Report::new(&self.rules, self.ended_ms.unwrap_or(now_ms), &self.entries, &self.passages, &self.calls)
    }

    fn current(&self) -> Option<&'static Step> {
        ALL.get(self.script)?.steps.get(self.step)
    }

    fn scene(&self, now_ms: u64) -> Scene<'_> {
        Scene {
            now_ms,
            began_ms: self.began_ms,
            calls: &self.calls,
            part: &self.part,
            rules: &self.rules,
            marks: &self.marks,
        }
    }

    /// Goes on as far as it can at this time.
    fn advance(&mut self, now_ms: u64) {
        while self.ended_ms.is_none() {
            let Some(step) = self.current() else {
                self.end_script(now_ms);
                continue;
            };
            let goes_on = match step {
                Step::Do(act) => {
                    act(&mut self.part, now_ms);
                    true
                }
                Step::Mark(name) => {
                    self.marks.insert(name, now_ms);
                    true
                }
                Step::Rest(seconds) => self.has_passed(now_ms, seconds(&self.rules)),
                Step::Wait { what, most_s, until, in_vain } => {
                    if until(&self.scene(now_ms)) {
                        true
                    } else if self.has_passed(now_ms, most_s(&self.rules)) {
                        self.in_vain(what, *in_vain);
                        continue;
                    } else {
                        false
                    }
                }
                Step::Ask(stimulus) => match self.asks(*stimulus) {
                    Some(false) => {
                        self.give_up(&format!("nobody could {}", stimulus.in_words()));
                        continue;
                    }
                    answered => answered.is_some(),
                },
                Step::Try(stimulus) => self.asks(*stimulus).is_some(),
                Step::Judge(check, judge) => {
                    let finding = judge(&self.scene(now_ms));
                    self.enter(Entry::new(check, finding));
                    true
                }
            };
            if !goes_on {
                return;
            }
            self.until_ms = None;
            self.step += 1;
        }
    }

    fn has_passed(&mut self, now_ms: u64, seconds: u32) -> bool {
        now_ms >= *self.until_ms.get_or_insert(now_ms + u64::from(seconds) * 1000)
    }

    /// `None` while nobody has answered.
    fn asks(&mut self, stimulus: Stimulus) -> Option<bool> {
        match self.asked {
            Some(Asked::Done(was_done)) => {
                self.asked = None;
                Some(was_done)
            }
            Some(Asked::Waits(_) | Asked::UnderWay(_)) => None,
            None => {
                self.asked = Some(Asked::Waits(stimulus));
                None
            }
        }
    }

    fn in_vain(&mut self, what: &str, means: InVain) {
        self.until_ms = None;
        match means {
            InVain::GoOn => self.step += 1,
            InVain::GiveUp => self.give_up(&format!("waited in vain for {what}")),
            InVain::Stop => self.stop_because(&format!("waited in vain for {what}")),
        }
    }

    fn stop_because(&mut self, why: &str) {
        self.give_up(why);
        for script in ALL.iter().skip(self.script + 1) {
            let finding = match self.left_out(script) {
                Some(why) => Finding::left_out(why),
                None => Finding::not_seen(why),
            };
            self.all_of(script, &finding);
        }
        self.script = ALL.len();
    }

    /// The rest of this script is not judged.
    fn give_up(&mut self, why: &str) {
        self.news.push_back(format!("  {why}"));
        let Some(script) = ALL.get(self.script) else { return };
        for step in &script.steps[self.step..] {
            if let Step::Judge(check, _) = step {
                self.enter(Entry::new(check, Finding::not_seen(why)));
            }
        }
        self.step = script.steps.len();
    }

    fn enter(&mut self, entry: Entry) {
        let mark = entry.finding.outcome.as_str();
        self.news.push_back(format!(
            "  {mark:8} §{:<2} {}: {}",
            entry.check.section(),
            entry.check.name,
            entry.finding.seen
        ));
        self.entries.push(entry);
    }

    fn all_of(&mut self, script: &Script, finding: &Finding) {
        self.entries.extend(script.checks().map(|check| Entry::new(check, finding.clone())));
    }

    fn begin(&mut self, now_ms: u64) {
        // Each script begins on level ground.
        self.part.be_fair();
        (self.step, self.began_ms, self.until_ms, self.asked) = (0, now_ms, None, None);
        if let Some(script) = ALL.get(self.script) {
            self.news.push_back(format!("{}: {}", script.name, script.title));
        }
    }

    fn end_script(&mut self, now_ms: u64) {
        if let Some(script) = ALL.get(self.script) {
            let (began_ms, ended_ms) = (self.began_ms, now_ms);
            self.passages.push(Passage { name: script.name, title: script.title, began_ms, ended_ms });
        }
        self.script += 1;
        while let Some(script) = ALL.get(self.script)
            && let Some(why) = self.left_out(script)
        {
            self.all_of(script, &Finding::left_out(why));
            self.script += 1;
        }
        if self.script >= ALL.len() {
            self.until_ms = None;
            self.ended_ms = Some(now_ms);
        } else {
            self.begin(now_ms);
        }
    }

    fn left_out(&self, script: &Script) -> Option<&'static str> {
        let only = &self.rules.only;
        match script {
            _ if !only.is_empty() && !only.iter().any(|name| name == script.name) => Some("not asked for (--only)"),
            _ if self.rules.quick && script.is_long => Some("takes too long for a quick run (--quick)"),
            _ => None,
        }
    }
}
