//! Flash outlives firmware: what earlier ones wrote is read, and what is damaged costs itself only.
use ccms_device::{Kind, Saved, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bench::*;

/// As the firmware before stores of alerts, signatures and locks wrote it.
fn earlier() -> Value {
    json!({
        "settings": {
            "token": "t1", "light_id": "SL001",
            "config": {"schedule_enabled": true, "sunrise_time": "06:00:00", "sunset_time": "18:30:00",
                       "brightness_level": 100, "auto_dimming": true, "timezone": "Asia/Kolkata", "utc_offset_minutes": 330},
            "manual": {"power": ["off", {"utc": "2025-12-17T15:00:00Z"}], "brightness": null},
            "acks": [{"device_id": "IMEI:351234567890123", "command_id": "CMD_1", "status": "executed",
                      "execution_timestamp": "2025-12-17T13:00:00Z"}],
            "remembered": [{"id": "CMD_1", "status": "executed", "at": "2025-12-17T13:00:00Z"}],
            "seq_reserved": 2048, "last_utc": "2025-12-17T13:30:00Z"
        },
        "readings": [{"seq": 1500, "at": "2025-12-17T13:29:00Z", "uptime_s": 900,
            "lamp": {"power": "on", "brightness_percent": 100},
            "sensors": {"temperature_dc": 300, "battery_percent": 90, "signal_percent": 70, "voltage_dv": 2300,
                "current_ma": 260, "power_dw": 600, "frequency_chz": 5000, "energy_wh": 1245670, "error_flags": [],
                "critical": false}}]
    })
}

#[test]
fn the_flash_of_an_earlier_firmware_is_read_whole() {
    let mut flash = earlier();
    flash["settings"]["of_a_later_one"] = json!({"deep": [1, 2, 3]});
    flash["colour"] = json!("red");
    let saved: Saved = serde_json::from_value(flash).unwrap();
    let mut b = Bench::with(EVENING, config(), saved, None);
    b.run_ms(15 * SECOND_MS, &mut good);
    assert_eq!(b.of(Kind::Configure)[0].request.token.as_deref(), Some("t1"));
    let sync = b.of(Kind::Sync)[0];
    // Numbers go on behind the block that was reserved.
    let numbers = ["/readings/0/seq", "/readings/1/seq", "/status/seq"].map(|p| sync.json.pointer(p).cloned());
    assert_eq!((sync.count("acks"), numbers), (1, [1500, 2048, 2049].map(|n| Some(json!(n)))));
    assert_eq!(b.lamp().1, 0, "the override goes on until half past eight");
    assert_eq!(b.device.settings().remembered.len(), 1);
}

#[test]
fn no_flash_at_all_and_no_object_are_a_new_device() {
    for text in ["{}", "{\"settings\":7}", "{\"settings\":{},\"readings\":{},\"alerts\":null}"] {
        assert_eq!(serde_json::from_str::<Saved>(text).unwrap(), Saved::default(), "{text}");
    }
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(-7)),
        Just(json!("\u{0}")),
        Just(json!([[]])),
        Just(json!([7, null, {"id": 3}])),
        Just(json!({"enabled": "?"})),
        Just(json!(1e300)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is damaged beside it, the token stays, and the device comes back.
    #[test]
    fn a_damaged_field_never_costs_the_token(damage in prop::collection::vec((0_usize..13, junk()), 1..6)) {
        let mut flash = earlier();
        let places = ["light_id", "config", "manual", "acks", "remembered", "seq_reserved", "last_utc", "device_secret",
            "token_expires_at", "firmware_reported", "maintenance", "last_reset"];
        for (place, junk) in damage {
            match places.get(place) {
                Some(name) => flash["settings"][name] = junk,
                None => flash["readings"] = junk,
            }
        }
        let saved: Saved = serde_json::from_value(flash).unwrap();
        prop_assert_eq!(saved.settings.token.as_deref(), Some("t1"));
        let mut b = Bench::with(EVENING, config(), saved, None);
        b.run_ms(MINUTE_MS, &mut good);
        prop_assert_eq!(b.device.state(), State::Ready);
    }
}
