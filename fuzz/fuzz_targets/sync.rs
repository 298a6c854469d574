//! POST sync: any body; a section that is broken costs none of the others.
#![no_main]
use ccms_core::limits::{DEVICE_MESSAGE_CHARS_MAX, LOG_LINE_CHARS_MAX, LOG_LINES_MAX, SYNC_ITEMS_MAX};
use ccms_core::wire::alert::AlertMessage;
use ccms_core::wire::firmware::FirmwareMessage;
use ccms_core::wire::logs::LogsMessage;
use ccms_core::wire::sync::SyncMessage;
use ccms_fuzz::{NOW, instant_holds, statuses_hold, text_holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(sync) = SyncMessage::parse(body, NOW) {
        statuses_hold(&sync.statuses, &sync.quarantined);
        assert!(sync.acks.len() <= SYNC_ITEMS_MAX && sync.alerts.len() <= SYNC_ITEMS_MAX);
        sync.acks.iter().filter_map(|a| a.executed_at).for_each(instant_holds);
        sync.alerts.iter().for_each(alert_holds);
        logs_hold(&sync.logs);
        // The same with a spoilt section in front.
        if let Some(rest) = body.trim_ascii_start().strip_prefix(b"{")
            && sync.acks.is_empty()
            && let Ok(again) = SyncMessage::parse(&[b"{\"acks\":7,", rest].concat(), NOW)
        {
            assert_eq!(again.statuses, sync.statuses);
            assert_eq!(again.alerts.len(), sync.alerts.len());
        }
    }
    if let Ok(alert) = AlertMessage::parse(body) {
        alert_holds(&alert);
    }
    if let Ok(logs) = LogsMessage::parse(body) {
        logs_hold(&logs);
    }
    if let Ok(report) = FirmwareMessage::parse(body) {
        assert!(report.progress_percent.is_none_or(|p| p <= 100));
        text_holds(report.message.as_deref(), DEVICE_MESSAGE_CHARS_MAX);
    }
});

fn alert_holds(alert: &AlertMessage) {
    assert!(!alert.kind.is_empty() && alert.kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    assert!(alert.value.is_none_or(f64::is_finite) && alert.threshold.is_none_or(f64::is_finite));
    text_holds(alert.message.as_deref(), DEVICE_MESSAGE_CHARS_MAX);
    alert.at.into_iter().for_each(instant_holds);
}

fn logs_hold(logs: &LogsMessage) {
    assert!(logs.lines.len() <= LOG_LINES_MAX);
    for line in &logs.lines {
        text_holds(Some(&line.message), LOG_LINE_CHARS_MAX);
        line.timestamp.into_iter().for_each(instant_holds);
    }
    assert_eq!(logs.to_text().lines().count(), logs.lines.len());
}
