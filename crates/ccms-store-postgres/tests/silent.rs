//! A host that vanishes in the middle of an append: nobody closes its connection, nothing more comes on it, and it holds the lock that every other process
//! needs to store anything.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod server;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ccms_store::contract::samples::reading;
use ccms_store::{Store, StoreError, contract};
use ccms_store_postgres::PostgresStore;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;

/// The others store again by then: the database's patience and some time of a busy machine.
const RECOVERED: Duration = Duration::from_secs(9);

/// The network of a host, as a socket before the database's. Once the host is to vanish, everything passes up to the readings of
/// an append, which come after its lock; they and whatever comes later on their connection do not.
struct Network {
    folder: tempfile::TempDir,
    server: PgConnectOptions,
    vanishes: AtomicBool,
    vanished: Notify,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Network {
    fn before(url: &str) -> Arc<Self> {
        let server = PgConnectOptions::from_str(url).unwrap().ssl_mode(PgSslMode::Disable);
        let (folder, vanishes, vanished) = (tempfile::tempdir().unwrap(), AtomicBool::default(), Notify::new());
        let network = Arc::new(Self { folder, server, vanishes, vanished });
        let listener = UnixListener::bind(network.folder.path().join(".s.PGSQL.5432")).unwrap();
        let listening = network.clone();
        tokio::spawn(async move {
            while let Ok((host, _)) = listener.accept().await {
                let network = listening.clone();
                tokio::spawn(async move { network.passes(host).await });
            }
        });
        network
    }

    fn url(&self) -> String {
        self.server.clone().socket(self.folder.path()).port(5432).to_url_lossy().to_string()
    }

    async fn server(&self) -> Box<dyn Stream> {
        let (host, port) = (self.server.get_host(), self.server.get_port());
        let socket = match self.server.get_socket() {
            Some(folder) => Some(folder.as_path()),
            None => host.starts_with('/').then_some(Path::new(host)),
        };
        match socket {
            Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap()),
            None => Box::new(TcpStream::connect((host, port)).await.unwrap()),
        }
    }

    async fn passes(&self, mut host: UnixStream) {
        let mut server = self.server().await;
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = host.read(&mut asked) => {
                    let Ok(n @ 1..) = read else { return };
                    let is_append = asked[..n].windows(29).any(|w| w == b"INSERT INTO energy_parameters");
                    if is_append && self.vanishes.swap(false, Ordering::SeqCst) {
                        self.vanished.notify_one();
                        // Both ends stay open.
                        std::future::pending::<()>().await;
                    }
                    server.write_all(&asked[..n]).await.unwrap();
                }
                read = server.read(&mut answered) => {
                    let Ok(n @ 1..) = read else { return };
                    if host.write_all(&answered[..n]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_store_again_soon_after_a_host_vanished() {
    let database = server::own().await;
    let url = database.url();
    contract::run(database, async move {
        let network = Network::before(&url);
        let vanishing = Arc::new(PostgresStore::connect(&network.url()).await.unwrap());
        let staying = PostgresStore::connect(&url).await.unwrap();
        let (one, other) = ([reading(1, 0, 1)], [reading(2, 0, 1)]);

        network.vanishes.store(true, Ordering::SeqCst);
        let silent = tokio::spawn({
            let (store, rows) = (vanishing.clone(), one.clone());
            async move { store.append_readings(&rows).await }
        });
        network.vanished.notified().await;
        let appended = tokio::time::timeout(RECOVERED, staying.append_readings(&other)).await;
        assert_eq!(appended.expect("the lock was given up").unwrap().stored, [true]);

        // Who waits on the host itself is told, and its next connection is good.
        assert!(matches!(silent.await.unwrap(), Err(StoreError::Unavailable(_))));
        for stored in [true, false] {
            assert_eq!(vanishing.append_readings(&one).await.unwrap().stored, [stored]);
        }
        vanishing.close().await;
        staying.close().await;
    })
    .await;
}
