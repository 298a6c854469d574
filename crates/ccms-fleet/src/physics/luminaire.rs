//! What a lamp draws: by brightness, voltage, the time since it was lit, and its age. LED drivers hold their power whatever
//! the mains do, and give way only when those break down; a discharge lamp runs up for minutes, follows the voltage, goes
//! out below some, and has to cool before it can be lit again.
use ccms_core::time::UtcMillis;

use super::mains::NOMINAL_V;

/// A lamp burns this share of the year.
const NIGHT_SHARE: f64 = 0.48;
/// Discharge lamps are replaced all together after so many hours.
const RELAMPING_H: f64 = 24_000.0;
/// An LED that has lost a tenth of its light is driven no harder.
const LED_TENTH_LOST_H: f64 = 60_000.0;
const LED_RISE_C: f64 = 18.0;
const DISCHARGE_RISE_C: f64 = 27.0;
/// Below this a driver gives way, below the other it is off.
const DRIVER_HOLDS_V: f64 = 180.0;
const DRIVER_OFF_V: f64 = 90.0;
const IGNITES_V: f64 = 198.0;
const SOFT_START_S: f64 = 1.5;
/// A cold LED draws a little more.
const COLD_LED_SHARE: f64 = 0.03;
const LED_WARM_S: f64 = 900.0;
/// What the arc draws at once, and how the rest comes.
const RUN_UP_SHARE: f64 = 0.4;
const RUN_UP_S: f64 = 80.0;
/// The ballast's own losses.
const BALLAST_SHARE: f64 = 0.08;
/// Ballasts dim to this and no further.
const DISCHARGE_LEVEL_MIN: f64 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    Led,
    /// High-pressure sodium and its relatives.
    Discharge,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Luminaire {
    pub light: Light,
    pub rated_w: f32,
    pub installed: UtcMillis,
}

/// The conditions under which a lamp burns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burning {
    /// 0 to 1.
    pub level: f64,
    pub volts: f64,
    /// Since it was lit.
    pub lit_s: f64,
    /// So far, as [`Luminaire::burned_h`] says.
    pub burned_h: f64,
}

impl Luminaire {
    /// Hours that its light source has burned by then.
    pub fn burned_h(&self, utc: UtcMillis) -> f64 {
        let hours = utc.since(self.installed).max(0) as f64 / 3_600_000.0 * NIGHT_SHARE;
        match self.light {
            Light::Led => hours,
            Light::Discharge => hours % RELAMPING_H,
        }
    }

    /// What is left of its light.
    pub fn lumen_share(&self, burned_h: f64) -> f64 {
        match self.light {
            Light::Led => 0.9_f64.powf(burned_h / LED_TENTH_LOST_H),
            Light::Discharge => 1.0 - 0.3 * burned_h / RELAMPING_H,
        }
    }

    /// What age makes of its power. An LED driver makes up for lost light: it begins with nine tenths. The arc of an old
    /// discharge lamp takes more voltage.
    pub fn aged_share(&self, burned_h: f64) -> f64 {
        match self.light {
            Light::Led => (0.9 / self.lumen_share(burned_h)).min(1.0),
            Light::Discharge => 1.0 + 0.1 * burned_h / RELAMPING_H,
        }
    }

    /// Whether it keeps burning at this voltage. An old arc goes out sooner.
    pub fn holds(&self, volts: f64, burned_h: f64) -> bool {
        volts
            >= match self.light {
                Light::Led => DRIVER_OFF_V,
                Light::Discharge => 160.0 + 25.0 * burned_h / RELAMPING_H,
            }
    }

    /// Whether it can be lit at this voltage: an ignitor wants more than an arc that burns.
    pub fn strikes(&self, volts: f64) -> bool {
        volts
            >= match self.light {
                Light::Led => DRIVER_OFF_V,
                Light::Discharge => IGNITES_V,
            }
    }

    /// How long it stays dark after it went out, before it can be lit again.
    pub const fn restrike_s(&self) -> f64 {
        match self.light {
            Light::Led => 0.0,
            Light::Discharge => 75.0,
        }
    }

    /// Degrees above the air that its case settles at, for the share of its power that it draws.
    pub fn rise_c(&self, share: f64) -> f64 {
        share
            * match self.light {
                Light::Led => LED_RISE_C,
                Light::Discharge => DISCHARGE_RISE_C,
            }
    }

    /// What a burning lamp draws.
    pub fn power_w(&self, now: Burning) -> f64 {
        let aged_w = f64::from(self.rated_w) * self.aged_share(now.burned_h);
        match self.light {
            Light::Led => {
                let steady = 0.06 + 0.94 * now.level;
                let start = (now.lit_s / SOFT_START_S).min(1.0);
                let cold = 1.0 + COLD_LED_SHARE * (-now.lit_s / LED_WARM_S).exp();
                aged_w * steady * start * cold * (now.volts / DRIVER_HOLDS_V).min(1.0)
            }
            Light::Discharge => {
                let level = now.level.max(DISCHARGE_LEVEL_MIN);
                let run_up = 1.0 - (1.0 - RUN_UP_SHARE) * (-now.lit_s / RUN_UP_S).exp();
                aged_w * (1.0 + BALLAST_SHARE) * level * run_up * (now.volts / NOMINAL_V).powf(1.8)
            }
        }
    }

    /// Power over voltage times current. Dimmed drivers and cold arcs make it worse.
    pub fn power_factor(&self, now: Burning) -> f64 {
        match self.light {
            Light::Led => 0.97 - 0.35 * (1.0 - now.level).powi(2),
            Light::Discharge => 0.88 - 0.4 * (-now.lit_s / RUN_UP_S).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW_YEAR: UtcMillis = UtcMillis::from_seconds(1_735_689_600);
    const WARM_S: f64 = 7_200.0;

    fn lamp(light: Light) -> Luminaire {
        Luminaire { light, rated_w: 100.0, installed: NEW_YEAR }
    }

    fn at(level: f64, volts: f64, lit_s: f64) -> Burning {
        Burning { level, volts, lit_s, burned_h: 0.0 }
    }

    #[test]
    fn an_led_is_there_at_once_and_a_discharge_lamp_after_minutes() {
        let (led, arc) = (lamp(Light::Led), lamp(Light::Discharge));
        let share = |l: &Luminaire, s: f64| l.power_w(at(1.0, 230.0, s)) / l.power_w(at(1.0, 230.0, WARM_S));
        assert!(share(&led, 0.0) < 0.01 && (1.0..1.04).contains(&share(&led, 2.0)));
        assert!((0.38..0.5).contains(&share(&arc, 1.0)) && share(&arc, 60.0) < 0.75 && share(&arc, 300.0) > 0.97);
        assert!(arc.power_factor(at(1.0, 230.0, 0.0)) < 0.6 && arc.power_factor(at(1.0, 230.0, 600.0)) > 0.85);
    }

    #[test]
    fn an_led_holds_its_power_and_a_discharge_lamp_follows_the_voltage() {
        let (led, arc) = (lamp(Light::Led), lamp(Light::Discharge));
        let share = |l: &Luminaire, v: f64| l.power_w(at(1.0, v, WARM_S)) / l.power_w(at(1.0, 230.0, WARM_S));
        assert!((share(&led, 200.0) - 1.0).abs() < 1e-9 && share(&led, 150.0) < 0.85);
        assert!((0.75..0.80).contains(&share(&arc, 200.0)));
        assert!(led.holds(150.0, 0.0) && !arc.holds(150.0, 0.0), "a brown-out puts arcs out");
        assert!(led.strikes(120.0) && !arc.strikes(190.0) && arc.strikes(210.0));
        assert!(arc.holds(170.0, 0.0) && !arc.holds(170.0, 20_000.0), "old ones first");
    }

    #[test]
    fn age_costs_light_and_power() {
        let (led, arc) = (lamp(Light::Led), lamp(Light::Discharge));
        let years = |n: i64| NEW_YEAR.plus_seconds(n * 31_557_600);
        assert!((led.burned_h(years(1)) - 4_207.0).abs() < 2.0);
        for l in [led, arc] {
            let (young, old) = (l.burned_h(years(1)), l.burned_h(years(5)));
            assert!(l.lumen_share(old) < l.lumen_share(young));
            assert!(l.aged_share(old) > l.aged_share(young) && l.aged_share(old) <= 1.1);
        }
        assert!(arc.burned_h(years(6)) < arc.burned_h(years(5)), "it was replaced");
    }

    proptest! {
        #[test]
        fn brighter_and_longer_lit_draws_more(
            arc: bool, low in 0.0..1.0, more in 0.0..1.0, volts in 190.0..260.0, lit in 2.0..900.0, burned_h in 0.0..50_000.0,
        ) {
            let l = lamp(if arc { Light::Discharge } else { Light::Led });
            let burned_h = if arc { burned_h % RELAMPING_H } else { burned_h };
            let w = |level: f64, lit_s: f64| l.power_w(Burning { level, volts, lit_s, burned_h });
            let high = low + more * (1.0 - low);
            prop_assert!(w(high, lit) >= w(low, lit) && w(low, lit) > 0.0);
            prop_assert!(w(1.0, lit) < 1.6 * f64::from(l.rated_w));
            let factor = l.power_factor(Burning { level: high, volts, lit_s: lit, burned_h });
            prop_assert!((0.4..1.0).contains(&factor));
        }
    }
}
