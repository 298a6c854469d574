//! What memory keeps of a device's token: few bytes, for every device has one.
use std::num::NonZeroU32;

use super::token::Issued;

/// A token that was found good, kept with its device so that the same bytes need no second look: not their signature, nor
/// whose they are. How the token stands with the device is judged each time.
#[derive(Debug, Clone, Copy)]
pub struct SeenToken {
    /// Half of the SHA-256: to find another token with the same half takes 2¹²⁸ tries, and every device has one of these.
    digest: [u8; 16],
    generation: i64,
    at_s: u32,
    life_s: u32,
    epoch: u32,
    /// Of this ring's newest key, which never ends while the ring is the same. One more than its number.
    ring_no: NonZeroU32,
}

impl SeenToken {
    /// `None` for one of times that we never give.
    pub(super) fn new(sha256: [u8; 32], ring_no: u32, issued: Issued) -> Option<Self> {
        Some(Self {
            digest: *sha256.first_chunk()?,
            generation: issued.generation,
            at_s: issued.at_s.try_into().ok()?,
            life_s: issued.expires_at_s.checked_sub(issued.at_s)?.try_into().ok()?,
            epoch: issued.epoch,
            ring_no: ring_no.checked_add(1).and_then(NonZeroU32::new)?,
        })
    }

    pub(super) fn issued(&self) -> Issued {
        let at_s = i64::from(self.at_s);
        Issued { epoch: self.epoch, generation: self.generation, at_s, expires_at_s: at_s + i64::from(self.life_s) }
    }

    pub(super) fn is(&self, sha256: &[u8; 32], ring_no: u32) -> bool {
        sha256.starts_with(&self.digest) && self.ring_no.get() - 1 == ring_no
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_was_seen_and_no_other() {
        let issued =
            Issued { epoch: 3, generation: 1_765_967_405_000, at_s: 1_765_967_405, expires_at_s: 1_766_572_205 };
        let seen = SeenToken::new([7; 32], 0, issued).unwrap();
        assert_eq!(seen.issued(), issued);
        assert!(seen.is(&[7; 32], 0) && !seen.is(&[7; 32], 1) && !seen.is(&[8; 32], 0));
        assert!(SeenToken::new([7; 32], 0, Issued { at_s: -1, ..issued }).is_none());
        assert!(SeenToken::new([7; 32], 0, Issued { expires_at_s: i64::MAX, ..issued }).is_none());
        assert_eq!(size_of::<Option<SeenToken>>(), 40);
    }
}
