//! Chance as a function: the same seed and the same moment or place give the same value, whoever asks and however often. So
//! a restarted city finds its weather, its brown-outs and its radio shadows where they were.
use ccms_device::chance::Chance;

/// 64 bits that depend on everything in `seed` and `index`.
pub fn hash(seed: u64, index: i64) -> u64 {
    Chance::new(seed ^ (index as u64).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32)).next_u64()
}

/// A number in `0.0..1.0` for each index.
pub fn unit(seed: u64, index: i64) -> f64 {
    (hash(seed, index) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A smooth curve between -1 and 1 that goes through a new random value at every whole `x`.
pub fn curve(seed: u64, x: f64) -> f64 {
    let cell = x.floor();
    let at = |i: i64| unit(seed, i) * 2.0 - 1.0;
    blend(at(cell as i64), at(cell as i64 + 1), x - cell)
}

/// The same over a plane.
pub fn field(seed: u64, x: f64, y: f64) -> f64 {
    let row = y.floor();
    let along = |j: i64| curve(hash(seed, j), x);
    blend(along(row as i64), along(row as i64 + 1), y - row)
}

/// From `a` to `b` without a kink at either end.
fn blend(a: f64, b: f64, t: f64) -> f64 {
    a + (b - a) * t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_in_bounds_and_never_jumps(seed: u64, x in -1e6..1e6, y in -1e6..1e6) {
            prop_assert!((0.0..1.0).contains(&unit(seed, x as i64)));
            for value in [curve(seed, x), field(seed, x, y)] {
                prop_assert!((-1.0..=1.0).contains(&value));
            }
            prop_assert!((curve(seed, x) - curve(seed, x + 1e-3)).abs() < 0.01);
            prop_assert!((field(seed, x, y) - field(seed, x, y + 1e-3)).abs() < 0.01);
        }
    }

    #[test]
    fn all_values_come_equally_often() {
        let low = (0..10_000).filter(|i| unit(3, *i) < 0.25).count();
        assert!((2_300..2_700).contains(&low), "{low}");
    }
}
