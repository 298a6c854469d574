//! Looking through everything that is kept, for `ccms verify` and after every backup. Reads only, page by page, beside a running
//! server if need be: each check is of one row, or of two facts of which the one read first can only be the smaller.
use std::collections::{BTreeSet, HashMap, HashSet};

use ccms_core::ids::LightNo;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;
use ccms_store::audit_chain::{CHAIN_START, walk};
use ccms_store::{ChainedEntry, Count, Day, DynStore, LogPosition, ReadingRow, SealedDay, StoreError, StoreResult};

use crate::archiving::date;
use crate::archiving::shelf::Shelf;

mod daily;
mod files;
mod rollups;

const AUDIT_PAGE: u32 = 1_000;
const LOG_PAGE: u32 = 10_000;
/// About a megabyte of blocks.
const BLOCKS_PAGE: u32 = 200;
/// Findings that are kept in words; the rest is counted.
pub const FINDINGS_MAX: usize = 50;

/// What was looked at, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Report {
    pub engine: String,
    pub counts: Vec<Count>,
    /// One line for each kind of thing that was looked through.
    pub looked_at: Vec<String>,
    /// At most [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// All of them.
    pub found: u64,
    /// Of these, what the engine says of its own structures: no copy of such a database is whole.
    pub damages: u64,
}

/// Who is spoken of, to be looked up at the end: what was registered meanwhile is no stray.
#[derive(Default)]
struct Named {
    lights: BTreeSet<u32>,
    devices: BTreeSet<u32>,
    /// Days whose files were deleted: their readings are gone, and their sums of more than what came late.
    deleted: BTreeSet<String>,
}

impl Report {
    fn finds(&mut self, what: String) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }

    /// What cannot be read is a finding; a database that is gone ends the whole.
    fn reads<T>(&mut self, what: &str, read: StoreResult<T>) -> StoreResult<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ (StoreError::BadRow { .. } | StoreError::Broken(_))) => {
                self.finds(format!("{what} cannot be read: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// With a shelf, and the time, the files of archived days are read as well.
///
/// # Errors
/// When the database does not answer.
pub async fn look_through(store: &DynStore, shelf: Option<(&Shelf, UtcMillis)>) -> StoreResult<Report> {
    let mut report = Report { engine: store.engine().await?, ..Report::default() };
    let mut named = Named::default();
    let findings = store.engine_findings().await;
    for finding in report.reads("the database file", findings)?.unwrap_or_default() {
        report.finds(finding);
    }
    report.damages = report.found;
    named.deleted = audit(store, &mut report).await?;
    blocks(store, &mut report, &mut named).await?;
    files::look_through(store, shelf.map(|(shelf, _)| shelf), &mut report, &mut named).await?;
    if let Some((shelf, now)) = shelf {
        files::strays(store, shelf, now, &mut report).await?;
    }
    files::lost(store, &mut report, &named.deleted).await?;
    daily::look_through(store, &mut report).await?;
    log(store, &mut report, &mut named).await?;
    strays(store, &mut report, &named).await?;
    let counts = store.counts().await;
    report.counts = report.reads("the tables", counts)?.unwrap_or_default();
    Ok(report)
}

/// The chain from its beginning: how many entries there are, and the hash at the end.
///
/// # Errors
/// In the result inside: the number of the first entry that does not follow.
pub async fn audit_chain(
    store: &DynStore,
    mut met: impl FnMut(&ChainedEntry),
) -> StoreResult<Result<(u64, [u8; 32]), i64>> {
    let (mut at, mut last, mut count) = (CHAIN_START, 0, 0u64);
    loop {
        let page = store.audit_chain(last, AUDIT_PAGE).await?;
        let Some(end) = page.last() else { return Ok(Ok((count, at))) };
        at = match walk(at, &page) {
            Ok(hash) => hash,
            Err(no) => return Ok(Err(no)),
        };
        page.iter().for_each(&mut met);
        last = end.no;
        count += page.len() as u64;
    }
}

/// Answers which days were deleted.
async fn audit(store: &DynStore, report: &mut Report) -> StoreResult<BTreeSet<String>> {
    let mut deleted = BTreeSet::new();
    let walked = audit_chain(store, |chained| {
        if chained.entry.action == "archive.delete" {
            deleted.insert(chained.entry.target.clone());
        }
    })
    .await;
    match report.reads("the audit log", walked)? {
        Some(Ok((count, _))) => report.looked_at.push(format!("{count} entries of the audit log, the chain is whole")),
        Some(Err(no)) => {
            report.finds(format!("the audit log was changed: entry {no} does not follow from the one before it"))
        }
        None => {}
    }
    Ok(deleted)
}

async fn blocks(store: &DynStore, report: &mut Report, named: &mut Named) -> StoreResult<()> {
    let (mut after, mut count, mut readings) = ((LightNo(0), Day(i32::MIN)), 0u64, 0u64);
    let mut archived = rollups::Archived::default();
    loop {
        let page = store.sealed_after(after, BLOCKS_PAGE).await;
        let Some(page) = report.reads("a block", page)? else { break };
        let Some(last) = page.last() else { break };
        after = (last.light_no, last.day);
        count += page.len() as u64;
        for block in &page {
            named.lights.insert(block.light_no.0);
            match rows_of(block) {
                Ok(rows) => {
                    readings += rows.len() as u64;
                    named.devices.extend(rows.iter().map(|r| r.device_no.0));
                }
                Err(why) => {
                    report.finds(format!("the block of {}: {why}", name_of(block)));
                    continue;
                }
            }
            if named.deleted.contains(&date(block.day)) {
                continue;
            }
            let finding = rollups::finding(store, block, &mut archived).await;
            if let Some(Some(why)) = report.reads("the sums of a block", finding)? {
                report.finds(format!("the block of {}: {why}", name_of(block)));
            }
        }
    }
    report.looked_at.push(format!("{count} blocks with {readings} readings, and what their days came to"));
    Ok(())
}

/// The readings of a block, each of which belongs into it, and once.
fn rows_of(block: &SealedDay) -> Result<Vec<ReadingRow>, String> {
    let rows = ccms_block::decode(block.light_no, &block.body).map_err(|e| e.to_string())?;
    if rows.len() != block.readings as usize {
        return Err(format!("it holds {} readings and should hold {}", rows.len(), block.readings));
    }
    if let Some(row) = rows.iter().find(|r| Day::of(r.reading.reported_at) != block.day) {
        return Err(format!("a reading of {} is of another day", row.reading.reported_at));
    }
    if rows.iter().any(|r| r.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)) {
        return Err("a reading whose clock nobody believes belongs to no day".into());
    }
    let mut keys = HashSet::with_capacity(rows.len());
    match rows.iter().find(|r| !keys.insert(key_of(r))) {
        Some(row) => Err(format!("a reading of {} is there twice", row.reading.reported_at)),
        None => Ok(rows),
    }
}

fn key_of(row: &ReadingRow) -> (i64, i64) {
    (row.reading.reported_at.0, row.dedupe)
}

fn name_of(block: &SealedDay) -> String {
    format!("light number {} on {}", block.light_no.0, &block.day.begins().to_string()[..10])
}

async fn log(store: &DynStore, report: &mut Report, named: &mut Named) -> StoreResult<()> {
    let links = store.log_findings().await;
    report
        .reads("how the log hangs together", links)?
        .unwrap_or_default()
        .into_iter()
        .for_each(|wrong| report.finds(format!("the log: {wrong}")));
    let checkpoint = store.checkpoint().await;
    let checkpoint = report.reads("the checkpoint", checkpoint)?;
    let (mut after, mut count, mut twice) = (LogPosition::default(), 0u64, 0u64);
    loop {
        let page = store.log_after(after, LOG_PAGE).await;
        let Some(page) = report.reads("a row of the log", page)? else { break };
        let Some((last, _)) = page.last() else { break };
        if page.iter().map(|(at, _)| *at).try_fold(after, |before, at| (before < at).then_some(at)).is_none() {
            report.finds(format!("the log is out of order behind position {}", after.0));
        }
        after = *last;
        count += page.len() as u64;
        named.lights.extend(page.iter().map(|(_, r)| r.light_no.0));
        named.devices.extend(page.iter().map(|(_, r)| r.device_no.0));
        twice += sealed_already(store, &page).await?;
    }
    let last = store.last_position().await?;
    if after > last {
        report.finds(format!("the log reaches position {}, but only {} were ever given", after.0, last.0));
    }
    report.looked_at.push(format!("{count} rows of the log"));
    if twice > 0 {
        report
            .looked_at
            .push(format!("{twice} of them are in blocks already; the next sealing takes them out of the log"));
    }
    let Some((position, rows)) = checkpoint else { return Ok(()) };
    if position > last {
        report.finds(format!("the checkpoint is ahead of the log: {} of {}", position.0, last.0));
    }
    named.lights.extend(rows.iter().map(|r| r.light_no.0));
    report.looked_at.push(format!("the checkpoint of {} lights, at position {} of {}", rows.len(), position.0, last.0));
    Ok(())
}

/// How many of these rows are in a block as well: a sealing that was interrupted, or a late repetition of what was sealed.
async fn sealed_already(store: &DynStore, page: &[(LogPosition, ReadingRow)]) -> StoreResult<u64> {
    let mut days: HashMap<Day, Vec<&ReadingRow>> = HashMap::new();
    for (_, row) in page.iter().filter(|(_, r)| !r.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)) {
        days.entry(Day::of(row.reading.reported_at)).or_default().push(row);
    }
    let mut twice = 0;
    for (day, rows) in days {
        let lights: BTreeSet<u32> = rows.iter().map(|r| r.light_no.0).collect();
        let (Some(first), Some(last)) = (lights.first(), lights.last()) else { continue };
        // A block that cannot be read was found before.
        let Ok(blocks) = store.sealed_of_day(day, LightNo(*first), LightNo(last.saturating_add(1))).await else {
            continue;
        };
        let of_lights = blocks.iter().filter(|b| lights.contains(&b.light_no.0));
        let sealed: HashSet<(u32, (i64, i64))> =
            of_lights.flat_map(|b| rows_of(b).unwrap_or_default()).map(|row| (row.light_no.0, key_of(&row))).collect();
        twice += rows.iter().filter(|r| sealed.contains(&(r.light_no.0, key_of(r)))).count() as u64;
    }
    Ok(twice)
}

/// Readings name lights and devices that there are.
async fn strays(store: &DynStore, report: &mut Report, named: &Named) -> StoreResult<()> {
    let (lights, devices) = (store.lights().await, store.devices().await);
    if let Some(lights) = report.reads("a light", lights)? {
        let there: HashSet<u32> = lights.iter().map(|l| l.no.0).collect();
        named.lights.iter().filter(|no| !there.contains(no)).for_each(|no| {
            report.finds(format!("readings name light number {no}, which there is not"));
        });
    }
    if let Some(devices) = report.reads("a device", devices)? {
        let there: HashSet<u32> = devices.iter().map(|d| d.no.0).collect();
        named.devices.iter().filter(|no| !there.contains(no)).for_each(|no| {
            report.finds(format!("readings name device number {no}, which there is not"));
        });
    }
    Ok(())
}
