//! The accept loop. The stock one sets no timer and no bound; this one ends TLS, cuts slow request heads, caps connections
//! and makes room at the cap (see [`crate::connections`]), and stops gracefully: it takes no new connection, lets requests
//! under way finish, then closes.
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::connections::{Connection, Connections, Entered, Word};
use crate::descriptors;
use crate::door::Door;
use crate::lingering::{self, Lingering};
use crate::site::Site;
use crate::tls::{Greeting, Tls};

/// Connections that may wait in the kernel to be accepted; the kernel may hold it lower.
const BACKLOG: u32 = 4_096;
/// Pause after a failed accept (out of descriptors, say), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Distance between looks for room at the cap, and how many of them make one look for what is too slow.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_PER_SWEEP: u32 = 5;
/// Request heads larger than this are refused by the HTTP layer.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// HTTP/2: requests at a time on one connection, what a request may send before it is read, and signs of life.
const STREAMS_MAX: u32 = 128;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_MAX: Duration = Duration::from_secs(10);

/// What stands between the network and a router.
pub struct Entrance {
    /// In the metrics.
    pub name: &'static str,
    pub limits: Limits,
    /// Plain HTTP without.
    pub tls: Option<Tls>,
    /// The only peer that is believed about other addresses.
    pub trusted_proxy: Option<IpAddr>,
}

/// Takes an address, before it is served.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Plain HTTP.
pub async fn serve(listener: TcpListener, site: impl Into<Site>, limits: &Limits, stop: CancellationToken) {
    let entrance = Entrance { name: "http", limits: limits.clone(), tls: None, trusted_proxy: None };
    entrance.serve(listener, site, stop).await;
}

impl Entrance {
    /// Returns when everything is answered after `stop`, or the time for that is over.
    pub async fn serve(self, listener: TcpListener, site: impl Into<Site>, stop: CancellationToken) {
        let head = Duration::from_secs(self.limits.header_read_seconds.max(1));
        let drain = Duration::from_secs(self.limits.drain_seconds);
        let connections = Connections::new(self.name, descriptors::connections_max(self.limits.connections));
        let (http1, http2) = protocols();
        let hall = Arc::new(Hall { entrance: self, site: site.into(), http1, http2 });
        let tasks = TaskTracker::new();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked = 0u32;
        loop {
            let full = connections.is_full();
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {
                    looked = looked.wrapping_add(1);
                    if full {
                        connections.shed(connections.now());
                    }
                    if looked.is_multiple_of(LOOKS_PER_SWEEP) {
                        connections.sweep(connections.now(), head, false);
                    }
                }
                () = connections.freed(), if full => {}
                // At the cap further connections queue in the kernel until there is room.
                accepted = listener.accept(), if !full => match accepted {
                    Ok((socket, peer)) => {
                        tasks.spawn(hall.clone().hold(socket, peer, connections.enter()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        connections.shed(connections.now());
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(listener);
        connections.tell_all(Word::Leave);
        tasks.close();
        let sweeping = async {
            loop {
                looks.tick().await;
                connections.sweep(connections.now(), head, true);
            }
        };
        tokio::select! {
            () = tasks.wait() => {}
            () = sweeping => {}
            () = tokio::time::sleep(drain) => {
                tracing::warn!("some connections did not finish in time and were cut");
                connections.tell_all(Word::Cut);
            }
        }
    }
}

type Protocol = auto::Builder<TokioExecutor>;

fn protocols() -> (Protocol, Protocol) {
    let mut http1 = auto::Builder::new(TokioExecutor::new()).http1_only();
    // How long a head may take is seen to by `Connections::sweep`: a timer here would be set anew by every request.
    http1.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    let mut http2 = auto::Builder::new(TokioExecutor::new()).http2_only();
    http2
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX);
    (http1, http2)
}

/// What the connections of an entrance share.
struct Hall {
    entrance: Entrance,
    site: Site,
    http1: Protocol,
    http2: Protocol,
}

impl Hall {
    async fn hold(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, entered: Entered) {
        let connection = entered.connection.clone();
        let mut talk = pin!(self.talk(socket, peer, &connection));
        // Asked first, and for all that is inside: `converse` only looks at what was said.
        poll_fn(|cx| match connection.poll_word(cx) {
            Poll::Ready(Word::Cut) => Poll::Ready(()),
            _ => talk.as_mut().poll(cx),
        })
        .await;
    }

    async fn talk(&self, socket: TcpStream, peer: SocketAddr, connection: &Arc<Connection>) {
        let _ = socket.set_nodelay(true);
        let door = Door {
            site: self.site.clone(),
            connection: connection.clone(),
            peer,
            trusted_proxy: self.entrance.trusted_proxy,
        };
        let Some(tls) = &self.entrance.tls else {
            return self.converse(&self.http1, Lingering::new(TokioIo::new(socket)), door).await;
        };
        match tls.greet(socket).await {
            Greeting::Http1(stream) => {
                self.converse(&self.http1, Lingering::new(TokioIo::new(stream)), door).await;
            }
            Greeting::Http2(stream) => self.converse(&self.http2, TokioIo::new(stream), door).await,
            Greeting::Plain(socket) => {
                let door = Door { site: lingering::wants_tls().into(), ..door };
                self.converse(&self.http1, Lingering::new(TokioIo::new(socket)), door).await;
            }
            Greeting::Failed => {}
        }
    }

    async fn converse<IO>(&self, protocol: &Protocol, io: IO, door: Door)
    where
        IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let connection = door.connection.clone();
        let mut talk = pin!(protocol.serve_connection(io, door));
        let mut leaving = false;
        let ended = poll_fn(|cx| {
            if !leaving && connection.word() >= Word::Leave {
                leaving = true;
                talk.as_mut().graceful_shutdown();
            }
            talk.as_mut().poll(cx)
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}
