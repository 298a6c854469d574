//! The checkpoint: the latest state of every light, and the position in the log that it includes. A start reads it and the log behind
//! it, so it is written when that log has become long, not whenever something changed: in a busy city everything changes
//! each half minute.
//!
//! It is written in pieces, each a transaction of its own, and what devices report is committed between them. The last one
//! advances the position. Killed before that, a start finds states that are newer than the position, and the log behind it leads
//! to the same ([`crate::live::State::replay`]).
//!
//! What a status says of contact is in the log. A poll is nowhere else, so contact that is more than two minutes newer than what a
//! start would find is written each minute.
use std::sync::atomic::Ordering;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, LogPosition, StoreError, StoreResult};

use crate::ccms::Ccms;

/// Readings behind the checkpoint that make it due: about a second of a start.
const LOG_READINGS_MAX: i64 = 300_000;
/// Time since the last one that makes it due, however quiet the city.
const AGE_MAX_MS: i64 = 600_000;

/// Held while a checkpoint is written: the position may advance only behind every row that was taken for it.
#[derive(Debug, Default)]
pub(crate) struct Checkpointing {
    /// When the last whole one was finished by this run of the server.
    finished_at: Option<UtcMillis>,
}

/// Which lights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those whose contact no log tells.
    Contacts,
    /// All that changed.
    Changed,
}

impl Ccms {
    /// Saves the latest state of every light that changed, with the log position it includes.
    pub async fn checkpoint(&self) {
        let mut turn = self.inner().checkpointing.lock().await;
        match self.save_all().await {
            Ok(()) => turn.finished_at = Some(self.now()),
            Err(error) => tracing::error!(%error, "the checkpoint was not finished; the next one includes it"),
        }
    }

    async fn save_all(&self) -> StoreResult<()> {
        self.take_over().await?;
        // The position first: rows that arrive in between are in the state too, and replaying them changes nothing.
        let upto = *self.inner().position.borrow();
        if self.save_states(Extent::Changed).await? > 0 || upto != self.saved_position() {
            self.write_piece(upto, &[]).await?;
        }
        self.inner().saved.store(upto.0, Ordering::Release);
        Ok(())
    }

    /// The checkpoint of a stop: also contact that is too fresh for any other.
    pub(crate) async fn last_checkpoint(&self) {
        self.live().write().all_contacts_count();
        self.checkpoint().await;
    }

    /// The checkpoint if it is due, otherwise only what no log tells.
    pub async fn checkpoint_when_due(&self) {
        if self.is_checkpoint_due().await {
            return self.checkpoint().await;
        }
        let _turn = self.inner().checkpointing.lock().await;
        if let Err(error) = self.save_contacts().await {
            tracing::error!(%error, "contacts were not saved; the next minute tries again");
        }
    }

    async fn is_checkpoint_due(&self) -> bool {
        let mut turn = self.inner().checkpointing.lock().await;
        let behind = self.inner().position.borrow().0 - self.saved_position().0;
        let finished_at = *turn.finished_at.get_or_insert(self.now());
        // A clock that was set back must not put it off.
        behind >= LOG_READINGS_MAX || !(0..AGE_MAX_MS).contains(&self.now().since(finished_at))
    }

    async fn save_contacts(&self) -> StoreResult<()> {
        self.take_over().await?;
        self.save_states(Extent::Contacts).await?;
        Ok(())
    }

    /// Another process may have led before, and have brought the checkpoint further. Its place in the log counts from here on; and
    /// until we know the log up to there, our states are older than what is written, and none is.
    async fn take_over(&self) -> StoreResult<()> {
        if !self.is_shared() {
            return Ok(());
        }
        let written = self.store().checkpoint_position().await?;
        self.inner().saved.fetch_max(written.0, Ordering::AcqRel);
        if *self.inner().position.borrow() < written {
            return Err(StoreError::unavailable("the log is not known yet up to the checkpoint of another process"));
        }
        Ok(())
    }

    /// Writes states piece by piece under the position that is written already. Answers how many.
    async fn save_states(&self, extent: Extent) -> StoreResult<usize> {
        let (lights, at) = {
            let mut live = self.live().write();
            let lights = if extent == Extent::Changed { live.take_unsaved() } else { live.take_unsaved_contacts() };
            (lights, LogPosition(self.inner().saved.load(Ordering::Acquire)))
        };
        let mut left = lights.as_slice();
        while !left.is_empty() {
            let (piece, later) = left.split_at(left.len().min(self.settings().intake.checkpoint_piece_lights.max(1)));
            let written = self.save_piece(at, piece).await;
            if let Err(error) = written {
                self.live().write().still_unsaved(left);
                return Err(error);
            }
            left = later;
        }
        Ok(lights.len())
    }

    async fn save_piece(&self, at: LogPosition, lights: &[LightNo]) -> StoreResult<()> {
        let rows = self.live().write().rows_to_save(lights);
        if rows.is_empty() { Ok(()) } else { self.write_piece(at, &rows).await }
    }

    /// Asked each time: who hung for a while may find another process at it.
    async fn write_piece(&self, at: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()> {
        if !self.leads() {
            return Err(StoreError::unavailable("another process runs the background jobs"));
        }
        self.store().write_checkpoint(at, rows).await
    }

    /// What a process notes that does not lead, for when it will: of contacts only which lights they were of.
    pub(crate) fn gather_contacts(&self) {
        self.live().write().gather_contacts();
    }
}
