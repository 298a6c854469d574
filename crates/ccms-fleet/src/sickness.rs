//! What may be wrong with a lamp. A small, seeded share of a city is sick, so that a screen shows more than green.
use ccms_device::chance::Chance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sickness {
    PoorSignal,
    LowBattery,
    /// The relay is on, and no current flows.
    LampFailure,
    Overheating,
    /// The controller itself fails: state ERROR.
    ControllerFault,
    /// Falls silent after this many seconds, for good.
    Silent {
        after_s: u64,
    },
}

/// Share of sick lamps in a city with faults.
pub const SICK_SHARE: f64 = 0.04;
/// A lamp that will fall silent does so within this time of its start.
const SILENT_WITHIN_S: (u64, u64) = (150, 600);

impl Sickness {
    pub fn draw(chance: &mut Chance) -> Option<Self> {
        if !chance.hits(SICK_SHARE) {
            return None;
        }
        Some(match chance.below(10) {
            0..=2 => Self::PoorSignal,
            3 | 4 => Self::LowBattery,
            5 | 6 => Self::LampFailure,
            7 => Self::Overheating,
            8 => Self::ControllerFault,
            _ => Self::Silent { after_s: SILENT_WITHIN_S.0 + chance.below(SILENT_WITHIN_S.1 - SILENT_WITHIN_S.0) },
        })
    }
}
