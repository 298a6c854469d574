//! What lights said lately, so far as it tells what they cannot have said before.
use std::cmp::Ordering;
use std::collections::HashMap;

use ccms_block::{Link, second_of};
use ccms_core::ids::LightNo;
use ccms_store::ReadingRow;

use crate::heads::Head;

/// Lights of one generation of [`Lately`]: those of the last second and more, and what a table of 1,024 places holds.
const LIGHTS: usize = 896;
/// And of those that were away: all of a city, after a power cut.
const LIGHTS_AWAY: usize = 65_536;
/// A light that was silent for so many seconds has measured meanwhile, and will tell.
const AWAY_S: u32 = 60;

/// What is known of lights that reported lately.
#[derive(Debug)]
pub(crate) struct Recent {
    tops: Lately<Top>,
    gaps: Lately<Gap>,
}

/// No reading of this second has a greater dedupe key. Devices count seconds: one that reports twice within one would otherwise be
/// looked up on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Top {
    pub second: u32,
    pub dedupe: i64,
}

/// There is no reading after the one second and before the other. What a light measured without network arrives in between, the
/// oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    after: u32,
    before: u32,
}

/// What is known of one light's readings without a look at the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    pub head: Head,
    pub top: Option<Top>,
    pub gap: Option<Gap>,
}

impl Past {
    /// Whether a reading cannot be there yet. Readings whose clock is suspect are not known of here.
    pub fn lacks(&self, row: &ReadingRow) -> bool {
        let second = second_of(row);
        match second.cmp(&self.head.newest) {
            Ordering::Greater => true,
            Ordering::Equal => self.top.is_some_and(|top| row.dedupe > top.dedupe),
            Ordering::Less => self.gap.is_some_and(|gap| gap.after < second && second < gap.before),
        }
    }

    /// A reading is stored at `position`.
    pub fn add(&mut self, position: i64, row: &ReadingRow) -> Link {
        let (second, newest) = (second_of(row), self.head.newest);
        match second.cmp(&newest) {
            Ordering::Greater => {
                self.top = Some(Top { second, dedupe: row.dedupe });
                // One that never said anything has nothing to tell.
                if newest > 0 && second - newest > AWAY_S {
                    self.gap = Some(Gap { after: newest, before: second });
                }
            }
            Ordering::Equal => {
                self.top = self.top.map(|top| Top { dedupe: top.dedupe.max(row.dedupe), ..top });
            }
            Ordering::Less => {
                self.gap = self.gap.map(|gap| match second < gap.before {
                    true => Gap { after: gap.after.max(second), ..gap },
                    false => gap,
                });
            }
        }
        self.head.link(position, row)
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self { tops: Lately::of(LIGHTS), gaps: Lately::of(LIGHTS_AWAY) }
    }
}

impl Recent {
    pub fn past(&self, light: LightNo, head: Head) -> Past {
        let top = self.tops.get(light).filter(|top| top.second == head.newest);
        Past { head, top, gap: self.gaps.get(light) }
    }

    pub fn set(&mut self, light: LightNo, past: Past) {
        if let Some(top) = past.top {
            self.tops.set(light, top);
        }
        if let Some(gap) = past.gap
            && self.gaps.get(light) != Some(gap)
        {
            self.gaps.set(light, gap);
        }
    }

    /// Readings were stored that it does not know of.
    pub fn forget(&mut self) {
        self.tops.clear();
        self.gaps.clear();
    }
}

/// What was said of lights last, of so many at least and of twice as many at most.
#[derive(Debug)]
struct Lately<T> {
    lights: usize,
    young: HashMap<LightNo, T>,
    old: HashMap<LightNo, T>,
}

impl<T: Copy> Lately<T> {
    fn of(lights: usize) -> Self {
        // From the start on what a second needs, so that it does not grow with a fleet.
        let table = || HashMap::with_capacity(lights.min(LIGHTS));
        Self { lights, young: table(), old: table() }
    }

    fn get(&self, light: LightNo) -> Option<T> {
        self.young.get(&light).or_else(|| self.old.get(&light)).copied()
    }

    fn set(&mut self, light: LightNo, says: T) {
        if self.young.len() >= self.lights {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(light, says);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;
    use ccms_core::time::UtcMillis;

    use super::*;

    fn row(second: i64, dedupe: i64) -> ReadingRow {
        let at = UtcMillis(second * 1_000);
        let reading = Reading { reported_at: at, ..Reading::default() };
        ReadingRow { light_no: LightNo(1), device_no: DeviceNo(1), received_at: at, dedupe, reading }
    }

    #[test]
    fn within_the_newest_second_the_greater_key_is_new() {
        let mut past = Past { head: Head::default(), top: None, gap: None };
        past.add(1, &row(100, 5));
        assert!(past.lacks(&row(101, 0)) && past.lacks(&row(100, 6)));
        assert!(!past.lacks(&row(100, 5)) && !past.lacks(&row(100, 4)));
        past.add(2, &row(100, 9));
        past.add(3, &row(100, 3));
        assert!(!past.lacks(&row(100, 8)) && past.lacks(&row(100, 10)));
        past.top = None;
        assert!(!past.lacks(&row(100, 10)), "what was before in this second is not known");
        past.add(4, &row(100, 11));
        assert!(!past.lacks(&row(100, 12)));
    }

    #[test]
    fn what_a_light_measured_while_it_was_away_is_new_from_the_oldest_on() {
        let mut past = Past { head: Head::default(), top: None, gap: None };
        past.add(1, &row(1_000, 1));
        past.add(2, &row(5_000, 1));
        past.add(3, &row(5_030, 1));
        assert!(past.lacks(&row(1_001, 1)) && past.lacks(&row(4_999, 1)), "the gap outlives the next report");
        for second in [1_000, 5_000, 5_010, 5_030] {
            assert!(!past.lacks(&row(second, 1)), "{second}: at or beyond the ends");
        }
        past.add(4, &row(5_010, 1));
        assert!(past.lacks(&row(1_001, 1)), "what is beyond the gap does not close it");
        past.add(5, &row(1_030, 1));
        assert!(past.lacks(&row(1_060, 1)) && !past.lacks(&row(1_030, 1)) && !past.lacks(&row(1_010, 1)));
    }

    #[test]
    fn it_remembers_those_that_reported_lately_and_no_more() {
        let mut lately = Lately::of(10);
        for n in 0..35 {
            lately.set(LightNo(n), n);
        }
        assert!(lately.young.len() + lately.old.len() <= 20);
        assert_eq!((lately.get(LightNo(34)), lately.get(LightNo(0))), (Some(34), None));
        lately.set(LightNo(25), 99);
        assert_eq!(lately.get(LightNo(25)), Some(99), "the later word counts");
        lately.clear();
        assert_eq!(lately.get(LightNo(34)), None);
    }
}
