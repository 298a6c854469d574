//! Files of the archive that no record names. What such a file is hangs on the record of its day: one that another took the place of is
//! kept for some days, because a backup of the database may still name it, and then goes; one that a record ought to name and
//! none does is never touched, because the database may be older than the folder is, and then that file is all there is of its day.
//! `ccms archive adopt` takes it in ([`adopt`](super::adopt)).
use std::collections::BTreeMap;

use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, Day};

use super::shelf::{REPLACED, staged_for};
use super::{ORPHAN_AFTER_S, date};

/// A file is kept this long after another took its place: until then a backup of the database is good with a newer copy of the folder.
pub const REPLACED_KEPT_S: i64 = 7 * 86_400;

/// What the name of a file of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub day: Day,
    pub revision: u32,
    /// When it was made, or begun.
    pub made_at: UtcMillis,
}

impl Name {
    /// `2025/2025-12-17.r1.1765967405123-0badcafe.parquet`, also where it was put aside or is being written.
    pub fn of(file: &str) -> Option<Self> {
        let file = staged_for(file).unwrap_or(file);
        let name = file.rsplit_once('/').map_or(file, |(_, name)| name).strip_suffix(".parquet")?;
        let (name, stamp) = name.rsplit_once('.')?;
        let (day_name, revision) = name.rsplit_once(".r")?;
        let day = Day::of(UtcMillis::parse_lenient(&format!("{day_name}T00:00:00Z"))?);
        let made_at = UtcMillis(stamp.split_once('-')?.0.parse().ok()?);
        (date(day) == day_name).then_some(Self { day, revision: revision.parse().ok()?, made_at })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// So young that somebody may be about to record it.
    Young,
    /// Another took its place; it goes at that time.
    Replaced(UtcMillis),
    /// Nothing needs it any more.
    Spare,
    /// Its day has no record, an older one, or one whose file is not there.
    Unclaimed,
    /// None of ours.
    Foreign,
}

/// What the files are that no record names. Days before `deleted` are not kept.
pub fn strays(files: &[String], records: &[ArchivedDay], deleted: Day, now: UtcMillis) -> Vec<(String, Stray)> {
    let records: BTreeMap<Day, &ArchivedDay> = records.iter().map(|record| (record.day, record)).collect();
    let mut of_day: BTreeMap<Day, Vec<(Name, &str)>> = BTreeMap::new();
    for file in files {
        if let Some(name) = Name::of(file).filter(|_| staged_for(file).is_none()) {
            of_day.entry(name.day).or_default().push((name, file));
        }
    }
    let is_stray = |file: &&String| Name::of(file).and_then(|n| records.get(&n.day)).is_none_or(|r| r.file != **file);
    let judged = |file: &String| {
        let Some(name) = Name::of(file) else { return Stray::Foreign };
        let others = of_day.get(&name.day).map_or(&[][..], Vec::as_slice);
        judge(file, name, others, records.get(&name.day).copied(), deleted, now)
    };
    files.iter().filter(is_stray).map(|file| (file.clone(), judged(file))).collect()
}

fn judge(
    file: &str,
    name: Name,
    of_day: &[(Name, &str)],
    record: Option<&ArchivedDay>,
    deleted: Day,
    now: UtcMillis,
) -> Stray {
    let is_young = now < name.made_at.plus_seconds(ORPHAN_AFTER_S);
    let superior = record.filter(|r| r.revision >= name.revision && of_day.iter().any(|(_, file)| *file == r.file));
    match (superior, record) {
        // A part of a file is of no use to anybody.
        _ if staged_for(file).is_some() => {
            if is_young {
                Stray::Young
            } else {
                Stray::Spare
            }
        }
        (Some(record), _) => {
            let later =
                of_day.iter().filter(|(other, _)| other.revision > name.revision).map(|(other, _)| other.made_at);
            let until = later.min().unwrap_or(record.archived_at).max(name.made_at).plus_seconds(REPLACED_KEPT_S);
            if now < until { Stray::Replaced(until) } else { Stray::Spare }
        }
        _ if is_young => Stray::Young,
        (None, None) if name.day < deleted => Stray::Spare,
        _ => Stray::Unclaimed,
    }
}

/// The name of a file that another took the place of: apart from the others, so that who reads the folder as it is counts nothing twice.
pub(super) fn replaced_name(file: &str) -> String {
    format!("{REPLACED}/{}", file.rsplit_once('/').map_or(file, |(_, name)| name))
}

/// The name of a file that counts.
pub(super) fn own_name(file: &str) -> String {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    format!("{}/{name}", name.get(..4).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const NOW: UtcMillis = UtcMillis(30_000 * DAY_MS);

    fn file(day: i32, revision: u32, days_ago: i64) -> String {
        let day = date(Day(day));
        format!("{}/{day}.r{revision}.{}-0badcafe.parquet", &day[..4], NOW.0 - days_ago * DAY_MS)
    }

    fn record(day: i32, revision: u32, days_ago: i64) -> ArchivedDay {
        ArchivedDay {
            day: Day(day),
            revision,
            file: file(day, revision, days_ago),
            readings: 1,
            lights: 1,
            bytes: 1,
            sha256: [0; 32],
            footer_bytes: 1,
            footer_crc: 1,
            archived_at: UtcMillis(NOW.0 - days_ago * DAY_MS),
            kept_until: None,
            restored: false,
        }
    }

    fn judged(files: &[String], records: &[ArchivedDay]) -> Vec<Stray> {
        strays(files, records, Day(100), NOW).into_iter().map(|(_, stray)| stray).collect()
    }

    #[test]
    fn a_name_says_what_it_is_of() {
        let name = Name::of("2025/2025-12-17.r3.1765967405123-0badcafe.parquet").unwrap();
        assert_eq!(name, Name { day: Day(20_439), revision: 3, made_at: UtcMillis(1_765_967_405_123) });
        let own = file(20_439, 3, 1);
        let aside = replaced_name(&own);
        assert_eq!((Name::of(&aside), own_name(&aside)), (Name::of(&own), own.clone()));
        assert_eq!(Name::of(&format!("{own}#1")), Name::of(&own));
        for foreign in
            ["", "notes.txt", "2025/2025-12-17.parquet", "2025/2025-2-17.r3.1-0.parquet", "2025/x.r1.1-0.parquet"]
        {
            assert_eq!(Name::of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn only_what_a_newer_file_replaced_ever_goes() {
        let (one, two) = (file(500, 1, 30), file(500, 2, 9));
        let both = [one.clone(), two.clone()];
        assert_eq!(judged(&both, &[record(500, 2, 9)]), [Stray::Spare]);
        let recently = [one.clone(), file(500, 2, 3)];
        let until = UtcMillis(NOW.0 + 4 * DAY_MS);
        assert_eq!(judged(&recently, &[record(500, 2, 3)]), [Stray::Replaced(until)]);
        let aside = [replaced_name(&one), file(500, 2, 3)];
        assert_eq!(judged(&aside, &[record(500, 2, 3)]), [Stray::Replaced(until)]);
        // The database is of a time before it was replaced, or before there was any file.
        assert_eq!(judged(&both, &[record(500, 1, 30)]), [Stray::Unclaimed]);
        assert_eq!(judged(&both[1..], &[record(500, 1, 30)]), [Stray::Unclaimed]);
        assert_eq!(judged(&both, &[]), [Stray::Unclaimed; 2]);
        // What is recorded is not there.
        assert_eq!(judged(&both[..1], &[record(500, 2, 9)]), [Stray::Unclaimed]);
        // Two of one revision: one was recorded.
        assert_eq!(judged(&[one, file(500, 1, 29)], &[record(500, 1, 29)]), [Stray::Spare]);
        assert_eq!(judged(&[file(500, 1, 0)], &[]), [Stray::Young]);
        // Too old to be kept, a part, and somebody else's.
        assert_eq!(judged(&[file(99, 1, 30)], &[]), [Stray::Spare]);
        assert_eq!(
            judged(&[format!("{}#1", file(500, 1, 2)), format!("{}#1", file(500, 1, 0))], &[]),
            [Stray::Spare, Stray::Young]
        );
        assert_eq!(judged(&["notes.txt".to_owned()], &[]), [Stray::Foreign]);
    }
}
