//! The open connections of a listener and what each is doing, so that it is known whom to let go when there are too many.
//!
//! A device needs a connection for milliseconds; whoever holds one without asking anything holds it at the others' cost.
//! So at the cap the listener does not wait, it cuts: first those whose request does not arrive, head or body, then those
//! that are kept alive for nothing, the most overdue first. A request whose answer is being worked on is not cut, unless
//! its client does not take the answer. No limit looks at addresses: a whole city sits behind one.
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use ccms_service::metrics::Stopwatch;
use futures_util::task::AtomicWaker;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;

/// Above this part of the cap a first head has [`TIGHT_HEAD`] instead of the configured time.
const TIGHT_PERCENT: usize = 80;
const TIGHT_HEAD: Duration = Duration::from_secs(2);
/// At the cap: how long each kind is left alone. The head of an honest request, and mostly its body, came while the
/// connection still waited to be accepted.
const HEAD_GRACE: Duration = Duration::from_millis(500);
const BODY_GRACE: Duration = Duration::from_secs(1);
const IDLE_GRACE: Duration = Duration::from_secs(1);
/// No answer is silent for longer: a poll may wait a minute, an event stream gives signs of life. What does not move for
/// this long is not being read.
const STUCK_GRACE: Duration = Duration::from_secs(90);
/// The part of the cap that goes at once: of those we wait for, and of those that wait for nothing.
const AWAITED_CUT_AT_ONCE: usize = 4;
const IDLE_CUT_AT_ONCE: usize = 64;
/// A connection that is asked to leave because it idles has so long to do so.
const LEAVING_MAX: Duration = Duration::from_secs(2);

pub(crate) struct Connections {
    max: usize,
    /// In the order of their arrival.
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    clock: Stopwatch,
    freed: Notify,
    opened: Gauge,
    slow: Counter,
    crowded: Counter,
}

/// What one connection is doing.
pub(crate) struct Connection {
    clock: Stopwatch,
    /// When that last changed.
    since_ms: AtomicU64,
    /// Requests between their head and the last byte of their answer; HTTP/2 may have several.
    answering: AtomicU32,
    /// Requests among them whose body is still to come.
    arriving: AtomicU32,
    asked: AtomicBool,
    /// The last [`Word`] that was said to it, and whom that wakes. A connection looks at each of its wake-ups, so that it is
    /// one number and one waker.
    word: AtomicU8,
    told: AtomicWaker,
}

/// What a connection is told; a later one outdoes an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    GoOn = 0,
    /// Finish what is under way, then close.
    Leave = 1,
    /// Close now, in the middle of whatever it is.
    Cut = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Has not asked anything yet.
    Greeting,
    /// Its body is awaited.
    Arriving,
    /// Its answer is made or sent.
    Answering,
    /// Kept alive for the next request.
    Idle,
}

impl Connections {
    /// `listener` names it in the metrics.
    pub fn new(listener: &'static str, max: usize) -> Arc<Self> {
        gauge!("ccms_connections_max", "listener" => listener).set(max as f64);
        let refused = |reason: &'static str| counter!("ccms_connections_refused_total", "listener" => listener, "reason" => reason);
        Arc::new(Self {
            max: max.max(1),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            clock: Stopwatch::start(),
            freed: Notify::new(),
            opened: gauge!("ccms_connections_open", "listener" => listener),
            slow: refused("slow"),
            crowded: refused("crowded"),
        })
    }

    pub fn is_full(&self) -> bool {
        self.lock().len() >= self.max
    }

    /// Returns once a connection has gone since the last look.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    pub fn enter(self: &Arc<Self>) -> Entered {
        let connection = Arc::new(Connection {
            clock: self.clock,
            since_ms: AtomicU64::new(millis(self.clock.elapsed())),
            answering: AtomicU32::new(0),
            arriving: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            word: AtomicU8::new(Word::GoOn as u8),
            told: AtomicWaker::new(),
        });
        let no = self.next.fetch_add(1, Relaxed);
        self.lock().insert(no, connection.clone());
        self.opened.increment(1);
        Entered { all: self.clone(), no, connection }
    }

    /// Time since the listener began.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Cuts what has taken too long for its first head, and asks what idles too long, or takes as long for a further one, to
    /// leave. One look at all of them twice a second costs less than a timer that every request sets anew.
    pub fn sweep(&self, now: Duration, head: Duration, closing: bool) {
        let open = self.lock();
        let tight = closing || open.len() * 100 > self.max * TIGHT_PERCENT;
        let greeting_max = if tight { head.min(TIGHT_HEAD) } else { head };
        for connection in open.values() {
            let (doing, age) = connection.doing(now);
            if doing == Doing::Greeting && age >= greeting_max {
                self.slow.increment(1);
                connection.tell(Word::Cut);
            } else if doing == Doing::Idle && age >= head {
                connection.tell(if age < head + LEAVING_MAX { Word::Leave } else { Word::Cut });
            }
        }
    }

    /// Makes room at the cap. Answers how many had to go.
    pub fn shed(&self, now: Duration) -> usize {
        let open = self.lock();
        for (idle, part) in [(false, AWAITED_CUT_AT_ONCE), (true, IDLE_CUT_AT_ONCE)] {
            let overdue = open.values().filter(|c| c.word() < Word::Cut).filter_map(|c| {
                let (doing, age) = c.doing(now);
                let grace = match doing {
                    Doing::Greeting if !idle => HEAD_GRACE,
                    Doing::Arriving if !idle => BODY_GRACE,
                    Doing::Answering if !idle => STUCK_GRACE,
                    Doing::Idle if idle => IDLE_GRACE,
                    _ => return None,
                };
                Some((age.checked_sub(grace)?, c))
            });
            let mut overdue: Vec<_> = overdue.collect();
            overdue.sort_unstable_by_key(|(by, _)| std::cmp::Reverse(*by));
            overdue.truncate((self.max / part).max(1));
            if !overdue.is_empty() {
                overdue.iter().for_each(|(_, connection)| connection.tell(Word::Cut));
                self.crowded.increment(overdue.len() as u64);
                return overdue.len();
            }
        }
        0
    }

    pub fn tell_all(&self, word: Word) {
        self.lock().values().for_each(|connection| connection.tell(word));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Connection {
    fn tell(&self, word: Word) {
        if self.word.fetch_max(word as u8, AcqRel) < word as u8 {
            self.told.wake();
        }
    }

    pub fn word(&self) -> Word {
        match self.word.load(Acquire) {
            0 => Word::GoOn,
            1 => Word::Leave,
            _ => Word::Cut,
        }
    }

    /// The same, and the task is woken by the next. A connection is one task; no other may ask.
    pub fn poll_word(&self, cx: &Context<'_>) -> Poll<Word> {
        self.told.register(cx.waker());
        match self.word() {
            Word::GoOn => Poll::Pending,
            said => Poll::Ready(said),
        }
    }

    /// A request's head is here.
    pub fn begins(self: &Arc<Self>) -> Under {
        self.asked.store(true, Relaxed);
        self.answering.fetch_add(1, Relaxed);
        self.touch();
        Under { connection: self.clone(), counter: |c| &c.answering }
    }

    /// Its body is still to come.
    pub fn awaits_body(self: &Arc<Self>) -> Under {
        self.arriving.fetch_add(1, Relaxed);
        Under { connection: self.clone(), counter: |c| &c.arriving }
    }

    fn doing(&self, now: Duration) -> (Doing, Duration) {
        let (answering, arriving) = (self.answering.load(Relaxed), self.arriving.load(Relaxed));
        let doing = match (answering, self.asked.load(Relaxed)) {
            (0, false) => Doing::Greeting,
            (0, true) => Doing::Idle,
            // With several under way one that works keeps the connection.
            (n, _) if arriving >= n => Doing::Arriving,
            _ => Doing::Answering,
        };
        (doing, now.saturating_sub(Duration::from_millis(self.since_ms.load(Relaxed))))
    }

    fn touch(&self) {
        self.since_ms.store(millis(self.clock.elapsed()), Relaxed);
    }
}

/// A request, or its body, under way until this is dropped.
pub(crate) struct Under {
    connection: Arc<Connection>,
    counter: fn(&Connection) -> &AtomicU32,
}

impl Under {
    /// It goes on: something was sent.
    pub fn moves(&self) {
        self.connection.touch();
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.connection.touch();
        (self.counter)(&self.connection).fetch_sub(1, Relaxed);
    }
}

/// A connection's place among the open ones, until this is dropped.
pub(crate) struct Entered {
    all: Arc<Connections>,
    no: u64,
    pub connection: Arc<Connection>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.lock().remove(&self.no);
        self.all.opened.decrement(1);
        self.all.freed.notify_one();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(30);

    fn of(max: usize) -> Arc<Connections> {
        Connections::new("test", max)
    }

    fn cut<const N: usize>(connections: [&Entered; N]) -> [bool; N] {
        connections.map(|c| c.connection.word() == Word::Cut)
    }

    #[test]
    fn what_a_connection_does_follows_its_requests() {
        let all = of(4);
        let one = all.enter();
        let doing = || one.connection.doing(all.now()).0;
        assert_eq!(doing(), Doing::Greeting);
        let request = one.connection.begins();
        let body = one.connection.awaits_body();
        assert_eq!(doing(), Doing::Arriving);
        let second = one.connection.begins();
        assert_eq!(doing(), Doing::Answering, "one of two waits for us");
        drop(body);
        drop(request);
        assert_eq!(doing(), Doing::Answering);
        drop(second);
        assert_eq!(doing(), Doing::Idle);
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let all = of(1);
        let one = all.enter();
        assert!(all.is_full());
        drop(one);
        assert!(!all.is_full());
    }

    #[test]
    fn who_has_asked_nothing_goes_first_and_who_is_being_answered_stays() {
        let all = of(4);
        let [greeting, slow, idle, answering] = [(); 4].map(|()| all.enter());
        drop(idle.connection.begins());
        let _slow = (slow.connection.begins(), slow.connection.awaits_body());
        let _answering = answering.connection.begins();
        let open = [&greeting, &slow, &idle, &answering];
        assert_eq!(all.shed(all.now()), 0, "everybody gets a moment");
        for (seconds, expected) in [
            (5, [true, false, false, false]),
            (5, [true, true, false, false]),
            (5, [true, true, true, false]),
            (5, [true, true, true, false]),
            (95, [true, true, true, true]),
        ] {
            all.shed(all.now() + Duration::from_secs(seconds));
            assert_eq!(cut(open), expected);
        }
    }

    #[test]
    fn a_first_head_has_its_time_and_less_when_it_is_tight() {
        let all = of(10);
        let early: Vec<Entered> = (0..8).map(|_| all.enter()).collect();
        let after = |seconds| all.now() + Duration::from_secs(seconds);
        all.sweep(after(29), HEAD, false);
        assert_eq!(cut([&early[0]]), [false]);
        let late = all.enter();
        all.sweep(after(1), HEAD, false);
        assert_eq!(cut([&early[0], &late]), [false, false]);
        all.sweep(after(3), HEAD, false);
        assert_eq!(cut([&early[0], &late]), [true, true]);
    }
}
