//! A folder of archived days each of whose calls is a step ([`crate::fatal`]): nobody but the archiver goes there.
use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{BoxStream, once};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::fatal::Fate;

#[derive(Debug)]
pub struct FatalShelf {
    inner: Arc<dyn ObjectStore>,
    fate: Arc<Fate>,
}

impl FatalShelf {
    pub fn new(inner: Arc<dyn ObjectStore>, fate: Arc<Fate>) -> Self {
        Self { inner, fate }
    }
}

impl Display for FatalShelf {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "fatal {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FatalShelf {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.fate.around("put", self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.fate.around("put_multipart", self.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(FatalUpload { inner, fate: self.fate.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.fate.around("get", self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.fate.around("get_ranges", self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.fate.step("before", "delete");
        let fate = self.fate.clone();
        self.inner.delete_stream(locations).inspect(move |_| fate.step("after", "delete")).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.fate.step("before", "list");
        let fate = self.fate.clone();
        let end = once(async move {
            fate.step("after", "list");
            None
        });
        self.inner.list(prefix).map(Some).chain(end).filter_map(ready).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.fate.around("list", self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.fate.around("copy", self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FatalUpload {
    inner: Box<dyn MultipartUpload>,
    fate: Arc<Fate>,
}

#[async_trait]
impl MultipartUpload for FatalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, fate) = (self.inner.put_part(data), self.fate.clone());
        Box::pin(async move { fate.around("put_part", part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.fate.around("complete", self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.fate.around("abort", self.inner.abort()).await
    }
}
