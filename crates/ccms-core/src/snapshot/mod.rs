//! The fleet as the map receives it: once as a compact binary snapshot, then only changes.
//!
//! A light takes as many bits as it differs from what the one before it led to expect, two to six bytes nearly always: a
//! general compression finds nothing more, and none is paid for. A place has all its seven digits, though no map shows the
//! last one: the changes that follow say it so, and must agree.
//!
//! Numbers are little-endian, and the layout is named by its magic:
//! - 24 bytes: magic `CCM2`, `seq: u64`, `count: u32`, and where the places begin, `lat_e7: i32`, `lon_e7: i32`
//! - `columns`: the numbers as gaps and runs, then state and brightness as a list of those that occur and runs of them
//! - `ids`: those that do not count up with the numbers
//! - `places`: blocks of ways from one light to the next
//!
//! Each of the three parts is made of bits (see `bits`) and begins with a whole byte; where it ends follows from `count`.
mod bits;
mod columns;
mod ids;
mod places;

use serde::{Deserialize, Serialize};

use crate::light::Indicator;
use crate::reading::PowerState;
use bits::BitReader;
use columns::ColumnWriter;
use ids::{IdReader, IdWriter};
use places::PlaceWriter;

const MAGIC: &[u8; 4] = b"CCM2";
const HEAD_BYTES: usize = 24;
/// No light takes less than a bit, for having no place.
const LIGHTS_PER_BYTE_MAX: usize = 8;

/// Latitude and longitude, degrees × 10⁷, WGS 84.
type PlaceE7 = (i32, i32);
/// State and brightness.
type Look = (MarkState, u8);

/// Everything the map draws of one light's state, in one byte: indicator (2 bits), lamp (2 bits), a live command (1 bit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkState(pub u8);

impl MarkState {
    pub const fn new(indicator: Indicator, power: Option<PowerState>, command_alive: bool) -> Self {
        let lamp = match power {
            None => 0,
            Some(PowerState::Off) => 1,
            Some(PowerState::On) => 2,
        };
        Self(indicator as u8 | lamp << 2 | (command_alive as u8) << 4)
    }

    pub const fn indicator(self) -> Indicator {
        match self.0 & 3 {
            0 => Indicator::Green,
            1 => Indicator::Yellow,
            2 => Indicator::Red,
            _ => Indicator::Gray,
        }
    }

    /// The reported lamp state; `None` if never reported.
    pub const fn power(self) -> Option<PowerState> {
        match self.0 >> 2 & 3 {
            1 => Some(PowerState::Off),
            2 => Some(PowerState::On),
            _ => None,
        }
    }

    pub const fn command_alive(self) -> bool {
        self.0 & 0x10 != 0
    }
}

/// One light on the map.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    pub no: u32,
    pub id: String,
    /// Degrees × 10⁷, WGS 84.
    pub lat_e7: i32,
    pub lon_e7: i32,
    pub state: MarkState,
    /// 0 to 100; the last reported value.
    pub brightness: u8,
}

/// All lights the viewer may see, as of change number `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub seq: u64,
    pub marks: Vec<Mark>,
}

/// What changed with change number `seq`; sent as JSON over server-sent events, event name `fleet`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delta {
    pub seq: u64,
    /// `[no, state, brightness]` of lights that are known already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<(u32, MarkState, u8)>,
    /// Lights that are new, or whose place or name changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placed: Vec<Mark>,
}

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a fleet snapshot: {0}")]
pub struct BadSnapshot(&'static str);

/// Takes lights one by one and keeps of each what the snapshot will say.
#[derive(Debug, Default)]
pub struct Encoder {
    last_no: u32,
    columns: ColumnWriter,
    ids: IdWriter,
    places: PlaceWriter,
}

impl Encoder {
    /// The next light. In the order of their numbers they take least; every order comes out as it went in.
    pub fn push(&mut self, no: u32, id: &str, (lat_e7, lon_e7): (i32, i32), (state, brightness): (MarkState, u8)) {
        let step = no.wrapping_sub(std::mem::replace(&mut self.last_no, no));
        self.columns.push(step, (state, brightness));
        self.ids.push(step, id.as_bytes());
        self.places.push((lat_e7, lon_e7));
    }

    /// The snapshot as of change number `seq`.
    pub fn finish(self, seq: u64) -> Vec<u8> {
        let (count, columns) = self.columns.finish();
        let ids = self.ids.finish();
        let (from, places) = self.places.finish();
        let mut out = Vec::with_capacity(HEAD_BYTES + columns.len() + ids.len() + places.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&from.0.to_le_bytes());
        out.extend_from_slice(&from.1.to_le_bytes());
        [columns, ids, places].iter().for_each(|part| out.extend_from_slice(part));
        out
    }
}

impl Snapshot {
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::default();
        for m in &self.marks {
            encoder.push(m.no, &m.id, (m.lat_e7, m.lon_e7), (m.state, m.brightness));
        }
        encoder.finish(self.seq)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        let (head, parts) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(BadSnapshot("it ends early"))?;
        if !head.starts_with(MAGIC) {
            return Err(BadSnapshot("unknown format"));
        }
        let u32_at = |at| u32::from_le_bytes(array(&head[at..at + 4]));
        let seq = u64::from_le_bytes(array(&head[4..12]));
        let (count, from) = (u32_at(12) as usize, (u32_at(16) as i32, u32_at(20) as i32));
        if count > parts.len() * LIGHTS_PER_BYTE_MAX {
            return Err(BadSnapshot("it names more lights than it holds"));
        }
        let mut bits = BitReader::new(parts);
        let mut marks = columns::read(count, &mut bits)?;
        bits.align();
        let (mut ids, mut last_no) = (IdReader::default(), 0);
        for mark in &mut marks {
            let step = mark.no.wrapping_sub(std::mem::replace(&mut last_no, mark.no));
            mark.id = ids.next(step, &mut bits)?;
        }
        bits.align();
        let mut placed = marks.iter_mut();
        places::read(from, count, &mut bits, |place| {
            if let Some(mark) = placed.next() {
                (mark.lat_e7, mark.lon_e7) = place;
            }
        })?;
        Ok(Self { seq, marks })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mark_state_keeps_its_three_facts() {
        for indicator in Indicator::ALL {
            for power in [None, Some(PowerState::Off), Some(PowerState::On)] {
                for alive in [false, true] {
                    let m = MarkState::new(indicator, power, alive);
                    assert_eq!((m.indicator(), m.power(), m.command_alive()), (indicator, power, alive));
                }
            }
        }
    }

    /// Lights as cities have them and as nobody has them.
    fn marks() -> impl Strategy<Value = Vec<Mark>> {
        let step = prop_oneof![8 => Just(1), 2 => 1u32..9, 1 => any::<u32>()];
        let id = prop_oneof![
            8 => Just(None), 1 => "[A-Za-z0-9_-]{1,64}".prop_map(Some), 1 => "SL0{0,9}[0-9]{1,9}".prop_map(Some)
        ];
        let near = |unit: i32| (-50..50i32, -50..50i32).prop_map(move |way| (true, (way.0 * unit, way.1 * unit)));
        let place = prop_oneof![
            6 => near(100), 3 => near(1), 1 => Just((false, (0, 0))), 1 => any::<(i32, i32)>().prop_map(|place| (false, place))
        ];
        let look = prop_oneof![8 => (0u8..3, Just(80)), 1 => any::<(u8, u8)>()];
        let seven = any::<bool>();
        (prop::collection::vec((step, id, place, look), 0..300), seven).prop_map(|(steps, seven)| {
            let (mut no, mut at) = (0u32, (286_139_000 + i32::from(seven), 772_090_000));
            let mut one = |(step, id, (is_way, place), (state, brightness)): (u32, Option<String>, _, _)| {
                no = no.wrapping_add(step);
                let place: (i32, i32) = place;
                let (lat_e7, lon_e7) = if is_way {
                    at = (at.0 + place.0, at.1 + place.1);
                    at
                } else {
                    place
                };
                Mark { no, id: id.unwrap_or(format!("SL{no:05}")), lat_e7, lon_e7, state: MarkState(state), brightness }
            };
            steps.into_iter().map(&mut one).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(seq: u64, marks in marks()) {
            let s = Snapshot { seq, marks };
            prop_assert_eq!(Snapshot::decode(&s.encode()), Ok(s));
        }

        #[test]
        fn any_bytes_are_survived(
            bytes: Vec<u8>, marks in marks(), cut: prop::sample::Index,
            spoilt in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4)
        ) {
            let _ = Snapshot::decode(&bytes);
            let _ = Snapshot::decode(&[&MAGIC[..], &bytes].concat());
            let good = Snapshot { seq: 1, marks }.encode();
            let short = &good[..cut.index(good.len())];
            prop_assert!(Snapshot::decode(short).is_err());
            let mut bad = good;
            for (at, byte) in spoilt {
                let at = at.index(bad.len());
                bad[at] = byte;
            }
            let _ = Snapshot::decode(&bad);
        }
    }

    #[test]
    fn a_count_is_not_believed() {
        let mut lies = Snapshot::default().encode();
        lies[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Snapshot::decode(&lies).is_err());
    }

    const LIGHTS: u32 = 5_000;
    /// 700 KB for 100,000 lights.
    const BYTES_MAX: f64 = 7.0;

    /// Any number below `end`, the same in every run.
    fn chance(n: u32, end: i32) -> i32 {
        let n = u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let n = (n ^ n >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((n ^ n >> 32) % end as u64) as i32
    }

    fn bytes_of_each(place: impl Fn(u32) -> (i32, i32), look: impl Fn(u32) -> Look) -> f64 {
        let mut encoder = Encoder::default();
        (1..=LIGHTS).for_each(|no| encoder.push(no, &format!("SL{no:03}"), place(no), look(no)));
        encoder.finish(1).len() as f64 / f64::from(LIGHTS)
    }

    /// A lamp every 30 m, set up to a metre beside it, with the six digits of a file; another street after 25.
    fn in_streets(no: u32) -> (i32, i32) {
        let (street, lamp) = (no / 25, no as i32 % 25);
        let (lat, lon) = (chance(street, 150_000), chance(street + 9_999, 150_000));
        (28_500_000 + lat + 270 * lamp + chance(no, 9), 77_100_000 + lon + 40 * lamp + chance(no + 7, 9))
    }

    fn of_a_file((lat_e6, lon_e6): (i32, i32)) -> (i32, i32) {
        (lat_e6 * 10, lon_e6 * 10)
    }

    #[test]
    fn a_light_takes_few_bytes() {
        let burning = (MarkState::new(Indicator::Green, Some(PowerState::On), false), 80);
        let calm = |no| if chance(no, 50) == 0 { (MarkState(1), 0) } else { burning };
        let each = bytes_of_each(|no| of_a_file(in_streets(no)), calm);
        assert!(each < 3.0, "{each:.2} bytes for a light in a street of a calm night");

        // Numbered without a plan across 16 km, places to the centimetre, and each as bright as it likes.
        let anywhere = |no| (285_000_000 + chance(no, 1_500_000), 771_000_000 + chance(no + LIGHTS, 1_500_000));
        let any =
            |no| (MarkState::new(Indicator::ALL[chance(no, 3) as usize], None, false), chance(no + LIGHTS, 100) as u8);
        let each = bytes_of_each(anywhere, any);
        assert!(each <= BYTES_MAX, "{each:.2} bytes for a light anywhere");
    }

    #[test]
    fn lights_without_a_place_cost_the_others_nothing() {
        let placed = |no| of_a_file(in_streets(no));
        let some = |no| if chance(no, 3) == 0 { (0, 0) } else { placed(no) };
        let (all, fewer) = (bytes_of_each(placed, |_| Look::default()), bytes_of_each(some, |_| Look::default()));
        assert!(fewer < all, "{fewer:.2} bytes against {all:.2}");
    }
}
