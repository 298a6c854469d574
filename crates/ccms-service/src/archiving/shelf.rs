//! Where the files of archived days are: a folder, or with the feature `s3` a bucket.
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ccms_archive::{Footer, Wanted};
use ccms_store::{ArchivedDay, ReadingRow};
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use super::lookup::Remembered;

/// Where files are that others took the place of, beside the years.
pub(super) const REPLACED: &str = "replaced";

#[derive(Debug, Clone)]
pub struct Shelf {
    objects: Arc<dyn ObjectStore>,
    /// Where they are files. The object store writes one under another name first, which it neither lists nor removes.
    folder: Option<PathBuf>,
    pub(super) remembered: Arc<Remembered>,
}

/// A file that is being written. Dropped, it leaves nothing behind but in a bucket what its rules remove; killed, a folder keeps
/// what there was of it ([`Shelf::files`]).
pub(super) struct Writing {
    upload: WriteMultipart,
    hash: Sha256,
    file: String,
}

impl Shelf {
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, folder: None, remembered: Arc::default() }
    }

    /// Objects that are the files of a folder.
    pub fn in_folder(objects: Arc<dyn ObjectStore>, folder: &FsPath) -> Self {
        Self { folder: Some(folder.to_owned()), ..Self::new(objects) }
    }

    /// A folder, made if it is not there. What is written to it is flushed before it has its name.
    pub fn folder(folder: &FsPath) -> Result<Self, ArchiveError> {
        let failed = |error: &dyn ToString| ArchiveError::file(&folder.display().to_string(), error.to_string());
        std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|e| failed(&e))?.with_fsync(true);
        Ok(Self::in_folder(Arc::new(objects), folder))
    }

    /// `file:///folder`, or `s3://bucket/prefix`, whose credentials come from the environment as other tools take them.
    pub fn open(url: &str) -> Result<Self, ArchiveError> {
        match url.split_once("://") {
            Some(("file", folder)) => Self::folder(FsPath::new(folder)),
            Some(("s3", place)) => bucket(url, place),
            _ => Err(ArchiveError::file(url, "an archive is at file:///… or s3://…")),
        }
    }

    pub(super) async fn create(&self, file: &str) -> Result<Writing, ArchiveError> {
        let upload = self.objects.put_multipart(&path(file)?).await.map_err(|e| ArchiveError::file(file, e))?;
        Ok(Writing { upload: WriteMultipart::new(upload), hash: Sha256::new(), file: file.to_owned() })
    }

    pub(super) async fn range(&self, file: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let length = range.end.saturating_sub(range.start);
        let bytes = self.objects.get_range(&path(file)?, range).await.map_err(|e| ArchiveError::file(file, e))?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(ArchiveError::file(file, "the file is damaged: it is too short"))
        }
    }

    pub(super) async fn footer(&self, day: &ArchivedDay) -> Result<Arc<Footer>, ArchiveError> {
        let start = day.bytes.saturating_sub(u64::from(day.footer_bytes));
        let bytes = self.range(&day.file, start..day.bytes).await?;
        let crc = day.footer_crc;
        let parsed = tokio::task::spawn_blocking(move || Footer::parse(&bytes, crc)).await?;
        parsed.map(Arc::new).map_err(ArchiveError::damaged(&day.file))
    }

    /// The readings of a group, those that are wanted or all.
    pub(super) async fn rows(
        &self,
        file: &str,
        footer: &Arc<Footer>,
        group: usize,
        wanted: Option<Wanted>,
    ) -> Result<Vec<ReadingRow>, ArchiveError> {
        let Some(place) = footer.groups().get(group) else { return Ok(Vec::new()) };
        let bytes = self.range(file, place.offset..place.offset + place.bytes).await?;
        let footer = footer.clone();
        let rows = tokio::task::spawn_blocking(move || footer.rows(group, bytes, wanted.as_ref())).await?;
        rows.map_err(ArchiveError::damaged(file))
    }

    /// Size and SHA-256 of a whole file.
    pub(super) async fn sum(&self, file: &str) -> Result<(u64, [u8; 32]), ArchiveError> {
        let failed = |error| ArchiveError::file(file, error);
        let mut stream = self.objects.get(&path(file)?).await.map_err(failed)?.into_stream();
        let (mut bytes, mut hash) = (0, Sha256::new());
        while let Some(piece) = stream.try_next().await.map_err(failed)? {
            bytes += piece.len() as u64;
            hash.update(&piece);
        }
        Ok((bytes, hash.finalize().into()))
    }

    /// Whether it takes room of a disk that may be the database's.
    pub(super) fn is_local(&self) -> bool {
        self.folder.is_some()
    }

    /// Gives a file another name, in whose place nothing is.
    pub(super) async fn rename(&self, file: &str, name: &str) -> Result<(), ArchiveError> {
        self.objects.rename(&path(file)?, &path(name)?).await.map_err(|e| ArchiveError::file(file, e))
    }

    /// One that is gone already is no error.
    pub(super) async fn remove(&self, file: &str) -> Result<(), ArchiveError> {
        if let Some(folder) = self.folder.as_ref().filter(|_| staged_for(file).is_some()) {
            return match tokio::fs::remove_file(folder.join(file)).await {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(ArchiveError::file(file, error)),
                _ => Ok(()),
            };
        }
        match self.objects.delete(&path(file)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ArchiveError::file(file, error)),
        }
    }

    /// All there are, in a folder also those that are being written, or were when a process was killed.
    pub(super) async fn files(&self) -> Result<Vec<String>, ArchiveError> {
        let failed = |e: &dyn ToString| ArchiveError::file("the archive", e.to_string());
        let all = self.objects.list(None).map_ok(|object| object.location.to_string()).try_collect();
        let mut all: Vec<String> = all.await.map_err(|e| failed(&e))?;
        if let Some(folder) = self.folder.clone() {
            all.extend(tokio::task::spawn_blocking(move || staged_in(&folder)).await?.map_err(|e| failed(&e))?);
        }
        Ok(all)
    }
}

/// The name that a file will have when it is written: until then a number stands behind it.
pub(super) fn staged_for(file: &str) -> Option<&str> {
    let (name, number) = file.rsplit_once('#')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

/// Files below the folders of years that have no name of their own yet.
fn staged_in(folder: &FsPath) -> std::io::Result<Vec<String>> {
    let mut staged = Vec::new();
    for year in std::fs::read_dir(folder)? {
        let year = year?;
        if !year.path().is_dir() {
            continue;
        }
        for file in std::fs::read_dir(year.path())? {
            let name = format!("{}/{}", year.file_name().display(), file?.file_name().display());
            if staged_for(&name).is_some() {
                staged.push(name);
            }
        }
    }
    Ok(staged)
}

impl Writing {
    /// Parts of it that are on their way at a time.
    const PARTS: usize = 2;

    pub async fn write(&mut self, piece: &[u8]) -> Result<(), ArchiveError> {
        self.upload.wait_for_capacity(Self::PARTS).await.map_err(|e| ArchiveError::file(&self.file, e))?;
        self.hash.update(piece);
        self.upload.write(piece);
        Ok(())
    }

    /// The file is there, whole and on disk. Answers its SHA-256.
    pub async fn finish(self) -> Result<[u8; 32], ArchiveError> {
        self.upload.finish().await.map_err(|e| ArchiveError::file(&self.file, e))?;
        Ok(self.hash.finalize().into())
    }

    pub async fn give_up(self) {
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(%error, file = self.file, "a file that was not finished was not removed");
        }
    }
}

fn path(file: &str) -> Result<Path, ArchiveError> {
    Path::parse(file).map_err(|e| ArchiveError::file(file, e))
}

#[cfg(feature = "s3")]
fn bucket(url: &str, place: &str) -> Result<Shelf, ArchiveError> {
    let failed = |error| ArchiveError::file(url, error);
    let bucket = object_store::aws::AmazonS3Builder::from_env().with_url(url).build().map_err(failed)?;
    let prefix = place.split_once('/').map_or("", |(_, prefix)| prefix);
    Ok(Shelf::new(Arc::new(object_store::prefix::PrefixStore::new(bucket, prefix))))
}

#[cfg(not(feature = "s3"))]
fn bucket(url: &str, _place: &str) -> Result<Shelf, ArchiveError> {
    Err(ArchiveError::file(url, "this program was built without the feature s3"))
}
