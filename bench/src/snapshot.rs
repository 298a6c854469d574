//! Row 11: what the map is fed with when a page opens, as it leaves the server.
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::routing::get;
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::{Ccms, Who};
use ccms_store::Role;
use ccms_store_sqlite::SqliteStore;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

use crate::cpu::Spent;
use crate::report::{Bar, part, row};
use crate::start::{self, LIGHTS};

const TIMES: usize = 20;

pub async fn measure(smoke: bool) -> anyhow::Result<()> {
    let lights = if smoke { 200 } else { LIGHTS };
    part(&format!("the whole fleet for the map, {lights} lights, the mean of {TIMES}"));
    let folder = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(&start::url(folder.path())).await?);
    let ccms = Ccms::start(start::settings(), Clock::system(0), store, &MasterKey::random()).await?;
    let tokens = start::enrol(&ccms, lights).await?;
    start::report_all(&ccms, &tokens, 1).await?;
    let served = ccms.clone();
    // The product's handler and its compression, without the session in front of them.
    let fleet = move || {
        let ccms = served.clone();
        async move {
            let who = Who::person("bench", Role::Admin, None);
            let snapshot = who.may_view().map(|may| ccms.snapshot(may).encode()).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/octet-stream")], snapshot)
        }
    };
    let router = Router::new().route("/", get(fleet)).layer(CompressionLayer::new());
    let plain = bytes_of(&router, "identity").await?;
    anyhow::ensure!(plain > lights as usize, "a snapshot of {plain} bytes");
    row("bytes", plain as f64 / 1e3, "KB", Bar::None);
    for (encoding, size_bar, cpu_bar) in
        [("identity", Bar::None, Bar::None), ("gzip, deflate, br, zstd", Bar::AtMost(700.0), Bar::AtMost(30.0))]
    {
        // All of them at once: the kernel counts a thread that runs only now and then.
        let (before, mut bytes) = (Spent::now()?, 0);
        for _ in 0..TIMES {
            bytes = bytes_of(&router, encoding).await?;
        }
        let spent_ms = Spent::now()?.since_us(&before) / 1e3 / TIMES as f64;
        row(&format!("sent, to a browser that takes {encoding}"), bytes as f64 / 1e3, "KB", size_bar);
        row(&format!("CPU of one, to a browser that takes {encoding}"), spent_ms, "ms", cpu_bar);
    }
    ccms.stop().await;
    Ok(())
}

async fn bytes_of(router: &Router, encoding: &str) -> anyhow::Result<usize> {
    let request = Request::get("/").header(header::ACCEPT_ENCODING, encoding).body(Body::empty())?;
    let answer = router.clone().oneshot(request).await?;
    Ok(axum::body::to_bytes(answer.into_body(), usize::MAX).await?.len())
}
