//! The real listener on a loopback port: slow heads, too many connections, broken HTTP, and a stop while requests wait.
//! Then the real process: thousands that connect and ask nothing, and bodies that unpack to a gigabyte.
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ccms::config::Limits;
use ccms::listener;
use ccms_core::reading::PowerState;
use ccms_service::metrics::Stopwatch;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::city::{City, eventually};
use crate::controller::example;
use crate::process::{Process, Settings};

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

/// Sockets that are kept open, by those who hold them half-open and by how many descriptors the server may have.
const HALF_OPEN: usize = 3_000;
/// How long the healthy device is watched beside them.
const WATCHED: Duration = Duration::from_secs(4);

/// A device that reports and polls as fast as it is answered, on a kept connection and on ever new ones.
struct Healthy {
    http: [reqwest::Client; 2],
    base: String,
    token: String,
    asked: u32,
    served: u32,
}

impl Healthy {
    async fn configures(server: &Process) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = |idle| {
            let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
            builder.pool_max_idle_per_host(idle).build().expect("a client")
        };
        let http = [client(1), client(0)];
        let base = format!("http://{}/api/device/{DEVICE}", server.address);
        let mut body: Value = serde_json::from_slice(&example("configure-request.json")).expect("an example");
        body["device_id"] = DEVICE.into();
        let asked = http[0].post(format!("{base}/configure")).json(&body).send().await.expect("an answer");
        let answer: Value = asked.json().await.expect("JSON");
        let token = answer["device_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned();
        Self { http, base, token, asked: 0, served: 0 }
    }

    async fn reports_and_polls(&mut self) {
        let mut body: Value = serde_json::from_slice(&example("status-request.json")).expect("an example");
        body["device_id"] = DEVICE.into();
        body["seq"] = self.asked.into();
        for http in &self.http {
            let status = http.post(format!("{}/status", self.base)).json(&body);
            let poll = http.get(format!("{}/commands", self.base));
            for request in [status, poll] {
                self.asked += 1;
                match request.bearer_auth(&self.token).send().await {
                    Ok(answer) if answer.status() == 200 => self.served += 1,
                    Ok(answer) => {
                        // One that asks more than its share is told so, at once and in order: that is service, too.
                        let said = answer.json::<Value>().await.unwrap_or_default();
                        self.served += u32::from(said["code"] == "RATE_LIMITED");
                    }
                    Err(error) => println!("{error:?}"),
                }
            }
        }
    }
}

/// Keeps a connection that never becomes a request, and opens the next when it is cut.
async fn holds_half_open(no: usize, server: SocketAddr) {
    let head = format!("POST /api/device/{DEVICE}/configure HTTP/1.1\r\nhost: x\r\n");
    let said: &[u8] = match no % 3 {
        0 => b"",
        1 => head.as_bytes(),
        // A whole head, and a body that never comes.
        _ => &[head.as_bytes(), b"content-length: 99\r\n\r\n{"].concat(),
    };
    loop {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + no % 30).unwrap());
        socket.bind(SocketAddr::from((from, 0))).expect("a loopback address");
        if let Ok(mut socket) = socket.connect(server).await
            && socket.write_all(said).await.is_ok()
        {
            let _ = socket.read(&mut [0; 512]).await;
        }
        tokio::task::yield_now().await;
    }
}

/// On a process of its own, with SQLite: what is watched here happens before any database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_half_open_connections_do_not_keep_a_device_out() {
    let (_, hard) = rlimit::Resource::NOFILE.get().expect("a limit");
    rlimit::Resource::NOFILE.set(hard, hard).expect("as many as are allowed");
    // With the second they are more than may be open at all.
    for descriptors in [4_096, 1_024] {
        let environment = vec![("CCMS__METRICS__LISTEN", "127.0.0.1:0".to_owned())];
        let settings = Settings { descriptors: Some(descriptors), environment, ..Settings::default() };
        let server = Process::start(&settings);
        let mut device = Healthy::configures(&server).await;
        let mut others = JoinSet::new();
        (0..HALF_OPEN).for_each(|no| {
            others.spawn(holds_half_open(no, server.address));
        });
        let wanted = HALF_OPEN.min(descriptors as usize / 2);
        eventually("they are connected", || async { open_connections(&server).await >= wanted }).await;
        let watch = Stopwatch::start();
        while watch.elapsed() < WATCHED {
            device.reports_and_polls().await;
        }
        let ratio = f64::from(device.served) / f64::from(device.asked);
        println!("{descriptors} descriptors: {} of {} served", device.served, device.asked);
        assert!(ratio >= 0.999, "{} of {} with {descriptors} descriptors", device.served, device.asked);
        assert!(open_connections(&server).await <= descriptors as usize, "and the cap follows the descriptors");
        others.shutdown().await;
    }
}

async fn open_connections(server: &Process) -> usize {
    let address = server.metrics.expect("metrics");
    let text = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer").text().await.expect("text");
    let line = text.lines().find_map(|l| l.strip_prefix("ccms_connections_open{listener=\"http\"} "));
    line.unwrap_or("0").parse().expect("a number")
}

/// Zeros that unpack to this many megabytes, as members of ten.
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..10).for_each(|_| member.write_all(&zeros).expect("memory"));
    member.finish().expect("memory").repeat(megabytes / 10)
}

/// On a process of its own, with SQLite: nothing of it reaches the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_unpacks_to_a_gigabyte_is_refused_at_once_and_takes_no_memory() {
    let server = Process::start(&Settings::default());
    let mut device = Healthy::configures(&server).await;
    // Few enough that it does not ask more than its share.
    for _ in 0..2 {
        device.reports_and_polls().await;
    }
    let (before, _) = server.memory_kib();
    for megabytes in [10, 200, 1_000] {
        let bytes = bomb(megabytes);
        for route in ["status", "configure"] {
            let watch = Stopwatch::start();
            let request = device.http[0].post(format!("{}/{route}", device.base)).header("content-encoding", "gzip");
            let answer = request.bearer_auth(&device.token).body(bytes.clone()).send().await.expect("an answer");
            let took = watch.elapsed();
            assert_eq!(answer.status(), 400, "{megabytes} MB to {route}");
            let code = answer.json::<Value>().await.expect("JSON")["code"].clone();
            assert_eq!(code, "BODY_TOO_LARGE", "{megabytes} MB to {route}");
            println!("{megabytes} MB in {} bytes to {route}: {code} after {took:?}", bytes.len());
            assert!(took < Duration::from_secs(1), "{megabytes} MB to {route} took {took:?}");
        }
    }
    let (_, most) = server.memory_kib();
    println!("memory: {before} KiB before, {most} KiB at most");
    assert!(most.saturating_sub(before) <= 16 * 1024, "{before} KiB before, {most} KiB at most");
}
