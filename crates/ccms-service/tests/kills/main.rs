//! A process that lives a chapter of a small city ([`crate::life`]) is killed at each step of it: before and after each call of the
//! store and of the shelf, at moments inside of calls, and in the middle of what it writes. Whoever opens the same database and the
//! same folder afterwards finds every reading that was acknowledged, once; and when the chapter was lived to its end, all that is told
//! is what a city tells that was never killed, and nothing is left over.
//!
//! `CCMS_KILLS=all` kills at every step and every change of the disk; otherwise, in each chapter, after one call of each kind that
//! changes anything, and at `CCMS_KILLS_MORE` other steps, changes of the disk and moments. Which, the seed chooses
//! (`CCMS_KILLS_SEED`).
//!
//! - [`life`]     what the city lives through, and [`account`] all that is told of it
//! - [`killed`]   the processes that live it, [`fatal`] a store and [`shelf`] a folder that kill them
//! - [`database`] a database to live on, on both engines
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
mod account;
mod database;
mod fatal;
mod killed;
mod life;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_device::chance::Chance;
use ccms_service::clock::Clock;

use crate::account::{Account, Kept, Key, holds_no_stray, kept_whole, latest, same};
use crate::database::Engine;
use crate::killed::{City, Doom, End, fatal_disk};
use crate::life::{Chapter, DAY_S, files};

const MORE: u64 = 1;
/// The changes of a chapter to the disk are fewer.
const CHANGES_MAX: u64 = 20_000;
/// Calls behind which the disk is as it was before.
const READS: [&str; 21] = [
    "checkpoint_position",
    "row_at_or_before",
    "earliest_hot_day",
    "hot_count",
    "hot_rows",
    "sealed_of_day",
    "sealed_of_light",
    "unrolled_days",
    "rollups_of_light",
    "ledgers",
    "ledgers_before",
    "newest_hot",
    "oldest_hot_arrival",
    "earliest_sealed_day",
    "sealed_page",
    "archived_days",
    "lights",
    "devices",
    "get",
    "get_ranges",
    "list",
];

/// What a city that was never killed tells and keeps, long after the chapter.
struct Reference {
    chapter: Chapter,
    /// At the beginning.
    city: City,
    /// What was acknowledged before.
    earlier: Vec<Key>,
    account: Account,
    kept: Kept,
    /// The steps of the chapter, and how long they take.
    steps: Vec<String>,
    takes: Duration,
}

/// Whatever happens in a chapter has happened, twice over, and its clock is at the same time.
fn long_after(chapter: Chapter) -> UtcMillis {
    chapter.ends(chapter.ends(chapter.begins())).plus_seconds(3 * DAY_S)
}

impl Reference {
    /// One for each of the chapters, which follow each other from the first on.
    async fn of(engine: Engine, chapters: &[Chapter]) -> Vec<Self> {
        let (mut city, mut earlier, mut references) = (City::founded(engine).await, Vec::new(), Vec::new());
        for &chapter in chapters {
            let next = city.copied().await;
            let End::Lived(takes) = next.is_lived_in(chapter, Doom::Never).await else { panic!("{chapter:?}: no end") };
            let settled = next.copied().await;
            let life = settled.begins(chapter, chapter.ends(chapter.begins())).await;
            life.grows_old(long_after(chapter)).await;
            let (account, kept) = (Account::by(&life).await, kept_whole(&life).await.expect("whole"));
            holds_no_stray(&life, &settled.place.archive).await.expect("none");
            life.ccms.stop().await;
            let (before, steps) = (earlier.clone(), next.steps());
            earlier.extend(next.acknowledged(chapter));
            let city = std::mem::replace(&mut city, next);
            references.push(Self { chapter, city, earlier: before, account, kept, steps, takes });
        }
        references
    }

    /// Where to die.
    fn dooms(&self, all: bool, more: u64, chance: &mut Chance) -> Vec<Doom> {
        let steps = self.steps.len() as u64;
        if all {
            return (1..=steps).map(Doom::Step).collect();
        }
        let mut kinds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (n, step) in (1..).zip(&self.steps) {
            let call = step.split_once(" after ").map(|(_, call)| call);
            if let Some(call) = call.filter(|call| !READS.contains(call)) {
                kinds.entry(call).or_default().push(n);
            }
        }
        let mut chosen: BTreeSet<u64> =
            kinds.values().map(|steps| steps[chance.below(steps.len() as u64) as usize]).collect();
        chosen.extend((0..more).map(|_| 1 + chance.below(steps)));
        chosen.into_iter().map(Doom::Step).collect()
    }

    /// Opens what somebody left who was killed, and finds that nothing is missing, twice or left over.
    async fn is_recovered_in(&self, city: &City) -> Result<(), String> {
        let chapter = self.chapter;
        let life = city.begins(chapter, chapter.ends(chapter.begins())).await;
        // In the last chapter days go that were acknowledged.
        let lasting = if chapter == Chapter::Deleted { &[][..] } else { &self.earlier };
        let acknowledged = [lasting, &city.acknowledged(chapter)].concat();
        let account = Account::by(&life).await;
        account.tells_once(&acknowledged).and(account.shows(&acknowledged))?;
        life.settles_in().await;
        Account::by(&life).await.tells_once(&acknowledged)?;
        kept_whole(&life).await?;
        // Its controller hands in again what was not acknowledged, and what was as well.
        life.lives(chapter, |_| {}).await;
        let life = if chapter == Chapter::Stopped { city.begins(chapter, life.clock.now()).await } else { life };
        life.grows_old(long_after(chapter)).await;
        Account::by(&life).await.is(&self.account)?;
        same("what it is kept in", &kept_whole(&life).await?, &self.kept)?;
        holds_no_stray(&life, &city.place.archive).await?;
        let now = life.clock.now();
        life.ccms.stop().await;
        let life = city.begins(chapter, now).await;
        same("what is shown", &latest(&life).await, &self.account.latest)?;
        life.ccms.stop().await;
        Ok(())
    }
}

/// What led to a failure, wherever it is found.
struct SaidInPanic(String);

impl Drop for SaidInPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("that was after {}", self.0);
        }
    }
}

/// The kills of a run, on one engine.
struct Executioner {
    engine: Engine,
    seed: u64,
    kills: u32,
}

impl Executioner {
    /// False when the process came to the end before its doom. Twice doomed, it is killed again while it makes up for the first.
    async fn kills(&mut self, reference: &Reference, dooms: &[Doom]) -> bool {
        let (chapter, city, mut ends) = (reference.chapter, reference.city.copied().await, Vec::new());
        for doom in dooms {
            ends.push(city.is_lived_in(chapter, *doom).await);
        }
        if !ends.iter().any(|end| matches!(end, End::Killed(_))) {
            return false;
        }
        self.kills += 1;
        let (engine, seed) = (self.engine, self.seed);
        let _said = SaidInPanic(format!("{engine:?}, {chapter:?}, {dooms:?} of CCMS_KILLS_SEED={seed}, {ends:?}"));
        reference.is_recovered_in(&city).await.unwrap();
        true
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn is_killed_everywhere(engine: Engine) {
    let seed = number("CCMS_KILLS_SEED", ccms_service::chance::bits() as u64);
    let (all, more) = (std::env::var("CCMS_KILLS").is_ok_and(|kills| kills == "all"), number("CCMS_KILLS_MORE", MORE));
    let (mut chance, mut executioner) = (Chance::new(seed), Executioner { engine, seed, kills: 0 });
    let clock = Clock::system(0);
    let began = clock.monotonic();
    // What PostgreSQL writes, others write.
    let has_disk = engine == Engine::Sqlite && fatal_disk().is_some();
    for reference in Reference::of(engine, &Chapter::ALL).await {
        for doom in reference.dooms(all, more, &mut chance) {
            executioner.kills(&reference, &[doom]).await;
        }
        for _ in 0..more {
            // Once, or again while it makes up for that.
            let (times, micros) = (1 + chance.below(3), reference.takes.as_micros() as u64);
            let moment = |_| Doom::Moment(Duration::from_micros(chance.below(micros)));
            let dooms = Vec::from_iter((0..times).map(moment));
            executioner.kills(&reference, &dooms).await;
        }
        if all && has_disk {
            for change in 1..=CHANGES_MAX {
                if !executioner.kills(&reference, &[Doom::Change(change)]).await {
                    break;
                }
            }
        } else if has_disk {
            for _ in 0..more {
                // Few steps are no change, many are several.
                let change = 1 + chance.below(2 * reference.steps.len() as u64);
                executioner.kills(&reference, &[Doom::Change(change)]).await;
            }
        }
    }
    let (kills, took) = (executioner.kills, clock.monotonic() - began);
    println!("{engine:?}: killed {kills} times, nothing lost, twice or left over, in {took:?} (seed {seed})");
    assert!(kills > 40, "{kills}");
}

#[tokio::test]
async fn whoever_is_killed_anywhere_leaves_what_it_acknowledged_on_sqlite() {
    is_killed_everywhere(Engine::Sqlite).await;
}

#[tokio::test]
async fn whoever_is_killed_anywhere_leaves_what_it_acknowledged_on_postgres() {
    is_killed_everywhere(Engine::Postgres).await;
}

/// A folder is written into under other names first. Not a matter of the engine.
#[tokio::test]
async fn what_a_killed_archiver_was_writing_is_left_for_a_day_and_no_longer() {
    let reference = Reference::of(Engine::Sqlite, &[Chapter::Reported, Chapter::Archived]).await.pop().unwrap();
    let (city, chapter) = (&reference.city, reference.chapter);
    let writing = reference.steps.iter().position(|step| step.ends_with("before complete")).unwrap() as u64 + 1;
    assert!(matches!(city.is_lived_in(chapter, Doom::Step(writing)).await, End::Killed(_)));
    let left = |city: &City| Vec::from_iter(files(&city.place.archive).into_iter().filter(|file| file.contains('#')));
    let [staged] = &left(city)[..] else { panic!("{:?}", files(&city.place.archive)) };
    let life = city.begins(chapter, chapter.ends(chapter.begins())).await;
    life.settles_in().await;
    assert_eq!(left(city), std::slice::from_ref(staged), "somebody may be writing it");
    let found = async || {
        let now = life.clock.now();
        ccms_service::archiving::verify::verify(&life.store, &life.shelf, None, now).await.unwrap()
    };
    let young = found().await;
    assert_eq!((&young.young[..], &young.findings[..]), (std::slice::from_ref(staged), &[][..]));
    life.waits(DAY_S + 1);
    assert_eq!(found().await.spare, std::slice::from_ref(staged));
    life.works().await;
    assert_eq!(left(city), Vec::<String>::new());
    assert_eq!((found().await.findings, found().await.young), (vec![], vec![]));
}
