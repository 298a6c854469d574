//! TLS with real certificates over real sockets: both versions of HTTP, a certificate that is replaced while the server
//! runs, and whoever speaks something else to the port.
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use ccms::config::{self, Config};
use ccms::listener::Entrance;
use ccms::router;
use ccms::tls::{Look, Tls};
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use leptos::config::LeptosOptions;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::city::{City, eventually};
use crate::process::{Process, Settings};

const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "ccms.city.example";
const PASSWORD: &str = "a password of the test";

/// A folder with a certificate and its key, as a city's administrator keeps them.
struct Files(TempDir);

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempfile::tempdir().expect("a folder"));
        let certificate = files.renews();
        (files, certificate)
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// A new certificate, which vouches for itself, in place of the one before.
    fn renews(&self) -> CertificateDer<'static> {
        let made =
            rcgen::generate_simple_self_signed([NAME.to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
        std::fs::write(self.key(), made.signing_key.serialize_pem()).expect("a file");
        std::fs::write(self.certificate(), made.cert.pem()).expect("a file");
        made.cert.der().clone()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CCMS__TLS__CERTIFICATE_FILE", self.certificate().display().to_string()),
            ("CCMS__TLS__KEY_FILE", self.key().display().to_string()),
        ]
    }
}

/// A server with TLS in this process.
struct Secured {
    address: SocketAddr,
    /// Its certificate, which follows the files only when it is told to look or to watch.
    tls: Tls,
    _stops: DropGuard,
}

impl Secured {
    async fn start(city: &City, files: &Files) -> Self {
        let tls = config::Tls { certificate_file: files.certificate(), key_file: files.key() };
        let config = Config { tls: Some(tls), ..city.config.clone() };
        let stop = CancellationToken::new();
        let leptos = LeptosOptions::builder().output_name("ccms").site_root("target/site").build();
        let app = router::build(&config, &city.ccms, leptos, stop.clone());
        let tls = Tls::load(&files.certificate(), &files.key()).expect("a certificate");
        let watched = tls.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let entrance = Entrance { name: "test", limits: config.limits.clone(), tls: Some(tls), trusted_proxy: None };
        tokio::spawn(entrance.serve(listener, app, stop.clone()));
        Self { address, tls: watched, _stops: stop.drop_guard() }
    }
}

/// A connection of somebody who trusts this certificate alone.
async fn connects(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocol: &str,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from(NAME).expect("a name");
    TlsConnector::from(Arc::new(client)).connect(name, TcpStream::connect(address).await?).await
}

async fn asks(stream: TlsStream<TcpStream>, request: Request<Body>) -> Response<Incoming> {
    let io = TokioIo::new(stream);
    if io.inner().get_ref().1.alpn_protocol() == Some(b"h2") {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    } else {
        let (mut sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    }
}

fn get(path: &str) -> Request<Body> {
    let request = Request::get(format!("https://{NAME}{path}")).header("host", NAME);
    request.body(Body::empty()).expect("a request")
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.expect("a body").to_bytes().to_vec()).expect("text")
}

async fn served_with(server: &Secured, trusted: &CertificateDer<'static>) -> bool {
    connects(server.address, trusted, "http/1.1", &TLS13).await.is_ok()
}

on_both! {
    async fn both_versions_of_http_are_spoken_over_both_of_tls(engine) {
        let city = City::open(engine).await;
        let (files, certificate) = Files::new();
        let server = Secured::start(&city, &files).await;
        for (protocol, version, spoken) in
            [("h2", &TLS13, Version::HTTP_2), ("h2", &TLS12, Version::HTTP_2), ("http/1.1", &TLS13, Version::HTTP_11), ("http/1.1", &TLS12, Version::HTTP_11)]
        {
            let stream = connects(server.address, &certificate, protocol, version).await.expect("a handshake");
            let answer = asks(stream, get("/healthz")).await;
            assert_eq!((answer.status(), answer.version()), (StatusCode::OK, spoken));
            assert_eq!(answer.headers()[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
            assert_eq!(text(answer).await, "ok\n");
        }
        // A device, whole bodies both ways.
        let device = city.device("IMEI:351234567890123");
        for protocol in ["h2", "http/1.1"] {
            let stream = connects(server.address, &certificate, protocol, &TLS13).await.expect("a handshake");
            let request = Request::post(format!("https://{NAME}/api/device/{}/configure", device.id));
            let request = request.header("host", NAME).body(Body::from(device.introduction().to_string())).expect("a request");
            let answer: Value = serde_json::from_str(&text(asks(stream, request).await).await).expect("JSON");
            assert_eq!(answer["light_id"], "SL001", "{answer}");
        }
    }

    async fn the_session_cookie_is_bound_to_tls(engine) {
        let city = City::open(engine).await;
        let (files, certificate) = Files::new();
        let server = Secured::start(&city, &files).await;
        city.ccms.create_person("admin@city.example", PASSWORD, ccms_service::Role::Admin).await.expect("a person");
        let stream = connects(server.address, &certificate, "h2", &TLS13).await.expect("a handshake");
        let form = format!("email=admin%40city.example&password={}", PASSWORD.replace(' ', "+"));
        let request = Request::post(format!("https://{NAME}/ui/people/sign_in"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form))
            .expect("a request");
        let answer = asks(stream, request).await;
        let cookie = answer.headers().get(header::SET_COOKIE).map(|c| c.to_str().expect("text").to_owned());
        let cookie = cookie.unwrap_or_else(|| panic!("no cookie: {answer:?}"));
        assert!(cookie.starts_with("__Host-ccms="), "{cookie}");
        for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
    }

    async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not(engine) {
        let city = City::open(engine).await;
        let (files, first) = Files::new();
        let server = Secured::start(&city, &files).await;
        let kept = connects(server.address, &first, "http/1.1", &TLS13).await.expect("a handshake");
        std::fs::write(files.certificate(), "no certificate at all").expect("a file");
        assert_eq!(server.tls.look(), Look::Broken);
        assert!(served_with(&server, &first).await, "what was good before is still presented");
        let second = files.renews();
        assert_eq!(server.tls.look(), Look::Taken);
        assert_eq!(server.tls.look(), Look::Unchanged);
        assert!(served_with(&server, &second).await && !served_with(&server, &first).await);
        let stop = CancellationToken::new();
        tokio::spawn(server.tls.clone().watch(stop.clone()));
        let _stops = stop.drop_guard();
        let (first, second) = (second, files.renews());
        eventually("the new one is presented", || served_with(&server, &second)).await;
        assert!(!served_with(&server, &first).await, "and the old one is not");
        assert_eq!(asks(kept, get("/healthz")).await.status(), StatusCode::OK, "whoever was connected still is");
    }

    async fn plain_http_on_the_port_is_told_so_and_nonsense_is_cut(engine) {
        let city = City::open(engine).await;
        let (files, certificate) = Files::new();
        let server = Secured::start(&city, &files).await;
        let says = async |bytes: &[u8]| {
            let mut socket = TcpStream::connect(server.address).await.expect("a connection");
            socket.write_all(bytes).await.expect("room");
            let mut answer = Vec::new();
            let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an end");
            (read.is_ok(), answer)
        };
        let (clean, answer) = says(b"GET /api/device/x/commands HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = String::from_utf8(answer).expect("text");
        assert!(clean && answer.starts_with("HTTP/1.1 400 ") && answer.contains("HTTPS only"), "{answer}");
        assert!(answer.contains("\"code\":\"BAD_REQUEST\""), "{answer}");
        // The beginning of a handshake, then nothing that belongs there.
        says(&[0x16, 0x03, 0x01, 0x00, 0x05, b'h', b'e', b'l', b'l', b'o']).await;
        assert!(served_with(&server, &certificate).await, "and it still serves");
    }
}

/// On a process of its own, with SQLite: it is about what the configuration allows.
#[tokio::test]
async fn others_can_reach_it_with_tls_and_not_without() {
    let (files, certificate) = Files::new();
    let reachable = |environment| Settings { environment, listen: Some("0.0.0.0:0"), ..Settings::default() };
    let with = |more: (&'static str, String)| [files.settings(), vec![more]].concat();
    let bench = || ("CCMS__ENROLMENT__OPEN_OFF_LOOPBACK", "true".to_owned());
    assert!(Process::refuses(&reachable(vec![bench()])).contains("tls.certificate_file"));
    let missing = vec![bench(), ("CCMS__TLS__CERTIFICATE_FILE", "nowhere.pem".into())];
    assert!(Process::refuses(&reachable(missing)).contains("key_file"));
    let missing = with(("CCMS__TLS__KEY_FILE", "nowhere.pem".into()));
    assert!(Process::refuses(&Settings { environment: missing, ..Settings::default() }).contains("nowhere.pem"));

    let server = Process::start(&reachable(with(bench())));
    assert_eq!(server.scheme, "https");
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let stream = connects(address, &certificate, "h2", &TLS13).await.expect("a handshake");
    assert_eq!(asks(stream, get("/healthz")).await.status(), StatusCode::OK);
}
