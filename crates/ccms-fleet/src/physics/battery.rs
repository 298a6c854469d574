//! The controller's battery: filled while there is mains, drained while there is none. It feeds the controller, never the lamp.

/// From empty to full.
const CHARGE_H: f64 = 10.0;

/// Charge, and how much of a new battery is left of this one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    charge: f32,
    health: f32,
    backup_h: f32,
}

impl Battery {
    /// A full battery that lasts `backup_h` hours when new. `health` is what is left of that: it charges no higher.
    pub fn full(backup_h: f64, health: f64) -> Self {
        Self { charge: health as f32, health: health as f32, backup_h: backup_h as f32 }
    }

    pub fn percent(self) -> u8 {
        (self.charge * 100.0).round() as u8
    }

    pub fn is_empty(self) -> bool {
        self.charge <= 0.0
    }

    /// Goes on by `seconds` with or without mains.
    pub fn step(&mut self, seconds: f64, has_mains: bool) {
        let hours = seconds / 3_600.0;
        let change = if has_mains { hours / CHARGE_H } else { -hours / f64::from(self.backup_h) };
        self.charge = (f64::from(self.charge) + change).clamp(0.0, f64::from(self.health)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasts_as_long_as_it_says_and_fills_again() {
        let mut battery = Battery::full(12.0, 1.0);
        battery.step(6.0 * 3_600.0, false);
        assert_eq!(battery.percent(), 50);
        battery.step(6.1 * 3_600.0, false);
        assert!(battery.is_empty());
        battery.step(5.0 * 3_600.0, true);
        assert_eq!(battery.percent(), 50);
        battery.step(50.0 * 3_600.0, true);
        assert_eq!(battery.percent(), 100);
    }

    #[test]
    fn a_worn_one_never_gets_full_and_is_soon_empty() {
        let mut battery = Battery::full(12.0, 0.15);
        battery.step(20.0 * 3_600.0, true);
        assert_eq!(battery.percent(), 15);
        battery.step(2.0 * 3_600.0, false);
        assert!(battery.is_empty());
    }
}
