//! The power fails at every step of every write to flash, and in the middle of it: what boots afterwards has the state before
//! that write or behind it, and the city loses one reading at most. Real files in a folder of the test's; what a power cut does to
//! what was not flushed is chosen by a seed. And once more with real processes that are killed.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ccms_device::Saved;
use ccms_device::chance::Chance;
use ccms_fleet::flash::{Disk, Flash, Medium};
use ccms_fleet::world::understudy::Understudy;
use ccms_fleet::world::{Keeps, Request, Rules, World};
use serde_json::{Value, json};
use tempfile::TempDir;

/// When the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    /// A write is torn; any other step is one that happened and was not flushed.
    During,
    After,
}

/// A disk that dies at one of its steps, counted from 1, and what it had not flushed by then.
#[derive(Debug)]
struct Dying {
    step: u64,
    dies_at: u64,
    when: When,
    chance: Chance,
    dead: bool,
    /// Written and not flushed.
    unflushed: Option<PathBuf>,
    /// Renamed and not flushed: from, to, and what was there before.
    renamed: Option<(PathBuf, PathBuf, Option<Vec<u8>>)>,
}

impl Dying {
    fn fails(&mut self) -> std::io::Error {
        self.dead = true;
        // Of a file that was not flushed a power cut leaves nothing, a part, or all; a rename happened or did not.
        if let Some(path) = self.unflushed.take() {
            let bytes = std::fs::read(&path).unwrap();
            let kept = self.chance.below(bytes.len() as u64 + 1) as usize;
            match self.chance.below(4) {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => std::fs::write(&path, vec![0; bytes.len()]).unwrap(),
                2 => std::fs::write(&path, &bytes[..kept]).unwrap(),
                _ => {}
            }
        }
        if let Some((from, to, before)) = self.renamed.take()
            && self.chance.hits(0.5)
        {
            std::fs::rename(&to, &from).unwrap();
            if let Some(bytes) = before {
                std::fs::write(&to, bytes).unwrap();
            }
        }
        std::io::Error::other("the power failed")
    }

    fn does(&mut self, act: impl FnOnce(&mut Self, bool) -> std::io::Result<()>) -> std::io::Result<()> {
        self.step += 1;
        let doomed = self.step == self.dies_at;
        if self.dead || (doomed && self.when == When::Before) {
            return Err(self.fails());
        }
        act(self, doomed && self.when == When::During)?;
        if doomed { Err(self.fails()) } else { Ok(()) }
    }
}

impl Medium for Dying {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        self.does(|me, torn| {
            let most = if torn { me.chance.below(bytes.len() as u64) as usize } else { bytes.len() };
            me.unflushed = Some(path.to_owned());
            Disk.write(path, &bytes[..most])
        })
    }

    fn sync(&mut self, path: &Path) -> std::io::Result<()> {
        self.does(|me, torn| {
            if !torn {
                me.unflushed = None;
            }
            Disk.sync(path)
        })
    }

    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.does(|me, _| {
            me.renamed = Some((from.to_owned(), to.to_owned(), std::fs::read(to).ok()));
            Disk.rename(from, to)
        })
    }

    fn sync_folder(&mut self, folder: &Path) -> std::io::Result<()> {
        self.does(|me, torn| {
            if !torn {
                me.renamed = None;
            }
            Disk.sync_folder(folder)
        })
    }
}

/// What was asked of a flash, and what it said.
#[derive(Debug, Default)]
struct Account {
    steps: u64,
    /// The last state that was stored to the end, and the one that was being stored when the power failed.
    stored: Option<Saved>,
    storing: Option<Saved>,
    died: bool,
}

/// The flash of a device of the world, on a disk that dies once.
#[derive(Debug)]
struct OneDeath {
    path: PathBuf,
    flash: Option<Flash<Dying>>,
    dying: Option<Dying>,
    account: Rc<RefCell<Account>>,
}

impl Keeps for OneDeath {
    fn store(&mut self, saved: &Saved) -> bool {
        let mut account = self.account.borrow_mut();
        let died = match &mut self.flash {
            Some(flash) => flash.store(saved).is_err(),
            None => Flash::at(&self.path).store(saved).is_err(),
        };
        account.steps += 4;
        if died {
            (account.died, account.storing) = (true, Some(saved.clone()));
            // The next disk is a good one.
            self.flash = None;
            return false;
        }
        account.stored = Some(saved.clone());
        true
    }

    fn load(&mut self) -> Saved {
        if let Some(dying) = self.dying.take() {
            self.flash = Some(Flash::on(&self.path, dying));
        }
        let (found, damage) = Flash::at(&self.path).load().unwrap();
        let mut account = self.account.borrow_mut();
        let (old, new) = (account.stored.clone().unwrap_or_default(), account.storing.take());
        let text = |saved: &Saved| serde_json::to_string(saved).unwrap();
        let is_new = new.as_ref().is_some_and(|new| text(new) == text(&found));
        assert!(is_new || text(&found) == text(&old), "neither the old state nor the new one: {damage:?} {found:?}");
        account.stored = Some(found.clone());
        found
    }
}

/// Nothing here waits for anything, so one poll is the whole run.
fn run(world: &mut World, seconds: u64, server: &mut Understudy, sent: &mut BTreeSet<u64>) {
    let mut answer = async |r: Request| {
        let numbers = |body: &Value| -> Vec<u64> {
            let of = |v: &Value| v["seq"].as_u64();
            let readings = body["readings"].as_array().into_iter().flatten();
            readings.filter_map(of).chain(of(body)).chain(of(&body["status"])).collect()
        };
        if let Ok(body) = serde_json::from_slice::<Value>(&r.body) {
            sent.extend(numbers(&body));
        }
        server.answer(&r)
    };
    let future = pin!(world.run_for_seconds(seconds, &mut answer));
    assert_eq!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
}

/// A quarter of an hour with a claim, commands, an outage and its end.
fn quarter(folder: &Path, dies_at: u64, when: When, seed: u64) -> Account {
    let path = folder.join("flash");
    let _ = (std::fs::remove_file(&path), std::fs::remove_file(path.with_extension("new")));
    let account = Rc::new(RefCell::new(Account::default()));
    let chance = Chance::new(seed ^ dies_at);
    let dying = Dying { step: 0, dies_at, when, chance, dead: false, unflushed: None, renamed: None };
    let flash = OneDeath { path, flash: None, dying: Some(dying), account: account.clone() };
    let (mut world, mut server) =
        (World::new(Rules { lights: 1, seed, start_spread_seconds: 0, ..Rules::default() }), Understudy::default());
    world.set_flash(0, Box::new(flash));
    let mut sent = BTreeSet::new();
    run(&mut world, 45, &mut server, &mut sent);
    let order = |server: &mut Understudy, id: &str, world: &World, percent: u8| {
        let what = json!({"command_type": "brightness_control", "brightness_level": percent});
        server.orders(0, id, world.now(), what);
    };
    order(&mut server, "CMD_1", &world, 40);
    server.refuses_acks = true;
    run(&mut world, 15, &mut server, &mut sent);
    server.refuses_acks = false;
    world.cut_network(world.now()..world.now().plus_seconds(240));
    run(&mut world, 260, &mut server, &mut sent);
    order(&mut server, "CMD_2", &world, 60);
    run(&mut world, 1_500, &mut server, &mut sent);

    let device = world.device(0);
    assert!(device.is_online(), "{dies_at} {when:?}");
    // By what the server has: the power may fail before the device has heard so.
    let arrived: BTreeSet<u64> = server.readings.keys().map(|(_, _, seq)| u64::from(*seq)).collect();
    // What is sent at the very end is still under way.
    let lost: Vec<_> = sent.difference(&arrived).filter(|seq| **seq + 1 < *sent.last().unwrap()).collect();
    assert!(lost.len() <= 1, "{dies_at} {when:?}: readings {lost:?} were lost");
    for id in ["CMD_1", "CMD_2"] {
        let done = device.done.iter().filter(|d| d.id.as_str() == id).count();
        assert_eq!(done, 1, "{dies_at} {when:?}: {id}");
        assert!(server.acks.contains_key(&(0, id.to_owned())), "{dies_at} {when:?}: {id}");
    }
    drop(world);
    Rc::into_inner(account).unwrap().into_inner()
}

#[test]
fn whatever_step_of_a_write_the_power_fails_at_it_boots_with_the_old_state_or_the_new_one() {
    let folder = folder();
    let calm = quarter(folder.path(), 0, When::Before, 1);
    assert!(!calm.died && calm.steps > 60, "{}", calm.steps);
    let mut deaths = 0;
    for dies_at in 1..=calm.steps {
        for when in [When::Before, When::During, When::After] {
            deaths += u32::from(quarter(folder.path(), dies_at, when, 1).died);
        }
    }
    println!("the power failed {deaths} times, at each of {} steps of {} writes", calm.steps, calm.steps / 4);
    assert_eq!(u64::from(deaths), 3 * calm.steps);
}

/// In memory where that is possible: it is not the machine's power that fails.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

const ERRAND: &str = "CCMS_FLASH_ERRAND";
const KILLS: u64 = 25;

/// Not a test: the process that is killed. It stores one state after the other and says so after each.
#[test]
#[ignore = "started by another test"]
fn stores_until_it_is_killed() {
    let Ok(path) = std::env::var(ERRAND) else { return };
    let mut flash = Flash::at(Path::new(&path));
    let (mut saved, _) = flash.load().unwrap();
    loop {
        saved.settings.seq_reserved += 1;
        saved.settings.light_id = Some("SL".repeat(1 + saved.settings.seq_reserved as usize % 900));
        flash.store(&saved).unwrap();
        println!("stored {}", saved.settings.seq_reserved);
    }
}

#[test]
fn a_process_that_is_killed_while_it_stores_leaves_the_last_state_or_the_next() {
    let folder = folder();
    let path = folder.path().join("flash");
    let (mut chance, mut last) = (Chance::new(7), 0);
    for _ in 0..KILLS {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["stores_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
            .env(ERRAND, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let wanted = 1 + chance.below(40);
        let mut told = |line: std::io::Result<String>| {
            last = line.unwrap().strip_prefix("stored ")?.parse::<u32>().ok()?;
            Some(last)
        };
        (0..wanted).for_each(|_| while lines.next().is_some_and(|line| told(line).is_none()) {});
        process.kill().unwrap();
        process.wait().unwrap();
        // What it said before it was killed, and nobody had read yet.
        lines.for_each(|line| {
            told(line);
        });
        let (found, damage) = Flash::at(&path).load().unwrap();
        assert_eq!(damage, None);
        let found = found.settings.seq_reserved;
        assert!((last..=last + 1).contains(&found), "it said {last} was stored, and there is {found}");
    }
}
