//! Numbers of as many bits as they need, the lowest bit first.
//!
//! A Rice code with `k` says a number in two parts: what is above its lowest `k` bits as so many zeros and a one, then those
//! `k` bits. A number that is far larger than the others of its list, the way to another street, is eight zeros, five bits
//! for how many bits are below its highest, and those.
use super::BadSnapshot;

/// Zeros in front of a number that is far larger than others.
const FAR: u32 = 8;
/// Bits of a `k`, and of how many bits are below the highest.
const K_BITS: u32 = 5;
/// Bits of the width of a [sized](BitWriter::sized) number.
const SIZE_BITS: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    /// Bits in `held`; fewer than 32.
    count: u32,
}

/// The `k` with which these numbers take few bits: that of their mean, or of their mean width when some are far larger.
pub(super) fn rice_k(list: impl Iterator<Item = u32> + Clone) -> u32 {
    let (mut count, mut sum, mut widths) = (0, 0, 0);
    for value in list.clone() {
        (count, sum, widths) =
            (count + 1, sum + u64::from(value), widths + u64::from(u32::BITS - value.leading_zeros()));
    }
    let Some(mean) = sum.checked_div(count) else { return 0 };
    let of_mean = mean.checked_ilog2().unwrap_or(0);
    let of_widths = ((widths + count / 2) / count).saturating_sub(1) as u32;
    let bits = |k| list.clone().map(|value| u64::from(bits_of(value, k))).sum::<u64>();
    if of_mean == of_widths || bits(of_mean) <= bits(of_widths) { of_mean } else { of_widths }
}

/// Bits of a Rice code.
fn bits_of(value: u32, k: u32) -> u32 {
    let zeros = value >> k;
    if zeros < FAR { zeros + 1 + k } else { FAR + K_BITS + value.ilog2() }
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
        let zeros = value >> k;
        if zeros < FAR {
            self.put(1 << zeros, zeros + 1);
            self.put(value & ((1 << k) - 1), k);
        } else {
            let below = value.ilog2();
            self.put(below << FAR, FAR + K_BITS);
            self.put(value ^ 1 << below, below);
        }
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
        let zeros = self.seen().trailing_zeros();
        if zeros < FAR {
            self.skip(zeros + 1)?;
            // A `k` that nobody writes makes a number that nobody wrote.
            return Ok(zeros << k | self.take(k)?);
        }
        self.skip(FAR)?;
        let below = self.take(K_BITS)?;
        Ok(1 << below | self.take(below)?)
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

    /// The next 57 bits and perhaps some more; zeros behind the end.
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
        fn numbers_come_out_as_they_went_in(
            list in prop::collection::vec((any::<u32>(), 0u32..32), 0..100), k in 0u32..32, big in 0..u64::MAX >> 1
        ) {
            // Of all sizes.
            let list: Vec<u32> = list.into_iter().map(|(value, right)| value >> right).collect();
            let good = rice_k(list.iter().copied());
            let size = |k| list.iter().map(|value| bits_of(*value, k) as usize).sum::<usize>();
            let mut writer = BitWriter::default();
            for k in [good, k] {
                writer.k(k);
                list.iter().for_each(|value| writer.rice(*value, k));
            }
            writer.sized(big);
            list.iter().for_each(|value| writer.put(*value, 32));
            let bytes = writer.finish();
            prop_assert!(bytes.len() * 8 <= 2 * 5 + size(good) + size(k) + 6 + 63 + list.len() * 32 + 7);
            let mut reader = BitReader::new(&bytes);
            for k in [good, k] {
                prop_assert_eq!(reader.k(), Ok(k));
                prop_assert!(list.iter().all(|value| reader.rice(k) == Ok(*value)));
            }
            prop_assert_eq!(reader.sized(), Ok(big));
            prop_assert!(list.iter().all(|value| reader.take(32) == Ok(*value)));
            reader.align();
            prop_assert!(reader.take(1).is_err() && reader.rice(31).is_err());
        }
    }

    #[test]
    fn a_few_large_numbers_do_not_make_the_others_large() {
        let list = |large: u32| (0..64).map(move |n| if n % 25 == 0 { large } else { 500 + n });
        let bits = |large| {
            let k = rice_k(list(large));
            list(large).map(|value| bits_of(value, k)).sum::<u32>()
        };
        assert!(bits(200_000) < bits(500) + 3 * 24, "{} against {}", bits(200_000), bits(500));
        assert!(bits(u32::MAX) < bits(500) + 3 * 64, "{} against {}", bits(u32::MAX), bits(500));
    }
}
