//! A folder of archived days that fails on demand.
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

#[derive(Debug)]
pub struct FailingShelf {
    inner: Arc<dyn ObjectStore>,
    plug: Arc<Plug>,
}

/// Calls that still pass before all fail; below zero when that is no question.
#[derive(Debug)]
struct Plug {
    left: AtomicI64,
    calls: AtomicU64,
}

impl FailingShelf {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, plug: Arc::new(Plug { left: AtomicI64::new(-1), calls: AtomicU64::new(0) }) }
    }

    pub fn fails_after(&self, calls: i64) {
        self.plug.left.store(calls, Ordering::SeqCst);
    }

    /// How often it was asked for anything.
    pub fn calls(&self) -> u64 {
        self.plug.calls.load(Ordering::SeqCst)
    }

    pub fn mends(&self) {
        self.fails_after(-1);
    }
}

impl Plug {
    fn pass(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let count_down = |left: i64| (left >= 0).then_some((left - 1).max(0));
        if self.left.try_update(Ordering::SeqCst, Ordering::SeqCst, count_down) == Ok(0) {
            return Err(Error::Generic { store: "test", source: "no space left on device".into() });
        }
        Ok(())
    }
}

impl std::fmt::Display for FailingShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failing {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FailingShelf {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.plug.pass()?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.plug.pass()?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(FailingUpload { inner, plug: self.plug.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.plug.pass()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.plug.pass()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.plug.pass() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.plug.pass() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.plug.pass()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.plug.pass()?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FailingUpload {
    inner: Box<dyn MultipartUpload>,
    plug: Arc<Plug>,
}

#[async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.plug.pass() {
            Ok(()) => self.inner.put_part(data),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.plug.pass()?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.plug.pass()?;
        self.inner.abort().await
    }
}
