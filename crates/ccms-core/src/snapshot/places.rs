//! Places of lights in blocks, each as the way from the one before: lamps of one street stand close together.
//!
//! A block is: the power of ten that all its coordinates are multiples of (files give six digits, receivers seven), whether
//! some of its lights have no place and then a bit for each that has one, the `k` of its latitudes and of its longitudes, and
//! those two of each light in turn. Nothing is rounded.
use super::bits::{BitReader, BitWriter, rice_k};
use super::{BadSnapshot, PlaceE7};

const BLOCK: usize = 64;
/// Bits of the exponent.
const UNIT_BITS: u32 = 3;
/// Where a light without a place is.
const NOWHERE: PlaceE7 = (0, 0);

#[derive(Debug, Default)]
pub(super) struct PlaceWriter {
    waiting: Vec<PlaceE7>,
    from: Option<PlaceE7>,
    last: PlaceE7,
    bits: BitWriter,
}

impl PlaceWriter {
    pub fn push(&mut self, place: PlaceE7) {
        self.waiting.push(place);
        if self.waiting.len() == BLOCK {
            self.block();
        }
    }

    fn block(&mut self) {
        let all = std::mem::take(&mut self.waiting);
        let placed = || all.iter().copied().filter(|place| *place != NOWHERE);
        if let (None, Some(first)) = (self.from, placed().next()) {
            (self.from, self.last) = (Some(first), first);
        }
        let exponent = unit_of(placed());
        let unit = 10i32.pow(exponent);
        self.bits.put(exponent, UNIT_BITS);
        let some_are_nowhere = placed().count() < all.len();
        self.bits.put(some_are_nowhere.into(), 1);
        if some_are_nowhere {
            all.iter().for_each(|place| self.bits.put((*place != NOWHERE).into(), 1));
        }
        let (mut ways, mut count) = ([(0, 0); BLOCK], 0);
        let mut last = (self.last.0 / unit, self.last.1 / unit);
        for (way, place) in ways.iter_mut().zip(placed()) {
            let here = (place.0 / unit, place.1 / unit);
            *way = (zigzag(here.0.wrapping_sub(last.0)), zigzag(here.1.wrapping_sub(last.1)));
            (count, last, self.last) = (count + 1, here, place);
        }
        let ways = &ways[..count];
        let k = (rice_k(ways.iter().map(|way| way.0)), rice_k(ways.iter().map(|way| way.1)));
        self.bits.k(k.0);
        self.bits.k(k.1);
        for way in ways {
            self.bits.rice(way.0, k.0);
            self.bits.rice(way.1, k.1);
        }
        self.waiting = all;
        self.waiting.clear();
    }

    /// Where the first light is, and the blocks.
    pub fn finish(mut self) -> (PlaceE7, Vec<u8>) {
        if !self.waiting.is_empty() {
            self.block();
        }
        (self.from.unwrap_or(NOWHERE), self.bits.finish())
    }
}

/// Hands `take` the places of so many lights.
pub(super) fn read(
    from: PlaceE7,
    count: usize,
    bits: &mut BitReader<'_>,
    mut take: impl FnMut(PlaceE7),
) -> Result<(), BadSnapshot> {
    let mut last = from;
    for first in (0..count).step_by(BLOCK) {
        let lights = BLOCK.min(count - first);
        let unit = 10i32.pow(bits.take(UNIT_BITS)?);
        let some_are_nowhere = bits.take(1)? == 1;
        let mut is_placed = [true; BLOCK];
        if some_are_nowhere {
            for light in &mut is_placed[..lights] {
                *light = bits.take(1)? == 1;
            }
        }
        let k = (bits.k()?, bits.k()?);
        let mut here = (last.0 / unit, last.1 / unit);
        for is_placed in &is_placed[..lights] {
            if !is_placed {
                take(NOWHERE);
                continue;
            }
            here.0 = here.0.wrapping_add(unzigzag(bits.rice(k.0)?));
            here.1 = here.1.wrapping_add(unzigzag(bits.rice(k.1)?));
            last = (here.0.wrapping_mul(unit), here.1.wrapping_mul(unit));
            take(last);
        }
    }
    Ok(())
}

/// The exponent of the highest power of ten that divides all of them.
fn unit_of(places: impl Iterator<Item = PlaceE7> + Clone) -> u32 {
    let divides = |unit: i32| places.clone().all(|(lat, lon)| lat % unit == 0 && lon % unit == 0);
    (1..1 << UNIT_BITS).take_while(|exponent| divides(10i32.pow(*exponent))).last().unwrap_or(0)
}

/// Small numbers for what is near zero on either side.
fn zigzag(way: i32) -> u32 {
    (way << 1 ^ way >> 31) as u32
}

fn unzigzag(way: u32) -> i32 {
    (way >> 1) as i32 ^ -((way & 1) as i32)
}
