//! Ids mostly count up together with the numbers of their lights (`SL041`, `SL042`): only where that ends is one written.
use super::BadSnapshot;
use super::bits::{BitReader, BitWriter};

/// Of a light's id.
const BYTES_MAX: usize = 64;
/// Bits of a length up to [`BYTES_MAX`].
const LENGTH_BITS: u32 = 7;
/// Digits of a number that surely fits, ten times over.
const DIGITS_MAX: usize = 17;

/// The id that the next light has if its number went up by as much as that of the light: `SL099` is followed by `SL100`, and
/// `SL999` by `SL1000`.
#[derive(Debug, Default)]
struct Expected {
    text: Vec<u8>,
    /// At its end.
    digits: usize,
}

impl Expected {
    fn set(&mut self, id: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(id);
        self.digits = id.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    }

    fn advance(&mut self, by: u32) {
        let mut rest = self.add(by.into());
        while rest > 0 && self.digits > 0 {
            self.text.insert(self.text.len() - self.digits, b'0' + (rest % 10) as u8);
            self.digits += 1;
            rest /= 10;
        }
    }

    /// Answers what does not fit into the digits that are there.
    fn add(&mut self, by: u64) -> u64 {
        let mut rest = by;
        for digit in self.text.iter_mut().rev().take(self.digits) {
            if rest == 0 {
                break;
            }
            rest += u64::from(*digit - b'0');
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        rest
    }

    /// What is to be added to get `id`, of as many digits, without carrying further.
    fn distance(&self, id: &[u8]) -> Option<u64> {
        if self.text.len() != id.len() || self.digits == 0 || self.digits > DIGITS_MAX {
            return None;
        }
        let (text, digits) = self.text.split_at(id.len() - self.digits);
        let wanted = id.strip_prefix(text).filter(|wanted| wanted.iter().all(u8::is_ascii_digit))?;
        let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
        let all = 10u64.pow(self.digits as u32);
        Some((all + number(wanted) - number(digits)) % all)
    }
}

/// Counts those that are as expected; for each other one: how many there were, then a one and
/// [what to add](Expected::distance), or a zero, how many bytes are those of the expected id, and the rest.
#[derive(Debug, Default)]
pub(super) struct IdWriter {
    expected: Expected,
    as_expected: u64,
    bits: BitWriter,
}

impl IdWriter {
    /// An id of a light whose number is higher by `step` than that of the light before.
    pub fn push(&mut self, step: u32, id: &[u8]) {
        debug_assert!(id.len() <= BYTES_MAX, "ids are parsed at the door");
        self.expected.advance(step);
        if self.expected.text == id {
            self.as_expected += 1;
            return;
        }
        self.bits.sized(std::mem::take(&mut self.as_expected));
        if let Some(distance) = self.expected.distance(id) {
            self.bits.put(1, 1);
            self.bits.sized(distance);
        } else {
            let same = self.expected.text.iter().zip(id).take_while(|(a, b)| a == b).count();
            self.bits.put(0, 1);
            self.bits.put(same as u32, LENGTH_BITS);
            self.bits.put((id.len() - same) as u32, LENGTH_BITS);
            id[same..].iter().for_each(|byte| self.bits.put((*byte).into(), 8));
        }
        self.expected.set(id);
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.as_expected > 0 {
            self.bits.sized(self.as_expected);
        }
        self.bits.finish()
    }
}

#[derive(Debug, Default)]
pub(super) struct IdReader {
    expected: Expected,
    as_expected: Option<u64>,
}

impl IdReader {
    pub fn next(&mut self, step: u32, bits: &mut BitReader<'_>) -> Result<String, BadSnapshot> {
        self.expected.advance(step);
        let left = match self.as_expected {
            Some(left) => left,
            None => bits.sized()?,
        };
        self.as_expected = left.checked_sub(1);
        if left == 0 {
            self.other(bits)?;
        }
        if self.expected.text.len() > BYTES_MAX {
            return Err(BadSnapshot("an id is too long"));
        }
        let text = std::str::from_utf8(&self.expected.text).map_err(|_| BadSnapshot("an id is not text"))?;
        Ok(text.to_owned())
    }

    fn other(&mut self, bits: &mut BitReader<'_>) -> Result<(), BadSnapshot> {
        if bits.take(1)? == 1 {
            self.expected.add(bits.sized()?);
            return Ok(());
        }
        let (same, more) = (bits.take(LENGTH_BITS)? as usize, bits.take(LENGTH_BITS)?);
        let mut id = self.expected.text.get(..same).ok_or(BadSnapshot("an id has no beginning"))?.to_vec();
        for _ in 0..more {
            id.push(bits.take(8)? as u8);
        }
        self.expected.set(&id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that the ids of lights with these numbers take, after they were read back.
    fn size(lights: &[(u32, &str)]) -> usize {
        let steps = || lights.iter().scan(0, |before, (no, _)| Some(no - std::mem::replace(before, *no)));
        let mut writer = IdWriter::default();
        steps().zip(lights).for_each(|(step, (_, id))| writer.push(step, id.as_bytes()));
        let bytes = writer.finish();
        let (mut reader, mut bits) = (IdReader::default(), BitReader::new(&bytes));
        for (step, (_, id)) in steps().zip(lights) {
            assert_eq!(reader.next(step, &mut bits).as_deref(), Ok(*id));
        }
        bytes.len()
    }

    #[test]
    fn ids_that_count_up_with_their_lights_cost_nothing() {
        let first = size(&[(7, "SL098")]);
        let more = [
            (7, "SL098"),
            (8, "SL099"),
            (9, "SL100"),
            (100, "SL191"),
            (908, "SL999"),
            (909, "SL1000"),
            (100_908, "SL100999"),
        ];
        assert!(size(&more) <= first + 2, "{} bytes after {first}", size(&more));
    }

    #[test]
    fn other_ids_cost_what_differs() {
        let of_a_street = size(&[(1, "mill-lane-07")]);
        assert!(size(&[(1, "mill-lane-07"), (2, "mill-lane-93")]) <= of_a_street + 4);
        assert!(size(&[(1, "mill-lane-07"), (2, "mill-lane-01")]) <= of_a_street + 4, "back");
        assert!(size(&[(1, "mill-lane-07"), (2, "mill-lane-7")]) <= of_a_street + 5);
        assert!(size(&[(1, "mill-lane-07"), (2, "mill-street")]) <= of_a_street + 10);
        size(&[(1, "Ö9"), (3, "a"), (4, "a"), (5, ""), (6, "9"), (7, "x99999999999999999"), (9, "x00000000000000003")]);
    }
}
