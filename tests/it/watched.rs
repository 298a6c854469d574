//! A store that passes every call on, and on demand counts, fails or holds back. So a test can say "no database call", "the
//! disk is full" or "the commit takes a while" without touching the engine below.
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use ccms_store::delegate_store;
use tokio::sync::Semaphore;

type Happens = Box<dyn FnOnce() + Send>;

pub struct Watched {
    inner: DynStore,
    calls: AtomicU64,
    failing: AtomicBool,
    /// The next call finds the database broken, and none after it.
    breaking: AtomicBool,
    /// Calls that still pass before all fail; below zero when that is no question.
    left: AtomicI64,
    /// One permit while appends may go through, none while they are held.
    appends: Semaphore,
    waiting: AtomicU64,
    /// Calls so far, by name.
    named: Mutex<HashMap<&'static str, u64>>,
    /// What is to happen just before the next call of a name.
    before: Mutex<Option<(&'static str, Happens)>>,
    /// Whether other servers are on the database. Alone nothing is followed, so that calls can be counted.
    shared: bool,
}

impl Watched {
    pub fn new(inner: DynStore) -> Self {
        let (calls, failing, left) = (AtomicU64::new(0), AtomicBool::new(false), AtomicI64::new(-1));
        let breaking = AtomicBool::new(false);
        let (appends, waiting) = (Semaphore::new(1), AtomicU64::new(0));
        let (named, before) = (Mutex::default(), Mutex::default());
        Self { inner, calls, failing, breaking, left, appends, waiting, named, before, shared: false }
    }

    /// As [`Self::new`], beside others where the engine can have them.
    pub fn beside_others(inner: DynStore) -> Self {
        let shared = inner.is_shared();
        Self { shared, ..Self::new(inner) }
    }

    /// The store itself, for what a test looks up.
    pub fn inner(&self) -> &DynStore {
        &self.inner
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Calls of one name so far.
    pub fn calls_of(&self, name: &str) -> u64 {
        self.named.lock().expect("nobody panicked").get(name).copied().unwrap_or(0)
    }

    /// Just before the next call of that name, this happens.
    pub fn before(&self, name: &'static str, happens: impl FnOnce() + Send + 'static) {
        *self.before.lock().expect("nobody panicked") = Some((name, Box::new(happens)));
    }

    fn enters(&self, call: &'static str) {
        *self.named.lock().expect("nobody panicked").entry(call).or_default() += 1;
        let happens = self.before.lock().expect("nobody panicked").take_if(|(name, _)| *name == call);
        if let Some((_, happens)) = happens {
            happens();
        }
    }

    /// From here on every call fails, or none does.
    pub fn fails(&self, failing: bool) {
        self.left.store(-1, Ordering::SeqCst);
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// From here on so many calls pass, and every one after them fails.
    pub fn fails_after(&self, calls: i64) {
        self.left.store(calls, Ordering::SeqCst);
    }

    /// The next call fails as after a lost flush; the database below goes on as if nothing had been.
    pub fn breaks_once(&self) {
        self.breaking.store(true, Ordering::SeqCst);
    }

    /// From here on no append ends before [`Self::releases_appends`].
    pub fn holds_appends(&self) {
        self.appends.forget_permits(1);
    }

    pub fn releases_appends(&self) {
        self.appends.add_permits(1);
    }

    /// Appends that are held now.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    fn pass(&self) -> StoreResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.breaking.swap(false, Ordering::SeqCst) {
            return Err(StoreError::broken("the test lost a flush"));
        }
        let count_down = |left: i64| (left >= 0).then_some((left - 1).max(0));
        let spent = self.left.try_update(Ordering::SeqCst, Ordering::SeqCst, count_down) == Ok(0);
        if spent || self.failing.load(Ordering::SeqCst) {
            Err(StoreError::unavailable("the test pulled the plug"))
        } else {
            Ok(())
        }
    }
}

delegate_store! { Watched {
    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _held = self.appends.acquire().await.expect("never closed");
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.pass()?;
        self.inner.append_readings(rows).await
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn close(&self) {
        self.inner.close().await;
    }
} }
