//! All lights as columns: what the map draws from, what the counts are taken from. Pure.
use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::snapshot::{Delta, Mark, MarkState, Snapshot};
use ccms_core::view::FleetCounts;

use crate::map::projection;

const NONE: u32 = u32::MAX;
/// Light numbers are dense; a number beyond this is not believed.
const LIGHT_NO_MAX: u32 = 5_000_000;

/// The columns. Index `i` is the same light in each of them.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub seq: u64,
    /// Rises when a light appears or moves: indexes over places must then be made anew.
    pub places: u32,
    pub no: Vec<u32>,
    pub id: Vec<Box<str>>,
    /// Web Mercator, the world is 0 to 1.
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub state: Vec<MarkState>,
    pub brightness: Vec<u8>,
    pub counts: FleetCounts,
    index_by_no: Vec<u32>,
}

impl Fleet {
    pub fn len(&self) -> usize {
        self.no.len()
    }

    pub fn is_empty(&self) -> bool {
        self.no.is_empty()
    }

    /// Replaces everything.
    pub fn load(&mut self, snapshot: Snapshot) {
        let places = self.places + 1;
        *self = Self { seq: snapshot.seq, places, ..Self::default() };
        for mark in snapshot.marks {
            self.place(mark);
        }
    }

    /// Applies a change; an old one changes nothing.
    pub fn apply(&mut self, delta: Delta) {
        if delta.seq <= self.seq {
            return;
        }
        self.seq = delta.seq;
        if !delta.placed.is_empty() {
            self.places += 1;
        }
        for mark in delta.placed {
            self.place(mark);
        }
        for (no, state, brightness) in delta.changed {
            if let Some(i) = self.by_no(no) {
                self.count(i, false);
                self.state[i] = state;
                self.brightness[i] = brightness;
                self.count(i, true);
            }
        }
    }

    pub fn by_no(&self, no: u32) -> Option<usize> {
        self.index_by_no.get(no as usize).filter(|i| **i != NONE).map(|i| *i as usize)
    }

    pub fn by_id(&self, id: &str) -> Option<usize> {
        self.id.iter().position(|known| **known == *id)
    }

    fn place(&mut self, mark: Mark) {
        if mark.no > LIGHT_NO_MAX {
            return;
        }
        let (x, y) = projection::world(f64::from(mark.lat_e7) / 1e7, f64::from(mark.lon_e7) / 1e7);
        if let Some(i) = self.by_no(mark.no) {
            self.count(i, false);
            self.id[i] = mark.id.into();
            self.x[i] = x;
            self.y[i] = y;
            self.state[i] = mark.state;
            self.brightness[i] = mark.brightness;
            self.count(i, true);
            return;
        }
        let (i, slot) = (self.len(), mark.no as usize);
        if self.index_by_no.len() <= slot {
            self.index_by_no.resize(slot + 1, NONE);
        }
        self.index_by_no[slot] = i as u32;
        self.no.push(mark.no);
        self.id.push(mark.id.into());
        self.x.push(x);
        self.y.push(y);
        self.state.push(mark.state);
        self.brightness.push(mark.brightness);
        self.count(i, true);
    }

    fn count(&mut self, i: usize, add: bool) {
        let state = self.state[i];
        let colour = match state.indicator() {
            Indicator::Green => &mut self.counts.green,
            Indicator::Yellow => &mut self.counts.yellow,
            Indicator::Red => &mut self.counts.red,
            Indicator::Gray => &mut self.counts.gray,
        };
        let step = |n: &mut u32| *n = if add { *n + 1 } else { n.saturating_sub(1) };
        step(colour);
        if state.power() == Some(PowerState::On) {
            step(&mut self.counts.lit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(no: u32, indicator: Indicator, power: Option<PowerState>) -> Mark {
        let id = format!("SL{no:03}");
        Mark {
            no,
            id,
            lat_e7: 601_700_000,
            lon_e7: 249_400_000,
            state: MarkState::new(indicator, power, false),
            brightness: 0,
        }
    }

    #[test]
    fn counts_follow_every_change() {
        let mut fleet = Fleet::default();
        fleet.load(Snapshot {
            seq: 5,
            marks: vec![mark(1, Indicator::Green, Some(PowerState::On)), mark(7, Indicator::Gray, None)],
        });
        assert_eq!((fleet.counts.green, fleet.counts.gray, fleet.counts.lit), (1, 1, 1));

        let off = MarkState::new(Indicator::Red, Some(PowerState::Off), true);
        fleet.apply(Delta {
            seq: 6,
            changed: vec![(7, off, 40), (99, off, 0)],
            placed: vec![mark(8, Indicator::Green, None)],
        });
        assert_eq!((fleet.counts.green, fleet.counts.red, fleet.counts.gray, fleet.counts.lit), (2, 1, 0, 1));
        assert_eq!(fleet.by_no(7).map(|i| fleet.brightness[i]), Some(40));
        assert_eq!(fleet.by_id("SL008"), Some(2));

        let places = fleet.places;
        fleet.apply(Delta { seq: 6, changed: vec![(1, off, 0)], placed: vec![] });
        assert_eq!((fleet.counts.green, fleet.places), (2, places), "an old change changes nothing");
    }

    #[test]
    fn a_mad_number_costs_no_memory() {
        let mut fleet = Fleet::default();
        fleet.load(Snapshot { seq: 1, marks: vec![mark(u32::MAX, Indicator::Green, None)] });
        assert!(fleet.is_empty());
    }
}
