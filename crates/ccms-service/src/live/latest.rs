//! The newest reading of a light, packed: half of what the reading takes that requests carry around.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latest {
    reported_at: UtcMillis,
    pub received_at: UtcMillis,
    dedupe: i64,
    energy_wh: i64,
    device_no: DeviceNo,
    uptime_s: u32,
    current_ma: u32,
    power_dw: u32,
    flags: ReadingFlags,
    /// One bit for each number that is there, in the order of [`Latest::new`]. Those that are not are zero.
    present: u16,
    voltage_dv: u16,
    frequency_chz: u16,
    temperature_dc: i16,
    brightness_percent: u8,
    battery_percent: u8,
    signal_percent: u8,
    pub power_state: Option<PowerState>,
    /// Rare.
    error_flags: Option<Box<ErrorFlags>>,
}

#[derive(Debug, Clone, PartialEq)]
struct ErrorFlags(Box<[Box<str>]>);

const BRIGHTNESS: u16 = 1;
const TEMPERATURE: u16 = 1 << 1;
const BATTERY: u16 = 1 << 2;
const SIGNAL: u16 = 1 << 3;
const UPTIME: u16 = 1 << 4;
const VOLTAGE: u16 = 1 << 5;
const CURRENT: u16 = 1 << 6;
const POWER: u16 = 1 << 7;
const FREQUENCY: u16 = 1 << 8;
const ENERGY: u16 = 1 << 9;

impl Latest {
    pub fn new(row: &ReadingRow) -> Self {
        let r = &row.reading;
        let mut present = 0;
        let mut has = |there: bool, bit: u16| present |= if there { bit } else { 0 };
        has(r.brightness_percent.is_some(), BRIGHTNESS);
        has(r.temperature_dc.is_some(), TEMPERATURE);
        has(r.battery_percent.is_some(), BATTERY);
        has(r.signal_percent.is_some(), SIGNAL);
        has(r.uptime_s.is_some(), UPTIME);
        has(r.voltage_dv.is_some(), VOLTAGE);
        has(r.current_ma.is_some(), CURRENT);
        has(r.power_dw.is_some(), POWER);
        has(r.frequency_chz.is_some(), FREQUENCY);
        has(r.energy_wh.is_some(), ENERGY);
        Self {
            reported_at: r.reported_at,
            received_at: row.received_at,
            dedupe: row.dedupe,
            energy_wh: r.energy_wh.unwrap_or_default(),
            device_no: row.device_no,
            uptime_s: r.uptime_s.unwrap_or_default(),
            current_ma: r.current_ma.unwrap_or_default(),
            power_dw: r.power_dw.unwrap_or_default(),
            flags: r.flags,
            present,
            voltage_dv: r.voltage_dv.unwrap_or_default(),
            frequency_chz: r.frequency_chz.unwrap_or_default(),
            temperature_dc: r.temperature_dc.unwrap_or_default(),
            brightness_percent: r.brightness_percent.unwrap_or_default(),
            battery_percent: r.battery_percent.unwrap_or_default(),
            signal_percent: r.signal_percent.unwrap_or_default(),
            power_state: r.power_state,
            error_flags: (!r.error_flags.is_empty()).then(|| Box::new(ErrorFlags(r.error_flags.clone().into()))),
        }
    }

    pub fn row(&self, light_no: LightNo) -> ReadingRow {
        let reading = Reading {
            reported_at: self.reported_at,
            // A message number is its own dedupe key; hashes are below zero.
            seq: u32::try_from(self.dedupe).ok(),
            light_id: None,
            power_state: self.power_state,
            brightness_percent: self.brightness_percent(),
            temperature_dc: self.temperature_dc(),
            battery_percent: self.battery_percent(),
            signal_percent: self.signal_percent(),
            uptime_s: self.if_present(UPTIME, self.uptime_s),
            voltage_dv: self.if_present(VOLTAGE, self.voltage_dv),
            current_ma: self.if_present(CURRENT, self.current_ma),
            power_dw: self.if_present(POWER, self.power_dw),
            frequency_chz: self.if_present(FREQUENCY, self.frequency_chz),
            energy_wh: self.if_present(ENERGY, self.energy_wh),
            error_flags: self.error_flags.as_ref().map(|flags| flags.0.to_vec()).unwrap_or_default(),
            flags: self.flags,
        };
        let (device_no, received_at, dedupe) = (self.device_no, self.received_at, self.dedupe);
        ReadingRow { light_no, device_no, received_at, dedupe, reading }
    }

    pub fn brightness_percent(&self) -> Option<u8> {
        self.if_present(BRIGHTNESS, self.brightness_percent)
    }

    pub fn temperature_dc(&self) -> Option<i16> {
        self.if_present(TEMPERATURE, self.temperature_dc)
    }

    pub fn battery_percent(&self) -> Option<u8> {
        self.if_present(BATTERY, self.battery_percent)
    }

    pub fn signal_percent(&self) -> Option<u8> {
        self.if_present(SIGNAL, self.signal_percent)
    }

    pub fn has_error_flags(&self) -> bool {
        self.error_flags.is_some()
    }

    fn if_present<T>(&self, bit: u16, value: T) -> Option<T> {
        (self.present & bit != 0).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With each number there or not, also when it is zero.
    #[test]
    fn what_was_packed_comes_out() {
        for bits in 0..1u32 << 11 {
            let there = |n: u32| bits >> n & 1 == 1;
            let n = bits % 3;
            let reading = Reading {
                reported_at: UtcMillis(1_765_967_400_000),
                seq: there(0).then_some(n),
                light_id: None,
                power_state: [None, Some(PowerState::Off), Some(PowerState::On)][n as usize],
                brightness_percent: there(1).then_some(n as u8),
                temperature_dc: there(2).then_some(-(n as i16)),
                battery_percent: there(3).then_some(n as u8 + 1),
                signal_percent: there(4).then_some(n as u8 + 2),
                uptime_s: there(5).then_some(n + 3),
                voltage_dv: there(6).then_some(n as u16 + 4),
                current_ma: there(7).then_some(n + 5),
                power_dw: there(8).then_some(n + 6),
                frequency_chz: there(9).then_some(n as u16 + 7),
                energy_wh: there(10).then_some(i64::from(n) - 1),
                error_flags: vec!["lamp_failure".into(); n as usize],
                flags: ReadingFlags(n),
            };
            let row = ReadingRow {
                light_no: LightNo(4),
                device_no: DeviceNo(9),
                received_at: UtcMillis(1_765_967_400_120),
                dedupe: reading.dedupe_key(),
                reading,
            };
            let packed = Latest::new(&row);
            assert_eq!(packed.row(LightNo(4)), row);
            assert_eq!((packed.battery_percent(), packed.has_error_flags()), (row.reading.battery_percent, n > 0));
        }
    }

    #[test]
    fn a_light_without_a_reading_takes_no_more() {
        assert_eq!((size_of::<Latest>(), size_of::<Option<Latest>>()), (72, 72));
    }
}
