//! A store, and with [`crate::shelf`] a folder, at one of whose steps the process kills itself. A step is the moment before a call, or the moment after it
//! returned, when its caller does not know yet that it did. Steps are numbered from 1 and written down, so that whoever finds the
//! dead knows where it died.
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ccms_store::delegate_store;

tokio::task_local! {
    /// Set while the calls of a store are steps: what a server does in the background by the passing of time is none.
    static COUNTED: ();
}

#[derive(Debug)]
pub struct Fate {
    /// The step that is the last; 0: none is.
    last: u64,
    begun: AtomicBool,
    steps: AtomicU64,
    notes: Mutex<File>,
}

impl Fate {
    pub fn ending_at(last: u64, notes: &Path) -> Arc<Self> {
        let notes = File::options().create(true).append(true).open(notes).expect("a file for notes");
        Arc::new(Self { last, begun: AtomicBool::new(false), steps: AtomicU64::new(0), notes: Mutex::new(notes) })
    }

    /// What was before this is no step.
    pub fn begins(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    /// One before this call, and one after it.
    pub async fn around<C: Future>(&self, call: &'static str, inner: C) -> C::Output {
        self.step("before", call);
        let answer = inner.await;
        self.step("after", call);
        answer
    }

    pub fn step(&self, when: &str, call: &str) {
        if !self.begun.load(Ordering::SeqCst) {
            return;
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        // In one piece: death may come from outside as well.
        let note = format!("{step} {when} {call}\n");
        self.notes.lock().expect("nobody panics here").write_all(note.as_bytes()).expect("a note");
        if step == self.last {
            // No handler runs, nothing is flushed, no other thread goes on.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).expect("a kill");
            loop {
                std::thread::park();
            }
        }
    }
}

/// The steps that were taken, in words.
pub fn steps(notes: &Path) -> Vec<String> {
    std::fs::read_to_string(notes).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The store's calls of `life` are steps.
pub async fn counted<L: Future>(life: L) -> L::Output {
    COUNTED.scope((), life).await
}

fn is_counted() -> bool {
    COUNTED.try_with(|()| ()).is_ok()
}

pub struct FatalStore {
    inner: DynStore,
    fate: Arc<Fate>,
}

impl FatalStore {
    pub fn new(inner: DynStore, fate: Arc<Fate>) -> Self {
        Self { inner, fate }
    }

    #[expect(clippy::unnecessary_wraps, reason = "others refuse here")]
    fn pass(&self) -> StoreResult<()> {
        Ok(())
    }

    fn enters(&self, call: &'static str) {
        if is_counted() {
            self.fate.step("before", call);
        }
    }

    fn leaves(&self, call: &'static str) {
        if is_counted() {
            self.fate.step("after", call);
        }
    }
}

delegate_store! { FatalStore {
    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
        // Called by the writer, for whoever waits.
        self.fate.around("append_readings", self.inner.append_readings(rows)).await
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
} }
