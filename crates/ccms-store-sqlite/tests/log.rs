//! The log of batches: what a light said is found along its chain, whatever was sealed, sent late or sent twice, before and after
//! a restart, and by another handle to the same file. Compared with a plain list.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
use std::collections::BTreeSet;

use ccms_core::ids::LightNo;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;
use ccms_store::contract::samples::{at, reading};
use ccms_store::{Day, LogPosition, ReadingRow, Sealing, Store, Upkeep};
use ccms_store_sqlite::SqliteStore;
use proptest::prelude::*;

const ALL: LogPosition = LogPosition(i64::MAX);
const EVER: (UtcMillis, UtcMillis) = (UtcMillis(0), UtcMillis(i64::MAX));
const LIGHTS: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// Light, seconds and message number of each.
    Append(Vec<(u32, i64, u32, bool)>),
    Checkpoint,
    /// Up to so many of the log's positions.
    Forget {
        day: i32,
        upto: i64,
        limit: u32,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // Times over three days, mostly going on, with repeats.
    let one = (1..=LIGHTS, 0..40_i64, 0..3_u32, prop::bool::weighted(0.05))
        .prop_map(|(light, slot, seq, suspect)| (light, slot * 6_000, seq, suspect));
    prop_oneof![
        6 => prop::collection::vec(one, 1..12).prop_map(Step::Append),
        1 => Just(Step::Checkpoint),
        2 => (0..3, 0..120_i64, 1..20_u32).prop_map(|(day, upto, limit)| Step::Forget { day, upto, limit }),
        1 => Just(Step::Reopen),
    ]
}

fn row((light, seconds, seq, suspect): (u32, i64, u32, bool), arrived: i64) -> ReadingRow {
    let mut row = reading(light, seconds, seq);
    row.received_at = at(arrived);
    if suspect {
        row.reading.flags.set(ReadingFlags::CLOCK_SUSPECT);
    }
    row
}

fn key(row: &ReadingRow) -> (u32, i64, i64) {
    (row.light_no.0, row.reading.reported_at.0, row.dedupe)
}

/// What should be there: rows with their positions, in order, and the keys whose light's way back is whole.
#[derive(Default)]
struct Model(Vec<(LogPosition, ReadingRow)>);

impl Model {
    fn of(&self, light: u32) -> impl Iterator<Item = &ReadingRow> {
        self.0.iter().map(|(_, r)| r).filter(move |r| r.light_no.0 == light)
    }
}

async fn check(store: &SqliteStore, model: &Model) {
    assert_eq!(store.log_after(LogPosition(0), 10_000).await.unwrap(), model.0);
    for light in 1..=LIGHTS {
        let latest: Vec<_> = model.of(light).rev_rows();
        assert_eq!(store.latest_readings(LightNo(light), 10_000).await.unwrap(), latest);
        assert_eq!(store.latest_readings(LightNo(light), 2).await.unwrap(), latest[..latest.len().min(2)]);
        let mut by_time = latest;
        by_time.sort_by_key(|r| std::cmp::Reverse((r.reading.reported_at, r.dedupe)));
        by_time.dedup_by_key(|r| key(r));
        for (from, to) in [EVER, (at(60_000), at(180_000))] {
            let within = by_time.iter().filter(|r| (from..to).contains(&r.reading.reported_at));
            let within: Vec<_> = within.cloned().collect();
            for limit in [1, 3, 10_000] {
                let found = store.readings(LightNo(light), from, to, limit).await.unwrap();
                let keys = |rows: &[ReadingRow]| rows.iter().map(key).collect::<Vec<_>>();
                assert_eq!(keys(&found), keys(&within[..within.len().min(limit as usize)]), "light {light}");
            }
        }
    }
}

trait Rev {
    fn rev_rows(self) -> Vec<ReadingRow>;
}

impl<'a, I: Iterator<Item = &'a ReadingRow>> Rev for I {
    fn rev_rows(self) -> Vec<ReadingRow> {
        let mut rows: Vec<_> = self.cloned().collect();
        rows.reverse();
        rows
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ccms.db").display());
    let mut store = SqliteStore::open(&url).await.unwrap();
    let (mut model, mut ever_gone, mut arrived) = (Model::default(), BTreeSet::new(), 1_000_000);
    for step in steps {
        match step {
            Step::Append(rows) => {
                arrived += 1;
                let rows: Vec<_> = rows.into_iter().map(|r| row(r, arrived)).collect();
                let before = store.last_position().await.unwrap();
                let appended = store.append_readings(&rows).await.unwrap();
                let added = store.log_after(before, 10_000).await.unwrap();
                let kept: Vec<_> = rows.iter().zip(&appended.stored).filter(|(_, s)| **s).map(|(r, _)| r).collect();
                assert_eq!(added.iter().map(|(_, r)| r).collect::<Vec<_>>(), kept);
                // Once, as long as nothing of it was sealed: then its way back may be lost, and it may be there twice.
                let mut known: BTreeSet<_> = model.0.iter().map(|(_, r)| key(r)).collect();
                for (row, stored) in rows.iter().zip(&appended.stored) {
                    let new = known.insert(key(row));
                    assert!(*stored || !new, "{row:?} was not there");
                    assert!(!*stored || new || ever_gone.contains(&row.light_no.0), "{row:?} was there");
                }
                assert!(appended.upto >= added.last().map_or(before, |(at, _)| *at));
                model.0.extend(added);
            }
            Step::Checkpoint => {
                store.write_checkpoint(store.last_position().await.unwrap(), &[]).await.unwrap();
            }
            Step::Forget { day, upto, limit } => {
                let day = Day(Day::of(at(0)).0 + day);
                let upto = LogPosition(upto);
                let goes = |(place, r): &(LogPosition, ReadingRow)| {
                    *place <= upto
                        && Day::of(r.reading.reported_at) == day
                        && !r.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
                };
                let count = model.0.iter().filter(|r| goes(r)).count() as u64;
                assert_eq!(store.hot_count(day, upto).await.unwrap(), count);
                let (mut rows, mut last) = (Vec::new(), None);
                loop {
                    let page = store.hot_rows(day, last.as_ref(), upto, limit.max(1)).await.unwrap();
                    last = page.last().cloned();
                    rows.extend(page);
                    if last.is_none() {
                        break;
                    }
                }
                let of_day: Vec<_> = model.0.iter().filter(|r| goes(r)).cloned().collect();
                assert_eq!(rows, of_day);
                let except = [LightNo(limit % 4), LightNo(77)];
                let goes = |r: &(LogPosition, ReadingRow)| goes(r) && !except.contains(&r.1.light_no);
                let going = model.0.iter().filter(|r| goes(r)).count() as u64;
                let (gone, after) = store.forget_hot(day, LogPosition(0), upto, limit, &except).await.unwrap();
                assert_eq!(gone, going.min(u64::from(limit)));
                let passed = store.hot_rows(day, None, after, 10_000).await.unwrap();
                assert!(passed.iter().all(|r| !goes(r)), "what is passed has nothing left to go");
                let left = store.log_after(LogPosition(0), 10_000).await.unwrap();
                assert!(left.iter().all(|r| model.0.contains(r)));
                assert_eq!((model.0.len() - left.len()) as u64, gone);
                assert!(model.0.iter().all(|r| goes(r) || left.contains(r)), "only what was to go");
                ever_gone.extend(model.0.iter().filter(|r| !left.contains(r)).map(|(_, r)| r.light_no.0));
                model.0 = left;
            }
            Step::Reopen => {
                store.close().await;
                store = SqliteStore::open(&url).await.unwrap();
            }
        }
        check(&store, &model).await;
        assert_eq!(store.log_findings().await.unwrap(), [""; 0]);
    }
    let days = model.0.iter().filter(|(_, r)| !r.reading.flags.has(ReadingFlags::CLOCK_SUSPECT));
    let earliest = days.map(|(_, r)| Day::of(r.reading.reported_at)).min();
    assert_eq!(store.earliest_hot_day(Day(i32::MIN), Day(i32::MAX), ALL).await.unwrap(), earliest);
    // Another handle learns it all from the file.
    let other = SqliteStore::open(&url).await.unwrap();
    check(&other, &model).await;
    assert_eq!(store.engine_findings().await.unwrap(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_log_is_as_a_list_would_be(steps in prop::collection::vec(step(), 1..25)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}

/// Two handles to one file, as two processes would have them: neither skips what the other wrote.
#[tokio::test]
async fn who_appends_learns_first_what_another_appended() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ccms.db").display());
    let (one, other) = (SqliteStore::open(&url).await.unwrap(), SqliteStore::open(&url).await.unwrap());
    for n in 0..6 {
        let store = if n % 2 == 0 { &one } else { &other };
        // The first of all comes again each time.
        let done = store.append_readings(&[reading(1, n, 1), reading(1, 0, 1)]).await.unwrap();
        assert_eq!(done.stored, [true, false]);
        assert_eq!(done.upto, LogPosition(n + 1));
    }
    for store in [&one, &other] {
        assert_eq!(store.readings(LightNo(1), at(0), at(9), 9).await.unwrap().len(), 6);
    }
}

/// A clock was ahead: what it said is told from what the same light says later, and known again when it is sent once more at a time
/// when it is believed, also after a restart.
#[tokio::test]
async fn what_came_from_the_future_is_known_again_when_its_time_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ccms.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let early: Vec<_> = [3_600, 3_630].map(|s| row((1, s, 1, true), 0)).into();
    assert_eq!(store.append_readings(&early).await.unwrap().stored, [true; 2]);
    let mut of_1970 = row((2, 0, 1, true), 0);
    of_1970.reading.reported_at = UtcMillis(5_000);
    assert_eq!(store.append_readings(&[of_1970.clone(), of_1970.clone()]).await.unwrap().stored, [true, false]);
    for _ in 0..2 {
        let other = SqliteStore::open(&url).await.unwrap();
        let again = [row((1, 3_600, 1, false), 3_600), row((1, 3_630, 1, false), 3_630), of_1970.clone()];
        for store in [&store, &other] {
            assert_eq!(store.append_readings(&again).await.unwrap().stored, [false; 3]);
        }
    }
}
