//! A server in this process: the real router over the real service and a real database, under a clock that stands still
//! until the test lets time pass.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ccms::config::Config;
use ccms::router;
use ccms_core::ids::LightNo;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_service::Ccms;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::clock::Clock;
use ccms_service::keys::ring::OVERLAP_S;
use ccms_service::keys::{FactoryKey, Keys, MasterKey, Ring};
use ccms_service::settings::{EnrolmentMode, Settings};
use ccms_store::{Day, DynStore, LogPosition, ReadingRow};
use leptos::config::LeptosOptions;
use object_store::local::LocalFileSystem;
use tokio_util::sync::CancellationToken;

use crate::controller::Controller;
use crate::database::{Database, Engine};
use crate::operator::Operator;
use crate::shelf::FailingShelf;
use crate::watched::Watched;

/// 2025-12-17T10:30:05Z, when the document's device is answered.
pub const DOCUMENT_TIME: UtcMillis = UtcMillis::from_seconds(1_765_967_405);
/// Nothing here takes long; what has not happened by then will not.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct City {
    pub ccms: Ccms,
    pub clock: Clock,
    pub router: Router,
    pub store: Arc<Watched>,
    pub shelf: Arc<FailingShelf>,
    pub config: Config,
    master: MasterKey,
    database: Database,
}

impl City {
    /// First contact claims.
    pub async fn open(engine: Engine) -> Self {
        Self::of(engine, EnrolmentMode::Open).await
    }

    /// Set as `edit` says; how many requests are served is no question.
    pub async fn configured(engine: Engine, enrolment: EnrolmentMode, edit: impl FnOnce(&mut Config)) -> Self {
        Self::configured_on(Database::fresh(engine).await, enrolment, edit).await
    }

    /// An open city on this database, at this time.
    pub async fn on(database: Database, start: UtcMillis) -> Self {
        let city = Self::configured_on(database, EnrolmentMode::Open, |_| {}).await;
        city.clock.advance_ms(start.since(city.clock.now()));
        city
    }

    async fn configured_on(database: Database, enrolment: EnrolmentMode, edit: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(enrolment);
        config.limits.device_per_second = 1e6;
        config.limits.device_burst = 1_000_000;
        config.limits.fleet_per_device_per_second = 1e6;
        config.data_dir = database.folder.path().to_owned();
        edit(&mut config);
        Self::start(config, Clock::manual(DOCUMENT_TIME), MasterKey::random(), database).await
    }

    /// Devices are let in by people.
    pub async fn registered(engine: Engine) -> Self {
        Self::of(engine, EnrolmentMode::Registered).await
    }

    /// An open city that keeps the time of `clock`.
    pub async fn at(engine: Engine, start: UtcMillis) -> Self {
        let city = Self::of(engine, EnrolmentMode::Open).await;
        city.clock.advance_ms(start.since(city.clock.now()));
        city
    }

    /// One that others may join on its database.
    pub async fn shared(enrolment: EnrolmentMode) -> Self {
        let mut database = Database::fresh(Engine::Postgres).await;
        database.shared = true;
        let mut config = config(enrolment);
        config.limits.device_per_second = 1e6;
        config.limits.device_burst = 1_000_000;
        config.data_dir = database.folder.path().to_owned();
        Self::start(config, Clock::manual(DOCUMENT_TIME), MasterKey::random(), database).await
    }

    /// One more server on the same database, with the same keys and the same time.
    pub async fn neighbour(&self) -> Self {
        let database = self.database.beside();
        std::fs::copy(self.data_dir().join("token-keys"), database.folder.path().join("token-keys")).expect("its keys");
        Self::start(self.config.clone(), self.clock.clone(), self.master.clone(), database).await
    }

    /// Its database, beside every server.
    pub async fn opens_store(&self) -> DynStore {
        self.database.open().await
    }

    /// Runs SQL in its database, beside every server.
    pub async fn runs_sql(&self, sql: &str) {
        self.database.runs(sql).await;
    }

    async fn of(engine: Engine, enrolment: EnrolmentMode) -> Self {
        Self::configured(engine, enrolment, |_| {}).await
    }

    async fn start(config: Config, clock: Clock, master: MasterKey, database: Database) -> Self {
        let store = database.open().await;
        let store = Arc::new(if database.shared { Watched::beside_others(store) } else { Watched::new(store) });
        let keys = Keys {
            master: master.clone(),
            ring_file: Some(database.folder.path().join("token-keys")),
            factory: config.enrolment.factory_key_file.as_deref().map(|f| FactoryKey::load(f).expect("a group key")),
        };
        // Tests count calls, and look themselves when they register beside the server.
        let mut settings = Settings { new_lights_every_s: 3_600, ..config.settings() };
        // A few lights make several pieces.
        settings.intake.checkpoint_piece_lights = 2;
        // A few readings are more than fits into memory.
        settings.storage.rows_in_memory = 100;
        let archive = database.folder.path().join("archive");
        std::fs::create_dir_all(&archive).expect("a folder");
        let shelf = Arc::new(FailingShelf::new(Arc::new(LocalFileSystem::new_with_prefix(&archive).expect("a shelf"))));
        settings.storage.shelf = Some(Shelf::in_folder(shelf.clone(), &archive));
        let ccms = Ccms::start(settings, clock.clone(), store.clone(), keys).await.expect("a start");
        let leptos = LeptosOptions::builder()
            .output_name("ccms")
            .site_root(PathBuf::from("target/site").display().to_string())
            .build();
        let router = router::build(&config, &ccms, leptos, CancellationToken::new()).into();
        Self { ccms, clock, router, store, shelf, config, master, database }
    }

    /// Where the server of this city would keep its files.
    pub fn data_dir(&self) -> PathBuf {
        self.database.folder.path().to_owned()
    }

    /// `ccms keys rotate`, and the server has noticed.
    pub fn rotates_keys(&self) {
        Ring::rotate(&self.data_dir().join("token-keys"), &self.master, OVERLAP_S, self.clock.now())
            .expect("a rotation");
        self.ccms.look_at_keys();
    }

    /// The command line beside the running server. On a thread of its own: what the server has begun must be able to end
    /// meanwhile, or the command would wait for a lock that nobody gives back.
    pub async fn command_line(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ccms"));
        command.args(arguments).arg("--data-dir").arg(self.data_dir()).args(["--database", &self.database_url()]);
        tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("ccms runs")
    }

    pub fn database_url(&self) -> String {
        self.database.url.clone()
    }

    pub fn device(&self, id: &str) -> Controller {
        Controller::new(self.router.clone(), self.clock.clone(), id)
    }

    /// The same device, with what its flash holds, before this server.
    pub fn meets(&self, device: &Controller) -> Controller {
        let mut same = self.device(&device.id);
        (same.token, same.secret, same.light) = (device.token.clone(), device.secret.clone(), device.light.clone());
        same
    }

    /// A device that has configured.
    pub async fn claimed_device(&self, id: &str) -> Controller {
        let mut device = self.device(id);
        device.configures().await.ok();
        // The fleet's share follows the fleet.
        self.ccms.sweep().await;
        device
    }

    pub fn operator(&self) -> Operator {
        Operator::of(&self.ccms)
    }

    pub fn waits(&self, seconds: i64) {
        self.clock.advance_ms(seconds * 1000);
    }

    /// Stops in order and starts again on the same data.
    pub async fn restarts(self) -> Self {
        self.ccms.stop().await;
        Self::start(self.config, self.clock, self.master, self.database).await
    }

    /// Stops in order, and starts again so much later.
    pub async fn stays_away(self, seconds: i64) -> Self {
        self.ccms.stop().await;
        self.clock.advance_ms(seconds * 1000);
        Self::start(self.config, self.clock, self.master, self.database).await
    }

    /// Loses its memory: nothing more reaches the disk, and it starts again on what is there.
    pub async fn crashes(self) -> Self {
        self.store.fails(true);
        self.ccms.stop().await;
        Self::start(self.config, self.clock, self.master, self.database).await
    }

    /// The same, and it takes its checkpoint for newer than it is: what was reported since is on disk, and nobody looks at it.
    pub async fn crashes_and_forgets(self) -> Self {
        self.store.fails(true);
        self.ccms.stop().await;
        self.database.is_edited("UPDATE checkpoint SET log_position = log_position + 100000").await;
        Self::start(self.config, self.clock, self.master, self.database).await
    }

    /// Somebody edits the file of its database.
    pub async fn is_edited(&self, sql: &'static str) {
        self.database.is_edited(sql).await;
    }

    /// Everything in `energy_parameters`, in log order.
    pub async fn log(&self) -> Vec<ReadingRow> {
        let (mut rows, mut after) = (Vec::new(), LogPosition::default());
        loop {
            let page = self.store.inner().log_after(after, 10_000).await.expect("the log");
            let Some((last, _)) = page.last() else { return rows };
            after = *last;
            rows.extend(page.into_iter().map(|(_, row)| row));
        }
    }

    /// Every reading that there is, in the log or in blocks.
    pub async fn stored(&self) -> Vec<ReadingRow> {
        let mut rows = self.log().await;
        for light in self.store.inner().lights().await.expect("lights") {
            let days = self.store.inner().sealed_of_light(light.no, Day(i32::MIN), Day(i32::MAX), u32::MAX).await;
            for block in days.expect("blocks") {
                rows.extend(ccms_block::decode(light.no, &block.body).expect("a block"));
            }
        }
        rows
    }

    pub async fn light_no(&self, light: &str) -> LightNo {
        let lights = self.store.inner().lights().await.expect("lights");
        lights.into_iter().find(|l| l.id.as_str() == light).expect("a light").no
    }
}

fn config(enrolment: EnrolmentMode) -> Config {
    let mut config = Config::default();
    config.enrolment.mode = enrolment;
    config.city.name = "Delhi".into();
    config.city.timezone = "Asia/Kolkata".into();
    config.limits.body_read_seconds = 1;
    config.schedule.sunrise_time = TimeOfDay::parse("06:00:00");
    config.schedule.sunset_time = TimeOfDay::parse("18:30:00");
    config
}

/// Waits until `what` is so; background work has no other end to wait for.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) -> impl Future<Output = ()> {
    let failed = format!("{what}, within {PATIENCE:?} (asked at {})", std::panic::Location::caller());
    async move {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect(&failed);
    }
}
