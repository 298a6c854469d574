//! What `/metrics` says, on a process of its own: counts are exact there. With SQLite: nothing here depends on the engine.
use std::net::TcpListener;

use serde_json::Value;

use crate::controller::example;
use crate::process::{Process, Settings};

const DEVICE: &str = "IMEI:351234567890123";

fn listening_on(address: &str) -> Settings {
    Settings { environment: vec![("CCMS__METRICS__LISTEN", address.to_owned())], ..Settings::default() }
}

async fn metrics(server: &Process) -> String {
    let address = server.metrics.expect("metrics");
    let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer");
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!((answer.status().as_u16(), kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    answer.text().await.expect("text")
}

#[tokio::test]
async fn what_happened_is_counted_by_route_and_never_by_device() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Process::start(&listening_on("127.0.0.1:0"));
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let base = format!("http://{}", server.address);
    let device = format!("{base}/api/device/{DEVICE}");
    let configure = http.post(format!("{device}/configure")).body(example("configure-request.json"));
    let answer: Value = configure.send().await.expect("an answer").json().await.expect("JSON");
    let token = answer["device_token"].as_str().expect("a token");
    for _ in 0..2 {
        let status = http.post(format!("{device}/status")).bearer_auth(token).body(example("status-request.json"));
        assert_eq!(status.send().await.expect("an answer").status(), 200);
    }
    for (method, path) in [
        ("GET", "/api/device/IMEI:351234567890124/commands"),
        ("GET", "/api/device/IMEI:351234567890125/nowhere"),
        ("BREW", "/healthz"),
        ("GET", "/no/such/page/as/IMEI:351234567890126"),
    ] {
        let method = method.parse().expect("a method");
        http.request(method, format!("{base}{path}")).send().await.expect("an answer");
    }
    let text = metrics(&server).await;
    println!("{text}");
    let status = "route=\"/api/device/{device_id}/status\"";
    for line in [
        "ccms_http_requests_total{route=\"/api/device/{device_id}/configure\",method=\"POST\",status=\"200\"} 1",
        &format!("ccms_http_requests_total{{{status},method=\"POST\",status=\"200\"}} 2"),
        "ccms_http_requests_total{route=\"/api/device/{device_id}/commands\",method=\"GET\",status=\"401\"} 1",
        "ccms_http_requests_total{route=\"other\",method=\"GET\",status=\"400\"} 1",
        "ccms_http_requests_total{route=\"/healthz\",method=\"other\",status=\"405\"} 1",
        &format!("ccms_http_request_duration_seconds_count{{{status}}} 2"),
        "ccms_http_requests_in_flight 0",
        "ccms_device_refusals_total{code=\"UNAUTHORIZED\"} 1",
        "ccms_device_refusals_total{code=\"UNKNOWN_PATH\"} 1",
        "ccms_readings_total{outcome=\"stored\"} 1",
        "ccms_readings_total{outcome=\"duplicate\"} 1",
        "ccms_intake_batch_readings_count 2",
        "ccms_intake_commit_duration_seconds_count 2",
        "ccms_intake_queue_requests 0",
        "ccms_intake_queue_requests_max 16384",
        "ccms_devices{state=\"claimed\"} 1",
        "ccms_devices{state=\"pending\"} 0",
        "ccms_lights{indicator=\"green\"} 1",
        "ccms_sse_watchers 0",
        "ccms_connections_open{listener=\"http\"} 1",
        concat!("ccms_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing");
    }
    for name in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }
    assert!(!text.contains("3512345678901") && !text.contains("SL001"), "no id");
    assert!(http.get(format!("{base}/metrics")).send().await.expect("an answer").status() != 200, "not for everybody");
}

#[tokio::test]
async fn an_address_that_somebody_chose_must_be_free_and_the_default_need_not() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = Process::refuses(&listening_on(&address));
    assert!(said.contains("metrics.listen") && said.contains(&address), "{said}");
    // Of several servers on one machine one at most has the default address; all of them start.
    let servers = [Process::start(&Settings::default()), Process::start(&Settings::default())];
    assert!(servers.iter().filter(|s| s.metrics.is_some()).count() <= 1);
}
