//! The energy counter. It counts exactly the power that was read, in microjoules, and shows watt-hours up to its last digit;
//! then it begins at zero again.

/// Six digits of kilowatt-hours and three behind: 9,999.999 kWh is followed by zero.
pub const END_WH: u64 = 10_000_000;
const MICROJOULES_PER_WH: u64 = 3_600_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    counted_uj: u64,
}

impl Meter {
    pub const fn of_uj(counted_uj: u64) -> Self {
        Self { counted_uj }
    }

    pub const fn of_wh(wh: u64) -> Self {
        Self { counted_uj: wh * MICROJOULES_PER_WH }
    }

    /// Everything it ever counted.
    pub const fn counted_uj(self) -> u64 {
        self.counted_uj
    }

    /// What its display says.
    pub const fn shown_wh(self) -> i64 {
        (self.counted_uj / MICROJOULES_PER_WH % END_WH) as i64
    }

    pub fn count(&mut self, power_dw: u32, passed_ms: u64) {
        // A tenth of a watt for a millisecond is 100 microjoules.
        self.counted_uj += u64::from(power_dw) * passed_ms * 100;
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::meter::{Step, step};

    use super::*;

    #[test]
    fn goes_over_its_last_digit_as_the_server_expects_it() {
        let mut meter = Meter::of_wh(END_WH - 1);
        let before = meter.shown_wh();
        // 600 W for a minute are 10 Wh.
        meter.count(6_000, 60_000);
        assert_eq!((before, meter.shown_wh()), (9_999_999, 9));
        assert_eq!(step(before, meter.shown_wh(), 60_000), Step::RolledOver(10));
        assert_eq!(meter.counted_uj() / MICROJOULES_PER_WH, END_WH + 9);
    }
}
