//! The fleet as the map gets it: as small as it should be, the same for every browser, and never older than what was changed.
use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::snapshot::{Encoder, Mark, MarkState, Snapshot};
use ccms_fleet::city::{Profile, Town, Wanted};
use ccms_service::{Role, Scope};
use ccms_store::AuditEntry;
use serde_json::json;

use crate::answer::Answer;
use crate::api_client::Integrator;
use crate::api_rights::signed_in;
use crate::city::City;

const LIGHTS: usize = 100_000;
/// The aim, for a browser that takes any encoding, or none.
const BYTES_MAX: usize = 700_000;

/// What a person's browser gets.
async fn fleet(person: &Integrator) -> Vec<Mark> {
    let answer = person.gets("/live/fleet").await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    Snapshot::decode(&answer.body).expect("a snapshot").marks
}

async fn ids(person: &Integrator) -> Vec<String> {
    fleet(person).await.into_iter().map(|mark| mark.id).collect()
}

on_both! {
    async fn what_changed_is_seen_at_once(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let everywhere = signed_in(&city, Role::Admin, None).await;
        let north = signed_in(&city, Role::Operator, Some("north")).await;
        assert!(ids(&everywhere).await.is_empty());

        city.claimed_device("IMEI:351234567890123").await;
        city.claimed_device("IMEI:351234567890124").await;
        assert_eq!(ids(&everywhere).await, ["SL001", "SL002"], "new lights");
        assert!(ids(&north).await.is_empty(), "which are in no zone");

        let place = json!({"latitude": 28.613_912_3, "longitude": 77.209_021_4, "zone": "north"});
        admin.patches("lights/SL002", &[], &place).await.done(200);
        let seen = fleet(&everywhere).await;
        assert_eq!((seen[1].lat_e7, seen[1].lon_e7), (286_139_123, 772_090_214), "a place, as it was said");
        assert_eq!(fleet(&north).await, seen[1..]);
        admin.patches("lights/SL002", &[], &json!({"latitude": 28.7})).await.done(200);
        assert_eq!(fleet(&north).await[0].lat_e7, 287_000_000);

        // A light that leaves the zone, and a person who does.
        admin.patches("lights/SL001", &[], &json!({"zone": "north"})).await.done(200);
        admin.patches("lights/SL002", &[], &json!({"zone": "south"})).await.done(200);
        assert_eq!(ids(&north).await, ["SL001"]);
        let people = city.store.inner().users().await.expect("people");
        let person = people.into_iter().find(|p| p.zone.as_deref() == Some("north")).expect("the north's");
        let (at, action) = (city.ccms.now(), "person.change".into());
        let audit = AuditEntry { at, actor: "test".into(), action, target: person.email, detail: json!({}) };
        city.store.inner().change_user(person.id, Role::Operator, Some("south".into()), &audit).await.expect("changed");
        assert_eq!(ids(&north).await, ["SL002"]);
    }
}

#[tokio::test]
async fn every_browser_gets_the_same_bytes() {
    let city = City::open(crate::database::Engine::Sqlite).await;
    let mut device = city.claimed_device("IMEI:351234567890123").await;
    device.reports(PowerState::On).await.ok();
    let person = signed_in(&city, Role::Viewer, None).await;
    let plain = person.gets("/live/fleet").await;
    let mut answers = vec![person.gets("/live/fleet").await];
    for encodings in ["gzip", "br", "gzip, deflate, br, zstd", "identity", "*"] {
        answers.push(person.sends("GET", "/live/fleet", &[("accept-encoding", encodings)], Vec::new()).await);
    }
    for Answer { headers, body, .. } in answers {
        assert_eq!((headers.get("content-encoding"), &body), (None, &plain.body));
    }
    // Pages are pressed as before.
    let page = Integrator::anonymous(&city).sends("GET", "/sign-in", &[("accept-encoding", "br")], Vec::new()).await;
    assert_eq!(page.header("content-encoding"), Some("br"));
}

#[test]
fn a_city_takes_few_bytes() {
    let wanted = Wanted { profile: Profile::Delhi, lights: Some(LIGHTS), seed: 1, ..Wanted::default() };
    let sites = Town::of(&wanted).expect("a plan").sites;
    let (burning, dark) =
        ((MarkState::new(Indicator::Green, Some(PowerState::On), false), 80), (MarkState::default(), 0));
    let failed = (MarkState::new(Indicator::Red, Some(PowerState::Off), false), 0);
    let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
    let size = |look: &dyn Fn(usize) -> (MarkState, u8)| {
        let mut encoder = Encoder::default();
        for (n, site) in sites.iter().enumerate() {
            encoder.push(n as u32 + 1, &format!("SL{:03}", n + 1), (e7(site.latitude), e7(site.longitude)), look(n));
        }
        encoder.finish(1).len()
    };
    // A city that burns, with a failure here and there; and one at dusk, where every lamp is at a step of its own.
    let night = size(&|n| if n * n % 23 == 3 { failed } else { burning });
    let dusk = size(&|n| if n * n % 11 > 4 { (burning.0, (n * n % 101) as u8) } else { dark });
    println!("{LIGHTS} lights: {night} bytes at night, {dusk} at dusk");
    assert!(night.max(dusk) <= BYTES_MAX, "{night} bytes at night, {dusk} at dusk");
}
