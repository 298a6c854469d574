//! Who is served how often. Two shares are kept apart: each device has its own, so that one that runs wild is refused and
//! nobody else notices; and the fleet together has one, so that many that run a little wild do not stop the rest. Above
//! both, a full intake queue turns requests away before it overflows: what can wait first, enrolment never.
//!
//! A source address is never a key: thousands of controllers share one behind a carrier's gateway. A request without proof
//! is counted against the device that its path names, apart from that device's own share, so that strangers cannot use it up.
//! Nothing here grows with what strangers invent: unknown devices share a fixed number of counters.
//!
//! Rates are measured on the monotonic clock; setting the wall clock refuses nobody.
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::limits;
use ccms_core::wire::envelope::ErrorCode;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::ccms::Ccms;
use crate::identity::DeviceIdentity;
use crate::proof::Standing;
use crate::refusal::Refusal;
use crate::settings::{EnrolmentMode, Limits};

/// The fleet's share is never smaller, however few devices there are.
const FLEET_PER_SECOND_MIN: f64 = 50.0;
/// The fleet may use this much of its share at once.
const FLEET_BURST_S: f64 = 10.0;
/// Counters for devices that nobody knows.
const STRANGERS: u64 = 65_536;
/// Notes in the audit log about what one device did wrong.
const NOTES_EVERY: Duration = Duration::from_secs(60);
/// Reports are turned away when the intake queue is this full, polls and acknowledgements later.
const REPORTS_SHED_PERCENT: usize = 80;
const POLLS_SHED_PERCENT: usize = 95;

/// What a request is, as far as its place in the queue goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Cheap, and nothing works without it: a device of the city is never turned away for the server's own sake. Those
    /// that nobody knows have a share of their own, because each costs a look into the database.
    Configure,
    /// Status, sync, alert, logs, firmware: can be sent again.
    Report,
    /// Polls, acknowledgements, health: small, and somebody waits for them.
    Poll,
}

/// Whose share a request is counted against.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    Proven(&'a DeviceIdentity),
    /// Without proof, or with one that is not valid: the device that the path names.
    Unproven(&'a DeviceId),
}

type Keyed<K, C> = RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;
type Single<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

pub(crate) struct Governor<C: Clock + Clone = MonotonicClock> {
    clock: C,
    limits: Limits,
    /// Everybody is let in: nobody is a stranger, and a whole new city may come within a minute.
    open: bool,
    devices: Keyed<DeviceNo, C>,
    unproven: Keyed<Unproven, C>,
    fleet: RwLock<Fleet<C>>,
    logs: Keyed<DeviceNo, C>,
    notes: Keyed<DeviceNo, C>,
    /// Keyed by chance, so that nobody can aim at another stranger's counter.
    hasher: RandomState,
}

/// The whole fleet's share, the same again for those without proof, and again for unknown ones that ask to be let in.
struct Fleet<C: Clock + Clone> {
    per_second: f64,
    proven: Single<C>,
    unproven: Single<C>,
    strangers: Single<C>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unproven {
    Known(DeviceNo),
    Stranger(u64),
}

/// Whom the counters know the caller as.
#[derive(Debug, Clone, Copy)]
enum Key<'a> {
    Device(DeviceNo),
    Unproven(Option<DeviceNo>, &'a DeviceId),
}

impl<C: Clock + Clone> Governor<C> {
    pub fn new(limits: Limits, enrolment: EnrolmentMode, clock: C) -> Self {
        let device = quota(limits.device_per_second, f64::from(limits.device_burst));
        let now_and_then = |every: Duration| quota(1.0 / every.as_secs_f64(), 1.0);
        let logs_every = Duration::from_secs(u64::from(limits::LOGS_INTERVAL_S));
        Self {
            devices: keyed(device, &clock),
            unproven: keyed(device, &clock),
            fleet: RwLock::new(Fleet::new(FLEET_PER_SECOND_MIN, &clock)),
            logs: keyed(now_and_then(logs_every), &clock),
            notes: keyed(now_and_then(NOTES_EVERY), &clock),
            hasher: RandomState::new(),
            limits,
            open: enrolment == EnrolmentMode::Open,
            clock,
        }
    }

    /// Fits the fleet's share to the number of devices; true when that changed it.
    fn resize(&self, devices: usize) -> bool {
        let per_second = (self.limits.fleet_per_device_per_second * devices as f64).max(FLEET_PER_SECOND_MIN);
        let differs = self.fleet.read().unwrap_or_else(PoisonError::into_inner).per_second != per_second;
        if differs {
            *self.fleet.write().unwrap_or_else(PoisonError::into_inner) = Fleet::new(per_second, &self.clock);
        }
        differs
    }

    /// Counts a request; `Err` says after how long the next one is welcome. `devices` says how many there are by now.
    fn count(&self, key: Key<'_>, traffic: Traffic, devices: impl FnOnce() -> usize) -> Result<(), Duration> {
        let wait = |not: NotUntil<C::Instant>| not.wait_time_from(self.clock.now());
        match key {
            Key::Device(no) => self.devices.check_key(&no).map_err(wait)?,
            Key::Unproven(Some(no), _) => self.unproven.check_key(&Unproven::Known(no)).map_err(wait)?,
            Key::Unproven(None, id) => {
                let stranger = Unproven::Stranger(self.hasher.hash_one(id) % STRANGERS);
                self.unproven.check_key(&stranger).map_err(wait)?;
            }
        }
        let share: fn(&Fleet<C>) -> &Single<C> = match (traffic, key) {
            (Traffic::Configure, Key::Unproven(None, _)) if !self.open => |fleet| &fleet.strangers,
            (Traffic::Configure, _) => return Ok(()),
            (_, Key::Device(_)) => |fleet| &fleet.proven,
            (_, Key::Unproven(..)) => |fleet| &fleet.unproven,
        };
        let check = || {
            let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
            share(&fleet).check().map_err(wait)
        };
        // The fleet may have grown since its share was last fitted.
        check().or_else(|wait| if self.resize(devices()) { check() } else { Err(wait) })
    }
}

impl<C: Clock + Clone> Fleet<C> {
    fn new(per_second: f64, clock: &C) -> Self {
        let share = quota(per_second, per_second * FLEET_BURST_S);
        let single = || RateLimiter::direct_with_clock(share, clock.clone());
        Self { per_second, proven: single(), unproven: single(), strangers: single() }
    }
}

fn keyed<K: Clone + Eq + std::hash::Hash, C: Clock + Clone>(quota: Quota, clock: &C) -> Keyed<K, C> {
    RateLimiter::hashmap_with_clock(quota, clock.clone())
}

/// So many per second, and so many at once. Out of range is brought into it: a limit of zero would be an outage.
fn quota(per_second: f64, burst: f64) -> Quota {
    const PER_SECOND: (f64, f64) = (1e-6, 1e6);
    let per_second = if per_second.is_finite() { per_second.clamp(PER_SECOND.0, PER_SECOND.1) } else { PER_SECOND.1 };
    let period = Duration::from_secs_f64(1.0 / per_second);
    let burst = NonZeroU32::new(burst.clamp(1.0, f64::from(u32::MAX)) as u32).unwrap_or(NonZeroU32::MIN);
    // A period of a microsecond at least is none of zero, the only one that is refused.
    Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
}

impl Ccms {
    /// Whether a request is served now. Counts it when it is.
    ///
    /// # Errors
    /// 503 with the time to wait: the server is short of room, or the caller's share is used up.
    pub fn admit(&self, caller: Caller<'_>, traffic: Traffic) -> Result<(), Refusal> {
        let shed_percent = match traffic {
            Traffic::Configure => None,
            Traffic::Report => Some(REPORTS_SHED_PERCENT),
            Traffic::Poll => Some(POLLS_SHED_PERCENT),
        };
        if shed_percent.is_some_and(|percent| self.inner().intake.fullness_percent() >= percent) {
            return Err(Refusal::new(ErrorCode::Unavailable, "The server is busy; nothing was kept"));
        }
        if traffic == Traffic::Report {
            self.has_room()?;
        }
        let key = match caller {
            Caller::Proven(who) => Key::Device(who.no),
            Caller::Unproven(id) => Key::Unproven(self.live().read().device_no(id), id),
        };
        self.inner().governor.count(key, traffic, || self.live().read().device_count()).map_err(too_often)
    }

    /// As [`Self::admit`] for configure, where a token counts for its device's share even when it is over.
    pub fn admit_configure(&self, id: &DeviceId, bearer: Option<&str>) -> Result<(), Refusal> {
        let now = self.now();
        let claims = bearer.and_then(|token| self.claims_of(token)).filter(|c| c.sub == id.as_str());
        let key = {
            let live = self.live().read();
            let device = live.device_no(id).and_then(|no| live.device(no));
            let proven =
                device.zip(claims).filter(|(d, claims)| self.standing(&d.record, claims.into(), now) == Standing::Good);
            match proven {
                Some((device, _)) => Key::Device(device.record.no),
                None => Key::Unproven(device.map(|d| d.record.no), id),
            }
        };
        self.inner().governor.count(key, Traffic::Configure, || self.live().read().device_count()).map_err(too_often)
    }

    /// Whether a device may hand in logs now. Counts it when it may.
    pub(crate) fn admit_logs(&self, device: DeviceNo) -> Result<(), Refusal> {
        let governor = &self.inner().governor;
        let asked = governor.logs.check_key(&device);
        asked.map_err(|not| too_often(not.wait_time_from(governor.clock.now())))
    }

    /// Writes down what a device did wrong, at most once a minute for each; of one that nobody knows, nothing.
    pub(crate) async fn note_of_device(&self, id: &DeviceId, action: &str, target: &str, detail: serde_json::Value) {
        let Some(no) = self.live().read().device_no(id) else { return };
        if self.inner().governor.notes.check_key(&no).is_ok() {
            self.audit(&format!("device {id}"), action, target, detail).await;
        }
    }

    /// Requests that wait for the database's writer, and how many may.
    pub fn intake_depth(&self) -> (usize, usize) {
        self.inner().intake.depth()
    }

    /// Fits the fleet's share to its size.
    pub(crate) fn resize_budget(&self) {
        let devices = self.live().read().device_count();
        self.inner().governor.resize(devices);
    }
}

fn too_often(wait: Duration) -> Refusal {
    let mut refusal = Refusal::new(ErrorCode::RateLimited, "Too many requests; nothing was kept of this one");
    // Rounded up: who comes back then is served.
    refusal.retry_after_s = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    refusal
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn governor() -> Governor<FakeRelativeClock> {
        Governor::new(Limits::default(), EnrolmentMode::Registered, FakeRelativeClock::default())
    }

    const DEVICE: Key<'static> = Key::Device(DeviceNo(1));

    #[test]
    fn a_device_has_twenty_at_once_and_two_a_second() {
        let g = governor();
        let served = |g: &Governor<_>| (0..100).filter(|_| g.count(DEVICE, Traffic::Poll, || 0).is_ok()).count();
        assert_eq!(served(&g), 20);
        let wait = g.count(DEVICE, Traffic::Poll, || 0).unwrap_err();
        assert_eq!(too_often(wait).retry_after_s, 1);
        g.clock.advance(wait);
        assert_eq!(served(&g), 1, "who comes back when told is served");
        g.clock.advance(Duration::from_secs(3));
        assert_eq!(served(&g), 6);
        g.clock.advance(Duration::from_secs(3600));
        assert_eq!(served(&g), 20);
    }

    #[test]
    fn strangers_use_up_neither_a_devices_share_nor_memory() {
        let g = governor();
        let id = DeviceId::parse("IMEI:351234567890123").unwrap();
        while g.count(Key::Unproven(Some(DeviceNo(1)), &id), Traffic::Configure, || 0).is_ok() {}
        assert_eq!(g.count(DEVICE, Traffic::Poll, || 0), Ok(()));
        for n in 0..200_000 {
            let id = DeviceId::parse(&format!("X{n}")).unwrap();
            let _ = g.count(Key::Unproven(None, &id), Traffic::Configure, || 0);
        }
        assert!(g.unproven.len() <= STRANGERS as usize + 1);
    }

    #[test]
    fn unknown_devices_that_ask_to_be_let_in_share_a_budget_that_no_device_of_the_city_feels() {
        let g = governor();
        let id = |n: usize| DeviceId::parse(&format!("X{n}")).unwrap();
        let asks = |g: &Governor<_>, n| g.count(Key::Unproven(None, &id(n)), Traffic::Configure, || 100).is_ok();
        assert_eq!((0..2_000).filter(|n| asks(&g, *n)).count(), 500, "ten seconds of fifty");
        for no in 0..2_000 {
            assert_eq!(g.count(Key::Unproven(Some(DeviceNo(no)), &id(0)), Traffic::Configure, || 100), Ok(()));
            assert_eq!(g.count(Key::Device(DeviceNo(no)), Traffic::Configure, || 100), Ok(()));
        }
        let open = Governor::new(Limits::default(), EnrolmentMode::Open, FakeRelativeClock::default());
        assert_eq!((0..2_000).filter(|n| asks(&open, *n)).count(), 2_000);
    }

    /// Ten minutes of a hundred devices as the contract paces them, beside one that sends 500 a second.
    #[test]
    fn conforming_devices_are_never_limited() {
        let g = governor();
        g.resize(101);
        let mut refused = 0;
        for tenth in 0..6_000_u32 {
            for no in 0..100 {
                // Statuses every 30 s and polls every 10 s, all in the same instant: the worst phase.
                let status = tenth % 300 == 0;
                let poll = tenth % 100 == 0;
                for _ in 0..u8::from(status) + u8::from(poll) {
                    assert_eq!(g.count(Key::Device(DeviceNo(no)), Traffic::Report, || 101), Ok(()), "{tenth} {no}");
                }
            }
            refused +=
                (0..50).filter(|_| g.count(Key::Device(DeviceNo(100)), Traffic::Report, || 101).is_err()).count();
            g.clock.advance(Duration::from_millis(100));
        }
        assert!(refused > 298_000, "{refused}");
    }

    #[test]
    fn the_fleets_share_follows_its_size() {
        let g = governor();
        for (devices, at_once) in [(0, 500), (100, 500), (1_000, 3_000), (100_000, 300_000)] {
            g.resize(devices);
            let served =
                (0..400_000).filter(|n| g.count(Key::Device(DeviceNo(1000 + n)), Traffic::Poll, || devices).is_ok());
            assert_eq!(served.count(), at_once, "{devices}");
            g.clock.advance(Duration::from_secs(3600));
        }
    }

    #[test]
    fn a_limit_out_of_range_is_no_outage() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e30] {
            let limits = Limits { device_per_second: rate, device_burst: 0, ..Limits::default() };
            let g = Governor::new(limits, EnrolmentMode::Registered, FakeRelativeClock::default());
            assert_eq!(g.count(DEVICE, Traffic::Poll, || 0), Ok(()));
        }
    }
}
