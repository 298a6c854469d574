//! A small city whose chapters are lived by processes, each of which may be killed: at a step ([`crate::fatal`]), at a moment, or
//! in place of a change that it makes to the disk (`tests/it/faulty/disk.c`). A process is this binary once more.
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_service::clock::Clock;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::account::{Key, handed_in};
use crate::database::{Database, Engine};
use crate::fatal::{Fate, counted, steps};
use crate::life::{Chapter, Life, Place, files};

/// What tells the process that it is to live, and how.
const ERRAND: &str = "CCMS_KILLS_ERRAND";
/// It says so when the chapter begins.
const BEGINS: &str = "the chapter begins";
/// Nobody lives longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a process is killed, counted from the beginning of the chapter.
#[derive(Debug, Clone, Copy)]
pub enum Doom {
    Never,
    Step(u64),
    /// Of the disk, on which the file of an embedded database and the archive are.
    Change(u64),
    Moment(Duration),
}

/// How a process came to its end.
#[derive(Debug)]
#[expect(dead_code, reason = "said where something is found that should not be")]
pub enum End {
    /// The chapter's, after so long.
    Lived(Duration),
    /// Behind this step.
    Killed(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    place: Place,
    chapter: Chapter,
    /// 0: none.
    last_step: u64,
    /// Where it notes its steps, which of its requests were acknowledged, and that it began.
    notes: PathBuf,
}

/// Not a test: the process that is killed.
#[tokio::test]
#[ignore = "started by other tests"]
async fn lives() {
    let Ok(errand) = std::env::var(ERRAND) else { return };
    let Errand { place, chapter, last_step, notes } = serde_json::from_str(&errand).unwrap();
    let fate = Fate::ending_at(last_step, &notes.join("steps"));
    let store = Database::open_at(&place.database).await;
    let life = Life::begins(&place, store, chapter, chapter.begins(), Some(&fate)).await;
    life.settles_in().await;
    std::fs::write(notes.join("begun"), "").unwrap();
    println!("{BEGINS}");
    fate.begins();
    let acknowledged = |n: usize| {
        let mut ledger = std::fs::File::options().create(true).append(true).open(notes.join("acknowledged")).unwrap();
        ledger.write_all(format!("{n}\n").as_bytes()).unwrap();
    };
    counted(life.lives(chapter, acknowledged)).await;
    if chapter != Chapter::Stopped {
        life.ccms.stop().await;
    }
}

/// A city at the beginning of a chapter.
pub struct City {
    database: Database,
    pub place: Place,
    notes: TempDir,
    /// All copies share its keys.
    keys: Arc<TempDir>,
}

impl City {
    pub async fn founded(engine: Engine) -> Self {
        let (database, keys) = (Database::fresh(engine).await, tempfile::tempdir().expect("a folder"));
        let archive = database.folder.path().join("archive");
        let mut place =
            Place { database: database.url.clone(), archive, keys: keys.path().to_owned(), token: String::new() };
        place.is_founded(database.open().await).await;
        Self { database, place, notes: tempfile::tempdir().expect("a folder"), keys: Arc::new(keys) }
    }

    /// The same once more, of one that nobody has open.
    pub async fn copied(&self) -> Self {
        let database = self.database.copied().await;
        let archive = database.folder.path().join("archive");
        for file in if self.place.archive.exists() { files(&self.place.archive) } else { Vec::new() } {
            std::fs::create_dir_all(archive.join(&file).parent().expect("a year")).expect("a folder");
            std::fs::copy(self.place.archive.join(&file), archive.join(&file)).expect("a copy");
        }
        let place = Place { database: database.url.clone(), archive, ..self.place.clone() };
        Self { database, place, notes: tempfile::tempdir().expect("a folder"), keys: self.keys.clone() }
    }

    /// A server starts here, in this process.
    pub async fn begins(&self, chapter: Chapter, at: UtcMillis) -> Life {
        Life::begins(&self.place, self.database.open().await, chapter, at, None).await
    }

    /// A process lives the chapter here, until its doom or the end.
    pub async fn is_lived_in(&self, chapter: Chapter, doom: Doom) -> End {
        let (notes, folder) = (self.notes.path(), self.database.folder.path());
        for note in ["steps", "begun"] {
            let _ = std::fs::remove_file(notes.join(note));
        }
        let last_step = if let Doom::Step(step) = doom { step } else { 0 };
        let errand = Errand { place: self.place.clone(), chapter, last_step, notes: notes.to_owned() };
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["killed::lives", "--exact", "--ignored", "--nocapture"]);
        command.env(ERRAND, serde_json::to_string(&errand).expect("JSON"));
        if let Doom::Change(change) = doom {
            command
                .env("LD_PRELOAD", fatal_disk().expect("a disk that kills"))
                .env("CCMS_TEST_DIES_IN", folder.canonicalize().expect("its name"))
                .env("CCMS_TEST_DIES_FROM", notes.join("begun"))
                .env("CCMS_TEST_DIES_AT", change.to_string());
        }
        let moment = if let Doom::Moment(moment) = doom { Some(moment) } else { None };
        let lived = tokio::task::spawn_blocking(move || run(command, moment)).await.expect("a thread");
        if lived.is_none() {
            self.database.lets_lead().await;
        }
        let last = || self.steps().pop().map_or("the beginning".into(), |step| format!("step {step}"));
        lived.map_or_else(|| End::Killed(last()), End::Lived)
    }

    /// The steps of the process that was last here, in words.
    pub fn steps(&self) -> Vec<String> {
        steps(&self.notes.path().join("steps"))
    }

    /// What the processes that were here know to be stored.
    pub fn acknowledged(&self, chapter: Chapter) -> Vec<Key> {
        let ledger = std::fs::read_to_string(self.notes.path().join("acknowledged")).unwrap_or_default();
        let requests: BTreeSet<usize> = ledger.lines().map(|n| n.parse().expect("a number")).collect();
        requests.into_iter().flat_map(|n| handed_in(chapter, n)).collect()
    }
}

/// A disk in front of the C library that kills; `None`, loudly, where there is no compiler.
pub fn fatal_disk() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/faulty/disk.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fatal-disk.so");
        let made =
            Command::new("cc").args(["-Wall", "-O1", "-shared", "-fPIC", "-o"]).args([&library, &source]).status();
        match made {
            Ok(status) => {
                assert!(status.success(), "{} does not compile", source.display());
                Some(library)
            }
            Err(error) => {
                eprintln!("NOT TESTED: death in the middle of a write, because there is no C compiler ({error})");
                None
            }
        }
    });
    built.as_deref()
}

/// How long the chapter took, if the process was not killed.
fn run(mut command: Command, moment: Option<Duration>) -> Option<Duration> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let mut out = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let (began, clock) = (out.any(|line| line.contains(BEGINS)), Clock::system(0));
    let at = clock.monotonic();
    // What it says ends with it.
    let (say, ends) = channel::<()>();
    let listening = std::thread::spawn(move || {
        out.for_each(drop);
        drop(say);
    });
    let late = ends.recv_timeout(moment.unwrap_or(PATIENCE)) == Err(RecvTimeoutError::Timeout);
    if late {
        child.kill().expect("a kill");
    }
    let took = clock.monotonic() - at;
    let ended = child.wait_with_output().expect("its end");
    listening.join().expect("a thread");
    let killed = ended.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(began && (killed || ended.status.success()), "it ended by itself: {} {said}", ended.status);
    assert!(!late || moment.is_some(), "it hangs: {said}");
    (!killed).then_some(took)
}
