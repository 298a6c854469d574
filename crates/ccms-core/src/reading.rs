//! One status of one light. Values are fixed-point integers, as they are stored; a field that is absent or out of range
//! is `None`, and a flag says which it was, so that one bad sensor never costs the rest of a reading.
use std::cmp::Ordering;

use crate::ids::LightId;
use crate::limits;
use crate::time::UtcMillis;

/// Whether the lamp burns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerState {
    Off,
    On,
}

impl PowerState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("on") => Some(Self::On),
            _ if text.eq_ignore_ascii_case("off") => Some(Self::Off),
            _ => None,
        }
    }
}

/// What is kept of the hash in a dedupe key. Below zero, so that it never meets a `seq`, the key fits four bytes; with 32 bits it
/// would be eight, in the row and again in its index. Two different readings of one light and one millisecond, neither with a
/// `seq`, are taken for one once in 2³¹ cases.
const DEDUPE_HASH_MASK: u64 = 0x7fff_ffff;

/// What was wrong with a reading, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadingFlags(pub u32);

impl ReadingFlags {
    pub const BAD_POWER_STATE: Self = Self(1);
    pub const BAD_BRIGHTNESS: Self = Self(1 << 1);
    pub const BAD_TEMPERATURE: Self = Self(1 << 2);
    pub const BAD_BATTERY: Self = Self(1 << 3);
    pub const BAD_SIGNAL: Self = Self(1 << 4);
    pub const BAD_UPTIME: Self = Self(1 << 5);
    pub const BAD_VOLTAGE: Self = Self(1 << 6);
    pub const BAD_CURRENT: Self = Self(1 << 7);
    pub const BAD_POWER: Self = Self(1 << 8);
    pub const BAD_FREQUENCY: Self = Self(1 << 9);
    pub const BAD_ENERGY: Self = Self(1 << 10);
    pub const BAD_ERROR_FLAGS: Self = Self(1 << 11);
    /// The device's clock is over 24 h ahead or before 2020: order by arrival, not by it.
    pub const CLOCK_SUSPECT: Self = Self(1 << 12);
    /// There was no readable timestamp; the time of arrival stands in.
    pub const CLOCK_MISSING: Self = Self(1 << 13);

    const NAMES: [&'static str; 14] = [
        "bad_power_state",
        "bad_brightness",
        "bad_temperature",
        "bad_battery",
        "bad_signal",
        "bad_uptime",
        "bad_voltage",
        "bad_current",
        "bad_power",
        "bad_frequency",
        "bad_energy",
        "bad_error_flags",
        "clock_suspect",
        "clock_missing",
    ];

    pub fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// The names of the flags that are set, for people and exports.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().enumerate().filter(move |(i, _)| self.0 & (1 << i) != 0).map(|(_, n)| *n)
    }
}

/// One status of one light, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The device's time, or the time of arrival when it had none (then `CLOCK_MISSING` is set).
    pub reported_at: UtcMillis,
    /// The device's own message number, if it sends one.
    pub seq: Option<u32>,
    /// The light it speaks of; absent means the device's only light.
    pub light_id: Option<LightId>,
    pub power_state: Option<PowerState>,
    pub brightness_percent: Option<u8>,
    /// Tenths of a degree Celsius.
    pub temperature_dc: Option<i16>,
    pub battery_percent: Option<u8>,
    pub signal_percent: Option<u8>,
    pub uptime_s: Option<u32>,
    /// Tenths of a volt.
    pub voltage_dv: Option<u16>,
    /// Milliamperes.
    pub current_ma: Option<u32>,
    /// Tenths of a watt.
    pub power_dw: Option<u32>,
    /// Hundredths of a hertz.
    pub frequency_chz: Option<u16>,
    /// The meter's counter, in watt-hours.
    pub energy_wh: Option<i64>,
    /// Error flags as the device names them, without control characters, capped in number and length.
    pub error_flags: Vec<Box<str>>,
    pub flags: ReadingFlags,
}

impl Reading {
    /// Marks a clock that cannot be right. A suspect time never orders live state.
    pub fn judge_clock(&mut self, received_at: UtcMillis) {
        if !clock_may_be_right(self.reported_at, received_at) {
            self.flags.set(ReadingFlags::CLOCK_SUSPECT);
        }
    }

    /// The time that orders this reading among others of its light.
    pub fn ordering_time(&self, received_at: UtcMillis) -> UtcMillis {
        if self.is_dated() { self.reported_at } else { received_at }
    }

    const fn is_dated(&self) -> bool {
        !self.flags.has(ReadingFlags::CLOCK_SUSPECT) && !self.flags.has(ReadingFlags::CLOCK_MISSING)
    }

    /// Whether this is a newer word on a light than the one that is `held`, or as new; each with its time of arrival.
    ///
    /// Between readings that know their time, that decides. One that does not was taken at an unknown moment before it
    /// arrived: of the same request the longer uptime is the newer, and without uptimes the one that knows its time; of
    /// different requests the later one is, unless the uptimes show that it was taken before the other in the same run of
    /// the controller.
    pub fn supersedes(&self, received_at: UtcMillis, held: &Self, held_received_at: UtcMillis) -> bool {
        let together = received_at == held_received_at;
        let uptimes = self.uptime_s.zip(held.uptime_s).map(|(mine, theirs)| mine.cmp(&theirs));
        match (self.is_dated(), held.is_dated()) {
            (true, true) => {
                let by_clock = self.reported_at >= held.reported_at;
                // A clock that ran hours ahead and was put right: taken after the other had arrived, so newer than it.
                let put_right = (held_received_at..=received_at).contains(&self.reported_at) && !together;
                by_clock || put_right
            }
            (true, false) if together => uptimes != Some(Ordering::Less),
            (true, false) => self.reported_at >= held_received_at,
            (false, true) if together => uptimes == Some(Ordering::Greater),
            (false, false) if together => {
                let by_clock = (self.reported_at, self.seq).cmp(&(held.reported_at, held.seq));
                uptimes.unwrap_or(Ordering::Equal).then(by_clock) != Ordering::Less
            }
            (false, _) => {
                let since_s = received_at.since(held.ordering_time(held_received_at)) / 1000;
                let same_run = self.uptime_s.is_some_and(|up| i64::from(up) > since_s);
                received_at >= held_received_at && !(same_run && uptimes == Some(Ordering::Less))
            }
        }
    }

    /// Tells a repeated message from a new one with the same timestamp: the device's `seq`, else a hash of the content.
    pub fn dedupe_key(&self) -> i64 {
        if let Some(seq) = self.seq {
            return i64::from(seq);
        }
        let mut hash = Fnv::new();
        hash.number(self.power_state.map(|p| p as i64));
        hash.number(self.brightness_percent.map(i64::from));
        hash.number(self.temperature_dc.map(i64::from));
        hash.number(self.battery_percent.map(i64::from));
        hash.number(self.signal_percent.map(i64::from));
        hash.number(self.uptime_s.map(i64::from));
        hash.number(self.voltage_dv.map(i64::from));
        hash.number(self.current_ma.map(i64::from));
        hash.number(self.power_dw.map(i64::from));
        hash.number(self.frequency_chz.map(i64::from));
        hash.number(self.energy_wh);
        for flag in &self.error_flags {
            hash.bytes(flag.as_bytes());
        }
        -1 - (hash.0 & DEDUPE_HASH_MASK) as i64
    }

    /// A key as the database has it: earlier releases stored one bit more of the hash.
    pub const fn dedupe_key_of(stored: i64) -> i64 {
        if stored < 0 { -1 - ((-1 - stored) & DEDUPE_HASH_MASK as i64) } else { stored }
    }
}

/// Whether a device's time can be believed: not before there were such devices, and not far ahead of its arrival.
pub fn clock_may_be_right(reported_at: UtcMillis, received_at: UtcMillis) -> bool {
    let ahead = reported_at.since(received_at) > limits::CLOCK_AHEAD_MAX_S * 1000;
    !ahead && reported_at.seconds() >= limits::CLOCK_FLOOR_S
}

/// FNV-1a: stable over releases, which is what a stored key needs.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 ^= self.0 >> 32;
    }

    /// A text of any length, told apart from none.
    pub(crate) fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|t| t.len() as i64));
        self.bytes(text.unwrap_or_default().as_bytes());
    }

    pub(crate) const fn finish(&self) -> u64 {
        self.0
    }

    pub(crate) fn number(&mut self, value: Option<i64>) {
        match value {
            None => self.bytes(&[0xff]),
            Some(v) => self.bytes(&v.to_le_bytes()),
        }
    }
}

/// Device text made safe to keep: no control characters, none that turn the direction of text or break its line unseen, no
/// more than `chars_max` characters, trimmed. Joiners stay: Indian scripts are written with them.
pub fn clean_text(text: &str, chars_max: usize) -> String {
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let seen = text.chars().filter(|c| !c.is_control() && !turns(*c) && !hides(*c));
    let kept: String = seen.skip_while(|c| c.is_whitespace()).take(chars_max).collect();
    kept.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_has_equal_keys_and_seq_wins() {
        let a = Reading { brightness_percent: Some(85), energy_wh: Some(1), ..Reading::default() };
        let mut b = a.clone();
        assert_eq!(a.dedupe_key(), b.dedupe_key());
        b.energy_wh = Some(2);
        assert_ne!(a.dedupe_key(), b.dedupe_key());
        assert!((i64::from(i32::MIN)..0).contains(&a.dedupe_key()));
        for (stored, key) in
            [(7, 7), (-1, -1), (-0x8000_0000, -0x8000_0000), (-0x8000_0001, -1), (-0x1_0000_0000, -0x8000_0000)]
        {
            assert_eq!(Reading::dedupe_key_of(stored), key);
        }
        b.seq = Some(7);
        assert_eq!(b.dedupe_key(), 7);
    }

    #[test]
    fn clocks_of_1970_and_2080_are_suspect_and_do_not_order() {
        let now = UtcMillis::from_seconds(1_765_967_400);
        for (at, suspect) in [(0, true), (3_471_292_800, true), (1_765_967_399, false), (1_765_967_400 + 86_399, false)]
        {
            let mut r = Reading { reported_at: UtcMillis::from_seconds(at), ..Reading::default() };
            r.judge_clock(now);
            assert_eq!(r.flags.has(ReadingFlags::CLOCK_SUSPECT), suspect, "{at}");
            assert_eq!(r.ordering_time(now) == now, suspect);
        }
    }

    const NOON: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    /// What a controller that has run for `uptime_s` says; `at` counts from noon, and `None` is a clock of 1970.
    fn said(at_s: Option<i64>, uptime_s: Option<u32>) -> Reading {
        let reported_at = at_s.map_or(UtcMillis(0), |s| NOON.plus_seconds(s));
        let mut r = Reading { reported_at, uptime_s, ..Reading::default() };
        r.judge_clock(NOON.plus_seconds(at_s.unwrap_or(0)));
        r
    }

    #[test]
    fn late_readings_do_not_supersede_and_undated_ones_only_when_they_may_be_new() {
        let (first, second) = (NOON, NOON.plus_seconds(60));
        let rows = [
            // Dated: their own time, whenever they come.
            (said(Some(0), None), second, said(Some(-30), None), first, true),
            (said(Some(-30), None), second, said(Some(0), None), first, false),
            // A clock that ran ahead holds nothing back once it is put right; what is late stays late.
            (said(Some(60), None), second, said(Some(19_800), None), first, true),
            (said(Some(-30), None), second, said(Some(19_800), None), first, false),
            (said(Some(19_000), None), second, said(Some(19_800), None), first, false),
            // In one request: uptime, else the one that knows its time.
            (said(None, Some(90)), first, said(Some(-30), Some(60)), first, true),
            (said(None, Some(30)), first, said(Some(-30), Some(60)), first, false),
            (said(None, None), first, said(Some(-9000), None), first, false),
            (said(Some(-9000), None), first, said(None, None), first, true),
            (said(None, Some(90)), first, said(None, Some(60)), first, true),
            (said(None, Some(30)), first, said(None, Some(60)), first, false),
            // Later: taken to be news, unless it is the same run, earlier.
            (said(None, None), second, said(Some(0), None), first, true),
            (said(None, Some(20)), second, said(Some(0), Some(9000)), first, true),
            (said(None, Some(8000)), second, said(Some(0), Some(9000)), first, false),
            (said(None, Some(9060)), second, said(Some(0), Some(9000)), first, true),
            (said(None, Some(8000)), second, said(None, Some(9000)), first, false),
            (said(Some(60), None), second, said(None, None), first, true),
            (said(Some(-9), None), second, said(None, None), first, false),
        ];
        for (at, (new, new_at, held, held_at, wins)) in rows.into_iter().enumerate() {
            assert_eq!(new.supersedes(new_at, &held, held_at), wins, "row {at}");
        }
    }

    #[test]
    fn device_text_loses_control_characters_and_length() {
        assert_eq!(clean_text(" a\u{0}b\n<i>\u{202e}", 6), "ab<i>");
        assert_eq!(clean_text("abcdef", 3), "abc");
        assert_eq!(clean_text("\u{feff}\u{7f}a\u{2028}b\u{85}\u{e0041}", 9), "ab");
        assert_eq!(clean_text("\u{915}\u{94d}\u{200d}\u{937}", 9), "\u{915}\u{94d}\u{200d}\u{937}");
    }
}
