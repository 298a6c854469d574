//! The case: the air, and above it what the lamp's own heat adds, which follows its load with a time constant.

/// After this long a change is done to two thirds.
pub const TIME_CONSTANT_S: f64 = 900.0;

/// Degrees above the air.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Housing {
    rise_c: f32,
}

impl Housing {
    /// As it is after hours at one load.
    pub fn settled(goal_c: f64) -> Self {
        Self { rise_c: goal_c as f32 }
    }

    pub fn rise_c(self) -> f64 {
        f64::from(self.rise_c)
    }

    /// Goes on by `seconds` towards `goal_c`. Two short steps are one long one.
    pub fn step(&mut self, seconds: f64, goal_c: f64) {
        let left = (-seconds / TIME_CONSTANT_S).exp();
        self.rise_c = (goal_c + (f64::from(self.rise_c) - goal_c) * left) as f32;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_way_is_the_same_in_any_steps(start in 0.0..40.0, goal in 0.0..40.0, a in 0.0..5_000.0, b in 0.0..5_000.0) {
            let (mut once, mut twice) = (Housing::settled(start), Housing::settled(start));
            once.step(a + b, goal);
            twice.step(a, goal);
            twice.step(b, goal);
            prop_assert!((once.rise_c() - twice.rise_c()).abs() < 1e-3);
            prop_assert!(once.rise_c() <= start.max(goal) + 1e-3 && once.rise_c() >= start.min(goal) - 1e-3);
        }
    }

    #[test]
    fn two_thirds_are_done_after_the_time_constant() {
        let mut housing = Housing::default();
        housing.step(TIME_CONSTANT_S, 30.0);
        assert!((housing.rise_c() - 30.0 * 0.632).abs() < 0.1);
    }
}
