//! What stands in the street: something that is measured and switched. Simulated ([`SimLamp`]), or real, behind files
//! ([`Directory`](crate::directory::Directory)).
use ccms_core::time::UtcMillis;
use ccms_device::{Lamp, Sensors};

use crate::simlamp::SimLamp;

pub trait Pole {
    fn measure(&mut self, steady_ms: u64, utc: UtcMillis) -> Sensors;

    fn actuate(&mut self, steady_ms: u64, lamp: Lamp);

    /// Measured at least this often, also when the device waits for nothing.
    fn look_every_ms(&self) -> Option<u64> {
        None
    }

    /// The controller runs.
    fn has_power(&self) -> bool {
        true
    }

    /// The radio has a network.
    fn is_connected(&self, _steady_ms: u64) -> bool {
        true
    }

    /// How wrong the controller's own clock is.
    fn clock_error_ms(&self, _steady_ms: u64) -> i64 {
        0
    }

    /// A meter that this process keeps, in microjoules.
    fn meter_uj(&self) -> u64 {
        0
    }
}

impl Pole for SimLamp {
    fn measure(&mut self, steady_ms: u64, utc: UtcMillis) -> Sensors {
        Self::measure(self, steady_ms, utc)
    }

    fn actuate(&mut self, steady_ms: u64, lamp: Lamp) {
        Self::actuate(self, steady_ms, lamp);
    }

    fn has_power(&self) -> bool {
        Self::has_power(self)
    }

    fn is_connected(&self, steady_ms: u64) -> bool {
        Self::is_connected(self, steady_ms)
    }

    fn clock_error_ms(&self, steady_ms: u64) -> i64 {
        Self::clock_error_ms(self, steady_ms)
    }

    fn meter_uj(&self) -> u64 {
        Self::meter_uj(self)
    }
}
