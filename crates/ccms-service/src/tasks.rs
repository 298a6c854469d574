//! What runs in the background. Each task waits for its own reason to act and stops with the system.
use std::time::Duration;

use ccms_core::command::CommandState;
use ccms_core::ids::CommandId;
use ccms_core::snapshot::Delta;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::api_keys;
use crate::archiving::Archived;
use crate::ccms::Ccms;
use crate::live::Drawn;
use crate::live::feed::Change;
use crate::sealing::Sealed;

/// Distance between two published steps of the feed: state reaches an open browser well within half a second.
const FEED_EVERY: Duration = Duration::from_millis(200);
/// Distance between looks for lights that went silent and commands whose time is over. Memory only.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Distance between removals of web sessions that are over.
const SESSIONS_EVERY: Duration = Duration::from_secs(600);

/// Distance between looks at the file of keys: a rotation beside the server takes effect within this.
const RING_EVERY: Duration = Duration::from_secs(2);
/// Distance between runs that take what is old out of the log.
const SEAL_EVERY: Duration = Duration::from_secs(3_600);
/// Distance between looks for days that are long over.
const ARCHIVE_EVERY: Duration = Duration::from_secs(3_600);
/// How often days that are over are looked for that nobody summed up yet.
const DAILY_EVERY: Duration = Duration::from_secs(600);
/// Distance between signs that the server is alive, and between looks for devices that are silent too long.
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn spawn(ccms: &Ccms, mut confirmations: mpsc::UnboundedReceiver<CommandId>) {
    every(ccms, FEED_EVERY, |c| async move { c.publish_changes() });
    every(ccms, SWEEP_EVERY, |c| async move { c.sweep().await });
    every(ccms, SESSIONS_EVERY, |c| async move {
        if c.leads() {
            if let Err(error) = c.store().delete_expired_sessions(c.now()).await {
                tracing::warn!(%error, "old web sessions were not removed");
            }
            if let Err(error) = c.store().forget_answers(c.now().plus_seconds(-86_400)).await {
                tracing::warn!(%error, "old answers were not removed");
            }
        }
        // Each process counts for itself who waits.
        c.forget_strangers().await;
    });
    every(ccms, api_keys::FORGET_EVERY, |c| async move { c.inner().recent_keys.forget() });
    every(ccms, RING_EVERY, |c| async move { c.look_at_keys() });
    let new_lights_s = ccms.settings().new_lights_every_s.max(1);
    every(ccms, Duration::from_secs(new_lights_s), |c| async move {
        if let Err(error) = c.learn_new_lights().await {
            tracing::warn!(%error, "new lights were not looked for");
        }
    });
    every(ccms, MINUTE, |c| async move {
        c.beats().await;
        if c.leads() {
            c.release_silent().await;
        }
        c.inner().breaker.sweep(c.now());
    });
    every(ccms, SEAL_EVERY, |c| async move {
        if !c.leads() {
            return;
        }
        match c.seal().await {
            Ok(Sealed { days: 0, readings: 0, .. }) => {}
            Ok(done) => {
                tracing::info!(days = done.days, readings = done.readings, bytes = done.bytes, "readings were sealed")
            }
            Err(error) => tracing::error!(%error, "readings were not sealed; they stay in the log"),
        }
    });
    every(ccms, SEAL_EVERY, |c| async move {
        if !c.leads() {
            return;
        }
        match c.forget_suspect().await {
            Ok(0) => {}
            Ok(readings) => tracing::info!(readings, "old readings whose clock was suspect were deleted"),
            Err(error) => tracing::error!(%error, "old readings whose clock was suspect were not deleted"),
        }
    });
    every(ccms, ARCHIVE_EVERY, |c| async move {
        if !c.leads() {
            return;
        }
        match c.archive().await {
            Ok(Archived { days: 0, deleted: 0, .. }) => {}
            Ok(done) => tracing::info!(
                days = done.days,
                readings = done.readings,
                bytes = done.bytes,
                deleted = done.deleted,
                "days were archived"
            ),
            Err(error) => tracing::error!(%error, "the archive was not looked after; everything stays where it is"),
        }
    });
    every(ccms, DAILY_EVERY, |c| async move {
        if !c.leads() {
            return;
        }
        match c.work_out_days().await {
            Ok(0) => {}
            Ok(parts) => tracing::info!(parts, "days were summed up"),
            Err(error) => {
                tracing::error!(%error, "days were not summed up; their quarters of an hour are read instead")
            }
        }
    });
    let checkpoint_s = ccms.settings().intake.checkpoint_every_s.max(1).unsigned_abs();
    every(ccms, Duration::from_secs(checkpoint_s), |c| async move {
        if c.leads() {
            c.checkpoint_when_due().await;
        } else {
            c.gather_contacts();
        }
    });
    let confirming = ccms.clone();
    ccms.inner().tasks.spawn(async move {
        loop {
            tokio::select! {
                id = confirmations.recv() => match id {
                    Some(id) => confirming.confirm_command(&id).await,
                    None => break,
                },
                () = confirming.inner().stop.cancelled() => break,
            }
        }
    });
}

pub(crate) fn every<F>(ccms: &Ccms, period: Duration, act: impl Fn(Ccms) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let ccms = ccms.clone();
    ccms.inner().tasks.clone().spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => act(ccms.clone()).await,
                () = ccms.inner().stop.cancelled() => break,
            }
        }
    });
}

impl Ccms {
    /// Publishes what changed since the last time, if anything did.
    pub fn publish_changes(&self) {
        let now = self.now();
        self.feed().publish(|seq| {
            let mut live = self.live().write();
            let (touched, happened) = (live.take_touched(), live.take_happened());
            if touched.is_empty() && happened.is_empty() {
                return None;
            }
            let mut delta = Delta { seq, ..Delta::default() };
            for no in &touched {
                match live.publish(*no, now) {
                    Some(Drawn::Placed(mark)) => delta.placed.push(mark),
                    Some(Drawn::Changed(change)) => delta.changed.push(change),
                    None => {}
                }
            }
            drop(live);
            let drawn = !delta.changed.is_empty() || !delta.placed.is_empty();
            let delta = drawn.then(|| serde_json::to_string(&delta).ok()).flatten().map(Into::into);
            Some(Change { seq, delta, touched: touched.into_iter().collect(), happened: happened.into() })
        });
    }

    /// Takes up a rotation of the keys, if there was one.
    pub fn look_at_keys(&self) {
        self.keys().reload();
    }

    /// Finds lights that went silent and commands whose time is over.
    pub async fn sweep(&self) {
        {
            let mut live = self.live().write();
            // The clock is read under the lock: a moment before one that was drawn looks like a clock that was set back.
            let now = self.now();
            live.drifted(now).into_iter().for_each(|no| live.touch(no));
        }
        if self.leads() {
            self.expire_commands().await;
        }
        self.resize_budget();
    }

    /// Live commands by state, for logs and tests.
    pub fn live_command_count(&self, state: CommandState) -> usize {
        let live = self.live().read();
        live.devices().flat_map(|d| &d.commands).filter(|c| c.command.state == state).count()
    }
}
