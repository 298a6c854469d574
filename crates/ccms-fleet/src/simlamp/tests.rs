//! A lamp through its sensors: how it looks when it is well, and how each fault looks.
use ccms_core::limits::{BATTERY_LOW_PERCENT, SIGNAL_POOR_PERCENT};
use ccms_core::meter::{Step, step};
use ccms_device::chance::Chance;

use super::*;
use crate::physics::Light;
use crate::physics::mains::MainsFaults;

/// 2025-12-17T00:00:00Z: a winter night in Helsinki.
const NIGHT: UtcMillis = UtcMillis::from_seconds(1_765_929_600);
const MINUTE_MS: u64 = 60_000;
const ON: Lamp = Lamp { power: PowerState::On, brightness_percent: 100 };
const DIM: Lamp = Lamp { power: PowerState::On, brightness_percent: 30 };
const OFF: Lamp = Lamp { power: PowerState::Off, brightness_percent: 0 };

/// A pole in Helsinki with its own feeder, and the time.
struct Pole {
    lamp: SimLamp,
    now_ms: u64,
}

impl Pole {
    fn with(light: Light, ailment: Option<Ailment>, seed: u64, around: Surroundings) -> Self {
        let feeder = Arc::new(Feeder::new(seed, 100.0, &around.grid));
        let (latitude, longitude) = (60.17, 24.94);
        let fitting = Fitting { seed, latitude, longitude, light, rated_w: 100.0, feeder, place: 0.5, meter_uj: None };
        let lamp = SimLamp::with(Arc::new(around), fitting, ailment.map(Sickness::old), &mut Chance::new(seed));
        Self { lamp, now_ms: 0 }
    }

    fn well(light: Light) -> Self {
        Self::with(light, None, 5, calm())
    }

    fn sick(ailment: Ailment) -> Self {
        Self::with(Light::Led, Some(ailment), 5, calm())
    }

    fn told(&mut self, lamp: Lamp) -> Sensors {
        self.lamp.actuate(self.now_ms, lamp);
        self.reads()
    }

    fn reads(&mut self) -> Sensors {
        self.lamp.measure(self.now_ms, UtcMillis(NIGHT.0 + self.now_ms as i64))
    }

    /// What is read every half minute over so many minutes.
    fn over(&mut self, minutes: u64) -> Vec<Sensors> {
        (0..minutes * 2)
            .map(|_| {
                self.now_ms += MINUTE_MS / 2;
                self.reads()
            })
            .collect()
    }

    fn after(&mut self, minutes: u64) -> Sensors {
        self.over(minutes).pop().expect("at least a minute")
    }
}

fn calm() -> Surroundings {
    Surroundings::new(1, 60.17, 24.94, MainsFaults::default(), 0.0)
}

/// A power cut of ten minutes that begins after two.
fn cut() -> Surroundings {
    let mut around = calm();
    around.grid = around.grid.with_cut(NIGHT.plus_seconds(120), 600);
    around
}

fn flags(sensors: &Sensors) -> Vec<&str> {
    sensors.error_flags.iter().map(String::as_str).collect()
}

#[test]
fn the_meter_counts_exactly_the_power_that_was_reported() {
    let mut pole = Pole::well(Light::Discharge);
    let mut last = pole.told(ON);
    let mut expected_uj = pole.lamp.meter_uj();
    for _ in 0..1_000 {
        expected_uj += u64::from(last.power_dw) * 30_000 * 100;
        pole.now_ms += 30_000;
        last = pole.reads();
        assert_eq!(pole.lamp.meter_uj(), expected_uj);
        assert_eq!(last.energy_wh as u64, expected_uj / 3_600_000_000);
    }
}

#[test]
fn a_lamp_in_order_has_no_flags_draws_less_when_dimmed_and_nothing_when_off() {
    for light in [Light::Led, Light::Discharge] {
        let mut pole = Pole::well(light);
        let on = pole.told(ON);
        assert!((850..1_300).contains(&on.power_dw), "{light:?} has burned for hours: {on:?}");
        assert!((2_150..2_400).contains(&on.voltage_dv) && (4_990..=5_010).contains(&on.frequency_chz));
        let volt_amperes = f64::from(on.voltage_dv) / 10.0 * f64::from(on.current_ma) / 1000.0;
        let factor = f64::from(on.power_dw) / 10.0 / volt_amperes;
        assert!((0.8..=1.0).contains(&factor), "power factor {factor}");
        let dim = pole.told(DIM);
        assert!(dim.power_dw < on.power_dw * 2 / 3 && dim.power_dw > on.power_dw / 4);
        let off = pole.told(OFF);
        assert_eq!((off.power_dw, off.current_ma), (0, 0));
        for sensors in [on, dim, off] {
            assert_eq!((flags(&sensors), sensors.critical), (vec![], false));
            assert!(sensors.battery_percent >= 90 && sensors.signal_percent >= SIGNAL_POOR_PERCENT);
        }
    }
}

#[test]
fn a_lamp_that_is_switched_on_warms_its_case_and_a_discharge_lamp_runs_up() {
    for light in [Light::Led, Light::Discharge] {
        let mut pole = Pole::well(light);
        pole.told(OFF);
        pole.now_ms += MINUTE_MS;
        pole.told(ON);
        pole.now_ms += 10_000;
        let cold = pole.reads();
        let warm = pole.after(60);
        assert!(warm.temperature_dc > cold.temperature_dc + 120, "{light:?}");
        let share = f64::from(cold.power_dw) / f64::from(warm.power_dw);
        assert!(
            if light == Light::Led { (1.0..1.05).contains(&share) } else { (0.4..0.7).contains(&share) },
            "{share}"
        );
        assert_eq!(flags(&warm), [""; 0], "an arc that runs up is no failure");
    }
}

#[test]
fn dead_lamp_is_commanded_on_draws_0_w_and_has_an_error_flag() {
    let mut pole = Pole::sick(Ailment::DeadLamp);
    let on = pole.told(ON);
    assert_eq!((on.power_dw, on.current_ma, flags(&on)), (0, 0, vec!["lamp_failure"]));
    assert!(pole.over(60).iter().all(|s| s.power_dw == 0 && flags(s) == ["lamp_failure"] && s.voltage_dv > 2_100));
}

#[test]
fn a_lamp_that_dies_is_noticed_after_two_minutes() {
    let mut pole = Pole::sick(Ailment::DeadLamp);
    pole.lamp.sickness = Some(Sickness { ailment: Ailment::DeadLamp, from_ms: 5 * MINUTE_MS });
    pole.lamp.failed = false;
    pole.told(ON);
    let night = pole.over(10);
    assert!(night[..9].iter().all(|s| s.power_dw > 800 && s.error_flags.is_empty()));
    assert!(night[9..13].iter().all(|s| s.power_dw == 0 && s.error_flags.is_empty()));
    assert!(night[14..].iter().all(|s| flags(s) == ["lamp_failure"]));
}

#[test]
fn day_burner_draws_full_power_while_commanded_off_and_flags_nothing() {
    let mut pole = Pole::sick(Ailment::DayBurner);
    pole.told(OFF);
    assert!(pole.over(60).iter().all(|s| s.power_dw > 800 && s.error_flags.is_empty()));
    assert!(pole.told(DIM).power_dw > 800, "it hears no dimmer either");
}

#[test]
fn cycling_lamp_goes_out_and_comes_back_with_a_flag_that_comes_and_goes() {
    for light in [Light::Led, Light::Discharge] {
        let mut pole = Pole::with(light, Some(Ailment::CyclingLamp), 5, calm());
        pole.told(ON);
        let night = pole.over(180);
        let lit: Vec<bool> = night.iter().map(|s| s.power_dw > 0).collect();
        let ends = lit.windows(2).filter(|w| w[0] && !w[1]).count();
        assert!((9..=16).contains(&ends), "{ends} times in three hours");
        let flagged = night.iter().filter(|s| flags(s) == ["lamp_failure"]).count();
        assert!(flagged > 30 && flagged < night.len() / 3, "{flagged}");
        assert!(night.iter().all(|s| s.power_dw == 0 || s.error_flags.is_empty()), "a lamp that burns has not failed");
    }
}

#[test]
fn stuck_relay_draws_power_while_commanded_off_and_says_so() {
    let mut pole = Pole::sick(Ailment::StuckRelay);
    let off = pole.told(OFF);
    assert!(off.power_dw > 800);
    assert_eq!(flags(&off), ["relay_fault"]);
    assert!(pole.told(DIM).power_dw < 500, "its dimmer works");
}

#[test]
fn drifting_clock_is_wrong_and_gets_more_so_and_nothing_else_is_odd() {
    let errors: Vec<(i64, i64)> = (0..50)
        .map(|seed| {
            let pole = Pole::with(Light::Led, Some(Ailment::DriftingClock), seed, calm());
            (pole.lamp.clock_error_ms(0), pole.lamp.clock_error_ms(86_400_000))
        })
        .collect();
    assert!(errors.iter().all(|(now, then)| now.abs() <= 900_000 && now != then && (then - now).abs() <= 240_000));
    assert!(errors.iter().any(|(now, _)| *now > 120_000) && errors.iter().any(|(now, _)| *now < -120_000));
    let mut pole = Pole::sick(Ailment::DriftingClock);
    assert_eq!(flags(&pole.told(ON)), [""; 0]);
    assert_eq!(Pole::well(Light::Led).lamp.clock_error_ms(86_400_000), 0);
}

#[test]
fn meter_rollover_is_a_counter_that_begins_at_zero_and_is_understood() {
    let mut pole = Pole::sick(Ailment::MeterRollover);
    let mut last = pole.told(ON);
    assert!(last.energy_wh > 9_999_900);
    let mut rolled_wh = 0;
    for now in pole.over(120) {
        if now.energy_wh < last.energy_wh {
            let Step::RolledOver(wh) = step(last.energy_wh, now.energy_wh, 30_000) else { panic!("{last:?} {now:?}") };
            rolled_wh += wh;
        }
        last = now;
    }
    assert!((0..=2).contains(&rolled_wh) && last.energy_wh < 1_000, "{rolled_wh} {last:?}");
}

#[test]
fn flapping_modem_comes_and_goes_while_the_lamp_burns_on() {
    let mut pole = Pole::sick(Ailment::FlappingModem);
    pole.told(ON);
    let reached: Vec<bool> = (0..600).map(|n| pole.lamp.is_connected(n * 30_000)).collect();
    let drops = reached.windows(2).filter(|w| w[0] && !w[1]).count();
    let share = reached.iter().filter(|r| **r).count() as f64 / reached.len() as f64;
    assert!(drops > 10 && (0.4..0.7).contains(&share), "{drops} drops, {share} of the time there");
    assert!(reached[..5].iter().all(|r| *r), "a city is seen whole once");
    assert!(pole.over(30).iter().all(|s| s.power_dw > 800 && s.error_flags.is_empty()));
}

#[test]
fn silent_modem_is_gone_for_good() {
    let mut pole = Pole::sick(Ailment::SilentModem);
    pole.told(ON);
    assert!((6..600).all(|n| !pole.lamp.is_connected(n * 30_000)));
}

#[test]
fn poor_antenna_is_a_poor_signal_and_not_a_lost_one() {
    let mut pole = Pole::sick(Ailment::PoorAntenna);
    pole.told(ON);
    assert!(pole.over(60).iter().all(|s| s.signal_percent < SIGNAL_POOR_PERCENT));
    assert!((0..600).all(|n| pole.lamp.is_connected(n * 30_000)));
}

#[test]
fn worn_battery_is_low_and_leaves_the_controller_dead_in_a_power_cut() {
    let sick = (0..20).map(|seed| Pole::with(Light::Led, Some(Ailment::WornBattery), seed, cut()));
    let mut died = 0;
    for mut pole in sick {
        assert!(pole.told(ON).battery_percent < BATTERY_LOW_PERCENT);
        let alive: Vec<bool> = (0..32).map(|_| (pole.after(1), pole.lamp.has_power()).1).collect();
        died += u32::from(alive.contains(&false));
        assert!(alive[0] && alive[31], "it is back with the mains");
    }
    assert!(died >= 2, "{died} of 20 died");
}

#[test]
fn overheating_is_hot_while_it_burns_and_cools_when_it_does_not() {
    let mut pole = Pole::sick(Ailment::Overheating);
    pole.told(ON);
    assert!(pole.over(60).iter().all(|s| s.temperature_dc > 660 && flags(s) == ["overheating"]));
    pole.told(OFF);
    let cooled = pole.after(120);
    assert!(cooled.temperature_dc < 300 && cooled.error_flags.is_empty());
}

#[test]
fn controller_fault_is_critical() {
    let sensors = Pole::sick(Ailment::ControllerFault).told(ON);
    assert!(sensors.critical);
    assert_eq!(flags(&sensors), ["controller_fault"]);
}

#[test]
fn city_wide_power_cut_is_0_v_on_battery_and_arcs_come_back_when_they_have_cooled() {
    for light in [Light::Led, Light::Discharge] {
        let mut pole = Pole::with(light, None, 5, cut());
        pole.told(ON);
        let night = pole.over(20);
        let during = &night[4..22];
        assert!(during.iter().all(|s| (s.voltage_dv, s.power_dw, s.current_ma, s.frequency_chz) == (0, 0, 0, 0)));
        assert!(during.iter().all(|s| flags(s) == ["mains_failure"]));
        assert!(during[17].battery_percent < night[0].battery_percent && pole.lamp.has_power());
        let back = night.iter().skip(4).position(|s| s.power_dw > 0).expect("it burns again");
        assert!((19..=20).contains(&back), "the arc had ten minutes to cool");
        assert!(night[39].error_flags.is_empty());
    }
}

#[test]
fn a_brown_out_puts_discharge_lamps_out_and_leds_burn_on() {
    let faults = MainsFaults { brownouts: 50.0, outages: 0.0, cuts: 0.0 };
    let night = |light| {
        let mut pole = Pole::with(light, None, 5, Surroundings::new(1, 60.17, 24.94, faults, 0.0));
        pole.told(ON);
        pole.over(12 * 60)
    };
    let (led, arc) = (night(Light::Led), night(Light::Discharge));
    let low = |s: &&Sensors| s.voltage_dv < 1_590;
    assert!(led.iter().filter(low).count() > 10 && arc.iter().filter(low).count() > 10);
    assert!(led.iter().filter(low).all(|s| s.power_dw > 500 && flags(s) == ["undervoltage"]));
    assert!(arc.iter().filter(low).all(|s| s.power_dw == 0 && flags(s).contains(&"undervoltage")));
    assert!(arc.iter().any(|s| s.power_dw > 800 && s.error_flags.is_empty()), "they come back");
}

#[test]
fn a_hot_arc_has_to_cool_before_it_comes_again() {
    let mut pole = Pole::well(Light::Discharge);
    pole.told(ON);
    pole.told(OFF);
    pole.now_ms += 20_000;
    let hot = pole.told(ON);
    assert_eq!((hot.power_dw, flags(&hot)), (0, vec![]), "dark, and not called failed for that");
    pole.now_ms += 60_000;
    assert!(pole.reads().power_dw > 300);
}

#[test]
fn about_one_lone_lamp_in_25_is_sick() {
    let sick = (0..5000).filter(|i| SimLamp::new(*i, 28.6, 77.2, true, None).sickness().is_some()).count();
    assert!((140..260).contains(&sick), "{sick}");
    assert!((0..5000).all(|i| SimLamp::new(i, 28.6, 77.2, false, None).sickness().is_none()));
}

#[test]
fn a_lamp_that_is_taken_away_draws_nothing_from_its_feeder() {
    let mut pole = Pole::well(Light::Led);
    let feeder = Arc::clone(&pole.lamp.feeder);
    pole.told(ON);
    assert!(feeder.load() > 0.8);
    drop(pole);
    assert!(feeder.load().abs() < 1e-9);
}

#[test]
fn the_same_seed_reads_the_same() {
    let night = || {
        let mut pole = Pole::sick(Ailment::CyclingLamp);
        pole.told(ON);
        pole.over(60)
    };
    assert_eq!(night(), night());
}
