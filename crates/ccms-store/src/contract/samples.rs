//! Records for the cases, made from small numbers.
use ccms_core::command::{Command, CommandKind, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use serde_json::json;

use crate::{
    AuditEntry, Claim, Curated, DeviceRecord, LightRecord, NewDevice, NewUser, PendingNote, ReadingRow, Reported, Role,
    SessionRecord, Store,
};

/// 2025-12-17T10:30:00Z and `seconds`.
pub fn at(seconds: i64) -> UtcMillis {
    UtcMillis::from_seconds(1_765_967_400).plus_seconds(seconds)
}

pub fn user(email: &str) -> NewUser {
    NewUser {
        email: email.into(),
        role: Role::Operator,
        zone: None,
        password_hash: "$argon2id$v=19$x".into(),
        created_at: at(0),
    }
}

pub fn session(id: &str, expires_at: UtcMillis) -> SessionRecord {
    SessionRecord { id: id.into(), user_id: None, data: format!(r#"{{"of":"{id}"}}"#), expires_at }
}

pub fn device_id(n: u32) -> DeviceId {
    DeviceId::parse(&format!("IMEI:35123456{n:07}")).unwrap()
}

pub fn new_device(n: u32) -> NewDevice {
    NewDevice {
        device_id: device_id(n),
        light_id: None,
        curated: curated(n),
        claim_until: Some(at(3_600)),
        created_at: at(i64::from(n)),
    }
}

pub fn curated(n: u32) -> Curated {
    Curated {
        name: format!("Pole {n}"),
        address: "Mannerheimintie 1, Töölö".into(),
        city: "Helsinki".into(),
        zone: format!("North {n}"),
        ward: "7".into(),
        feeder: "F\"3".into(),
        pole: "P/12".into(),
        wattage_w: Some(36.5),
        latitude: 60.169_857 + f64::from(n) * 1e-7,
        longitude: 24.938_379,
    }
}

pub async fn registered(store: &dyn Store, n: u32) -> (DeviceRecord, LightRecord) {
    store.register_device(new_device(n), &audit("device.register")).await.unwrap()
}

pub fn reported(version: &str) -> Reported {
    Reported {
        device_type: Some("street_light".into()),
        name: Some("Püle 7".into()),
        city: Some("Delhi".into()),
        address: Some("A\"B".into()),
        latitude: Some(28.704_1),
        longitude: Some(-77.102_5),
        gsm_imei: Some("351234567890123".into()),
        communication_type: Some("4G".into()),
        firmware_version: Some(version.into()),
        battery_backup_hours: Some(4.5),
    }
}

pub fn note(n: u32, seconds: i64) -> PendingNote {
    PendingNote { device_id: device_id(n), at: at(seconds), reported: reported(&format!("1.{seconds}")) }
}

pub fn claim(device: DeviceNo) -> Claim {
    Claim { device, at: at(60), reported: reported("2.0") }
}

/// A registered device that a controller has claimed.
pub async fn claimed(store: &dyn Store, n: u32) -> (DeviceRecord, LightRecord) {
    let (device, light) = registered(store, n).await;
    assert!(store.claim_device(&claim(device.no), &audit("device.claim")).await.unwrap());
    (store.device(&device.id).await.unwrap().unwrap(), light)
}

/// A status of `light` at `seconds`, arrived a little later, with `seq` as its message number.
pub fn reading(light: u32, seconds: i64, seq: u32) -> ReadingRow {
    let reading = Reading {
        reported_at: at(seconds),
        seq: Some(seq),
        power_state: Some(PowerState::On),
        brightness_percent: Some(85),
        energy_wh: Some(45_678),
        ..Reading::default()
    };
    row(light, reading)
}

pub fn row(light: u32, reading: Reading) -> ReadingRow {
    ReadingRow {
        light_no: LightNo(light),
        device_no: DeviceNo(light + 1_000),
        received_at: UtcMillis(reading.reported_at.0 + 137),
        dedupe: reading.dedupe_key(),
        reading,
    }
}

/// Nothing at all, everything at its least, at its most and different from all others, a clock of 1969 and one of 9999.
pub fn extreme_readings() -> Vec<Reading> {
    let least = Reading {
        reported_at: UtcMillis(at(1).0 + 1),
        seq: Some(0),
        power_state: Some(PowerState::Off),
        brightness_percent: Some(0),
        temperature_dc: Some(i16::MIN),
        battery_percent: Some(0),
        signal_percent: Some(0),
        uptime_s: Some(0),
        voltage_dv: Some(0),
        current_ma: Some(0),
        power_dw: Some(0),
        frequency_chz: Some(0),
        energy_wh: Some(i64::MIN),
        error_flags: vec!["".into()],
        ..Reading::default()
    };
    let most = Reading {
        reported_at: UtcMillis(at(2).0 + 999),
        seq: Some(u32::MAX),
        power_state: Some(PowerState::On),
        brightness_percent: Some(u8::MAX),
        temperature_dc: Some(i16::MAX),
        battery_percent: Some(u8::MAX),
        signal_percent: Some(u8::MAX),
        uptime_s: Some(u32::MAX),
        voltage_dv: Some(u16::MAX),
        current_ma: Some(u32::MAX),
        power_dw: Some(u32::MAX),
        frequency_chz: Some(u16::MAX),
        energy_wh: Some(i64::MAX),
        error_flags: vec!["OVER_VOLTAGE".into(), "a\"b\\c,{}'--".into(), "läcker ✓ 💡".into()],
        flags: ReadingFlags(u32::MAX),
        ..Reading::default()
    };
    // No two columns alike, so that none can stand in for another.
    let distinct = Reading {
        reported_at: UtcMillis(at(3).0 + 7),
        seq: Some(11),
        power_state: Some(PowerState::Off),
        brightness_percent: Some(12),
        temperature_dc: Some(-13),
        battery_percent: Some(14),
        signal_percent: Some(15),
        uptime_s: Some(16),
        voltage_dv: Some(17),
        current_ma: Some(18),
        power_dw: Some(19),
        frequency_chz: Some(20),
        energy_wh: Some(21),
        error_flags: vec!["b".into(), "a".into()],
        flags: ReadingFlags(22),
        ..Reading::default()
    };
    let nothing = Reading { reported_at: at(0), ..Reading::default() };
    let early = Reading { reported_at: UtcMillis(-1), flags: ReadingFlags::CLOCK_SUSPECT, ..Reading::default() };
    let late = Reading { reported_at: UtcMillis(253_402_300_799_999), seq: Some(3), ..Reading::default() };
    vec![nothing, least, most, distinct, early, late]
}

pub fn command(id: &str, device: &DeviceRecord, light: &LightRecord, kind: CommandKind, seconds: i64) -> Command {
    Command {
        id: CommandId::parse(id).unwrap(),
        light_no: light.no,
        device_no: device.no,
        kind,
        priority: Priority::Normal,
        state: CommandState::Queued,
        requested_by: "operator@city.example".into(),
        reason: None,
        requested_at: at(seconds),
        expires_at: at(seconds + 900),
        delivered_at: None,
        unverified_at: None,
        finished_at: None,
        executed_at: None,
        detail: None,
    }
}

pub fn audit(action: &str) -> AuditEntry {
    AuditEntry {
        at: at(5),
        actor: "operator@city.example".into(),
        action: action.into(),
        target: "SL001".into(),
        detail: json!({ "note": "ä\u{0}\"\\", "n": [1, 1.0, 1e300, -0.5, null, true], "empty": {} }),
    }
}

/// The newest entries' actions.
pub async fn actions(store: &dyn Store) -> Vec<String> {
    store.audit(100).await.unwrap().into_iter().map(|e| e.action).collect()
}
