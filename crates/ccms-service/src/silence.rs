//! Devices that nobody heard of for too long lose their credentials and wait for a person. Times in which the server itself
//! was away do not count: it notes each minute that it is alive, and at its start how long it was not.
use ccms_core::time::UtcMillis;
use ccms_store::{DeviceRecord, DeviceState, DynStore, Outage, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;

/// A shorter absence is a restart, not an outage.
const OUTAGE_MIN_S: i64 = 120;
/// Outages that ended longer ago matter to nobody any more, however much absence lies between.
const OUTAGES_COUNT_S: i64 = 2 * 366 * 86_400;
/// Devices released in one go; the rest follows a minute later.
const RELEASED_AT_ONCE: usize = 200;

/// The server's own absences, oldest first and apart from each other.
#[derive(Debug, Default)]
pub struct Absences(Vec<Outage>);

impl Absences {
    fn new(mut outages: Vec<Outage>) -> Self {
        outages.sort_by_key(|o| o.from);
        let mut apart: Vec<Outage> = Vec::with_capacity(outages.len());
        for outage in outages {
            match apart.last_mut() {
                // Several servers on one database, or a clock that was set back, note the same absence twice.
                Some(last) if outage.from <= last.until => last.until = last.until.max(outage.until),
                _ => apart.push(outage),
            }
        }
        Self(apart)
    }

    /// Notes the absence that ends now, and reads those that may still matter.
    pub(crate) async fn load(store: &DynStore, now: UtcMillis) -> StoreResult<Self> {
        if let Some(absence) = absence_until(store, now).await? {
            store.add_outage(absence).await?;
            let Outage { from, until } = absence;
            tracing::info!(%from, %until, "the server was away; this is not held against devices");
        }
        store.heartbeat(now).await?;
        Self::read(store, now, None).await
    }

    /// What is known of the server's absences, the present one included if it is away. Changes nothing.
    pub async fn known(store: &DynStore, now: UtcMillis) -> StoreResult<Self> {
        let present = absence_until(store, now).await?;
        Self::read(store, now, present).await
    }

    async fn read(store: &DynStore, now: UtcMillis, present: Option<Outage>) -> StoreResult<Self> {
        let since = now.plus_seconds(-OUTAGES_COUNT_S);
        Ok(Self::new(store.outages(since).await?.into_iter().chain(present).collect()))
    }

    /// Milliseconds between two instants in which a server was there.
    pub fn elapsed_ms(&self, from: UtcMillis, until: UtcMillis) -> i64 {
        let away = self.0.iter().map(|o| o.until.min(until).since(o.from.max(from)).max(0));
        until.since(from).saturating_sub(away.sum::<i64>())
    }
}

/// The time since the server was last alive, if that is no mere restart.
async fn absence_until(store: &DynStore, now: UtcMillis) -> StoreResult<Option<Outage>> {
    let last = store.last_heartbeat().await?;
    Ok(last.filter(|from| now.since(*from) >= OUTAGE_MIN_S * 1000).map(|from| Outage { from, until: now }))
}

impl Ccms {
    /// Time since `from` without the server's own absences.
    pub(crate) fn elapsed_ms(&self, from: UtcMillis, now: UtcMillis) -> i64 {
        self.inner().absences.elapsed_ms(from, now)
    }

    /// Whether a claimed device was not heard of for too long.
    pub(crate) fn is_silent(&self, state: DeviceState, heard: UtcMillis, now: UtcMillis) -> bool {
        state == DeviceState::Claimed && self.elapsed_ms(heard, now).div_euclid(1000) > self.settings().silence_s
    }

    /// Notes that the server is alive.
    pub async fn beats(&self) {
        if let Err(error) = self.store().heartbeat(self.now()).await {
            tracing::warn!(%error, "it was not noted that the server is alive");
        }
    }

    /// Takes the credentials of devices that are silent too long. Answers how many.
    pub async fn release_silent(&self) -> usize {
        let now = self.now();
        let mut silent: Vec<DeviceRecord> = Vec::new();
        self.live().each_device(|device| {
            if silent.len() < RELEASED_AT_ONCE && self.is_silent(device.record.state, device.heard(), now) {
                silent.push(device.record.record());
            }
        });
        let mut released = 0;
        for device in &silent {
            match self.release_one(device).await {
                Ok(done) => released += usize::from(done),
                Err(error) => {
                    tracing::warn!(%error, "silent devices were not released; the next minute tries again");
                    break;
                }
            }
        }
        released
    }

    /// Makes one silent device wait for a person.
    pub(crate) async fn release_one(&self, device: &DeviceRecord) -> StoreResult<bool> {
        let _one_at_a_time = self.enrolment_lane(&device.id).lock().await;
        let unchanged = {
            let live = self.live().read();
            let held = live.device(device.no);
            held.is_some_and(|d| {
                d.record.epoch == device.epoch && self.is_silent(d.record.state, d.heard(), self.now())
            })
        };
        if !unchanged {
            return Ok(false);
        }
        let days = self.settings().silence_s / 86_400;
        let audit = self.audit_entry("system", "device.silent", device.id.as_str(), json!({"days": days}));
        let Some(released) = self.store().release_device(&device.id, None, &audit).await? else { return Ok(false) };
        tracing::info!(device = %device.id, days, "silent too long: a person has to approve it again");
        self.live().write().put_device(released);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UtcMillis {
        UtcMillis::from_seconds(seconds)
    }

    #[test]
    fn absences_are_taken_off_once() {
        let outage = |from, until| Outage { from: at(from), until: at(until) };
        let absences = Absences::new(vec![outage(300, 400), outage(100, 200), outage(150, 250)]);
        let elapsed_s = |from, until| absences.elapsed_ms(at(from), at(until)) / 1000;
        assert_eq!(elapsed_s(0, 500), 250);
        assert_eq!(elapsed_s(0, 50), 50);
        assert_eq!(elapsed_s(120, 320), 50);
        assert_eq!(elapsed_s(310, 390), 0);
        assert_eq!(Absences::default().elapsed_ms(at(0), at(5)), 5_000);
    }
}
