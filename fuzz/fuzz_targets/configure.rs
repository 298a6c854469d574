//! POST configure: any body. What is kept of it is text that may be shown and a place on Earth.
#![no_main]
use ccms_core::limits::DEVICE_TEXT_CHARS_MAX;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse};
use ccms_fuzz::{NOW, instant_holds, statuses_hold, text_holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    // What a device reads of a foreign server.
    let _ = serde_json::from_slice::<ConfigureResponse>(body);
    let Ok(c) = ConfigureRequest::parse(body, NOW) else { return };
    for text in [&c.device_type, &c.name, &c.city, &c.address, &c.status, &c.communication_type, &c.firmware_version] {
        text_holds(text.as_deref(), DEVICE_TEXT_CHARS_MAX);
    }
    assert!(c.device_id.is_none_or(|id| id.chars().count() <= DEVICE_TEXT_CHARS_MAX));
    assert!(c.latitude.is_none_or(|l| l.abs() <= 90.0) && c.longitude.is_none_or(|l| l.abs() <= 180.0));
    assert!(c.battery_backup_hours.is_none_or(|h| h >= 0.0));
    c.timestamp.into_iter().for_each(instant_holds);
    statuses_hold(&c.statuses.messages, &c.statuses.quarantined);
});
