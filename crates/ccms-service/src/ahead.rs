//! Reading a long table page after page on a task of its own, while the pages before are put into memory: little of it is there
//! twice, and what was read is put away while the processor still has it at hand.
use ccms_store::{DynStore, StoreError, StoreResult};
use tokio::sync::mpsc;

/// Rows of a page.
pub(crate) const PAGE_ROWS: u32 = 4_096;
/// Pages that may wait to be put into memory.
const PAGES_AHEAD: usize = 16;

/// What is read page after page on a task of its own.
pub(crate) struct Ahead<T>(mpsc::Receiver<StoreResult<Vec<T>>>);

impl<T: Send + 'static> Ahead<T> {
    /// `read` is asked for the [`PAGE_ROWS`] rows behind a place, of which `place` says where it is.
    pub fn of<P: Send + 'static, F: Future<Output = StoreResult<Vec<T>>> + Send + 'static>(
        store: &DynStore,
        first: P,
        place: fn(&T) -> P,
        read: impl Fn(DynStore, P) -> F + Send + 'static,
    ) -> Self {
        let (pages, rows) = mpsc::channel(PAGES_AHEAD);
        let store = store.clone();
        tokio::spawn(async move {
            let mut next = Some(first);
            while let Some(after) = next.take() {
                let page = read(store.clone(), after).await;
                next = page.as_ref().ok().filter(|page| !is_last(page)).and_then(|page| page.last()).map(place);
                if pages.send(page).await.is_err() {
                    return;
                }
            }
        });
        Self(rows)
    }

    /// Gives every row to `put`, in their order.
    ///
    /// # Errors
    /// The store's, and when the reading ended in the middle.
    pub async fn each(mut self, mut put: impl FnMut(T)) -> StoreResult<()> {
        loop {
            let cut_short = || StoreError::Unavailable("reading ended before its last page".into());
            let page = self.0.recv().await.ok_or_else(cut_short)??;
            let is_last = is_last(&page);
            page.into_iter().for_each(&mut put);
            if is_last {
                return Ok(());
            }
        }
    }
}

fn is_last<T>(page: &[T]) -> bool {
    page.len() < PAGE_ROWS as usize
}
