//! Small writes that come in crowds: a fleet that returns after a power cut shows thousands of new tokens within a minute, and
//! anybody may knock with an invented id. What arrives while one batch is committed is the next batch, so a crowd costs
//! few flushes, and each writer still returns only when its own is on disk.
use std::future::Future;

use ccms_store::{StoreError, StoreResult};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Writes that wait for their batch; further ones wait at the entrance.
const WAITING_MAX: usize = 4_096;
/// Writes in one transaction.
const BATCH_MAX: usize = 512;

type Place<T> = (T, oneshot::Sender<bool>);

/// Takes everything that waits, at most `max`, into an empty batch. After `stop` nothing new enters, and what waits is still taken;
/// false when that is done.
pub(crate) async fn next_batch<T>(
    waiting: &mut mpsc::Receiver<T>,
    stop: &CancellationToken,
    batch: &mut Vec<T>,
    max: usize,
) -> bool {
    loop {
        tokio::select! {
            biased;
            received = waiting.recv_many(batch, max) => return received > 0,
            () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
        }
    }
}

/// The entrance of one kind of write.
#[derive(Debug)]
pub(crate) struct Crowd<T>(mpsc::Sender<Place<T>>);

impl<T: Send + 'static> Crowd<T> {
    /// `write` commits a batch; `what` names it in the log. Runs until `stop`; what waits then is still written.
    pub fn start<F>(
        tasks: &TaskTracker,
        stop: CancellationToken,
        what: &'static str,
        write: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = StoreResult<()>> + Send,
    {
        let (entrance, mut waiting) = mpsc::channel::<Place<T>>(WAITING_MAX);
        tasks.spawn(async move {
            let mut batch = Vec::new();
            while next_batch(&mut waiting, &stop, &mut batch, BATCH_MAX).await {
                let received = batch.len();
                let (items, places): (Vec<T>, Vec<_>) = batch.drain(..).unzip();
                let written = write(items).await;
                if let Err(error) = &written {
                    tracing::error!(%error, what, writes = received, "a batch of small writes was not stored");
                }
                for place in places {
                    // The requester may have hung up; its write is done all the same.
                    let _ = place.send(written.is_ok());
                }
            }
        });
        Self(entrance)
    }

    /// Returns when `item` is on disk.
    pub async fn write(&self, item: T) -> StoreResult<()> {
        let (done, written) = oneshot::channel();
        let gone = || StoreError::unavailable("the server is stopping");
        self.0.send((item, done)).await.map_err(|_| gone())?;
        if written.await.map_err(|_| gone())? {
            Ok(())
        } else {
            Err(StoreError::unavailable("the batch was not stored"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_arrives_during_a_commit_is_one_batch_and_a_stop_loses_nothing() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::<Vec<u32>>::new())));
        let (open, seen) = (gate.clone(), begun.clone());
        let crowd = Arc::new(Crowd::start(&tasks, stop.clone(), "numbers", move |items: Vec<u32>| {
            let (gate, fine) = (gate.clone(), !items.contains(&99));
            begun.lock().unwrap().push(items);
            async move {
                gate.acquire().await.unwrap().forget();
                if fine { Ok(()) } else { Err(StoreError::unavailable("99")) }
            }
        }));
        let write = |n| {
            let crowd = crowd.clone();
            tokio::spawn(async move { crowd.write(n).await.is_ok() })
        };
        let until = async |so: &dyn Fn() -> bool| {
            while !so() {
                tokio::task::yield_now().await;
            }
        };
        let first = write(0);
        until(&|| seen.lock().unwrap().len() == 1).await;
        let rest: Vec<_> = (1..=40).map(write).collect();
        until(&|| crowd.0.capacity() == WAITING_MAX - 40).await;
        open.add_permits(2);
        assert!(first.await.unwrap());
        for one in rest {
            assert!(one.await.unwrap());
        }
        assert_eq!(seen.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [1, 40]);

        let bad = write(99);
        until(&|| seen.lock().unwrap().len() == 3).await;
        let good = write(100);
        until(&|| crowd.0.capacity() == WAITING_MAX - 1).await;
        stop.cancel();
        open.add_permits(2);
        tasks.close();
        tasks.wait().await;
        assert_eq!((bad.await.unwrap(), good.await.unwrap()), (false, true));
        assert!(crowd.write(5).await.is_err(), "closed");
    }
}
