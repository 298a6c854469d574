//! What holds of everything that a reader lets in, whatever came. The targets are in `fuzz_targets/`, one for each reader;
//! `scripts/fuzz` runs them.
use ccms_core::limits::{ERROR_FLAGS_MAX, QUARANTINED_BYTES_MAX, READINGS_PER_REQUEST_MAX};
use ccms_core::time::UtcMillis;
use ccms_core::wire::Quarantined;
use ccms_core::wire::status::StatusMessage;
use ccms_service::keys::MasterKey;

/// The server's clock: fixed, so that a crash repeats.
pub const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_436);

/// Every value is one that the databases hold and the screens show.
pub fn statuses_hold(messages: &[StatusMessage], quarantined: &[Quarantined]) {
    assert!(messages.len() <= READINGS_PER_REQUEST_MAX);
    for q in quarantined {
        assert!(q.raw.len() <= QUARANTINED_BYTES_MAX && !q.raw.contains('\0'));
    }
    for m in messages {
        let r = &m.reading;
        instant_holds(r.reported_at);
        assert_eq!(
            r.light_id.is_some(),
            r.light_id.as_ref().map(|l| l.as_str()) == m.light_id.as_deref() && m.light_id.is_some()
        );
        for percent in [r.brightness_percent, r.battery_percent, r.signal_percent] {
            assert!(percent.is_none_or(|p| p <= 100));
        }
        assert!(r.temperature_dc.is_none_or(|t| (-1000..=2500).contains(&t)));
        assert!(r.energy_wh.is_none_or(|e| (0..=1_000_000_000_000).contains(&e)));
        assert!(r.error_flags.len() <= ERROR_FLAGS_MAX);
        assert!(r.error_flags.iter().all(|f| !f.is_empty() && !f.chars().any(char::is_control)));
        assert_eq!(r.dedupe_key(), r.clone().dedupe_key());
        assert!(r.supersedes(NOW, r, NOW), "a reading is as new as itself");
    }
}

/// It is written, and read back as itself.
pub fn instant_holds(at: UtcMillis) {
    assert!((UtcMillis::MIN..=UtcMillis::MAX).contains(&at));
    let read = UtcMillis::parse_lenient(&at.to_string()).map(UtcMillis::seconds);
    assert_eq!(read, Some(at.seconds()), "{at}");
}

/// Text for people: short, without anything that acts on a terminal or a page.
pub fn text_holds(text: Option<&str>, chars_max: usize) {
    let Some(text) = text else { return };
    assert!(!text.is_empty() && text.chars().count() <= chars_max, "{text:?}");
    assert!(!text.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{text:?}");
}

/// A master key that is the same in every run. Keys come from files only, so it goes through one.
pub fn fixed_master() -> MasterKey {
    let path = std::env::temp_dir().join(format!("ccms-fuzz-{}.key", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create(true).truncate(true), 0o600);
    options
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, "5a".repeat(32).as_bytes()))
        .expect("a file");
    let master = MasterKey::load_or_create(&path).expect("a key");
    let _ = std::fs::remove_file(&path);
    master
}
