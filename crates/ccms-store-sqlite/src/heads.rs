//! Where the log ends, and where in it the last reading of each light is: what an append must know of everything before it,
//! in memory. Ten bytes a light, in pages of 1,024 lights as they are on disk.
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use ccms_block::{Link, second_of};
use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use crate::recent::{Past, Recent};

/// Lights of one page.
const PAGE_LIGHTS: usize = 1_024;
const HEAD_BYTES: usize = 10;

/// The last reading of a light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// Where it is; 0 when there never was one.
    pub position: i64,
    /// The newest second there ever was of this light ([`second_of`]); 0 when there is none.
    pub newest: u32,
}

impl Head {
    /// Six bytes of position reach for millions of years of a large city, four of seconds to 2106.
    fn packed(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..6].copy_from_slice(&self.position.to_le_bytes()[..6]);
        bytes[6..].copy_from_slice(&self.newest.to_le_bytes());
        bytes
    }

    fn unpacked(bytes: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, d, e, f, newest @ ..] = bytes;
        Self { position: i64::from_le_bytes([a, b, c, d, e, f, 0, 0]), newest: u32::from_le_bytes(newest) }
    }

    /// The link of the next reading of this light, at `position`; the head moves on to it.
    pub fn link(&mut self, position: i64, row: &ReadingRow) -> Link {
        let link = Link { position, previous: self.position, newest_before: self.newest };
        *self = Self { position, newest: self.newest.max(second_of(row)) };
        link
    }
}

#[derive(Debug)]
struct Page {
    heads: Box<[[u8; HEAD_BYTES]; PAGE_LIGHTS]>,
    /// The first position that changed it since it was saved.
    unsaved: Option<i64>,
}

/// A page to be saved, and which.
pub(crate) type SavedPage = (u32, Vec<u8>);

/// What is known of the log.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// The last position that was given.
    pub end: i64,
    /// The position that the checkpoint includes, which may be beyond the end.
    pub saved: i64,
    /// The times of loose readings that their lights may send again when their clock is believed: see [`Heads::may_be_odd`].
    odd: HashMap<LightNo, RangeInclusive<UtcMillis>>,
    /// Whether there are loose readings of an earlier release.
    pub old: bool,
    pub recent: Recent,
    pages: BTreeMap<u32, Page>,
}

impl Heads {
    pub fn of(&self, light: LightNo) -> Head {
        let (page, place) = place(light);
        self.pages.get(&page).map_or(Head::default(), |p| Head::unpacked(p.heads[place]))
    }

    pub fn past(&self, light: LightNo) -> Past {
        self.recent.past(light, self.of(light))
    }

    /// There is a loose reading of this time, whose clock is suspect. A time before [`limits::CLOCK_FLOOR_S`] is never believed.
    pub fn odd(&mut self, light: LightNo, at: UtcMillis) {
        if is_ever_believed(at) {
            let times = self.odd.entry(light).or_insert(at..=at);
            *times = at.min(*times.start())..=at.max(*times.end());
        }
    }

    /// Whether a reading whose clock is believed may be there as a loose one: it was sent before, from the future.
    pub fn may_be_odd(&self, light: LightNo, at: UtcMillis) -> bool {
        self.odd.get(&light).is_some_and(|times| times.contains(&at))
    }

    /// The light's last reading is at the head's position now.
    pub fn set(&mut self, light: LightNo, head: Head) {
        let (page, place) = place(light);
        let page = self.pages.entry(page).or_insert_with(Page::empty);
        page.unsaved.get_or_insert(head.position);
        page.heads[place] = head.packed();
    }

    /// A reading that is in the log: it becomes the head, unless it is known.
    pub fn learn(&mut self, light: LightNo, link: Link, row: &ReadingRow) {
        let head = self.of(light);
        if head.position < link.position {
            let newest = head.newest.max(link.newest_before).max(second_of(row));
            self.set(light, Head { position: link.position, newest });
            self.recent.forget();
        }
    }

    pub fn load_page(&mut self, page: u32, body: &[u8]) {
        let loaded = self.pages.entry(page).or_insert_with(Page::empty);
        for (head, bytes) in loaded.heads.iter_mut().zip(body.as_chunks::<HEAD_BYTES>().0) {
            *head = *bytes;
        }
    }

    /// Pages that changed at or before `upto`, to be saved; and up to where everything is saved once they are.
    pub fn take_unsaved(&mut self, upto: i64) -> (Vec<SavedPage>, i64) {
        let mut taken = Vec::new();
        for (no, page) in &mut self.pages {
            if page.unsaved.is_some_and(|at| at <= upto) {
                page.unsaved = None;
                taken.push((*no, page.body()));
            }
        }
        let complete = self.pages.values().filter_map(|p| p.unsaved).min().map_or(self.end, |at| at - 1);
        (taken, complete)
    }

    /// They were not saved after all.
    pub fn still_unsaved(&mut self, pages: &[SavedPage]) {
        for (no, _) in pages {
            if let Some(page) = self.pages.get_mut(no) {
                page.unsaved = Some(0);
            }
        }
    }
}

impl Page {
    fn empty() -> Self {
        Self { heads: Box::new([[0; HEAD_BYTES]; PAGE_LIGHTS]), unsaved: None }
    }

    /// Without the lights at its end that never said anything.
    fn body(&self) -> Vec<u8> {
        let used = self.heads.iter().rposition(|head| *head != [0; HEAD_BYTES]).map_or(0, |last| last + 1);
        self.heads[..used].concat()
    }
}

/// Whether there is a moment of arrival at which a reading of this time is believed.
pub(crate) fn is_ever_believed(at: UtcMillis) -> bool {
    at.seconds() >= limits::CLOCK_FLOOR_S
}

fn place(light: LightNo) -> (u32, usize) {
    (light.0 / PAGE_LIGHTS as u32, light.0 as usize % PAGE_LIGHTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_from_its_page() {
        let mut heads = Heads { end: 9, ..Heads::default() };
        let head = Head { position: (1 << 47) + 5, newest: u32::MAX };
        let lights = [0, 1, 1_023, 1_024, 5_000, u32::MAX].map(LightNo);
        for (n, light) in (0..).zip(lights) {
            heads.set(light, Head { position: head.position + n, ..head });
        }
        assert_eq!(heads.of(LightNo(2)), Head::default());
        let (pages, complete) = heads.take_unsaved(i64::MAX);
        assert_eq!((pages.len(), complete), (4, 9));
        assert_eq!(pages[1].1.len(), HEAD_BYTES, "nothing for those behind the last");
        let mut loaded = Heads::default();
        for (page, body) in &pages {
            loaded.load_page(*page, body);
        }
        for light in lights {
            assert_eq!(loaded.of(light), heads.of(light));
        }
    }

    #[test]
    fn only_a_time_between_those_from_the_future_may_be_there_already() {
        let (light, now) = (LightNo(1), UtcMillis::from_seconds(1_800_000_000));
        let mut heads = Heads::default();
        heads.odd(light, UtcMillis(0));
        assert!(heads.odd.is_empty(), "a clock of 1970 is never believed");
        heads.odd(light, now.plus_seconds(7_200));
        heads.odd(light, now.plus_seconds(3_600));
        let odd = |ahead_s| heads.may_be_odd(light, now.plus_seconds(ahead_s));
        assert_eq!([0, 3_599, 3_600, 5_000, 7_200, 7_201].map(odd), [false, false, true, true, true, false]);
        assert!(!heads.may_be_odd(LightNo(2), now.plus_seconds(3_600)));
    }

    #[test]
    fn what_is_saved_is_complete_up_to_the_first_change_that_is_not() {
        let mut heads = Heads { end: 30, ..Heads::default() };
        let at = |position| Head { position, newest: 1 };
        heads.set(LightNo(1), at(10));
        heads.set(LightNo(1), at(25));
        heads.set(LightNo(2_000), at(20));
        let (pages, complete) = heads.take_unsaved(15);
        assert_eq!((pages.len(), complete), (1, 19));
        heads.still_unsaved(&pages);
        let (pages, complete) = heads.take_unsaved(30);
        assert_eq!((pages.len(), complete), (2, 30));
        assert_eq!(heads.take_unsaved(30), (vec![], 30));
    }
}
