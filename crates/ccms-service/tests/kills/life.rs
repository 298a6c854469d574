//! What a small city lives through, in chapters that can be lived again from anywhere in them: a controller with three lights hands in
//! days, they are sealed, archived, corrected, restored and deleted. Whoever lives it may be killed at any step
//! ([`crate::killed`]).
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::status;
use ccms_service::archiving::restore::restore;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::clock::Clock;
use ccms_service::keys::{Keys, MasterKey};
use ccms_service::settings::{EnrolmentMode, Settings};
use ccms_service::{Ccms, DeviceIdentity, Evidence, TokenUse};
use ccms_store::{AuditEntry, Curated, CurationStep, Day, DynStore};
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fatal::{FatalStore, Fate};
use crate::shelf::FatalShelf;

/// 2025-12-17T10:30:05Z, when the first chapter begins.
const FIRST: UtcMillis = UtcMillis::from_seconds(1_765_967_405);
pub const LIGHTS: [&str; 3] = ["SL001", "SL002", "SL003"];
const DEVICE: &str = "IMEI:351234567890123";
pub const DAY_S: i64 = 86_400;
/// What is this long in the log is sealed.
const HOT_S: i64 = 3_601;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chapter {
    /// Three days are handed in and sealed, the last of them twice.
    Reported,
    /// One more is, and the three go into files.
    Archived,
    /// Something comes late for a day that is sealed, and for one that is in a file.
    Late,
    /// A day comes back out of its file, something comes late for it, and it leaves again.
    Restored,
    /// The server stops in order.
    Stopped,
    /// The three days are too old.
    Deleted,
}

/// Where a city is kept, and what its controller holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    pub database: String,
    pub archive: PathBuf,
    pub keys: PathBuf,
    pub token: String,
}

/// A server that lives it, in this process.
pub struct Life {
    pub ccms: Ccms,
    pub clock: Clock,
    pub store: DynStore,
    pub shelf: Shelf,
    who: DeviceIdentity,
}

impl Chapter {
    pub const ALL: [Self; 6] =
        [Self::Reported, Self::Archived, Self::Late, Self::Restored, Self::Stopped, Self::Deleted];

    /// At a time when nothing is left to do from the one before.
    pub fn begins(self) -> UtcMillis {
        let day = match self {
            Self::Reported => 0,
            Self::Archived => 25,
            Self::Late => 36,
            Self::Restored => 38,
            Self::Stopped => 45,
            Self::Deleted => 55,
        };
        FIRST.plus_seconds(day * DAY_S)
    }

    /// When it is over, begun then.
    pub fn ends(self, begun: UtcMillis) -> UtcMillis {
        begun.plus_seconds(match self {
            Self::Reported => 2 * HOT_S,
            Self::Archived => HOT_S + 10 * DAY_S,
            Self::Late => HOT_S,
            Self::Restored => HOT_S + 2 * DAY_S,
            Self::Stopped => 0,
            Self::Deleted => HOT_S + 7 * DAY_S,
        })
    }

    /// What the controller hands in, request by request.
    pub fn requests(self) -> Vec<Vec<u8>> {
        let every_two_hours = |day: i64, until: i64| {
            (0..until).step_by(2).flat_map(move |hour| LIGHTS.map(|light| reading(light, day, hour, 0)))
        };
        let now = |day: i64| LIGHTS.map(|light| reading(light, day, 9, 30));
        let requests: Vec<Vec<Value>> = match self {
            Self::Reported => vec![
                every_two_hours(-2, 24).chain([undated()]).collect(),
                every_two_hours(-1, 24).collect(),
                every_two_hours(0, 10).chain([reading("SL002", -1, 7, 10)]).collect(),
            ],
            Self::Archived => vec![every_two_hours(25, 10).collect()],
            Self::Late => vec![
                [("SL001", -1, 5, 20), ("SL001", -1, 23, 40), ("SL003", -1, 5, 20), ("SL002", 25, 3, 30)]
                    .map(|(light, day, hour, minute)| reading(light, day, hour, minute))
                    .into_iter()
                    .chain(now(36))
                    .collect(),
            ],
            Self::Restored => vec![[reading("SL002", -2, 11, 15)].into_iter().chain(now(38)).collect()],
            Self::Stopped => vec![now(45).into(), vec![reading("SL001", 45, 10, 0)]],
            Self::Deleted => vec![now(55).into()],
        };
        requests.into_iter().map(|readings| json!({"readings": readings}).to_string().into_bytes()).collect()
    }
}

/// What a light says at a time of a day, counted from the first chapter's. Its counter grows with the time.
fn reading(light: &str, day: i64, hour: i64, minute: i64) -> Value {
    let minutes = (day * 24 + hour) * 60 + minute;
    let at = Day::of(FIRST).begins().plus_seconds(60 * minutes);
    let n = minutes / 10 + light.bytes().map(i64::from).sum::<i64>();
    json!({"light_id": light, "timestamp": at.to_string(), "seq": minutes + 10_000,
        "status": if hour % 12 < 7 { "on" } else { "off" }, "brightness": n.rem_euclid(101),
        "voltage": if n % 13 == 0 { json!("?") } else { json!(229.0 + (n % 9) as f64 / 10.0) },
        "error_flags": if n % 17 == 0 { json!(["lamp_failure"]) } else { json!([]) },
        "energy": {"power_watts": 60, "cumulative_kwh": 500.0 + minutes as f64 / 1_000.0}})
}

/// Of a controller that does not know the time: it stays in the log.
fn undated() -> Value {
    json!({"light_id": "SL001", "timestamp": "1970-01-01T00:07:00Z", "seq": 1, "status": "on", "brightness": 50})
}

impl Place {
    /// A city of one controller that drives three lights. Answers with what the controller holds from here on.
    pub async fn is_founded(&mut self, store: DynStore) {
        let clock = Clock::manual(Chapter::Reported.begins());
        let ccms = Ccms::start(settings(None, None), clock.clone(), store.clone(), self.keys()).await.expect("a start");
        let device = DeviceId::parse(DEVICE).expect("an id");
        let body = br#"{"device_type": "ESP32_Streetlight_v2", "firmware_version": "2.1.0"}"#;
        let asked = ConfigureRequest::parse(body, clock.now()).expect("an example");
        let answer = ccms.configure(&device, Evidence::default(), &asked).await.expect("let in");
        self.token = answer.device_token.expect("a token");
        let more = LIGHTS[1..].iter().map(|_| CurationStep::AddLight {
            light_id: None,
            device_id: Some(device.clone()),
            curated: Curated::default(),
            created_at: clock.now(),
        });
        store.curate(&Vec::from_iter(more), &[]).await.expect("two more lights");
        ccms.stop().await;
    }

    fn keys(&self) -> Keys {
        let master = MasterKey::load_or_create(&self.keys.join("master.key")).expect("a key");
        Keys { master, ring_file: Some(self.keys.join("token-keys")), factory: None }
    }

    fn shelf(&self, fate: Option<&Arc<Fate>>) -> Shelf {
        std::fs::create_dir_all(&self.archive).expect("a folder");
        let files = Arc::new(LocalFileSystem::new_with_prefix(&self.archive).expect("a shelf").with_fsync(true));
        match fate {
            Some(fate) => Shelf::in_folder(Arc::new(FatalShelf::new(files, fate.clone())), &self.archive),
            None => Shelf::folder(&self.archive).expect("a shelf"),
        }
    }
}

/// A few lights and readings make several transactions.
fn settings(shelf: Option<Shelf>, chapter: Option<Chapter>) -> Settings {
    let mut settings = Settings { enrolment: EnrolmentMode::Open, new_lights_every_s: 3_600, ..Settings::default() };
    settings.intake.checkpoint_piece_lights = 2;
    settings.intake.checkpoint_every_s = 3_600;
    settings.storage.piece_blocks = 2;
    settings.storage.piece_rows = 20;
    settings.storage.delete_archive_after_days = if chapter == Some(Chapter::Deleted) { 60 } else { 0 };
    settings.storage.shelf = shelf;
    // Months pass between chapters, in which nobody hears of the controller; who is silent for long is another test's matter.
    settings.silence_s = 3_650 * 86_400;
    settings
}

impl Life {
    /// A server starts at `at` for this chapter; with a fate, its steps are numbered.
    pub async fn begins(
        place: &Place,
        store: DynStore,
        chapter: Chapter,
        at: UtcMillis,
        fate: Option<&Arc<Fate>>,
    ) -> Self {
        let store: DynStore = match fate {
            Some(fate) => Arc::new(FatalStore::new(store, fate.clone())),
            None => store,
        };
        let (clock, shelf) = (Clock::manual(at), place.shelf(fate));
        let settings = settings(Some(shelf.clone()), Some(chapter));
        let ccms = Ccms::start(settings, clock.clone(), store.clone(), place.keys()).await.expect("a start");
        let device = DeviceId::parse(DEVICE).expect("an id");
        let who = ccms.authenticate(&device, Some(&place.token), TokenUse::Report).await.expect("its controller");
        Self { ccms, clock, store, shelf, who }
    }

    /// What a server does by itself at its start has been done.
    pub async fn settles_in(&self) {
        // So that those jobs are in front of ours.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.works().await;
    }

    /// What it does by itself from time to time.
    pub async fn works(&self) {
        self.ccms.checkpoint().await;
        self.ccms.seal().await.expect("sealed");
        let archived = self.ccms.archive().await.expect("archived");
        assert_eq!(archived.failed, 0);
    }

    /// Lives a chapter to its end, or to death. `acknowledged` is told of each request that was answered.
    pub async fn lives(&self, chapter: Chapter, mut acknowledged: impl FnMut(usize)) {
        let mut requests = chapter.requests().into_iter().enumerate();
        let mut hands_in = async || {
            if let Some((n, body)) = requests.next() {
                let batch = status::parse(&body, self.clock.now()).expect("readings");
                self.ccms.record_status(&self.who, batch).await.expect("stored");
                acknowledged(n);
            }
        };
        hands_in().await;
        if chapter == Chapter::Restored {
            self.restores(Day(Day::of(FIRST).0 - 2)).await;
        }
        if matches!(chapter, Chapter::Reported | Chapter::Stopped) {
            hands_in().await;
        }
        if chapter == Chapter::Stopped {
            return self.ccms.stop().await;
        }
        self.ccms.checkpoint().await;
        self.waits(HOT_S);
        self.ccms.seal().await.expect("sealed");
        match chapter {
            Chapter::Reported => {
                hands_in().await;
                self.waits(HOT_S);
                // Without a checkpoint that includes them, they stay in the log.
                self.ccms.seal().await.expect("sealed");
                self.ccms.checkpoint().await;
                self.ccms.seal().await.expect("sealed");
            }
            Chapter::Archived => self.waits(10 * DAY_S),
            Chapter::Restored => {
                self.ccms.archive().await.expect("archived");
                self.waits(2 * DAY_S);
            }
            Chapter::Deleted => self.waits(7 * DAY_S),
            Chapter::Late | Chapter::Stopped => {}
        }
        let archived = self.ccms.archive().await.expect("archived");
        assert_eq!(archived.failed, 0);
    }

    async fn restores(&self, day: Day) {
        let audit = AuditEntry {
            at: self.clock.now(),
            actor: "somebody".into(),
            action: "archive.restore".into(),
            target: ccms_service::archiving::date(day),
            detail: json!({}),
        };
        let until = self.clock.now().plus_seconds(DAY_S);
        let restored = restore(&self.store, &self.shelf, day, until, &audit).await.expect("restored");
        assert!(restored.is_some_and(|done| done.lights == 3), "{restored:?}");
    }

    pub fn waits(&self, seconds: i64) {
        self.clock.advance_ms(1_000 * seconds);
    }

    /// Everything that may be done by then has been, and what nobody refers to has gone.
    pub async fn grows_old(&self, at: UtcMillis) {
        self.waits(at.since(self.clock.now()) / 1_000);
        self.works().await;
        // What is written anew at the first puts a file aside, which goes at the second.
        for _ in 0..2 {
            self.waits(8 * DAY_S);
            self.works().await;
        }
    }
}

/// Files below a folder, by their names from there.
pub fn files(folder: &Path) -> Vec<String> {
    let entries =
        |at: &Path| Vec::from_iter(std::fs::read_dir(at).expect("a folder").map(|e| e.expect("a file").path()));
    let within = |path: PathBuf| path.strip_prefix(folder).expect("below it").display().to_string();
    let years = entries(folder).into_iter().filter(|at| at.is_dir());
    let mut files: Vec<String> = years.flat_map(|year| entries(&year)).map(within).collect();
    files.sort();
    files
}
