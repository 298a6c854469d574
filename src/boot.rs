//! From a configuration to a running system, and back down.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ccms_service::keys::{FactoryKey, Keys, MasterKey};
use ccms_service::{Ccms, Role};
use ccms_store::{DynStore, Upkeep};
use ccms_store_postgres::PostgresStore;
use ccms_store_sqlite::SqliteStore;
use leptos::config::LeptosOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, redact_url};
use crate::listener::{self, Entrance};
use crate::tls::Tls;
use crate::{descriptors, disk, metrics, router, server_lock};

/// Who can sign in after the first start of an empty database.
const FIRST_ADMIN: &str = "admin@ccms.local";

/// How a process ends whose database cannot be trusted: an error of input or output, as `sysexits.h` has it. Whoever starts
/// processes can tell it from a wrong configuration, which ends with 1.
pub const BROKEN_EXIT_CODE: u8 = 74;
/// How long the answers to requests under way may take then: all are 503, and none waits for the database.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

pub async fn open_store(config: &Config) -> anyhow::Result<DynStore> {
    let url = config.database_url();
    let shown = redact_url(&url);
    let store: DynStore = if url.starts_with("sqlite:") {
        Arc::new(SqliteStore::open(&url).await.with_context(|| format!("opening {shown}"))?)
    } else {
        Arc::new(PostgresStore::connect(&url).await.with_context(|| format!("connecting to {shown}"))?)
    };
    tracing::info!(engine = store.engine().await?, url = shown, "database open");
    Ok(store)
}

/// A database that is there, to look at it: an embedded one is not written to, not even by a migration.
pub async fn open_to_read(config: &Config) -> anyhow::Result<DynStore> {
    let url = config.database_url();
    if !url.starts_with("sqlite:") {
        return open_store(config).await;
    }
    let store = SqliteStore::open_to_read(&url, false).await.with_context(|| format!("opening {url}"))?;
    if store.schema_version().await? != SqliteStore::schema_of_this_release() {
        anyhow::bail!("the database is of another release; look at it with the one that serves it");
    }
    Ok(Arc::new(store))
}

/// Opens the database, reads the keys, rebuilds the live state.
pub async fn start_service(config: &Config) -> anyhow::Result<Ccms> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("making the data directory {}", config.data_dir.display()))?;
    let keys = keys(config)?;
    let store = open_store(config).await?;
    store.settle().await.context("writing what an earlier run left in the journal into the database")?;
    let mut settings = config.settings();
    settings.storage.shelf = Some(config.shelf()?);
    Ok(Ccms::start(settings, config.clock(), store, keys).await?)
}

fn keys(config: &Config) -> anyhow::Result<Keys> {
    Ok(Keys {
        master: MasterKey::load_or_create(&config.master_key_file())?,
        ring_file: Some(config.token_keys_file()),
        factory: config.enrolment.factory_key_file.as_deref().map(FactoryKey::load).transpose()?,
    })
}

pub async fn serve(config: Config) -> anyhow::Result<()> {
    descriptors::raise();
    metrics::recorder();
    // What cannot work is found out before anything begins.
    let tls = config.tls.as_ref().map(|tls| Tls::load(&tls.certificate_file, &tls.key_file)).transpose()?;
    let _alone = disk::file_of(&config.database_url()).map(|file| server_lock::take_to_serve(&file)).transpose()?;
    let ccms = start_service(&config).await?;
    greet_first_start(&ccms).await?;
    let listener = listener::bind(config.listen).with_context(|| format!("listening on {}", config.listen))?;
    let watched = metrics::bind(&config)?;
    let stop = CancellationToken::new();
    let app = router::build(&config, &ccms, leptos_options(&config), stop.clone());
    if let Some(watched) = &watched {
        println!("Metrics are at http://{}/metrics", watched.local_addr()?);
    }
    let (address, scheme) = (listener.local_addr()?, if tls.is_some() { "https" } else { "http" });
    tracing::info!(%address, scheme, "serving");
    println!("CCMS listens on {scheme}://{address}");
    tokio::spawn(stop_on_signal(stop.clone()));
    tokio::spawn(metrics::serve(watched, ccms.clone(), stop.clone()));
    if let Some(database) = disk::file_of(&config.database_url()) {
        tokio::spawn(disk::watch(database, ccms.clone(), stop.clone()));
    }
    if let Some(tls) = tls.clone() {
        tokio::spawn(tls.watch(stop.clone()));
    }
    let entrance = Entrance { name: scheme, limits: config.limits.clone(), tls, trusted_proxy: config.trusted_proxy };
    tokio::select! {
        () = entrance.serve(listener, app, stop.clone()) => {}
        () = last_answers(&ccms, &stop) => {}
    }
    tracing::info!("stopping: committing what waits");
    ccms.stop().await;
    if ccms.broken().is_cancelled() {
        end_broken();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits until the database cannot be trusted any more. Whoever waits for an answer then is told so, for a moment.
async fn last_answers(ccms: &Ccms, stop: &CancellationToken) {
    ccms.broken().cancelled().await;
    stop.cancel();
    tokio::time::sleep(LAST_ANSWERS).await;
}

/// Ends the process here and now. Returning would close the database, and closing writes into it.
fn end_broken() -> ! {
    tracing::error!(
        code = BROKEN_EXIT_CODE,
        "the server ends because its database could not be written or is damaged; started again, it goes on with what is on \
         the disk. If this comes back, look at the disk, then run `ccms verify`"
    );
    std::process::exit(BROKEN_EXIT_CODE.into())
}

/// Makes the first administrator of an empty database and prints the password, once.
async fn greet_first_start(ccms: &Ccms) -> anyhow::Result<()> {
    if !ccms.has_no_people().await? {
        return Ok(());
    }
    // 32 letters and digits that cannot be mistaken for one another: five bits each, 100 bits in all.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bits = ccms_service::chance::bits();
    let password: String = (0..20).map(|i| char::from(ALPHABET[(bits >> (5 * i)) as usize & 31])).collect();
    ccms.create_person(FIRST_ADMIN, &password, Role::Admin).await?;
    println!("First start. Sign in as {FIRST_ADMIN} with the password {password}\nIt is shown this once.");
    Ok(())
}

/// Where the browser half is: as cargo-leptos says, or as configured, or where it is built.
fn leptos_options(config: &Config) -> LeptosOptions {
    if std::env::var_os("LEPTOS_OUTPUT_NAME").is_some()
        && let Ok(found) = leptos::config::get_configuration(None)
    {
        return found.leptos_options;
    }
    let root = config.site.root.clone().unwrap_or_else(|| PathBuf::from("target/site"));
    LeptosOptions::builder()
        .output_name("ccms")
        .site_root(root.display().to_string())
        .site_pkg_dir("pkg")
        .site_addr(config.listen)
        .env(leptos::config::Env::PROD)
        .build()
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be watched; the server stops only by force");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
    }
    stop.cancel();
}
