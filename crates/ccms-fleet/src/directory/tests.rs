use ccms_core::reading::PowerState;
use proptest::prelude::*;

use super::*;

fn pole() -> (tempfile::TempDir, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    (dir, directory)
}

#[test]
fn every_quantity_has_its_file() {
    let (dir, directory) = pole();
    for (name, text) in [
        ("temperature_celsius", "42.5\n"),
        ("battery_percentage", "95"),
        ("gsm_signal_strength", " 82 "),
        ("voltage_volts", "230.5"),
        ("current_amperes", "0.26"),
        ("power_watts", "60"),
        ("frequency_hertz", "49.98"),
        ("energy_kwh", "1245.67"),
        ("error_flags", "lamp_failure, door_open\n"),
        ("critical", "1\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let expected = Sensors {
        temperature_dc: 425,
        battery_percent: 95,
        signal_percent: 82,
        voltage_dv: 2305,
        current_ma: 260,
        power_dw: 600,
        frequency_chz: 4998,
        energy_wh: 1_245_670,
        error_flags: vec!["lamp_failure".into(), "door_open".into()],
        critical: true,
        absent: Absent::default(),
    };
    assert_eq!(directory.read(), expected);
    fs::write(dir.path().join("gsm_signal_strength"), "-82").unwrap();
    assert_eq!(directory.read().signal_percent, 50, "dBm");
}

#[test]
fn what_is_not_fitted_is_absent_and_what_is_broken_is_absent_with_a_flag() {
    let (dir, directory) = pole();
    let nothing = directory.read();
    assert!(QUANTITIES.iter().all(|(quantity, ..)| !nothing.measures(*quantity)));
    assert_eq!(nothing.error_flags, [""; 0]);
    assert!(!nothing.is_hot() && !nothing.battery_is_low() && !nothing.critical);

    fs::write(dir.path().join("voltage_volts"), "231").unwrap();
    for (name, broken) in [
        ("temperature_celsius", &b"hot"[..]),
        ("battery_percentage", b"101"),
        ("current_amperes", b"NaN"),
        ("power_watts", b""),
        ("frequency_hertz", b"\xff\xfe"),
    ] {
        fs::write(dir.path().join(name), broken).unwrap();
    }
    fs::create_dir(dir.path().join("energy_kwh")).unwrap();
    let read = directory.read();
    assert!(read.measures(Quantity::Voltage) && read.voltage_dv == 2310);
    let flags = [
        "temperature_celsius",
        "battery_percentage",
        "current_amperes",
        "power_watts",
        "frequency_hertz",
        "energy_kwh",
    ];
    assert_eq!(read.error_flags, flags.map(|name| format!("{name}_unreadable")));
    assert!(!read.measures(Quantity::Temperature) && !read.measures(Quantity::Energy));
}

#[test]
fn outputs_are_replaced_whole() {
    let (dir, mut directory) = pole();
    let out = |name: &str| fs::read_to_string(dir.path().join("out").join(name)).unwrap();
    assert_eq!(out("led"), "off\n");
    directory.actuate(0, Lamp { power: PowerState::On, brightness_percent: 75 });
    assert_eq!((out("relay").as_str(), out("dimming_percent").as_str()), ("on\n", "75\n"));
    directory.outputs().show(&Display { led: Led::Red, text: "Configuration Failed".into() });
    assert_eq!((out("led").as_str(), out("display").as_str()), ("red\n", "Configuration Failed\n"));
    let names: Vec<_> = fs::read_dir(dir.path().join("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "nothing is left beside them: {names:?}");

    // The card is gone: said, and survived.
    fs::remove_dir_all(dir.path().join("out")).unwrap();
    directory.actuate(0, Lamp { power: PowerState::Off, brightness_percent: 0 });
    assert!(Directory::open(&dir.path().join("nowhere")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_holds_is_survived(text in prop_oneof![".{0,40}", "-?[0-9]{1,30}(\\.[0-9]{0,5})?(e-?[0-9]{1,3})?"], bytes: Vec<u8>) {
        let (dir, directory) = pole();
        for (_, name, ..) in QUANTITIES {
            fs::write(dir.path().join(name), &text).unwrap();
        }
        fs::write(dir.path().join("error_flags"), &bytes).unwrap();
        fs::write(dir.path().join("critical"), &bytes).unwrap();
        let read = directory.read();
        prop_assert!(read.battery_percent <= 100 && read.signal_percent <= 100);
        prop_assert!(read.error_flags.len() <= ERROR_FLAGS_MAX);
    }
}
