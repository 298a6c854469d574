//! The real listener on a loopback port: slow heads, too many connections, broken HTTP, and a stop while requests wait.
use std::net::SocketAddr;
use std::time::Duration;

use ccms::config::Limits;
use ccms::listener;
use ccms_core::reading::PowerState;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::city::{City, eventually};

const DEVICE: &str = "IMEI:351234567890123";
const PATIENCE: Duration = Duration::from_secs(10);

struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    done: JoinHandle<()>,
}

impl Listening {
    async fn start(city: &City, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let (app, stopped) = (city.router.clone(), stop.clone());
        let done = tokio::spawn(async move { listener::serve(listener, app, &limits, stopped).await });
        Self { address, stop, done }
    }

    async fn connects(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Sends these bytes on a connection of their own and reads to the end.
    async fn told(&self, bytes: &[u8]) -> String {
        let mut socket = self.connects().await;
        // The server may refuse before it has read everything.
        let _ = socket.write_all(bytes).await;
        read_to_end(&mut socket).await
    }
}

fn limits() -> Limits {
    Limits { header_read_seconds: 1, body_read_seconds: 1, drain_seconds: 5, ..Limits::default() }
}

async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // An end by reset is an end too; what came before it counts.
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open: {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The body of an answer that is a documented refusal.
#[track_caller]
fn envelope(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
    assert_eq!(body["status"], "error");
    assert!(body["code"].is_string() && body["message"].is_string() && body["retry_after_seconds"].is_u64(), "{body}");
    body
}

fn post(route: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /api/device/{DEVICE}/{route} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

on_both! {
    async fn a_slow_head_is_cut_and_a_slow_body_is_answered(engine) {
        let city = City::open(engine).await;
        let server = Listening::start(&city, limits()).await;
        let mut socket = server.connects().await;
        socket.write_all(b"POST /api/device/x/status HTTP/1.1\r\nhost:").await.unwrap();
        assert_eq!(read_to_end(&mut socket).await, "", "no answer, only an end");
        assert_eq!(read_to_end(&mut server.connects().await).await, "", "nor for one that says nothing");
        let half = post("configure", "", "{\"device_id\":");
        let promised = String::from_utf8(half).unwrap().replace("content-length: 13", "content-length: 99");
        assert_eq!(envelope(&server.told(promised.as_bytes()).await)["code"], "BAD_REQUEST");
    }

    async fn broken_http_is_refused_in_the_envelope(engine) {
        let city = City::open(engine).await;
        let server = Listening::start(&city, limits()).await;
        let large_header = format!("authorization: Bearer {}\r\n", "x".repeat(1 << 20));
        let many_headers: String = (0..2_000).map(|i| format!("x-{i}: 1\r\n")).collect();
        let long_path = format!("GET /api/device/{}/commands HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
        for bytes in [
            post("status", &large_header, "{}"),
            post("status", &many_headers, "{}"),
            long_path.into_bytes(),
            b"HELLO\r\n\r\n".to_vec(),
            b"GET /api/device/x/commands HTTP/9.9\r\n\r\n".to_vec(),
            b"POST /api/device/x/status HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n{}".to_vec(),
            b"POST /api/device/x/status HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n".to_vec(),
            vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, b'\r', b'\n', b'\r', b'\n'],
        ] {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            println!("{shown}");
            envelope(&server.told(&bytes).await);
        }
        let chunks = "POST /api/device/x/configure HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        envelope(&server.told(chunks.as_bytes()).await);
        let large = post("configure", "", &"x".repeat(1 << 20));
        assert_eq!(envelope(&server.told(&large).await)["code"], "BODY_TOO_LARGE");
        let good = post("configure", "expect: 100-continue\r\n", &city.device(DEVICE).introduction().to_string());
        assert!(server.told(&good).await.contains("\"light_id\":\"SL001\""), "and it still serves");
    }

    async fn a_connection_above_the_cap_waits_for_its_turn(engine) {
        let city = City::open(engine).await;
        let two = Limits { connections: 2, header_read_seconds: 30, ..limits() };
        let server = Listening::start(&city, two).await;
        let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut holders = [server.connects().await, server.connects().await];
        for holder in &mut holders {
            holder.write_all(ask).await.unwrap();
            assert!(holder.read(&mut [0; 512]).await.unwrap() > 0, "both are served");
        }
        let mut third = server.connects().await;
        third.write_all(ask).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), third.readable()).await;
        assert!(early.is_err(), "answered above the cap");
        drop(holders);
        let mut answer = [0; 512];
        let read = tokio::time::timeout(PATIENCE, third.read(&mut answer)).await.expect("its turn comes").unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
    }

    async fn a_stop_answers_what_is_under_way_and_takes_nothing_new(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let server = Listening::start(&city, limits()).await;
        city.store.holds_appends();
        let calls = city.ccms.now();
        let authorization = format!("authorization: Bearer {}\r\n", device.token.as_deref().unwrap());
        let body = device.reading(PowerState::On, calls).to_string();
        let mut socket = server.connects().await;
        // Kept alive, and still closed when the server stops.
        let request = String::from_utf8(post("status", &authorization, &body)).unwrap();
        socket.write_all(request.replace("connection: close\r\n", "").as_bytes()).await.unwrap();
        eventually("the status waits for its commit", || async { city.store.waiting() > 0 }).await;
        server.stop.cancel();
        eventually("no new connection is taken", || async { TcpStream::connect(server.address).await.is_err() }).await;
        assert!(!server.done.is_finished());
        city.store.releases_appends();
        let answer = read_to_end(&mut socket).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Status recorded"), "{answer}");
        tokio::time::timeout(PATIENCE, server.done).await.expect("the listener ends").unwrap();
        city.ccms.stop().await;
        let city = city.restarts().await;
        assert_eq!(city.log().await.len(), 1);
    }
}
