//! The product as it ships, and the bare servers it is compared with, all on one runtime.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use ccms::config::Config;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::wire::status;
use ccms_service::Ccms;
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::settings::EnrolmentMode;
use ccms_store::{DynStore, ReadingRow};
use ccms_store_postgres::PostgresStore;
use ccms_store_sqlite::SqliteStore;
use leptos::config::LeptosOptions;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::counting::{Calls, Counting};

/// The highest rate that the limits know.
const UNREACHABLE_PER_SECOND: f64 = 1e6;

pub const fn clock() -> Clock {
    Clock::system(0)
}

/// What the product's readings are stored on.
#[derive(Debug, Clone)]
pub enum Disk {
    Real,
    /// SQLite whose commits take so long, behind a queue that is so short.
    Slow {
        commit: Duration,
        queue: usize,
    },
    /// A PostgreSQL database.
    Postgres(String),
}

/// The product, without limits that a generator could meet.
pub struct Product {
    pub address: SocketAddr,
    pub store: DynStore,
    counting: Arc<Counting>,
    ccms: Ccms,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Product {
    pub async fn start(runtime: &Runtime, disk: Disk) -> anyhow::Result<Self> {
        runtime.spawn(start(disk)).await.context("starting the product")?
    }

    pub fn checkpoint_every_s() -> i64 {
        Config::default().settings().intake.checkpoint_every_s
    }

    pub fn calls(&self) -> Calls {
        self.counting.calls()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.ccms.stop().await;
    }
}

/// What the product is compared with.
pub struct Bases {
    /// `POST` any path: the JSON comes back. `GET` any path: a word.
    pub bare: SocketAddr,
    /// Every status its own INSERT and commit, by the same store; nobody is authenticated.
    pub naive: SocketAddr,
    pub store: DynStore,
    _data: tempfile::TempDir,
}

impl Bases {
    pub async fn start(runtime: &Runtime) -> anyhow::Result<Self> {
        runtime.spawn(start_bases()).await.context("starting the bases")?
    }

    pub async fn stop(self) {
        self.store.close().await;
    }
}

async fn open(data: &tempfile::TempDir) -> anyhow::Result<SqliteStore> {
    Ok(SqliteStore::open(&format!("sqlite://{}", data.path().join("ccms.db").display())).await?)
}

async fn start(disk: Disk) -> anyhow::Result<Product> {
    let data = tempfile::tempdir()?;
    let mut config = Config::default();
    config.enrolment.mode = EnrolmentMode::Open;
    // Every request is counted against its device's share and the fleet's, as in service, and none of them is used up.
    config.limits.device_per_second = UNREACHABLE_PER_SECOND;
    config.limits.device_burst = u32::MAX;
    config.limits.fleet_per_device_per_second = UNREACHABLE_PER_SECOND;
    // As in service, so that the price of its logging is in the figures.
    config.log.level = "info".into();
    let mut commit = Duration::ZERO;
    if let Disk::Slow { commit: slow, queue } = disk {
        (commit, config.limits.intake_queue_requests) = (slow, queue);
    }
    ccms::log::init(&config);

    let inner: DynStore = match &disk {
        Disk::Postgres(url) => Arc::new(PostgresStore::connect(url).await.context("the database that was named")?),
        Disk::Real | Disk::Slow { .. } => Arc::new(open(&data).await?),
    };
    let counting = Arc::new(Counting::new(inner, commit));
    let store: DynStore = counting.clone();
    let ccms = Ccms::start(config.settings(), clock(), store.clone(), &MasterKey::random()).await?;
    let stop = CancellationToken::new();
    // Without its upkeep the recorder would keep every duration.
    tokio::spawn(ccms::metrics::serve(None, ccms.clone(), stop.clone()));
    let leptos = LeptosOptions::builder().output_name("ccms").build();
    let router = ccms::router::build(&config, &ccms, leptos, stop.clone());
    let (listener, address) = listen().await?;
    let (limits, ends) = (config.limits.clone(), stop.clone());
    tokio::spawn(async move { ccms::listener::serve(listener, router, &limits, ends).await });
    Ok(Product { address, store, counting, ccms, stop, _data: data })
}

async fn start_bases() -> anyhow::Result<Bases> {
    let data = tempfile::tempdir()?;
    let echo = |Json(value): Json<serde_json::Value>| async move { Json(value) };
    let bare = serve(Router::new().route("/{*path}", post(echo).get(|| async { "nothing" }))).await?;
    let store: DynStore = Arc::new(open(&data).await?);
    let router = Router::new().route("/api/device/{id}/status", post(insert)).with_state(store.clone());
    let naive = serve(router.route("/healthz", get(|| async { "ok" }))).await?;
    Ok(Bases { bare, naive, store, _data: data })
}

async fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A server as one would write it in an afternoon.
async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    let (listener, address) = listen().await?;
    tokio::spawn(async move { axum::serve(listener, router.into_make_service()).await });
    Ok(address)
}

async fn insert(State(store): State<DynStore>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let now = clock().now();
    let number = crate::client::number(&id);
    let Ok(batch) = status::parse(&body, now) else { return StatusCode::BAD_REQUEST };
    let rows: Vec<ReadingRow> = batch
        .messages
        .into_iter()
        .map(|m| ReadingRow {
            light_no: LightNo(number),
            device_no: DeviceNo(number),
            received_at: now,
            dedupe: m.reading.dedupe_key(),
            reading: m.reading,
        })
        .collect();
    match store.append_readings(&rows).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
