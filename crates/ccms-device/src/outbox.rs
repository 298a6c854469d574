//! Things that the server has to hear and has not confirmed, acknowledgements and alerts: each on the retry ladder of §6,
//! 0, 5, 15, 30 s, then parked until the next sign of life. Every kind of thing has a box of its own, of a fixed size, so that
//! one never pushes another out.
use std::collections::VecDeque;

use ccms_core::limits::RETRY_LADDER_S;

use crate::chance::Chance;
use crate::clock::Uptime;
use crate::config::{JITTER_PERCENT, PARKED_S};

#[derive(Debug, Clone)]
pub(crate) struct Pending<T> {
    /// Names it in this boot.
    pub no: u32,
    pub item: T,
    attempts: usize,
    refusals: u32,
    due: Uptime,
}

#[derive(Debug, Clone)]
pub(crate) struct Outbox<T> {
    pending: VecDeque<Pending<T>>,
    most: usize,
    next_no: u32,
}

impl<T: Clone> Outbox<T> {
    /// A box for `most` things, with what flash holds of them.
    pub(crate) fn new(most: usize, items: Vec<T>, at: Uptime) -> Self {
        let mut outbox = Self { pending: VecDeque::new(), most, next_no: 0 };
        items.into_iter().for_each(|item| outbox.push(item, at));
        outbox
    }

    /// Due at once. Of too many the oldest is given up.
    pub(crate) fn push(&mut self, item: T, at: Uptime) {
        if self.pending.len() >= self.most {
            self.pending.pop_front();
        }
        let due = at.plus_s(u64::from(RETRY_LADDER_S[0]));
        self.pending.push_back(Pending { no: self.next_no, item, attempts: 0, refusals: 0, due });
        self.next_no += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The number that the next thing will have.
    pub(crate) fn next_no(&self) -> u32 {
        self.next_no
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.pending.iter().map(|p| p.item.clone()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pending<T>> {
        self.pending.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending<T>> {
        self.pending.iter_mut()
    }

    /// The first one whose time has come, of those that are not under way.
    pub(crate) fn due(&self, at: Uptime, under_way: &[u32]) -> Option<&Pending<T>> {
        self.pending.iter().find(|p| p.due <= at && !under_way.contains(&p.no))
    }

    pub(crate) fn next_due(&self, under_way: &[u32]) -> Option<Uptime> {
        self.pending.iter().filter(|p| !under_way.contains(&p.no)).map(|p| p.due).min()
    }

    /// Confirmed, or given up; true when one of them was there.
    pub(crate) fn remove(&mut self, nos: &[u32]) -> bool {
        let before = self.pending.len();
        self.pending.retain(|p| !nos.contains(&p.no));
        self.pending.len() != before
    }

    /// One rung down the ladder.
    pub(crate) fn failed(&mut self, no: u32, at: Uptime, chance: &mut Chance) {
        if let Some(p) = self.pending.iter_mut().find(|p| p.no == no) {
            p.attempts += 1;
            p.due = at.plus_ms(rung_ms(p.attempts, chance));
        }
    }

    /// A 400: true when it was the second one, and the thing is to be given up.
    pub(crate) fn refused(&mut self, no: u32, at: Uptime) -> bool {
        let Some(p) = self.pending.iter_mut().find(|p| p.no == no) else { return false };
        p.refusals += 1;
        p.due = at.plus_s(u64::from(RETRY_LADDER_S[1]));
        p.refusals > 1
    }

    /// The server is there: what `which` names is due, with a fresh ladder.
    pub(crate) fn revive(&mut self, at: Uptime, which: impl Fn(&T) -> bool) {
        for p in self.pending.iter_mut().filter(|p| which(&p.item)) {
            (p.attempts, p.due) = (0, p.due.min(at));
        }
    }
}

/// The wait after so many attempts failed.
pub(crate) fn rung_ms(attempts: usize, chance: &mut Chance) -> u64 {
    let wait_s = RETRY_LADDER_S.get(attempts).map_or(PARKED_S, |s| u64::from(*s));
    chance.stretched(wait_s * 1000, JITTER_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_0_5_15_30_then_parked_until_a_sign_of_life() {
        let (mut outbox, mut chance, mut at) = (Outbox::new(3, vec!["a"], Uptime(0)), Chance::new(1), Uptime(0));
        for wait_s in [0, 5, 15, 30, 300, 300] {
            let due = outbox.next_due(&[]).unwrap();
            assert!((wait_s * 1000..=wait_s * 1200).contains(&due.since_ms(at)), "{wait_s}: {due:?}");
            at = due;
            outbox.failed(0, at, &mut chance);
        }
        assert!(outbox.due(at, &[]).is_none());
        outbox.revive(at, |_| true);
        assert_eq!(outbox.due(at, &[]).map(|p| p.no), Some(0));
        assert!(outbox.due(at, &[0]).is_none(), "not while it is under way");
    }

    #[test]
    fn the_box_is_bounded_and_gives_up_the_oldest() {
        let outbox = Outbox::new(100, (0..150).collect(), Uptime(0));
        assert_eq!((outbox.len(), outbox.all()[0]), (100, 50));
    }

    #[test]
    fn a_second_refusal_is_the_last() {
        let mut outbox = Outbox::new(3, vec!["a", "b"], Uptime(0));
        assert!(!outbox.refused(1, Uptime(0)));
        assert_eq!(outbox.next_due(&[0]), Some(Uptime(5_000)));
        assert!(outbox.refused(1, Uptime(5_000)));
        assert!(outbox.remove(&[1]) && !outbox.remove(&[1]));
    }
}
