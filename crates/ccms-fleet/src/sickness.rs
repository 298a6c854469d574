//! What may be wrong with a lamp, how often, and from when on. Seeded: the same lamp of the same city has the same sickness.
//! How each looks in the readings is tested in `simlamp/tests.rs`, by name.
use std::str::FromStr;

use ccms_device::chance::Chance;

use crate::physics::mains::MainsFaults;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    /// Commanded on, and no current flows.
    DeadLamp,
    /// Fed past the controller: it burns by day too, whatever is commanded.
    DayBurner,
    /// At the end of its life: it goes out when it is warm, cools, and comes again.
    CyclingLamp,
    /// The relay's contact is welded: off is not off. The controller notices.
    StuckRelay,
    /// The controller's clock is wrong, and gets more so.
    DriftingClock,
    /// The counter is about to go over its last digit.
    MeterRollover,
    /// The modem comes and goes.
    FlappingModem,
    /// The modem falls silent for good.
    SilentModem,
    PoorAntenna,
    /// The battery holds little, and not for long.
    WornBattery,
    Overheating,
    /// The controller itself fails: state ERROR.
    ControllerFault,
}

impl Ailment {
    pub const ALL: [Self; 12] = [
        Self::DeadLamp,
        Self::DayBurner,
        Self::CyclingLamp,
        Self::StuckRelay,
        Self::DriftingClock,
        Self::MeterRollover,
        Self::FlappingModem,
        Self::SilentModem,
        Self::PoorAntenna,
        Self::WornBattery,
        Self::Overheating,
        Self::ControllerFault,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::DeadLamp => "dead-lamp",
            Self::DayBurner => "day-burner",
            Self::CyclingLamp => "cycling-lamp",
            Self::StuckRelay => "stuck-relay",
            Self::DriftingClock => "drifting-clock",
            Self::MeterRollover => "meter-rollover",
            Self::FlappingModem => "flapping-modem",
            Self::SilentModem => "silent-modem",
            Self::PoorAntenna => "poor-antenna",
            Self::WornBattery => "worn-battery",
            Self::Overheating => "overheating",
            Self::ControllerFault => "controller-fault",
        }
    }

    /// A city is seen whole once before parts of it fall silent.
    const fn cuts_the_link(self) -> bool {
        matches!(self, Self::FlappingModem | Self::SilentModem)
    }
}

/// An ailment, and from when on: milliseconds after the start of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sickness {
    pub ailment: Ailment,
    pub from_ms: u64,
}

/// Of the sick so many were sick before the simulation began; the rest falls sick in between these times.
const SICK_BEFORE: f64 = 0.75;
const FALLS_SICK_MS: (u64, u64) = (150_000, 2_400_000);
/// Nobody loses the link sooner than this after its first reading.
pub const LINK_GRACE_MS: u64 = 150_000;

impl Sickness {
    /// Seen from the first reading on.
    pub const fn old(ailment: Ailment) -> Self {
        Self { ailment, from_ms: 0 }
    }

    pub fn draw(rates: &Rates, chance: &mut Chance) -> Option<Self> {
        // Drawn before it is known whether they are needed: a lamp keeps its sickness when rates grow.
        let (lot, before, from) = (chance.unit(), chance.hits(SICK_BEFORE), chance.unit());
        let mut edge = 0.0;
        let ailment = Ailment::ALL.into_iter().find(|a| {
            edge += rates.share(*a);
            lot < edge
        })?;
        let (first_ms, last_ms) = FALLS_SICK_MS;
        let later_ms = first_ms + (from * (last_ms - first_ms) as f64) as u64;
        let from_ms = if before && !ailment.cuts_the_link() { 0 } else { later_ms };
        Some(Self { ailment, from_ms })
    }
}

/// How much goes wrong in a city.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Of all lamps, in the order of [`Ailment::ALL`].
    shares: [f64; Ailment::ALL.len()],
    pub mains: MainsFaults,
    /// How much of the radio's holes there is: 0 to 1.
    pub coverage_holes: f64,
}

const DAYS_PER_YEAR: f64 = 365.25;
const BROWNOUTS: &str = "brownouts";
const OUTAGES: &str = "outages";
const CITY_CUTS: &str = "city-cuts";
const COVERAGE_HOLES: &str = "coverage-holes";

impl Rates {
    pub const OFF: Self = Self {
        shares: [0.0; Ailment::ALL.len()],
        mains: MainsFaults { brownouts: 0.0, outages: 0.0, cuts: 0.0 },
        coverage_holes: 0.0,
    };

    /// A city that looks after its lights: one lamp in 25 has something, mostly small.
    pub const CALM: Self = Self {
        shares: [0.006, 0.002, 0.002, 0.001, 0.002, 0.001, 0.004, 0.003, 0.010, 0.006, 0.002, 0.001],
        mains: MainsFaults { brownouts: 6.0 / DAYS_PER_YEAR, outages: 2.0 / DAYS_PER_YEAR, cuts: 0.2 / DAYS_PER_YEAR },
        coverage_holes: 0.1,
    };

    /// One lamp in 14, and feeders that fail now and then.
    pub const USUAL: Self = Self {
        shares: [0.014, 0.005, 0.006, 0.003, 0.004, 0.002, 0.008, 0.005, 0.012, 0.009, 0.003, 0.002],
        mains: MainsFaults { brownouts: 0.5, outages: 0.1, cuts: 1.0 / DAYS_PER_YEAR },
        coverage_holes: 0.4,
    };

    /// One lamp in 9, brown-outs every evening, a city-wide cut every month.
    pub const ROUGH: Self = Self {
        shares: [0.024, 0.010, 0.012, 0.005, 0.006, 0.003, 0.014, 0.008, 0.014, 0.012, 0.005, 0.003],
        mains: MainsFaults { brownouts: 1.5, outages: 0.4, cuts: 12.0 / DAYS_PER_YEAR },
        coverage_holes: 0.7,
    };

    pub fn share(&self, ailment: Ailment) -> f64 {
        self.shares[ailment as usize]
    }

    /// Every lamp has this one.
    pub fn all(ailment: Ailment) -> Self {
        let mut rates = Self::OFF;
        rates.shares[ailment as usize] = 1.0;
        rates
    }

    fn times(mut self, factor: f64) -> Self {
        self.shares.iter_mut().for_each(|s| *s *= factor);
        for rate in [&mut self.mains.brownouts, &mut self.mains.outages, &mut self.mains.cuts] {
            *rate *= factor;
        }
        self.coverage_holes = (self.coverage_holes * factor).min(1.0);
        self
    }

    fn set(&mut self, name: &str, rate: f64) -> Result<(), String> {
        let place = match name {
            BROWNOUTS => &mut self.mains.brownouts,
            OUTAGES => &mut self.mains.outages,
            CITY_CUTS => &mut self.mains.cuts,
            COVERAGE_HOLES => &mut self.coverage_holes,
            _ => {
                let known = Ailment::ALL.into_iter().find(|a| a.name() == name);
                let ailment = known.ok_or_else(|| format!("{name:?} is no fault; there are {}", names()))?;
                &mut self.shares[ailment as usize]
            }
        };
        *place = rate;
        Ok(())
    }
}

fn names() -> String {
    let lamps = Ailment::ALL.iter().map(|a| a.name());
    lamps.chain([BROWNOUTS, OUTAGES, CITY_CUTS, COVERAGE_HOLES]).collect::<Vec<_>>().join(", ")
}

/// What `--faults` says: `on` (the profile's own rates), `off`, `calm`, `usual`, `rough`, or a number by which the profile's own
/// are multiplied; then, after commas, single rates such as `dead-lamp=0.05` (of all lamps) or `brownouts=2` (a day).
#[derive(Debug, Clone, PartialEq)]
pub struct FaultChoice {
    base: Base,
    single: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Base {
    Profile { factor: f64 },
    Named(Rates),
}

impl FaultChoice {
    pub const ON: Self = Self { base: Base::Profile { factor: 1.0 }, single: Vec::new() };
    pub const OFF: Self = Self { base: Base::Named(Rates::OFF), single: Vec::new() };

    pub fn rates(&self, of_profile: Rates) -> Rates {
        let mut rates = match self.base {
            Base::Profile { factor } => of_profile.times(factor),
            Base::Named(rates) => rates,
        };
        for (name, rate) in &self.single {
            // The names were checked when this was parsed.
            let _ = rates.set(name, *rate);
        }
        rates
    }
}

impl FromStr for FaultChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut choice = Self::ON;
        for (n, part) in text.split(',').enumerate() {
            let number = |t: &str| t.parse::<f64>().ok().filter(|x| (0.0..=1_000.0).contains(x));
            match (part.split_once('='), part) {
                (Some((name, rate)), _) => {
                    let rate = number(rate).ok_or_else(|| format!("{rate:?} is no rate"))?;
                    Rates::OFF.clone().set(name, rate)?;
                    choice.single.push((name.to_owned(), rate));
                }
                (None, _) if n > 0 => {
                    return Err(format!("{part:?}: after a comma comes a rate such as dead-lamp=0.05"));
                }
                (None, "on" | "true") => {}
                (None, "off" | "false") => choice.base = Base::Named(Rates::OFF),
                (None, "calm") => choice.base = Base::Named(Rates::CALM),
                (None, "usual") => choice.base = Base::Named(Rates::USUAL),
                (None, "rough") => choice.base = Base::Named(Rates::ROUGH),
                (None, other) => {
                    let factor = number(other).ok_or("on, off, calm, usual, rough, a factor, or rates by name")?;
                    choice.base = Base::Profile { factor };
                }
            }
        }
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rates: &Rates) -> Vec<Option<Sickness>> {
        (0..20_000).map(|seed| Sickness::draw(rates, &mut Chance::new(seed))).collect()
    }

    #[test]
    fn every_ailment_comes_as_often_as_its_rate_says() {
        for rates in [Rates::CALM, Rates::USUAL, Rates::ROUGH] {
            let drawn = drawn(&rates);
            for ailment in Ailment::ALL {
                let found = drawn.iter().flatten().filter(|s| s.ailment == ailment).count() as f64 / drawn.len() as f64;
                let wanted = rates.share(ailment);
                assert!(wanted > 0.0 && (found - wanted).abs() < 0.3 * wanted + 0.0006, "{ailment:?}: {found}");
            }
        }
        assert!(drawn(&Rates::OFF).iter().all(Option::is_none));
        assert!(
            drawn(&Rates::all(Ailment::DayBurner)).iter().all(|s| s.is_some_and(|s| s.ailment == Ailment::DayBurner))
        );
    }

    #[test]
    fn a_lamp_that_is_sick_in_a_calm_city_is_sick_in_a_rough_one() {
        let (calm, rough) = (drawn(&Rates::CALM), drawn(&Rates::ROUGH));
        assert!(calm.iter().zip(&rough).all(|(c, r)| c.is_none() || r.is_some()));
    }

    #[test]
    fn most_are_sick_from_the_start_but_nobody_is_silent_from_the_start() {
        let drawn = drawn(&Rates::ROUGH);
        let before = drawn.iter().flatten().filter(|s| s.from_ms == 0).count();
        assert!((0.55..0.75).contains(&(before as f64 / drawn.iter().flatten().count() as f64)));
        let link = drawn.iter().flatten().filter(|s| s.ailment.cuts_the_link());
        assert!(link.clone().count() > 100 && link.into_iter().all(|s| s.from_ms >= LINK_GRACE_MS));
    }

    #[test]
    fn choices_are_read() {
        let rates = |text: &str| text.parse::<FaultChoice>().map(|c| c.rates(Rates::USUAL));
        assert_eq!(rates("on"), Ok(Rates::USUAL));
        assert_eq!(rates("true"), Ok(Rates::USUAL));
        assert_eq!(rates("off"), Ok(Rates::OFF));
        assert_eq!(rates("rough"), Ok(Rates::ROUGH));
        assert_eq!(rates("2").unwrap().share(Ailment::DeadLamp), 2.0 * Rates::USUAL.share(Ailment::DeadLamp));
        let some = rates("off,dead-lamp=0.05,city-cuts=24").unwrap();
        assert_eq!((some.share(Ailment::DeadLamp), some.mains.cuts), (0.05, 24.0));
        assert_eq!(rates("day-burner=0.5").unwrap().share(Ailment::DayBurner), 0.5);
        for bad in ["", "sometimes", "off,calm", "dead=1", "dead-lamp=x", "-1", "dead-lamp=-0.1"] {
            assert!(rates(bad).is_err(), "{bad}");
        }
    }
}
