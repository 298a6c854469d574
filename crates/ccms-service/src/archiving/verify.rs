//! Whether the archive is what the database says of it.
use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, Day, DynStore};

use super::shelf::Shelf;
use super::strays::{Stray, strays};
use super::{ArchiveError, date};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Days that were looked at, and how many of them are not as they should be.
    pub days: u32,
    pub damaged: u32,
    /// Of the others.
    pub readings: u64,
    /// What is wrong; each names its file.
    pub findings: Vec<String>,
    /// Files that no record names, so young that a running server may be about to.
    pub young: Vec<String>,
    /// Files that others took the place of, and until when they are kept.
    pub replaced: Vec<(String, UtcMillis)>,
    /// Files that a running server will remove.
    pub spare: Vec<String>,
}

/// Reads every recorded file, or one day's, from the first byte to the last.
pub async fn verify(
    store: &DynStore,
    shelf: &Shelf,
    day: Option<Day>,
    now: UtcMillis,
) -> Result<Verified, ArchiveError> {
    let (from, last) = day.map_or((Day(i32::MIN), Day(i32::MAX)), |day| (day, day));
    let mut done = Verified::default();
    for mut record in store.archived_days(from, last, u32::MAX).await? {
        let mut found = check(shelf, &record).await;
        if found.is_err()
            && let Some(replaced) = store.archived_days(record.day, record.day, 1).await?.pop()
            && replaced != record
        {
            record = replaced;
            found = check(shelf, &record).await;
        }
        match found {
            Ok(()) => done.readings += record.readings,
            Err(error) => {
                done.damaged += 1;
                done.findings.push(error.to_string());
            }
        }
        done.days += 1;
    }
    if day.is_none() {
        look_at_strays(store, shelf, now, &mut done).await?;
    }
    Ok(done)
}

/// Files that no record names.
///
/// # Errors
/// When the folder or the database does not answer.
pub async fn look_at_strays(
    store: &DynStore,
    shelf: &Shelf,
    now: UtcMillis,
    done: &mut Verified,
) -> Result<(), ArchiveError> {
    let files = shelf.files().await?;
    let known = store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await?;
    for (file, stray) in strays(&files, &known, Day(i32::MIN), now) {
        match stray {
            Stray::Young => done.young.push(file),
            Stray::Replaced(until) => done.replaced.push((file, until)),
            Stray::Spare => done.spare.push(file),
            Stray::Foreign => done.findings.push(format!("{file}: nobody refers to it")),
            Stray::Unclaimed => done.findings.push(format!(
                "{file}: the database does not know it; `ccms archive adopt` takes it in when it is whole and newer"
            )),
        }
    }
    Ok(())
}

pub(super) async fn check(shelf: &Shelf, record: &ArchivedDay) -> Result<(), ArchiveError> {
    let wrong = |what: String| ArchiveError::file(&record.file, what);
    let (bytes, sha256) = shelf.sum(&record.file).await?;
    if bytes != record.bytes {
        return Err(wrong(format!("it has {bytes} bytes instead of {}", record.bytes)));
    }
    let footer = shelf.footer(record).await?;
    let says = (&*footer.day, footer.revision, footer.readings, footer.lights);
    let day = date(record.day);
    if says != (&*day, record.revision, record.readings, record.lights) {
        return Err(wrong(format!("it says of itself {says:?}")));
    }
    if let Some(directory) = shelf.directory(record).await? {
        let by_footer = footer.groups().iter().map(|g| (g.offset, g.bytes, g.readings, g.first_light, g.last_light));
        let by_directory = directory
            .places()
            .iter()
            .map(|p| (p.offset, u64::from(p.group_bytes), p.readings, p.first_light, p.last_light));
        if !by_directory.eq(by_footer) {
            return Err(wrong("its directory names other groups than its footer".to_owned()));
        }
    }
    let (mut readings, mut lights, mut last) = (0, 0, None);
    for group in 0..footer.groups().len() {
        for row in shelf.rows(&record.file, &footer, group, None).await? {
            if Day::of(row.reading.reported_at) != record.day {
                return Err(wrong(format!("light {} has a reading of another day in it", row.light_no.0)));
            }
            if last > Some(row.light_no) {
                return Err(wrong(format!("light {} is out of order", row.light_no.0)));
            }
            lights += u32::from(last != Some(row.light_no));
            last = Some(row.light_no);
            readings += 1;
        }
    }
    if (readings, lights) != (record.readings, record.lights) {
        return Err(wrong(format!("it has {readings} readings of {lights} lights")));
    }
    if sha256 == record.sha256 { Ok(()) } else { Err(wrong("its SHA-256 is another".to_owned())) }
}
