//! Clocks of devices, as text and as numbers; times of day.
#![no_main]
use ccms_core::reading::{Reading, ReadingFlags};
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_fuzz::{NOW, instant_holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(number) = bytes.first_chunk::<8>() {
        check(UtcMillis::from_epoch_number(f64::from_le_bytes(*number)));
        let at = UtcMillis(i64::from_le_bytes(*number));
        // Any instant can be written and compared, even one that was never read.
        assert!(!at.to_string().is_empty());
        let _ = (at.since(NOW), at.plus_seconds(at.0), TimeOfDay::at(at, 330));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check(UtcMillis::parse_lenient(text));
    let _ = serde_json::from_str::<UtcMillis>(text);
    if let Some(time) = TimeOfDay::parse(text) {
        assert_eq!(TimeOfDay::parse(&time.to_string()), Some(time));
    }
});

fn check(at: Option<UtcMillis>) {
    let Some(at) = at else { return };
    instant_holds(at);
    let mut reading = Reading { reported_at: at, ..Reading::default() };
    reading.judge_clock(NOW);
    let ordered = reading.ordering_time(NOW);
    assert!(reading.flags.has(ReadingFlags::CLOCK_SUSPECT) == (ordered == NOW && at != NOW) || ordered == at);
}
