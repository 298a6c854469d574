//! A checksum of readings that does not hang on how they are packed.
use ccms_core::reading::PowerState;
use ccms_store::ReadingRow;

/// Of readings in their order.
#[derive(Debug, Clone, Default)]
pub struct Digest {
    readings: u64,
    hash: crc32fast::Hasher,
}

impl Digest {
    pub fn add(&mut self, row: &ReadingRow) {
        let r = &row.reading;
        let all = [
            i64::from(row.light_no.0),
            i64::from(row.device_no.0),
            row.received_at.0,
            row.dedupe,
            r.reported_at.0,
            i64::from(r.flags.0),
            r.error_flags.len() as i64,
        ];
        let some = [
            r.power_state.map(|p| i64::from(p == PowerState::On)),
            r.brightness_percent.map(i64::from),
            r.temperature_dc.map(i64::from),
            r.battery_percent.map(i64::from),
            r.signal_percent.map(i64::from),
            r.uptime_s.map(i64::from),
            r.voltage_dv.map(i64::from),
            r.current_ma.map(i64::from),
            r.power_dw.map(i64::from),
            r.frequency_chz.map(i64::from),
            r.energy_wh,
            r.seq.map(i64::from),
        ];
        self.readings += 1;
        all.iter().for_each(|v| self.hash.update(&v.to_le_bytes()));
        let there = some.iter().enumerate().fold(0_u16, |bits, (i, v)| bits | (u16::from(v.is_some()) << i));
        self.hash.update(&there.to_le_bytes());
        some.iter().flatten().for_each(|v| self.hash.update(&v.to_le_bytes()));
        for text in &r.error_flags {
            self.hash.update(&(text.len() as u32).to_le_bytes());
            self.hash.update(text.as_bytes());
        }
    }

    /// How many they are, and their checksum.
    pub fn value(&self) -> (u64, u32) {
        (self.readings, self.hash.clone().finalize())
    }
}
