//! Some lights' readings from a day's file: each group they are in is read once, whether it is one light's day or a quarter of an hour
//! of hundreds. Where groups are is remembered of the files that were asked for lately; a file never changes under its name.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ccms_archive::{Directory, Footer, Wanted};
use ccms_core::ids::LightNo;
use ccms_store::{ArchivedDay, ReadingRow};

use super::ArchiveError;
use super::shelf::Shelf;

/// Memory for where groups are: a file of 2,500 lights takes 20 kB, one of 100,000 lights 160.
const REMEMBERED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Groups read and unpacked at a time for one request, each about half a megabyte.
const GROUPS_AT_ONCE: usize = 2;

/// Where the groups of a file are.
#[derive(Clone)]
pub(super) enum Index {
    Directory(Arc<Directory>),
    /// Of a file that was written before there were directories.
    Footer(Arc<Footer>),
}

impl Index {
    /// The groups of these lights: which, and where in the file.
    fn groups_of(&self, lights: &[LightNo]) -> Vec<(usize, std::ops::Range<u64>)> {
        match self {
            Self::Directory(directory) => {
                let range = |at: usize| directory.places().get(at).map(|p| (at, p.offset..p.offset + p.bytes()));
                directory.groups_of(lights).into_iter().filter_map(range).collect()
            }
            Self::Footer(footer) => {
                let mut groups: Vec<usize> = lights.iter().filter_map(|no| footer.group_of(*no)).collect();
                groups.dedup();
                let range = |at: usize| footer.groups().get(at).map(|g| (at, g.offset..g.offset + g.bytes));
                groups.into_iter().filter_map(range).collect()
            }
        }
    }

    fn rows(
        &self,
        group: usize,
        bytes: Bytes,
        wanted: &Wanted,
    ) -> Result<Vec<ReadingRow>, ccms_archive::ArchiveFileError> {
        match self {
            Self::Directory(directory) => directory.rows(group, bytes, wanted),
            Self::Footer(footer) => footer.rows(group, bytes, Some(wanted)),
        }
    }
}

/// Of files that were asked for lately.
#[derive(Default)]
pub(super) struct Remembered {
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    of: HashMap<String, Known>,
    bytes: usize,
    /// Counts questions, to know which file was asked for last.
    asked: u64,
}

struct Known {
    index: Index,
    bytes: usize,
    asked: u64,
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered")
    }
}

impl Remembered {
    fn get(&self, file: &str) -> Option<Index> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.asked += 1;
        let asked = files.asked;
        let known = files.of.get_mut(file)?;
        known.asked = asked;
        Some(known.index.clone())
    }

    fn put(&self, file: &str, index: Index, bytes: usize) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).put(file, index, bytes, REMEMBERED_BYTES_MAX);
    }
}

impl Files {
    /// What was not asked for the longest goes.
    fn put(&mut self, file: &str, index: Index, bytes: usize, most: usize) {
        if bytes > most {
            return;
        }
        self.asked += 1;
        let known = Known { index, bytes, asked: self.asked };
        self.bytes += bytes;
        self.bytes -= self.of.insert(file.to_owned(), known).map_or(0, |before| before.bytes);
        while self.bytes > most {
            let Some(oldest) = self.of.iter().min_by_key(|(_, known)| known.asked).map(|(file, _)| file.clone()) else {
                break;
            };
            self.bytes -= self.of.remove(&oldest).map_or(0, |gone| gone.bytes);
        }
    }
}

impl Shelf {
    /// What is wanted of an archived day, by light and time.
    pub(crate) async fn wanted(&self, day: &ArchivedDay, wanted: Arc<Wanted>) -> Result<Vec<ReadingRow>, ArchiveError> {
        let index = self.index(day).await?;
        let mut found = Vec::new();
        let groups = index.groups_of(&wanted.lights);
        for some in groups.chunks(GROUPS_AT_ONCE) {
            let reading = some.iter().map(|(group, range)| async {
                let bytes = self.range(&day.file, range.clone()).await?;
                let (index, wanted, group) = (index.clone(), wanted.clone(), *group);
                let rows = tokio::task::spawn_blocking(move || index.rows(group, bytes, &wanted)).await?;
                rows.map_err(ArchiveError::damaged(&day.file))
            });
            futures_util::future::try_join_all(reading).await?.into_iter().for_each(|rows| found.extend(rows));
        }
        Ok(found)
    }

    async fn index(&self, day: &ArchivedDay) -> Result<Index, ArchiveError> {
        if let Some(index) = self.remembered.get(&day.file) {
            return Ok(index);
        }
        let (index, bytes) = match self.directory(day).await? {
            Some(directory) => {
                let bytes = directory.memory_bytes();
                (Index::Directory(Arc::new(directory)), bytes)
            }
            // The parsed form takes several times what it took in the file.
            None => (Index::Footer(self.footer(day).await?), 4 * day.footer_bytes as usize),
        };
        self.remembered.put(&day.file, index.clone(), bytes);
        Ok(index)
    }

    /// The directory of a file, if it has one.
    pub(super) async fn directory(&self, day: &ArchivedDay) -> Result<Option<Directory>, ArchiveError> {
        let end = day.bytes.saturating_sub(u64::from(day.footer_bytes));
        let tail = self.range(&day.file, end.saturating_sub(Directory::TAIL_BYTES)..end).await?;
        let Some(length) = Directory::length(&tail) else { return Ok(None) };
        let bytes = match tail.len().checked_sub(length as usize) {
            Some(at) => tail.slice(at..),
            None => self.range(&day.file, end.saturating_sub(length)..end).await?,
        };
        let directory = Directory::parse(&bytes).map_err(ArchiveError::damaged(&day.file))?;
        let says = (directory.day, directory.revision, directory.readings, directory.lights);
        if says == (day.day, day.revision, day.readings, day.lights) {
            Ok(Some(directory))
        } else {
            Err(ArchiveError::file(&day.file, format!("its directory says of itself {says:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use ccms_archive::{DayWriter, Names};
    use ccms_store::Day;

    use super::*;

    #[test]
    fn the_files_asked_for_last_are_remembered() {
        let mut writer = DayWriter::new(Day(1), 1).unwrap();
        writer.write_group(&[], &Names::default()).unwrap();
        let done = writer.finish().unwrap();
        let end = done.last_piece.len() - done.footer_bytes as usize;
        let length = Directory::length(&done.last_piece[..end]).unwrap() as usize;
        let index = Index::Directory(Arc::new(Directory::parse(&done.last_piece[end - length..end]).unwrap()));
        let mut files = Files::default();
        for file in ["a", "b", "c"] {
            files.put(file, index.clone(), 10, 30);
        }
        files.asked += 1;
        files.of.get_mut("a").unwrap().asked = files.asked;
        files.put("d", index.clone(), 15, 30);
        let mut known: Vec<_> = files.of.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!((known, files.bytes), (vec!["a", "d"], 25));
        files.put("d", index.clone(), 5, 30);
        files.put("too large", index, 31, 30);
        assert_eq!((files.of.len(), files.bytes), (2, 15));
    }
}
