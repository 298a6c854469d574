//! Devices that keep asking for what they cannot be given. A controller that lost its credentials configures, is answered
//! without any, is refused on the next route and configures again: after three rounds it is told to come back in an hour,
//! and a person is told. Strangers who configure in a device's name get its documented answer and nothing else, and that,
//! too, a person is told once. Memory only; what it holds is bounded by the devices of the city.
use std::collections::HashMap;
use std::sync::Mutex;

use ccms_core::ids::DeviceNo;
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::Severity;

use crate::alerts::Raise;
use crate::ccms::Ccms;
use crate::refusal::{RECLAIM_RETRY_S, Refusal};

/// Configures without proof that are answered in [`WINDOW_S`].
const UNPROVEN_MAX: usize = 3;
const WINDOW_S: i64 = 15 * 60;
/// A device that comes back as it was told finds the breaker as it left it.
const TRIPPED_S: i64 = 2 * RECLAIM_RETRY_S as i64;
/// Distance between looks into the store for a device that is refused: a person at the command line may have let it in.
const LOOK_EVERY_S: i64 = 60;
/// Devices in trouble at the same time; more are served as if they were not.
const DEVICES_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<HashMap<DeviceNo, Trouble>>);

/// What is remembered of one device. `None` and empty are the past.
#[derive(Debug, Default)]
struct Trouble {
    /// The newest configures without proof, oldest first.
    unproven: [Option<UtcMillis>; UNPROVEN_MAX],
    unauthorized_at: Option<UtcMillis>,
    tripped_at: Option<UtcMillis>,
    looked_at: Option<UtcMillis>,
    told: [Option<UtcMillis>; AlertKind::ALL.len()],
}

/// What a person is told about a device's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlertKind {
    UnprovenConfigure,
    ReclaimRequired,
    CloneSuspected,
}

/// What becomes of a configure without proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The documented answer, without credentials.
    Answer { tell: bool },
    /// Come back in an hour. `look`: whether the store may know of a person's permission that memory does not.
    Refuse { tell: bool, look: bool },
}

impl AlertKind {
    const ALL: [Self; 3] = [Self::UnprovenConfigure, Self::ReclaimRequired, Self::CloneSuspected];

    const fn as_str(self) -> &'static str {
        match self {
            Self::UnprovenConfigure => "unproven_configure",
            Self::ReclaimRequired => "reclaim_required",
            Self::CloneSuspected => "clone_suspected",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::UnprovenConfigure => Severity::Warning,
            Self::ReclaimRequired | Self::CloneSuspected => Severity::Critical,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::UnprovenConfigure => {
                "Somebody configures in the name of this controller without showing credentials. It was given none, and the \
                 controller in service is not affected."
            }
            Self::ReclaimRequired => {
                "This controller lost its credentials and cannot come back by itself. If it is the right one, allow it to \
                 be claimed again. If it goes on reporting, it has lost nothing: then somebody else asks in its name, and \
                 must not be allowed."
            }
            Self::CloneSuspected => {
                "A token was used after a newer one had taken its place. Either the controller went back to an old state of \
                 its memory, or somebody has a copy."
            }
        }
    }
}

impl Trouble {
    fn is_over(&self, now: UtcMillis) -> bool {
        let last = self.told.iter().chain(&self.unproven).flatten().chain(&self.unauthorized_at).max();
        let tripped = self.tripped_at.is_some_and(|at| recent(at, now, TRIPPED_S));
        !tripped && last.is_none_or(|at| !recent(*at, now, WINDOW_S))
    }

    /// True once per window.
    fn tell(&mut self, kind: AlertKind, now: UtcMillis) -> bool {
        let told = &mut self.told[kind as usize];
        let due = told.is_none_or(|at| !recent(at, now, WINDOW_S));
        if due {
            *told = Some(now);
        }
        due
    }
}

fn recent(at: UtcMillis, now: UtcMillis, within_s: i64) -> bool {
    // A clock that was set back makes everything recent for a while rather than nothing.
    now.since(at) < within_s * 1000
}

impl Breaker {
    /// Works on what is remembered of a device; `None` when too many are in trouble.
    fn with<T>(&self, no: DeviceNo, now: UtcMillis, act: impl FnOnce(&mut Trouble) -> T) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if all.len() >= DEVICES_MAX && !all.contains_key(&no) {
            all.retain(|_, t| !t.is_over(now));
            if all.len() >= DEVICES_MAX {
                return None;
            }
        }
        Some(act(all.entry(no).or_default()))
    }

    /// A configure without proof.
    pub fn unproven(&self, no: DeviceNo, now: UtcMillis) -> Verdict {
        let judge = |t: &mut Trouble| {
            let often = t.unproven[0].is_some_and(|at| recent(at, now, WINDOW_S));
            let refused = t.unauthorized_at.is_some_and(|at| recent(at, now, WINDOW_S));
            if t.tripped_at.is_some_and(|at| recent(at, now, TRIPPED_S)) || (often && refused) {
                t.tripped_at = Some(now);
                let look = t.looked_at.is_none_or(|at| !recent(at, now, LOOK_EVERY_S));
                if look {
                    t.looked_at = Some(now);
                }
                return Verdict::Refuse { tell: t.tell(AlertKind::ReclaimRequired, now), look };
            }
            t.unproven.rotate_left(1);
            t.unproven[UNPROVEN_MAX - 1] = Some(now);
            let often = t.unproven[0].is_some_and(|at| recent(at, now, WINDOW_S));
            Verdict::Answer { tell: often && !refused && t.tell(AlertKind::UnprovenConfigure, now) }
        };
        self.with(no, now, judge).unwrap_or(Verdict::Answer { tell: false })
    }

    /// A 401 for a path of this device.
    pub fn unauthorized(&self, no: DeviceNo, now: UtcMillis) {
        self.with(no, now, |t| t.unauthorized_at = Some(now));
    }

    /// The device showed proof, or a person allowed it to be claimed again. What was told stays told.
    pub fn mended(&self, no: DeviceNo) {
        if let Some(t) = self.0.lock().unwrap_or_else(|e| e.into_inner()).get_mut(&no) {
            *t = Trouble { told: t.told, ..Trouble::default() };
        }
    }

    fn tell(&self, no: DeviceNo, kind: AlertKind, now: UtcMillis) -> bool {
        self.with(no, now, |t| t.tell(kind, now)).unwrap_or(false)
    }

    fn untold(&self, no: DeviceNo, kind: AlertKind) {
        if let Some(t) = self.0.lock().unwrap_or_else(|e| e.into_inner()).get_mut(&no) {
            t.told[kind as usize] = None;
        }
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: UtcMillis) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).retain(|_, t| !t.is_over(now));
    }
}

impl Ccms {
    /// Counts a 401 against a device and answers it.
    pub(crate) fn refuse_known(&self, no: DeviceNo, refusal: Refusal) -> Refusal {
        if refusal.code.http_status() == ErrorCode::Unauthorized.http_status() {
            self.inner().breaker.unauthorized(no, self.now());
        }
        refusal
    }

    /// The refusal of a device that has to be claimed again.
    pub(crate) fn reclaim_required() -> Refusal {
        let message = "This device has lost its credentials; an operator has to allow it to be claimed again";
        Refusal::new(ErrorCode::ReclaimRequired, message)
    }

    /// A superseded token was presented.
    pub(crate) async fn suspect_clone(&self, no: DeviceNo, now: UtcMillis) {
        if self.inner().breaker.tell(no, AlertKind::CloneSuspected, now) {
            self.tell_people(no, AlertKind::CloneSuspected).await;
        }
    }

    /// Opens an alert, or counts on the open one. What the device is answered does not hang on it.
    pub(crate) async fn tell_people(&self, no: DeviceNo, kind: AlertKind) {
        let (light, last_contact) = {
            let live = self.live().read();
            let device = live.device(no);
            (device.and_then(|d| d.lights.first().copied()), device.and_then(|d| d.last_contact()))
        };
        let raise = Raise {
            device: Some(no),
            light,
            kind: kind.as_str(),
            severity: kind.severity(),
            message: kind.message().into(),
            // Who decides about a permission has to know whether the device still works.
            detail: serde_json::json!({"last_contact": last_contact}),
        };
        if let Err(error) = self.raise(raise).await {
            tracing::error!(%error, kind = kind.as_str(), "an alert was lost; the next occasion repeats it");
            self.inner().breaker.untold(no, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: DeviceNo = DeviceNo(7);

    const fn at(seconds: i64) -> UtcMillis {
        UtcMillis::from_seconds(1_765_967_400 + seconds)
    }

    #[test]
    fn strangers_are_answered_for_ever_and_told_of_once() {
        let breaker = Breaker::default();
        let told = (0..1_000).filter(|i| breaker.unproven(NO, at(i / 10)) == Verdict::Answer { tell: true });
        assert_eq!(told.count(), 1);
        assert_eq!(breaker.unproven(NO, at(100)), Verdict::Answer { tell: false });
    }

    #[test]
    fn a_device_without_credentials_is_sent_away_at_its_fourth_configure() {
        let breaker = Breaker::default();
        for i in 0..3 {
            assert_eq!(breaker.unproven(NO, at(i * 60)), Verdict::Answer { tell: false });
            breaker.unauthorized(NO, at(i * 60 + 1));
        }
        assert_eq!(breaker.unproven(NO, at(180)), Verdict::Refuse { tell: true, look: true });
        assert_eq!(breaker.unproven(NO, at(200)), Verdict::Refuse { tell: false, look: false });
        // It comes back when it was told to, and finds nothing changed.
        assert_eq!(breaker.unproven(NO, at(3_800)), Verdict::Refuse { tell: true, look: true });
        breaker.mended(NO);
        assert_eq!(breaker.unproven(NO, at(3_801)), Verdict::Answer { tell: false });
    }

    #[test]
    fn slow_rounds_are_no_loop_and_what_is_over_is_forgotten() {
        let breaker = Breaker::default();
        for i in 0..10 {
            assert_eq!(breaker.unproven(NO, at(i * 400)), Verdict::Answer { tell: false });
            breaker.unauthorized(NO, at(i * 400 + 1));
        }
        breaker.sweep(at(3_601 + WINDOW_S - 1));
        assert_eq!(breaker.0.lock().unwrap().len(), 1);
        breaker.sweep(at(3_601 + WINDOW_S));
        assert!(breaker.0.lock().unwrap().is_empty());
    }

    #[test]
    fn many_devices_in_trouble_take_bounded_memory() {
        let breaker = Breaker::default();
        for i in 0..DEVICES_MAX as u32 + 100 {
            breaker.unauthorized(DeviceNo(i), at(0));
        }
        assert_eq!(breaker.0.lock().unwrap().len(), DEVICES_MAX);
        breaker.unauthorized(DeviceNo(u32::MAX), at(WINDOW_S));
        assert_eq!(breaker.0.lock().unwrap().len(), 1, "room is made of what is over");
    }
}
