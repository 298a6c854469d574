//! What one object says of one light: nested as documented, flat as in the pseudocode, or a mixture. First its fields as
//! they came, [`Item`], which may take over what is said once for several; then the checked [`Reading`].
use serde_json::value::RawValue;

use super::BadBody;
use super::field::{self, Raw};
use super::status::StatusMessage;
use crate::ids::LightId;
use crate::limits;
use crate::reading::{PowerState, Reading, ReadingFlags, clean_text};
use crate::time::UtcMillis;

/// The fields of one status, unread.
#[derive(Clone, Copy, Default)]
pub(super) struct Item<'a> {
    /// There is a `status`, an `energy` or a `timestamp`, whatever it says.
    documented: bool,
    /// Lists of further ones inside.
    pub readings: Raw<'a>,
    pub lights: Raw<'a>,
    pub device_id: Raw<'a>,
    pub gsm_imei: Raw<'a>,
    pub light_id: Raw<'a>,
    pub timestamp: Raw<'a>,
    pub seq: Raw<'a>,
    measured: Measured<'a>,
}

impl<'a> Item<'a> {
    /// # Errors
    /// [`BadBody`] when it is no object, or says a name twice.
    pub fn read(json: &'a str) -> Result<Self, BadBody> {
        let [readings, lights, device_id, gsm_imei, light_id, timestamp, seq, status, status_id, energy, flat @ ..] =
            field::fields(json, NAMES)?;
        // The document nests what is measured; its pseudocode does not.
        let flat = Measured::named(flat);
        let inner = Measured::named(field::part(status, MEASURED)).or(Measured::named(field::part(energy, MEASURED)));
        // `"status":"on"` is the flat shape; the document calls it a status id.
        let plain = status.filter(|s| !field::is_object(s)).or(status_id);
        Ok(Self {
            documented: status.is_some() || energy.is_some() || timestamp.is_some(),
            readings,
            lights,
            device_id,
            gsm_imei,
            light_id,
            timestamp,
            seq,
            measured: Measured { power: inner.power.or(plain).or(flat.power), ..inner.or(flat) },
        })
    }

    /// Whether it says anything of a lamp, its controller or its meter.
    pub fn measures(&self) -> bool {
        self.measured.any()
    }

    /// One of several lights: what it does not say itself was said once for all of them.
    pub fn among_lights(self, outer: &Self) -> Self {
        let mut item = self.of(outer);
        item.measured = self.measured.or(outer.measured);
        item.timestamp = self.timestamp.or(outer.timestamp);
        item.seq = self.seq.or(outer.seq);
        item.documented |= outer.documented;
        item
    }

    /// One of several readings: only who it is about may have been said outside.
    pub fn of(mut self, outer: &Self) -> Self {
        self.device_id = self.device_id.or(outer.device_id);
        self.gsm_imei = self.gsm_imei.or(outer.gsm_imei);
        self.light_id = self.light_id.or(outer.light_id);
        self
    }

    /// Several lights behind one meter: it is counted once.
    pub fn without_meter(mut self) -> Self {
        let m = &mut self.measured;
        (m.voltage, m.current, m.watts, m.frequency, m.energy_kwh) = (None, None, None, None, None);
        self
    }

    pub fn without_readings(mut self) -> Self {
        self.readings = None;
        self
    }

    /// Nothing but which light.
    pub fn naming(light_id: &'a RawValue) -> Self {
        Self { light_id: Some(light_id), ..Self::default() }
    }

    /// Whether it has one of a status' own parts around what it measures.
    pub fn is_documented(&self) -> bool {
        self.documented
    }

    pub fn is_status(&self) -> bool {
        self.documented || self.measures()
    }

    /// Whether it says what a lamp does, or what its controller or meter measures. The signal alone, which every configure
    /// carries, does not.
    pub fn shows_a_lamp(&self) -> bool {
        let reading = Measured { signal: None, ..self.measured }.reading();
        reading != Reading { flags: reading.flags, ..Reading::default() }
    }

    /// Whether it is a light among several: by name, or by what it reports.
    pub fn says_something(&self) -> bool {
        self.light_id.is_some() || self.is_status()
    }

    pub fn message(&self, received_at: UtcMillis) -> StatusMessage {
        let mut reading = self.measured.reading();
        reading.seq = self.seq.and_then(field::whole);
        match field::instant(self.timestamp) {
            Some(at) => reading.reported_at = at,
            None => {
                reading.reported_at = received_at;
                reading.flags.set(ReadingFlags::CLOCK_MISSING);
            }
        }
        reading.judge_clock(received_at);
        let light_id = field::identity(self.light_id);
        reading.light_id = light_id.as_deref().and_then(|t| LightId::parse(t).ok());
        let (device_id, gsm_imei) = (field::identity(self.device_id), field::imei(self.gsm_imei));
        StatusMessage { device_id, gsm_imei, light_id, reading }
    }
}

macro_rules! measured {
    ($($field:ident: $name:literal),* $(,)?) => {
        /// What is measured, wherever it stands.
        #[derive(Clone, Copy, Default)]
        struct Measured<'a> {
            $($field: Raw<'a>,)*
        }

        const MEASURED: [&str; [$($name),*].len()] = [$($name),*];

        impl<'a> Measured<'a> {
            fn named([$($field),*]: [Raw<'a>; MEASURED.len()]) -> Self {
                Self { $($field),* }
            }

            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field)),* }
            }

            fn any(&self) -> bool {
                [$(self.$field),*].iter().any(Option::is_some)
            }
        }
    };
}

measured! {
    power: "power_state",
    brightness: "brightness",
    temperature: "temperature_celsius",
    battery: "battery_percentage",
    battery_flat: "battery",
    signal: "gsm_signal_strength",
    uptime: "uptime_seconds",
    error_flags: "error_flags",
    voltage: "voltage",
    current: "current",
    watts: "power_watts",
    frequency: "frequency",
    energy_kwh: "cumulative_kwh",
}

const AROUND: [&str; 10] =
    ["readings", "lights", "device_id", "gsm_imei", "light_id", "timestamp", "seq", "status", "status_id", "energy"];

/// All of them, the measured ones last: one object may say both.
const NAMES: [&str; AROUND.len() + MEASURED.len()] = {
    let mut names = [""; AROUND.len() + MEASURED.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < AROUND.len() { AROUND[at] } else { MEASURED[at - AROUND.len()] };
        at += 1;
    }
    names
};

impl Measured<'_> {
    fn reading(&self) -> Reading {
        use ReadingFlags as F;
        let mut flags = F::default();
        let mut error_flags = error_flags(self.error_flags, &mut flags);
        let power_state = power_state(self.power, &mut flags, &mut error_flags);
        let f = &mut flags;
        let percent = (0.0, 100.0);
        Reading {
            power_state,
            brightness_percent: field::scaled(self.brightness, percent, 1.0, F::BAD_BRIGHTNESS, f).map(|v| v as u8),
            temperature_dc: field::scaled(self.temperature, (-100.0, 250.0), 10.0, F::BAD_TEMPERATURE, f)
                .map(|v| v as i16),
            battery_percent: field::scaled(self.battery.or(self.battery_flat), percent, 1.0, F::BAD_BATTERY, f)
                .map(|v| v as u8),
            signal_percent: field::scaled(self.signal, (-150.0, 100.0), 1.0, F::BAD_SIGNAL, f).map(signal_percent),
            uptime_s: field::scaled(self.uptime, (0.0, f64::from(u32::MAX)), 1.0, F::BAD_UPTIME, f).map(|v| v as u32),
            voltage_dv: field::scaled(self.voltage, (0.0, 1000.0), 10.0, F::BAD_VOLTAGE, f).map(|v| v as u16),
            current_ma: field::scaled(self.current, (0.0, 1000.0), 1000.0, F::BAD_CURRENT, f).map(|v| v as u32),
            power_dw: field::scaled(self.watts, (0.0, 100_000.0), 10.0, F::BAD_POWER, f).map(|v| v as u32),
            frequency_chz: field::scaled(self.frequency, (0.0, 500.0), 100.0, F::BAD_FREQUENCY, f).map(|v| v as u16),
            energy_wh: field::scaled(self.energy_kwh, (0.0, 1e9), 1000.0, F::BAD_ENERGY, f),
            error_flags,
            flags,
            ..Reading::default()
        }
    }
}

/// On or off; `true`, `false`, 1 and 0 say the same. The brief's third state, "error", is no state of a lamp but a fault of
/// its controller.
fn power_state(raw: Raw<'_>, flags: &mut ReadingFlags, error_flags: &mut Vec<Box<str>>) -> Option<PowerState> {
    let raw = raw.filter(|r| r.get() != "null")?;
    let text = match raw.get() {
        "true" => "on".into(),
        "false" => "off".into(),
        _ => field::text(Some(raw)).unwrap_or_default(),
    };
    match text.trim() {
        "1" => Some(PowerState::On),
        "0" => Some(PowerState::Off),
        t if t.eq_ignore_ascii_case("error") => {
            error_flags.truncate(limits::ERROR_FLAGS_MAX - 1);
            error_flags.push("error".into());
            None
        }
        t => {
            let state = PowerState::parse(t);
            if state.is_none() {
                flags.set(ReadingFlags::BAD_POWER_STATE);
            }
            state
        }
    }
}

/// The sample's 85 is a percentage; negative values are dBm, where -113 is nothing and -51 is full.
fn signal_percent(value: i64) -> u8 {
    if value >= 0 {
        return value as u8;
    }
    ((value as f64 + 113.0) / 62.0 * 100.0).clamp(0.0, 100.0).round() as u8
}

fn error_flags(raw: Raw<'_>, flags: &mut ReadingFlags) -> Vec<Box<str>> {
    let Some(raw) = raw.filter(|r| r.get() != "null") else { return Vec::new() };
    let Some(list) = field::items(raw) else {
        flags.set(ReadingFlags::BAD_ERROR_FLAGS);
        return Vec::new();
    };
    let mut kept = Vec::new();
    for item in list {
        match field::text(Some(item)).map(|t| clean_text(&t, limits::ERROR_FLAG_CHARS_MAX)) {
            None => flags.set(ReadingFlags::BAD_ERROR_FLAGS),
            Some(text) if !text.is_empty() && kept.len() < limits::ERROR_FLAGS_MAX => kept.push(text.into_boxed_str()),
            Some(_) => {}
        }
    }
    kept
}
