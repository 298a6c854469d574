//! Intake: one bounded queue whose single writer commits a batch and only then wakes the requests that wait for it. Under
//! load batches grow by themselves: what arrives during one commit is the next batch. Batches end with a number of readings: after
//! an outage each request brings thousands, and the first is not to wait for the last.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ccms_core::ids::CommandId;
use ccms_store::{DynStore, LogPosition, ReadingRow, StoreResult};
use tokio::sync::{mpsc, oneshot, watch};

use crate::crowd::next_batch;
use crate::live::Live;
use crate::metrics::{self, Stopwatch};
use crate::together::after_own;

/// Readings that may wait, for each request that may: most requests bring one, a sync up to 2,000.
const ROWS_PER_REQUEST: usize = 16;

/// Devices have given up long before a request waits so long for its commit: then the server is not ready.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(8);

/// What became of one request's readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Receipt {
    pub stored: u32,
    pub duplicate: u32,
}

/// Why readings were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The queue is full: the database does not keep up.
    Full,
    /// The commit failed; nothing of the request counts as stored.
    Failed,
    /// The server is stopping.
    Closed,
}

struct Job {
    /// Those that are not committed yet.
    rows: Vec<ReadingRow>,
    /// How many of it are in the commit that is under way.
    committing: usize,
    receipt: Receipt,
    entered: Stopwatch,
    /// Given back with the answer.
    _waiting: Waiting,
    done: oneshot::Sender<Result<Receipt, NotTaken>>,
}

/// A request's readings among those that wait.
struct Waiting {
    all: Arc<AtomicUsize>,
    rows: usize,
    before: usize,
}

impl Waiting {
    fn enter(all: &Arc<AtomicUsize>, rows: usize) -> Self {
        Self { before: all.fetch_add(rows, Ordering::Relaxed), all: all.clone(), rows }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

/// The queue's entrance.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    queue: mpsc::Sender<Job>,
    /// Readings in the queue: a request may bring thousands, and memory holds only so many.
    rows_waiting: Arc<AtomicUsize>,
    rows_max: usize,
    oldest: Oldest,
}

/// Since when the request waits that the writer is at; no other waits longer.
type Oldest = Arc<Mutex<Option<Stopwatch>>>;

/// The queue's other end.
pub(crate) struct Writer {
    pub queue: Jobs,
    pub store: DynStore,
    pub live: Arc<Live>,
    pub batch_rows_max: usize,
    /// Commands that a status confirmed, for whoever records that.
    pub confirmed: mpsc::UnboundedSender<CommandId>,
    /// Other processes may append too.
    pub shared: bool,
    /// How far the log is known, for the checkpoint.
    pub position: Arc<watch::Sender<LogPosition>>,
}

pub(crate) struct Jobs {
    queue: mpsc::Receiver<Job>,
    oldest: Oldest,
}

impl Intake {
    pub fn new(queue_requests_max: usize) -> (Self, Jobs) {
        let (queue, receiver) = mpsc::channel(queue_requests_max);
        let (rows_waiting, rows_max) = (Arc::default(), queue_requests_max.max(1) * ROWS_PER_REQUEST);
        let oldest = Oldest::default();
        (Self { queue, rows_waiting, rows_max, oldest: oldest.clone() }, Jobs { queue: receiver, oldest })
    }

    /// How full the queue is, by requests or by readings, whichever is fuller.
    pub fn fullness_percent(&self) -> usize {
        let (waiting, max) = self.depth();
        let rows = self.rows_waiting.load(Ordering::Relaxed);
        (waiting * 100 / max.max(1)).max(rows * 100 / self.rows_max)
    }

    /// Requests that wait for the writer, and how many may.
    pub fn depth(&self) -> (usize, usize) {
        let max = self.queue.max_capacity();
        (max - self.queue.capacity(), max)
    }

    /// How long the request waits that waits longest.
    pub fn longest_wait(&self) -> Duration {
        held(&self.oldest).map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns when the rows are on disk and the live state has them.
    pub async fn store(&self, rows: Vec<ReadingRow>) -> Result<Receipt, NotTaken> {
        let (done, committed) = oneshot::channel();
        let waiting = Waiting::enter(&self.rows_waiting, rows.len());
        // The first is let in whatever its size: a short queue must not shut out a large sync for ever.
        if waiting.before > 0 && waiting.before + rows.len() > self.rows_max {
            return Err(NotTaken::Full);
        }
        self.queue
            .try_send(Job {
                rows,
                committing: 0,
                receipt: Receipt::default(),
                entered: Stopwatch::start(),
                done,
                _waiting: waiting,
            })
            .map_err(|e| match e {
                mpsc::error::TrySendError::Full(_) => NotTaken::Full,
                mpsc::error::TrySendError::Closed(_) => NotTaken::Closed,
            })?;
        committed.await.unwrap_or(Err(NotTaken::Closed))
    }
}

fn held(oldest: &Oldest) -> MutexGuard<'_, Option<Stopwatch>> {
    oldest.lock().unwrap_or_else(|e| e.into_inner())
}

impl Writer {
    /// Runs until `stop` is cancelled; then no new request enters, and everything that waits is still committed.
    pub async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut jobs = Vec::new();
        loop {
            if jobs.is_empty() {
                if !next_batch(&mut self.queue.queue, &stop, &mut jobs, self.batch_rows_max).await {
                    return;
                }
            } else {
                self.top_up(&mut jobs);
            }
            *held(&self.queue.oldest) = jobs.first().map(|job| job.entered);
            self.commit(&mut jobs).await;
            *held(&self.queue.oldest) = None;
        }
    }

    /// Takes what waits beside jobs that were not finished, as far as there is room in the next commit.
    fn top_up(&mut self, jobs: &mut Vec<Job>) {
        let mut rows: usize = jobs.iter().map(|job| job.rows.len()).sum();
        while rows < self.batch_rows_max
            && let Ok(job) = self.queue.queue.try_recv()
        {
            rows += job.rows.len();
            jobs.push(job);
        }
    }

    /// Commits the first readings that wait, at most `batch_rows_max`, and answers whose last one that was. The others stay.
    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        let mut rows = Vec::with_capacity(self.batch_rows_max.min(jobs.iter().map(|job| job.rows.len()).sum()));
        let mut whole = 0;
        for job in jobs.iter_mut() {
            let room = self.batch_rows_max.max(1) - rows.len();
            job.committing = job.rows.len().min(room);
            if job.committing < job.rows.len() {
                rows.extend(job.rows.drain(..room));
                break;
            }
            rows.append(&mut job.rows);
            whole += 1;
        }
        let stored = match self.append(&rows).await {
            Ok(stored) => stored,
            Err(error) => {
                metrics::commit_failed();
                tracing::error!(%error, rows = rows.len(), "a batch of readings could not be stored");
                for job in jobs.drain(..) {
                    let _ = job.done.send(Err(NotTaken::Failed));
                }
                return;
            }
        };
        let mut stored = stored.into_iter();
        for job in jobs.iter_mut().take(whole + 1) {
            let committed = std::mem::take(&mut job.committing);
            let kept = stored.by_ref().take(committed).filter(|s| *s).count();
            job.receipt.stored += kept as u32;
            job.receipt.duplicate += (committed - kept) as u32;
        }
        for job in jobs.drain(..whole) {
            // The requester may have hung up; its readings are stored all the same.
            let _ = job.done.send(Ok(job.receipt));
        }
    }

    /// Puts readings on disk, and then into the live state. Answers which were not there before.
    async fn append(&self, rows: &[ReadingRow]) -> StoreResult<Vec<bool>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let watch = Stopwatch::start();
        let appended = self.store.append_readings(rows).await?;
        let new = appended.stored.iter().filter(|s| **s).count();
        metrics::committed(new, rows.len() - new, watch.elapsed());
        self.apply(rows, &appended.stored);
        let (before, upto) = (appended.before, appended.upto);
        self.position.send_if_modified(|at| after_own(at, before, upto, self.shared));
        Ok(appended.stored)
    }

    fn apply(&self, rows: &[ReadingRow], stored: &[bool]) {
        let mut live = self.live.write();
        for (row, stored) in rows.iter().zip(stored) {
            // A repeat is a sign of life as well.
            live.contact(row.device_no, row.received_at);
            if !stored {
                continue;
            }
            if self.shared {
                live.contact_is_told(row.device_no, row.received_at);
            }
            for id in live.reading(row) {
                let _ = self.confirmed.send(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use ccms_core::ids::{DeviceNo, LightNo};
    use ccms_core::reading::Reading;
    use ccms_core::time::UtcMillis;
    use ccms_store_sqlite::SqliteStore;
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::live::State;

    /// A store whose commits are let through one by one.
    mod gated {
        use std::sync::Mutex;

        use ccms_store::delegate_store;
        use tokio::sync::Semaphore;

        pub struct Gated {
            pub inner: DynStore,
            pub gate: Semaphore,
            pub sizes: Mutex<Vec<usize>>,
        }

        impl Gated {
            fn pass(&self) -> StoreResult<()> {
                Ok(())
            }
        }

        delegate_store! { Gated {
            async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
                self.sizes.lock().unwrap().push(rows.len());
                self.gate.acquire().await.unwrap().forget();
                self.inner.append_readings(rows).await
            }
            fn is_shared(&self) -> bool {
                self.inner.is_shared()
            }
            async fn close(&self) {
                self.inner.close().await;
            }
        } }
    }

    fn rows(light: u32, seconds: std::ops::Range<i64>) -> Vec<ReadingRow> {
        let row = |second| {
            let reported_at = UtcMillis::from_seconds(1_765_967_400 + second);
            let reading = Reading { reported_at, ..Reading::default() };
            let (light_no, device_no) = (LightNo(light), DeviceNo(light));
            ReadingRow { light_no, device_no, received_at: reported_at, dedupe: 1, reading }
        };
        seconds.map(row).collect()
    }

    #[tokio::test]
    async fn each_is_answered_with_its_last_reading_and_batches_are_of_one_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(&folder.path().join("ccms.db").display().to_string()).await.unwrap();
        let (gate, sizes) = (Semaphore::new(0), Mutex::default());
        let store = Arc::new(gated::Gated { inner: Arc::new(file), gate, sizes });
        let (intake, queue) = Intake::new(8);
        let writer = Writer {
            queue,
            store: store.clone(),
            live: Arc::new(Live::new(State::default())),
            batch_rows_max: 4,
            confirmed: mpsc::unbounded_channel().0,
            shared: false,
            position: Arc::new(watch::Sender::new(LogPosition(0))),
        };
        let (stop, mut waiting) = (CancellationToken::new(), Vec::new());
        let enters = |rows| {
            let mut wait = Box::pin(intake.store(rows));
            assert!(told(&mut wait).is_pending());
            wait
        };
        // The second repeats two of the first.
        waiting.extend([rows(1, 0..3), rows(1, 1..7), rows(2, 0..1)].map(enters));
        let running = tokio::spawn(writer.run(stop.clone()));
        let begun = async |n: usize| {
            while store.sizes.lock().unwrap().len() < n {
                tokio::task::yield_now().await;
            }
        };
        begun(1).await;
        waiting.push(enters(rows(3, 0..1)));
        store.gate.add_permits(1);
        begun(2).await;
        assert_eq!(told(&mut waiting[0]), Poll::Ready(Ok(Receipt { stored: 3, duplicate: 0 })));
        assert!(told(&mut waiting[1]).is_pending() && told(&mut waiting[2]).is_pending());
        assert!(intake.longest_wait() > Duration::ZERO);
        store.gate.add_permits(2);
        begun(3).await;
        stop.cancel();
        running.await.unwrap();
        assert_eq!(intake.longest_wait(), Duration::ZERO);
        let receipts = [1, 2, 3].map(|n| told(&mut waiting[n]));
        let ready = |stored, duplicate| Poll::Ready(Ok(Receipt { stored, duplicate }));
        assert_eq!(receipts, [ready(4, 2), ready(1, 0), ready(1, 0)]);
        assert_eq!(*store.sizes.lock().unwrap(), [4, 4, 3], "what came meanwhile joined the last");
    }

    /// What it was told so far.
    fn told<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }
}
