//! What changed, for everyone who watches. Changes are gathered and published a few times a second: a browser receives
//! what changed, however large the fleet is. A short memory lets a reconnecting browser go on where it was.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ccms_core::ids::LightNo;
use tokio::sync::broadcast;

use crate::ccms::Ccms;
use crate::permission::Who;
use crate::told::{Happening, Told};

/// One published step.
#[derive(Debug, Clone)]
pub struct Change {
    pub seq: u64,
    /// [`ccms_core::snapshot::Delta`] as JSON, when the map has something to redraw.
    pub delta: Option<Arc<str>>,
    /// Every light that anything changed for, by number, ascending.
    pub touched: Arc<[LightNo]>,
    /// What became of commands and alerts, in order.
    pub(crate) happened: Arc<[Happening]>,
}

impl Change {
    /// What happened that `who` may hear of.
    pub fn told(&self, ccms: &Ccms, who: Who<'_>) -> Vec<Told> {
        self.happened.iter().filter_map(|happening| ccms.told(who, happening)).collect()
    }

    pub fn concerns(&self, light: LightNo) -> bool {
        self.touched.binary_search(&light).is_ok()
    }
}

pub type ChangeReceiver = broadcast::Receiver<Change>;

/// Steps that a slow or returning watcher can still get.
const STEPS_KEPT: usize = 512;

/// A watcher asked for steps that are gone: it has to fetch the whole fleet again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed;

#[derive(Debug)]
pub struct Feed {
    sender: broadcast::Sender<Change>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    seq: u64,
    steps: VecDeque<Change>,
}

impl Feed {
    /// `first_seq` differs between runs of the server, so that a number of an earlier run is never taken for one of this.
    pub(crate) fn new(first_seq: u64) -> Self {
        let kept = Kept { seq: first_seq, steps: VecDeque::with_capacity(STEPS_KEPT) };
        Self { sender: broadcast::channel(STEPS_KEPT).0, kept: Mutex::new(kept) }
    }

    pub fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// How many listen.
    pub fn watchers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Publishes the step that `make` builds for the next number, unless it builds none.
    pub(crate) fn publish(&self, make: impl FnOnce(u64) -> Option<Change>) {
        let mut kept = self.lock();
        let Some(change) = make(kept.seq + 1) else { return };
        kept.seq += 1;
        if kept.steps.len() == STEPS_KEPT {
            kept.steps.pop_front();
        }
        kept.steps.push_back(change.clone());
        // Nobody may be watching; that is no error.
        let _ = self.sender.send(change);
    }

    /// Every step after `since`, and all that follow.
    pub fn watch(&self, since: u64) -> Result<(Vec<Change>, ChangeReceiver), Missed> {
        let kept = self.lock();
        let first_kept = kept.steps.front().map_or(kept.seq + 1, |c| c.seq);
        if since > kept.seq || since + 1 < first_kept {
            return Err(Missed);
        }
        let missed = kept.steps.iter().filter(|c| c.seq > since).cloned().collect();
        Ok((missed, self.sender.subscribe()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(seq: u64) -> Option<Change> {
        Some(Change { seq, delta: None, touched: Arc::from([LightNo(seq as u32)]), happened: Arc::from([]) })
    }

    #[test]
    fn a_watcher_gets_every_step_once_or_is_told_that_it_missed_some() {
        let feed = Feed::new(100);
        assert_eq!(feed.watch(99).err(), Some(Missed));
        assert_eq!(feed.watch(101).err(), Some(Missed));
        feed.publish(step);
        feed.publish(|_| None);
        feed.publish(step);
        let (missed, mut rest) = feed.watch(101).unwrap();
        assert_eq!(missed.iter().map(|c| c.seq).collect::<Vec<_>>(), [102]);
        feed.publish(step);
        assert_eq!(rest.try_recv().unwrap().seq, 103);
        for _ in 0..STEPS_KEPT {
            feed.publish(step);
        }
        assert_eq!(feed.watch(101).err(), Some(Missed));
        assert!(feed.watch(103).is_ok());
    }
}
