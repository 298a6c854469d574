//! Numbers of as many bits as they need, the lowest bit first.
//!
//! A Rice code with `k` says a number in two parts: what is above its lowest `k` bits as so many zeros and a one, then those
//! `k` bits. With the `k` of the mean ([`rice_k`]) all zeros of a list together are fewer than two for each number, whatever
//! the numbers are.
use super::BadSnapshot;

/// Widest number that is written at once.
pub(super) const WIDTH_MAX: u32 = 32;
/// Bits that hold the `k` of a list, and the width of a [sized](BitWriter::sized) number.
const K_BITS: u32 = 5;
const SIZE_BITS: u32 = 6;
/// Bits that are surely seen at once.
const SEEN: u32 = 57;

#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    /// Bits in `held`; fewer than 32.
    count: u32,
}

/// The `k` that suits numbers with this sum.
pub(super) fn rice_k(sum: u64, count: usize) -> u32 {
    (sum / (count as u64).max(1)).checked_ilog2().unwrap_or(0).min(WIDTH_MAX - 1)
}

impl BitWriter {
    /// `value` has no more than `width` bits.
    pub fn put(&mut self, value: u32, width: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += width;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    pub fn k(&mut self, k: u32) {
        self.put(k, K_BITS);
    }

    pub fn rice(&mut self, value: u32, k: u32) {
        let mut zeros = value >> k;
        while zeros >= WIDTH_MAX {
            self.put(0, WIDTH_MAX);
            zeros -= WIDTH_MAX;
        }
        self.put(1 << zeros, zeros + 1);
        self.put(value & ((1 << k) - 1), k);
    }

    /// A number with its width in front, which is below 64.
    pub fn sized(&mut self, value: u64) {
        let width = u64::BITS - value.leading_zeros();
        self.put(width, SIZE_BITS);
        let low = width.min(32);
        self.put(value as u32, low);
        self.put((value >> 32) as u32, width - low);
    }

    /// Whole bytes; what is left of the last one is zeros.
    pub fn finish(mut self) -> Vec<u8> {
        let rest = self.held.to_le_bytes();
        self.bytes.extend_from_slice(&rest[..self.count.div_ceil(8) as usize]);
        self.bytes
    }
}

#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn take(&mut self, width: u32) -> Result<u32, BadSnapshot> {
        let value = self.seen() & ((1 << width) - 1);
        self.skip(width)?;
        Ok(value as u32)
    }

    pub fn k(&mut self) -> Result<u32, BadSnapshot> {
        self.take(K_BITS)
    }

    pub fn rice(&mut self, k: u32) -> Result<u32, BadSnapshot> {
        let mut high: usize = 0;
        loop {
            let zeros = self.seen().trailing_zeros();
            if zeros < SEEN {
                high += zeros as usize;
                self.skip(zeros + 1)?;
                break;
            }
            high += SEEN as usize;
            self.skip(SEEN)?;
        }
        let high = u32::try_from(high).ok().filter(|high| *high <= u32::MAX >> k);
        Ok(high.ok_or(BadSnapshot("a number is too large"))? << k | self.take(k)?)
    }

    pub fn sized(&mut self) -> Result<u64, BadSnapshot> {
        let width = self.take(SIZE_BITS)?;
        let low = width.min(32);
        Ok(u64::from(self.take(low)?) | u64::from(self.take(width - low)?) << 32)
    }

    /// Goes on with the next whole byte.
    pub fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// The next [`SEEN`] bits and perhaps some more; zeros behind the end.
    fn seen(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let next = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            last
        });
        u64::from_le_bytes(next) >> (self.at % 8)
    }

    fn skip(&mut self, bits: u32) -> Result<(), BadSnapshot> {
        self.at += bits as usize;
        if self.at > self.bytes.len() * 8 { Err(BadSnapshot("it ends early")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_out_as_they_went_in(list in prop::collection::vec((any::<u32>(), 0u32..32), 0..100), big in 0..u64::MAX >> 1) {
            // Of all sizes.
            let list: Vec<u32> = list.into_iter().map(|(value, right)| value >> right).collect();
            let k = rice_k(list.iter().copied().map(u64::from).sum(), list.len());
            let mut writer = BitWriter::default();
            writer.k(k);
            list.iter().for_each(|value| writer.rice(*value, k));
            writer.sized(big);
            list.iter().for_each(|value| writer.put(*value, 32));
            let bytes = writer.finish();
            prop_assert!(bytes.len() * 8 <= 11 + 63 + 7 + list.len() * (3 + k as usize + 32), "few zeros");
            let mut reader = BitReader::new(&bytes);
            let k = reader.k().unwrap();
            prop_assert!(list.iter().all(|value| reader.rice(k) == Ok(*value)));
            prop_assert_eq!(reader.sized(), Ok(big));
            prop_assert!(list.iter().all(|value| reader.take(32) == Ok(*value)));
            reader.align();
            prop_assert!(reader.take(1).is_err() && reader.rice(31).is_err());
        }
    }
}
