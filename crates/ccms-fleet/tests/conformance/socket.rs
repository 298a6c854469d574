//! The listening mode over real sockets, against the shell that `ccms-fleet device` is: quick scenarios only, on a clock that
//! runs faster than the world's.
use std::sync::Arc;
use std::time::Duration;

use ccms_device::{Change, Config, Delivered, Device, Saved};
use ccms_fleet::clock::Clock;
use ccms_fleet::conformance::check::Outcome;
use ccms_fleet::conformance::hands::Hands;
use ccms_fleet::conformance::options::examine;
use ccms_fleet::conformance::report::Verdict;
use ccms_fleet::conformance::{Referee, Report, Rules};
use ccms_fleet::directory::Directory;
use ccms_fleet::http::Http;
use ccms_fleet::identity::device_id;
use ccms_fleet::pole::Pole;
use ccms_fleet::runner::{Desk, Runner, Shared};
use ccms_fleet::simlamp::SimLamp;
use ccms_fleet::stats::Stats;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// A hiccup of 100 ms is less than a second of the examination, whose tolerances are larger.
const SPEED: u32 = 8;
const LONGEST: Duration = Duration::from_secs(180);

struct NoDesk;

impl Desk for NoDesk {
    fn persist(&mut self, _device: &Device, _change: Change) {}
    fn delivered(&mut self, _delivered: &Delivered) {}
}

/// These scenarios over a socket, the device's shell on the other side.
async fn examined(only: &[&str], pole: impl Pole + Send + 'static, hands: &Hands) -> Report {
    // Another test of this process may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let clock = Clock::hurried(SPEED);
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    let rules = Rules { quick: true, only, ..Rules::new(clock.utc()) };

    let (stop, stopped) = watch::channel(false);
    let http = Http::new(&server).unwrap();
    let shared = Arc::new(Shared { clock, http, stats: Stats::new(1), network_time: false });
    let config = Config::new(device_id(7, 3), 28.6139, 77.2090, 7);
    let runner = Runner::new(shared, pole, NoDesk, |now| Device::new(config, Saved::default(), now));
    let device = tokio::spawn(runner.run(stopped.clone()));

    let mut lines = Vec::new();
    let say = |line: &str| lines.push(line.to_owned());
    let run = examine(clock, Referee::new(rules), listener, None, hands, stopped, say);
    let report = timeout(LONGEST, run).await.expect("the run ends");
    stop.send(true).unwrap();
    device.await.unwrap();
    assert_eq!(report.verdict, Verdict::Passed, "{}", lines.join("\n"));
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runner_passes_quick_scenarios_over_sockets() {
    let lamp = SimLamp::new(7, 28.6139, 77.2090, false, None);
    let only = ["several", "once", "expiry", "late", "lost-answer", "unauthorized", "not-found", "token-refresh"];
    let report = examined(&only, lamp, &Hands::default()).await;
    assert!(report.names(Outcome::Pass).len() >= 15);
}

/// A device that measures by files, heated by a bench that writes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_bench_heats_a_device_that_reads_files() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    for (name, text) in [
        ("temperature_celsius", "31.5"),
        ("battery_percentage", "95"),
        ("gsm_signal_strength", "-82"),
        ("voltage_volts", "230.5"),
        ("current_amperes", "0.26"),
        ("power_watts", "60"),
        ("frequency_hertz", "50"),
        ("energy_kwh", "1245.67"),
        ("degrees.hot", "71.2"),
        ("degrees.cool", "31.5"),
    ] {
        put(name, text);
    }
    put("bench.sh", "cd \"$(dirname \"$0\")\" && cp \"degrees.$1\" next && mv next temperature_celsius\n");
    let bench = format!("sh '{}'", dir.path().join("bench.sh").display());
    let hands = Hands { bench: Some(bench), ..Hands::default() };
    let report = examined(&["heat"], Directory::open(dir.path()).unwrap(), &hands).await;
    assert!(report.names(Outcome::Pass).contains(&"hot-cadence"));
    let out = |name: &str| std::fs::read_to_string(dir.path().join("out").join(name)).unwrap();
    assert_eq!((out("relay").as_str(), out("dimming_percent").as_str()), ("on\n", "80\n"));
}
