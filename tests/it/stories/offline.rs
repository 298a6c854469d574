//! Three hours without a network, before the real server and on its disk: what the device kept arrives once, and in the document's
//! order.
use std::collections::BTreeSet;
use std::io::Read;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use ccms_device::config::COMPRESS_ABOVE_BYTES;
use ccms_fleet::world::server::{Deed, Server};
use ccms_fleet::world::understudy::Understudy;
use ccms_fleet::world::{Request, Response, Rules, World};
use ccms_store::AlertQuery;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::at_once;
use super::real::RealServer;

const OFFLINE_S: u64 = 3 * 3_600;
/// One each half minute.
const READINGS: usize = 360;
/// Lamps that are tried until one has something to complain about.
const SEEDS_MAX: u64 = 80;

/// A sync as it came.
struct Sync {
    packed: bool,
    wire_bytes: usize,
    text: String,
}

impl Sync {
    fn of(request: &Request) -> Self {
        let packed = request.headers.iter().any(|(name, value)| *name == "content-encoding" && value == "gzip");
        let mut text = String::new();
        if packed {
            GzDecoder::new(request.body.as_slice()).read_to_string(&mut text).expect("a device packs well");
        } else {
            text = String::from_utf8(request.body.clone()).expect("text");
        }
        Self { packed, wire_bytes: request.body.len(), text }
    }

    fn count(&self, section: &str) -> usize {
        let json: Value = serde_json::from_str(&self.text).expect("JSON");
        json[section].as_array().map_or(0, Vec::len)
    }
}

/// A world of one lamp that is not quite well, until its three hours without a network are over; the command that it executed a
/// moment before them, whose acknowledgement nobody heard.
async fn three_hours_alone(seed: u64, server: &mut impl Server) -> (World, CommandId) {
    // At night, so that no edge of the schedule adds a reading of its own.
    let rules = Rules { lights: 1, seed, start: evening(), sick_lamps: true, ..Rules::default() };
    let mut world = World::new(rules);
    world.run_for_seconds(1_200, &mut async |request| server.answers(request).await).await;
    let order = Deed::Order { device: 0, kind: CommandKind::Brightness(45) };
    let command = server.does(world.now(), &order).await.expect("a command");
    let mut deaf = async |request: Request| {
        if request.path.ends_with("/command-ack") || request.path.ends_with("/alert") {
            return Response { status: 500, body: b"{}".to_vec() };
        }
        server.answers(request).await
    };
    world.run_for_seconds(15, &mut deaf).await;
    let cut = world.now();
    world.cut_network(cut..cut.plus_seconds(OFFLINE_S as i64));
    world.run_for_seconds(OFFLINE_S, &mut deaf).await;
    (world, command)
}

fn evening() -> UtcMillis {
    Rules::default().start.plus_seconds(4 * 3_600)
}

/// Acknowledgements, alerts and readings that wait.
fn waiting(world: &World) -> (usize, usize, usize) {
    let device = world.device(0).machine().expect("it has power");
    (device.unsent_acks(), device.unsent_alerts(), device.unsent_readings())
}

#[test]
fn three_hours_offline_bring_every_reading_once_behind_acks_and_alerts() {
    at_once(async {
        // One that complains, and of these rather one that does it once and reports as steadily as the others.
        let mut found = None;
        for seed in 1..SEEDS_MAX {
            let (world, _) = three_hours_alone(seed, &mut Understudy::default()).await;
            let (acks, alerts, readings) = waiting(&world);
            if acks == 1 && alerts > 0 {
                found = found.or(Some(seed));
                if readings == READINGS {
                    found = Some(seed);
                    break;
                }
            }
        }
        let seed = found.expect("a lamp that has something to complain about");
        let mut server = RealServer::opens(evening()).await;
        let (mut world, command) = three_hours_alone(seed, &mut server).await;
        let (acks, alerts, _) = waiting(&world);
        assert!(acks == 1 && alerts > 0, "{acks} acknowledgements and {alerts} alerts wait");
        let kept: BTreeSet<u32> = world.device(0).saved().readings.iter().map(|sample| sample.seq).collect();
        println!("seed {seed}: {acks} acknowledgement, {alerts} alerts and {} readings wait", kept.len());
        assert!(kept.len() >= READINGS, "{}", kept.len());

        let (mut routes, mut syncs) = (Vec::new(), Vec::new());
        let mut hears = async |request: Request| {
            let route = request.path.rsplit('/').next().unwrap_or_default().to_owned();
            if route == "sync" {
                syncs.push(Sync::of(&request));
            }
            routes.push(route);
            server.answers(request).await
        };
        world.run_for_seconds(600, &mut hears).await;
        assert_eq!(&routes[..2], ["commands", "sync"], "the probe, then all in one: {routes:?}");
        let first = &syncs[0];
        let places = ["\"acks\":", "\"alerts\":", "\"status\":{\"device_id\"", "\"readings\":"];
        let places = places.map(|part| first.text.find(part));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
        assert_eq!((first.count("acks"), first.count("alerts")), (acks, alerts));
        let bytes = first.text.len();
        println!(
            "{} readings in one sync: {bytes} bytes, {} on the wire",
            first.count("readings") + 1,
            first.wire_bytes
        );
        assert!(first.packed && bytes > COMPRESS_ABOVE_BYTES && first.wire_bytes < bytes / 10);

        let city = server.city();
        let stored: Vec<u32> = city.stored().await.into_iter().filter_map(|row| row.reading.seq).collect();
        let of_outage: Vec<_> = stored.iter().filter(|seq| kept.contains(seq)).collect();
        let distinct = of_outage.iter().collect::<BTreeSet<_>>().len();
        assert_eq!((of_outage.len(), distinct), (kept.len(), kept.len()));
        // Nobody said that it was done before its time was over; what came too late ends nothing twice.
        assert_eq!(city.operator().sees_command(&command).await, CommandState::Expired);
        let told = city.ccms.store().alerts(&AlertQuery { limit: 100, ..AlertQuery::default() }).await.expect("alerts");
        assert!(told.len() >= alerts, "{} of {alerts} alerts are kept", told.len());
        let (acks, _, readings) = waiting(&world);
        assert!(acks == 0 && readings <= 1, "the newest may be under way");
    });
}
