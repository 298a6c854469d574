//! The fleet as the map receives it: once as a compact binary snapshot, then only changes.
//!
//! Layout, little-endian, column by column so that it compresses well:
//! magic `CCM1`, `seq: u64`, `count: u32`, then `no: u32 × n`, `lat_e7: i32 × n`, `lon_e7: i32 × n`, `state: u8 × n`,
//! `brightness: u8 × n`, `id_len: u8 × n`, and the ids' bytes end to end.
use serde::{Deserialize, Serialize};

use crate::light::Indicator;
use crate::reading::PowerState;

const MAGIC: &[u8; 4] = b"CCM1";
const BYTES_PER_LIGHT_MIN: usize = 15;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl Snapshot {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.marks.len() * (BYTES_PER_LIGHT_MIN + 8));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        self.marks.iter().for_each(|m| out.extend_from_slice(&m.no.to_le_bytes()));
        self.marks.iter().for_each(|m| out.extend_from_slice(&m.lat_e7.to_le_bytes()));
        self.marks.iter().for_each(|m| out.extend_from_slice(&m.lon_e7.to_le_bytes()));
        self.marks.iter().for_each(|m| out.push(m.state.0));
        self.marks.iter().for_each(|m| out.push(m.brightness));
        // An id has at most 64 bytes.
        self.marks.iter().for_each(|m| out.push(m.id.len() as u8));
        self.marks.iter().for_each(|m| out.extend_from_slice(m.id.as_bytes()));
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        let mut rest = bytes;
        let mut take = |n: usize| -> Result<&[u8], BadSnapshot> {
            let (head, tail) = rest.split_at_checked(n).ok_or(BadSnapshot("it ends early"))?;
            rest = tail;
            Ok(head)
        };
        if take(4)? != MAGIC {
            return Err(BadSnapshot("unknown format"));
        }
        let seq = u64::from_le_bytes(array(take(8)?));
        let n = u32::from_le_bytes(array(take(4)?)) as usize;
        if n > bytes.len() / BYTES_PER_LIGHT_MIN {
            return Err(BadSnapshot("it names more lights than it holds"));
        }
        let (no, lat, lon) = (take(4 * n)?, take(4 * n)?, take(4 * n)?);
        let (state, brightness, id_len) = (take(n)?, take(n)?, take(n)?);
        let mut marks = Vec::with_capacity(n);
        for i in 0..n {
            let id = take(id_len[i] as usize)?;
            let id = std::str::from_utf8(id).map_err(|_| BadSnapshot("an id is not text"))?;
            marks.push(Mark {
                no: u32::from_le_bytes(array(&no[4 * i..4 * i + 4])),
                id: id.to_owned(),
                lat_e7: i32::from_le_bytes(array(&lat[4 * i..4 * i + 4])),
                lon_e7: i32::from_le_bytes(array(&lon[4 * i..4 * i + 4])),
                state: MarkState(state[i]),
                brightness: brightness[i],
            });
        }
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

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            seq: u64,
            marks in prop::collection::vec(
                ("[A-Za-z0-9_-]{1,64}", any::<(u32, i32, i32, u8, u8)>()), 0..50)
        ) {
            let marks = marks.into_iter().map(|(id, (no, lat_e7, lon_e7, state, brightness))| Mark {
                no, id, lat_e7, lon_e7, state: MarkState(state), brightness }).collect();
            let s = Snapshot { seq, marks };
            prop_assert_eq!(Snapshot::decode(&s.encode()), Ok(s));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, cut in 0usize..200) {
            let _ = Snapshot::decode(&bytes);
            let mut good = Snapshot { seq: 1, marks: vec![Mark { no: 1, id: "SL001".into(), lat_e7: 0, lon_e7: 0,
                state: MarkState(0), brightness: 0 }; 3] }.encode();
            good.truncate(cut.min(good.len() - 1));
            prop_assert!(Snapshot::decode(&good).is_err());
        }
    }
}
