//! Whom a device believes over TLS: real handshakes with a real listener, on certificates made for the occasion.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccms_core::time::UtcMillis;
use ccms_device::{Config, Device, Input, Now, Outcome, Output, Request, Saved, Uptime};
use ccms_fleet::clock::Clock;
use ccms_fleet::conformance::listen::Stage;
use ccms_fleet::conformance::options::acceptor;
use ccms_fleet::conformance::{Referee, Rules};
use ccms_fleet::http::Http;
use ccms_fleet::identity::device_id;
use ccms_fleet::trust::{Pin, Trust};
use rcgen::{CertificateParams, KeyPair, PublicKeyData, date_time_ymd};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// A server with a certificate of its own, and what a device may know of it.
struct Server {
    url: String,
    pin: Pin,
    certificate: PathBuf,
    _dir: tempfile::TempDir,
}

async fn server(expired: bool) -> Server {
    // The second test of this process finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let certificate = params.self_signed(&key).unwrap();
    let (certificate_file, key_file) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let digest = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let clock = Clock::start(0);
    let stage = Stage::new(clock, Referee::new(Rules::new(clock.utc())));
    let tls = acceptor(&certificate_file, &key_file).unwrap();
    tokio::spawn(Arc::clone(&stage).serve(listener, Some(tls)));
    Server { url, pin: format!("sha256/{digest}").parse().unwrap(), certificate: certificate_file, _dir: dir }
}

/// The first call of a device.
fn configure() -> Request {
    let now = Now { uptime: Uptime(0), utc: Some(UtcMillis::from_seconds(1_765_967_400)) };
    let mut device = Device::new(Config::new(device_id(1, 1), 28.6, 77.2, 1), Saved::default(), now);
    device.handle(now, Input::Timeout);
    let sent = std::iter::from_fn(|| device.poll()).find_map(|output| match output {
        Output::Send(_, request) => Some(request),
        _ => None,
    });
    sent.unwrap()
}

async fn connects(server: &Server, pins: &[Pin], authority: Option<&Server>) -> bool {
    let trust = Trust::new(pins.to_vec(), authority.map(|a| a.certificate.as_path())).unwrap();
    let http = Http::with_trust(&server.url, trust.as_ref()).unwrap();
    match http.send(configure()).await {
        Outcome::Answer { status, .. } => status == 200,
        Outcome::NoAnswer => false,
    }
}

#[tokio::test]
async fn the_right_pin_connects_and_a_wrong_one_does_not() {
    let (ours, other) = (server(false).await, server(false).await);
    assert!(connects(&ours, &[ours.pin], None).await);
    assert!(connects(&ours, &[other.pin, ours.pin], None).await, "one of them is a spare");
    assert!(!connects(&ours, &[other.pin], None).await);
    assert!(!connects(&ours, &[], None).await, "no authority of the system signed it");
}

#[tokio::test]
async fn an_authority_is_believed_alone_or_beside_a_pin() {
    let (ours, other) = (server(false).await, server(false).await);
    assert!(connects(&ours, &[], Some(&ours)).await);
    assert!(connects(&ours, &[ours.pin], Some(&ours)).await);
    assert!(!connects(&ours, &[], Some(&other)).await);
    assert!(!connects(&ours, &[ours.pin], Some(&other)).await, "both have to agree");
    assert!(!connects(&ours, &[other.pin], Some(&ours)).await);
}

/// A controller without the time must not lock itself out.
#[tokio::test]
async fn a_pinned_key_does_not_age_and_a_certificate_does() {
    let old = server(true).await;
    assert!(connects(&old, &[old.pin], None).await);
    assert!(!connects(&old, &[], Some(&old)).await);
}

#[tokio::test]
async fn a_pin_for_a_plain_connection_is_a_mistake() {
    let ours = server(false).await;
    let trust = Trust::new(vec![ours.pin], None).unwrap();
    assert!(Http::with_trust("http://127.0.0.1:1", trust.as_ref()).is_err());
}
