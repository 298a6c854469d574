//! The accept loop. The stock one sets no timer and no bound; this one cuts slow request heads, caps connections and stops
//! gracefully: it takes no new connection, lets requests under way finish, then closes.
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::lingering::Lingering;

/// Pause after a failed accept (out of descriptors, say), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Request heads larger than this are refused by the HTTP layer.
const HEAD_BYTES_MAX: usize = 32 * 1024;

pub async fn serve(listener: TcpListener, app: Router, limits: &Limits, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_read_seconds.max(1)))
        .max_buf_size(HEAD_BYTES_MAX);
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            // At the cap the loop waits: further connections queue in the kernel.
            permit = permits.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let socket = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
        };
        let _ = socket.set_nodelay(true);
        let connection =
            builder.serve_connection(Lingering::new(TokioIo::new(socket)), TowerToHyperService::new(app.clone()));
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(Duration::from_secs(limits.drain_seconds)) => {
            tracing::warn!("some connections did not finish in time and were cut");
        }
    }
}
