//! Acknowledgements that the server has not confirmed: the retry ladder 0, 5, 15, 30 s, then parked until the next sign of
//! life. A store of its own, so that readings never push an acknowledgement out.
use std::collections::VecDeque;

use ccms_core::ids::CommandId;
use ccms_core::limits::{ACKS_KEPT, RETRY_LADDER_S};
use ccms_core::wire::ack::AckRequest;

use crate::chance::Chance;
use crate::clock::Uptime;
use crate::config::{ACK_PARKED_S, JITTER_PERCENT};

#[derive(Debug, Clone)]
struct Pending {
    ack: AckRequest,
    attempts: usize,
    refusals: u32,
    due: Uptime,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Acks(VecDeque<Pending>);

impl Acks {
    pub(crate) fn new(acks: Vec<AckRequest>, at: Uptime) -> Self {
        let mut store = Self::default();
        acks.into_iter().for_each(|ack| store.push(ack, at));
        store
    }

    pub(crate) fn push(&mut self, ack: AckRequest, at: Uptime) {
        if self.0.iter().any(|p| p.ack.command_id == ack.command_id) {
            return;
        }
        if self.0.len() >= ACKS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Pending { ack, attempts: 0, refusals: 0, due: at.plus_s(u64::from(RETRY_LADDER_S[0])) });
    }

    pub(crate) fn all(&self) -> Vec<AckRequest> {
        self.0.iter().map(|p| p.ack.clone()).collect()
    }

    /// The first one whose time has come.
    pub(crate) fn due(&self, at: Uptime) -> Option<&AckRequest> {
        self.0.iter().find(|p| p.due <= at).map(|p| &p.ack)
    }

    pub(crate) fn next_due(&self) -> Option<Uptime> {
        self.0.iter().map(|p| p.due).min()
    }

    /// Confirmed, or given up; true when it was there.
    pub(crate) fn remove(&mut self, id: &CommandId) -> bool {
        let before = self.0.len();
        self.0.retain(|p| p.ack.command_id != *id);
        self.0.len() != before
    }

    /// One rung down the ladder.
    pub(crate) fn failed(&mut self, id: &CommandId, at: Uptime, chance: &mut Chance) {
        if let Some(p) = self.0.iter_mut().find(|p| p.ack.command_id == *id) {
            p.attempts += 1;
            let wait_s = RETRY_LADDER_S.get(p.attempts).map_or(ACK_PARKED_S, |s| u64::from(*s));
            p.due = at.plus_ms(chance.stretched(wait_s * 1000, JITTER_PERCENT));
        }
    }

    /// A 400: true when it was the second one, and the acknowledgement is to be given up.
    pub(crate) fn refused(&mut self, id: &CommandId, at: Uptime) -> bool {
        let Some(p) = self.0.iter_mut().find(|p| p.ack.command_id == *id) else { return false };
        p.refusals += 1;
        p.due = at.plus_s(u64::from(RETRY_LADDER_S[1]));
        p.refusals > 1
    }

    /// The server is back: everything is due, with a fresh ladder.
    pub(crate) fn revive(&mut self, at: Uptime) {
        for p in &mut self.0 {
            (p.attempts, p.due) = (0, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::command::AckStatus;
    use ccms_core::time::UtcMillis;

    use super::*;

    fn ack(n: u128) -> AckRequest {
        AckRequest {
            device_id: "IMEI:351234567890123".into(),
            command_id: CommandId::from_random(n),
            status: AckStatus::Executed,
            execution_timestamp: UtcMillis(0),
            result: None,
        }
    }

    #[test]
    fn the_ladder_is_0_5_15_30_then_parked() {
        let (mut acks, mut chance, mut at) = (Acks::default(), Chance::new(1), Uptime(0));
        acks.push(ack(1), at);
        for wait_s in [0, 5, 15, 30, 300, 300] {
            let due = acks.next_due().unwrap();
            assert!((wait_s * 1000..=wait_s * 1200).contains(&due.since_ms(at)), "{wait_s}: {due:?}");
            at = due;
            acks.failed(&ack(1).command_id, at, &mut chance);
        }
    }

    #[test]
    fn the_store_is_bounded_and_drops_the_oldest() {
        let acks = Acks::new((0..150).map(ack).collect(), Uptime(0));
        assert_eq!(acks.all().len(), ACKS_KEPT);
        assert_eq!(acks.all()[0].command_id, CommandId::from_random(50));
    }
}
