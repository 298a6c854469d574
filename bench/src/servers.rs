//! The product as it ships, and the bare servers it is compared with, all on one runtime.
use std::net::SocketAddr;
use std::sync::Arc;

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

pub struct Servers {
    pub product: SocketAddr,
    /// `POST` any path: the JSON comes back. `GET` any path: a word.
    pub bare: SocketAddr,
    /// Every status its own INSERT and commit, by the same store; nobody is authenticated.
    pub naive: SocketAddr,
    pub product_store: DynStore,
    pub naive_store: DynStore,
    counting: Arc<Counting>,
    ccms: Ccms,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Servers {
    pub async fn start(runtime: &Runtime) -> anyhow::Result<Self> {
        runtime.spawn(start()).await.context("starting the servers")?
    }

    pub fn calls(&self) -> Calls {
        self.counting.calls()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.ccms.stop().await;
        self.naive_store.close().await;
    }
}

async fn start() -> anyhow::Result<Servers> {
    let data = tempfile::tempdir()?;
    let open = async |name: &str| SqliteStore::open(&format!("sqlite://{}", data.path().join(name).display())).await;
    let mut config = Config::default();
    config.enrolment.mode = EnrolmentMode::Open;
    // Every request is counted against its device's share and the fleet's, as in service, and none of them is used up.
    config.limits.device_per_second = UNREACHABLE_PER_SECOND;
    config.limits.device_burst = u32::MAX;
    config.limits.fleet_per_device_per_second = UNREACHABLE_PER_SECOND;
    // As in service, so that the price of its logging is in the figures.
    config.log.level = "info".into();
    ccms::log::init(&config);

    let counting = Arc::new(Counting::new(Arc::new(open("product.db").await?)));
    let product_store: DynStore = counting.clone();
    let ccms = Ccms::start(config.settings(), clock(), product_store.clone(), &MasterKey::random()).await?;
    let stop = CancellationToken::new();
    // Without its upkeep the recorder would keep every duration.
    tokio::spawn(ccms::metrics::serve(None, ccms.clone(), stop.clone()));
    let leptos = LeptosOptions::builder().output_name("ccms").build();
    let router = ccms::router::build(&config, &ccms, leptos, stop.clone());
    let (listener, product) = listen().await?;
    let (limits, ends) = (config.limits.clone(), stop.clone());
    tokio::spawn(async move { ccms::listener::serve(listener, router, &limits, ends).await });

    let echo = |Json(value): Json<serde_json::Value>| async move { Json(value) };
    let bare = serve(Router::new().route("/{*path}", post(echo).get(|| async { "nothing" }))).await?;

    let naive_store: DynStore = Arc::new(open("naive.db").await?);
    let router = Router::new().route("/api/device/{id}/status", post(insert)).with_state(naive_store.clone());
    let naive = serve(router.route("/healthz", get(|| async { "ok" }))).await?;
    Ok(Servers { product, bare, naive, product_store, naive_store, counting, ccms, stop, _data: data })
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
