//! The records of lights and devices, packed: what is alike is kept once, what is rare takes a pointer. They come out as they
//! went in, and what is asked for with every report or for every light of the map is there unpacked.
use std::sync::Arc;

use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, DeviceRecord, DeviceState, LightRecord, Reported};

use super::patterns::{Fields, Pattern, Patterns, Writer};
use super::small::{Bytes, When};

/// [`LightRecord`].
#[derive(Debug)]
pub(crate) struct KeptLight {
    pub no: LightNo,
    /// Zero for none.
    device_no: u32,
    /// Degrees × 10⁷ when that is exactly what was said. [`EXACT`] when the bits are the first two of the numbers.
    place_e7: (i32, i32),
    created_at: UtcMillis,
    pattern: Arc<Pattern>,
    numbers: Bytes<14>,
}

const EXACT: i32 = i32::MIN;

/// Fields of a light's pattern.
const ID: usize = 0;
const NAME: usize = 1;
const ADDRESS: usize = 2;
const CITY: usize = 3;
const ZONE: usize = 4;
const WARD: usize = 5;
const FEEDER: usize = 6;
const POLE: usize = 7;
const WATTAGE: usize = 8;

/// Degrees × 10⁷, if nothing is lost.
fn to_e7(degrees: f64) -> Option<i32> {
    let e7 = (degrees * 1e7).round() as i32;
    (e7 != EXACT && from_e7(e7).to_bits() == degrees.to_bits()).then_some(e7)
}

fn from_e7(e7: i32) -> f64 {
    f64::from(e7) / 1e7
}

impl KeptLight {
    pub(super) fn new(record: &LightRecord, patterns: &mut Patterns) -> Self {
        let c = &record.curated;
        let place_e7 = to_e7(c.latitude).zip(to_e7(c.longitude));
        let exact = || [c.latitude, c.longitude].map(f64::to_bits).to_vec();
        let mut writer = Writer::behind(if place_e7.is_some() { Vec::new() } else { exact() });
        let texts = [record.id.as_str(), &c.name, &c.address, &c.city, &c.zone, &c.ward, &c.feeder, &c.pole];
        texts.into_iter().for_each(|text| writer.field(Some(text)));
        writer.alike(c.wattage_w.map(f64::to_bits));
        let (pattern, numbers) = writer.done(patterns);
        Self {
            no: record.no,
            device_no: record.device_no.map_or(0, |no| no.0),
            place_e7: place_e7.unwrap_or((EXACT, EXACT)),
            created_at: record.created_at,
            pattern,
            numbers: Bytes::of_numbers(&numbers),
        }
    }

    pub fn record(&self) -> LightRecord {
        LightRecord {
            no: self.no,
            id: self.id(),
            device_no: self.device_no(),
            curated: self.curated(),
            created_at: self.created_at,
        }
    }

    pub fn device_no(&self) -> Option<DeviceNo> {
        (self.device_no != 0).then_some(DeviceNo(self.device_no))
    }

    pub fn id(&self) -> LightId {
        LightId::kept(self.id_text())
    }

    pub fn id_text(&self) -> String {
        self.text(ID)
    }

    /// As [`Self::id_text`], into memory that is there already.
    pub fn id_text_into(&self, text: &mut String) {
        text.clear();
        self.fields().append(ID, text);
    }

    pub fn has_id(&self, id: &str) -> bool {
        self.fields().is(ID, id)
    }

    pub fn name(&self) -> String {
        self.text(NAME)
    }

    pub fn address(&self) -> String {
        self.text(ADDRESS)
    }

    pub fn city(&self) -> String {
        self.text(CITY)
    }

    pub fn zone(&self) -> String {
        self.text(ZONE)
    }

    pub fn ward(&self) -> String {
        self.text(WARD)
    }

    pub fn feeder(&self) -> String {
        self.text(FEEDER)
    }

    pub fn is_in_zone(&self, zone: &str) -> bool {
        self.fields().is(ZONE, zone)
    }

    pub fn curated(&self) -> Curated {
        let (latitude, longitude) = self.place();
        Curated {
            name: self.name(),
            address: self.address(),
            city: self.city(),
            zone: self.zone(),
            ward: self.ward(),
            feeder: self.feeder(),
            pole: self.text(POLE),
            wattage_w: self.fields().alike(WATTAGE).map(f64::from_bits),
            latitude,
            longitude,
        }
    }

    /// Latitude and longitude.
    pub fn place(&self) -> (f64, f64) {
        match self.place_e7 {
            (EXACT, _) => (f64::from_bits(self.numbers.number(0)), f64::from_bits(self.numbers.number(1))),
            (lat, lon) => (from_e7(lat), from_e7(lon)),
        }
    }

    /// [`Curated::place_e7`].
    pub fn place_e7(&self) -> (i32, i32) {
        if self.place_e7.0 != EXACT {
            return self.place_e7;
        }
        let (latitude, longitude) = self.place();
        Curated { latitude, longitude, ..Curated::default() }.place_e7()
    }

    fn text(&self, field: usize) -> String {
        self.fields().get(field).unwrap_or_default()
    }

    fn fields(&self) -> Fields<'_, impl Fn(usize) -> u64> {
        let first = if self.place_e7.0 == EXACT { 2 } else { 0 };
        Fields { pattern: &self.pattern, number: move |n| self.numbers.number(first + n) }
    }
}

/// [`DeviceRecord`].
#[derive(Debug)]
pub(crate) struct KeptDevice {
    pub no: DeviceNo,
    pub epoch: u32,
    pub token_used_gen: i64,
    pub created_at: UtcMillis,
    claimed_at: When,
    unsettled: Option<Box<Unsettled>>,
    pattern: Arc<Pattern>,
    /// First the places, see [`put_degrees`].
    numbers: Bytes<30>,
    pub state: DeviceState,
}

/// What only a device has that somebody has to look after.
#[derive(Debug, PartialEq, Default)]
struct Unsettled {
    reclaim_until: Option<UtcMillis>,
    claim_until: Option<UtcMillis>,
    attempts: u32,
    first_attempt_at: Option<UtcMillis>,
    last_attempt_at: Option<UtcMillis>,
}

/// None is 0; 1 says that the bits come next; from 2 on they are degrees × 10⁷, those below zero in between.
fn put_degrees(numbers: &mut Vec<u64>, degrees: Option<f64>) {
    match (degrees, degrees.and_then(to_e7)) {
        (None, _) => numbers.push(0),
        (Some(_), Some(e7)) => numbers.push(2 + u64::from((e7 << 1 ^ e7 >> 31) as u32)),
        (Some(exact), None) => numbers.extend([1, exact.to_bits()]),
    }
}

fn take_degrees(numbers: &mut impl Iterator<Item = u64>) -> Option<f64> {
    match numbers.next()? {
        0 => None,
        1 => numbers.next().map(f64::from_bits),
        e7 => {
            let e7 = (e7 - 2) as u32;
            Some(from_e7((e7 >> 1) as i32 ^ -((e7 & 1) as i32)))
        }
    }
}

impl KeptDevice {
    pub(super) fn new(record: &DeviceRecord, patterns: &mut Patterns) -> Self {
        let (pattern, numbers) = Self::packed(&record.id, &record.reported, patterns);
        let unsettled = Unsettled {
            reclaim_until: record.reclaim_until,
            claim_until: record.claim_until,
            attempts: record.attempts,
            first_attempt_at: record.first_attempt_at,
            last_attempt_at: record.last_attempt_at,
        };
        Self {
            no: record.no,
            epoch: record.epoch,
            token_used_gen: record.token_used_gen,
            created_at: record.created_at,
            claimed_at: record.claimed_at.into(),
            unsettled: (unsettled != Unsettled::default()).then(|| Box::new(unsettled)),
            pattern,
            numbers,
            state: record.state,
        }
    }

    fn packed(id: &DeviceId, r: &Reported, patterns: &mut Patterns) -> (Arc<Pattern>, Bytes<30>) {
        let mut places = Vec::new();
        put_degrees(&mut places, r.latitude);
        put_degrees(&mut places, r.longitude);
        let mut writer = Writer::behind(places);
        writer.field(Some(id.as_str()));
        let texts = [&r.device_type, &r.name, &r.city, &r.address, &r.gsm_imei, &r.communication_type];
        texts.into_iter().for_each(|text| writer.field(text.as_deref()));
        writer.field(r.firmware_version.as_deref());
        writer.alike(r.battery_backup_hours.map(f64::to_bits));
        let (pattern, numbers) = writer.done(patterns);
        (pattern, Bytes::of_numbers(&numbers))
    }

    pub(super) fn says_of_itself(&mut self, reported: &Reported, patterns: &mut Patterns) {
        (self.pattern, self.numbers) = Self::packed(&self.id(), reported, patterns);
    }

    pub fn record(&self) -> DeviceRecord {
        let rare = self.unsettled.as_deref();
        DeviceRecord {
            no: self.no,
            id: self.id(),
            state: self.state,
            epoch: self.epoch,
            token_used_gen: self.token_used_gen,
            reclaim_until: rare.and_then(|r| r.reclaim_until),
            created_at: self.created_at,
            claim_until: rare.and_then(|r| r.claim_until),
            claimed_at: self.claimed_at(),
            attempts: rare.map_or(0, |r| r.attempts),
            first_attempt_at: rare.and_then(|r| r.first_attempt_at),
            last_attempt_at: rare.and_then(|r| r.last_attempt_at),
            reported: self.reported(),
        }
    }

    pub fn id(&self) -> DeviceId {
        DeviceId::kept(self.id_text())
    }

    pub fn id_text(&self) -> String {
        self.fields().get(0).unwrap_or_default()
    }

    pub fn has_id(&self, id: &str) -> bool {
        self.fields().is(0, id)
    }

    pub fn claimed_at(&self) -> Option<UtcMillis> {
        self.claimed_at.get()
    }

    pub fn device_type(&self) -> Option<String> {
        self.fields().get(1)
    }

    pub fn reported(&self) -> Reported {
        let mut numbers = self.numbers.numbers();
        let (latitude, longitude) = (take_degrees(&mut numbers), take_degrees(&mut numbers));
        let fields = self.fields();
        Reported {
            device_type: fields.get(1),
            name: fields.get(2),
            city: fields.get(3),
            address: fields.get(4),
            latitude,
            longitude,
            gsm_imei: fields.get(5),
            communication_type: fields.get(6),
            firmware_version: fields.get(7),
            battery_backup_hours: fields.alike(8).map(f64::from_bits),
        }
    }

    fn fields(&self) -> Fields<'_, impl Fn(usize) -> u64> {
        let number = |n| {
            let mut numbers = self.numbers.numbers();
            take_degrees(&mut numbers);
            take_degrees(&mut numbers);
            numbers.nth(n).unwrap_or_default()
        };
        Fields { pattern: &self.pattern, number }
    }
}

#[cfg(test)]
mod tests;
