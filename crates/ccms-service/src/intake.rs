//! Intake: one bounded queue whose single writer commits a batch and only then wakes the requests that wait for it. Under
//! load batches grow by themselves: what arrives during one commit is the next batch.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ccms_core::ids::CommandId;
use ccms_store::{DynStore, LogPosition, ReadingRow};
use tokio::sync::{mpsc, oneshot, watch};

use crate::crowd::next_batch;
use crate::live::Live;
use crate::metrics::{self, Stopwatch};
use crate::together::after_own;

/// Readings that may wait, for each request that may: most requests bring one, a sync up to 2,000.
const ROWS_PER_REQUEST: usize = 16;

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
    /// The commit failed; nothing of the batch counts as stored.
    Failed,
    /// The server is stopping.
    Closed,
}

struct Job {
    rows: Vec<ReadingRow>,
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
}

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

pub(crate) struct Jobs(mpsc::Receiver<Job>);

impl Intake {
    pub fn new(queue_requests_max: usize) -> (Self, Jobs) {
        let (queue, receiver) = mpsc::channel(queue_requests_max);
        let (rows_waiting, rows_max) = (Arc::default(), queue_requests_max.max(1) * ROWS_PER_REQUEST);
        (Self { queue, rows_waiting, rows_max }, Jobs(receiver))
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

    /// Returns when the rows are on disk and the live state has them.
    pub async fn store(&self, rows: Vec<ReadingRow>) -> Result<Receipt, NotTaken> {
        let (done, committed) = oneshot::channel();
        let waiting = Waiting::enter(&self.rows_waiting, rows.len());
        // The first is let in whatever its size: a short queue must not shut out a large sync for ever.
        if waiting.before > 0 && waiting.before + rows.len() > self.rows_max {
            return Err(NotTaken::Full);
        }
        self.queue.try_send(Job { rows, done, _waiting: waiting }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Closed,
        })?;
        committed.await.unwrap_or(Err(NotTaken::Closed))
    }
}

impl Writer {
    /// Runs until `stop` is cancelled; then no new request enters, and everything that waits is still committed.
    pub async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut jobs = Vec::new();
        while next_batch(&mut self.queue.0, &stop, &mut jobs, self.batch_rows_max).await {
            self.commit(&mut jobs).await;
        }
    }

    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        let sizes: Vec<usize> = jobs.iter().map(|job| job.rows.len()).collect();
        let rows: Vec<ReadingRow> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.rows)).collect();
        let mut stored = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(self.batch_rows_max) {
            let watch = Stopwatch::start();
            match self.store.append_readings(chunk).await {
                Ok(appended) => {
                    let new = appended.stored.iter().filter(|s| **s).count();
                    metrics::committed(new, chunk.len() - new, watch.elapsed());
                    self.apply(chunk, &appended.stored);
                    let (before, upto) = (appended.before, appended.upto);
                    self.position.send_if_modified(|at| after_own(at, before, upto, self.shared));
                    stored.extend(appended.stored);
                }
                Err(error) => {
                    metrics::commit_failed();
                    tracing::error!(%error, rows = rows.len(), "a batch of readings could not be stored");
                    for job in jobs.drain(..) {
                        let _ = job.done.send(Err(NotTaken::Failed));
                    }
                    return;
                }
            }
        }
        let mut stored = stored.into_iter();
        for (job, size) in jobs.drain(..).zip(sizes) {
            let kept = stored.by_ref().take(size).filter(|s| *s).count();
            // The requester may have hung up; its readings are stored all the same.
            let _ = job.done.send(Ok(Receipt { stored: kept as u32, duplicate: (size - kept) as u32 }));
        }
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
