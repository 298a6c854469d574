//! Seeded chance for jitter: splitmix64. Small, portable, and the same seed always tells the same story.

/// A stream of pseudo-random numbers. Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { ((u128::from(self.next_u64()) * u128::from(limit)) >> 64) as u64 }
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True once in a while: with probability `p`.
    pub fn hits(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// `base` plus up to `percent` of it, so that a fleet that failed together does not come back together.
    pub fn stretched(&mut self, base: u64, percent: u64) -> u64 {
        base + self.below(base * percent / 100 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story_within_its_bounds() {
        let (mut a, mut b) = (Chance::new(7), Chance::new(7));
        for _ in 0..1000 {
            let x = a.below(300);
            assert_eq!(x, b.below(300));
            assert!(x < 300);
        }
        assert!((100..=120).contains(&a.stretched(100, 20)));
        assert_eq!(a.below(0), 0);
    }
}
