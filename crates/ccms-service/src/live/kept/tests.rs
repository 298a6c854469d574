//! Whatever is put away comes out as it went in.
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z 0-9,-]{0,30}", "\\PC{0,9}", Just("Sector 12".to_owned())]
}

fn degrees() -> impl Strategy<Value = f64> {
    prop_oneof![-180.0..180.0f64, (-1_800_000_000..1_800_000_000i32).prop_map(from_e7), Just(0.0), Just(-0.0)]
}

fn at() -> impl Strategy<Value = Option<UtcMillis>> {
    prop::option::of((0i64..2_000_000_000_000).prop_map(UtcMillis))
}

proptest! {
    #[test]
    fn a_light_comes_out_as_it_went_in(
        id in "[A-Za-z0-9_-]{1,64}", texts in prop::array::uniform7(text()), place in (degrees(), degrees()),
        wattage_w in prop::option::of(0.0..10_000.0f64), no in 1u32.., device_no in prop::option::of(1u32..)
    ) {
        let [name, address, city, zone, ward, feeder, pole] = texts;
        let (latitude, longitude) = place;
        let curated =
            Curated { name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude };
        let record = LightRecord {
            no: LightNo(no),
            id: LightId::parse(&id).unwrap(),
            device_no: device_no.map(DeviceNo),
            curated,
            created_at: UtcMillis(i64::from(no)),
        };
        let kept = KeptLight::new(&record, &mut Patterns::default());
        prop_assert_eq!(kept.record(), record.clone());
        prop_assert_eq!(kept.place_e7(), record.curated.place_e7());
        prop_assert!(kept.has_id(&id) && kept.is_in_zone(&record.curated.zone));
    }

    #[test]
    fn a_device_comes_out_as_it_went_in(
        id in "[A-Za-z0-9:._-]{1,64}", texts in prop::array::uniform7(prop::option::of(text())),
        numbers in prop::array::uniform3(prop::option::of(degrees())), times in prop::array::uniform5(at()),
        attempts in 0u32..3, no in 1u32.., state in 0usize..4, again in any::<bool>()
    ) {
        let [device_type, name, city, address, gsm_imei, communication_type, firmware_version] = texts;
        let [latitude, longitude, battery_backup_hours] = numbers;
        let reported = Reported {
            device_type, name, city, address, latitude, longitude, gsm_imei, communication_type, firmware_version,
            battery_backup_hours,
        };
        let [reclaim_until, claim_until, claimed_at, first_attempt_at, last_attempt_at] = times;
        let record = DeviceRecord {
            no: DeviceNo(no),
            id: DeviceId::parse(&id).unwrap(),
            state: DeviceState::ALL[state],
            epoch: no / 2,
            token_used_gen: i64::from(no) - 5,
            reclaim_until,
            created_at: UtcMillis(4),
            claim_until,
            claimed_at,
            attempts,
            first_attempt_at,
            last_attempt_at,
            reported: if again { Reported::default() } else { reported.clone() },
        };
        let mut patterns = Patterns::default();
        let mut kept = KeptDevice::new(&record, &mut patterns);
        prop_assert_eq!(kept.record(), record.clone());
        kept.says_of_itself(&reported, &mut patterns);
        prop_assert_eq!(kept.record(), DeviceRecord { reported, ..record });
        prop_assert!(kept.has_id(&id));
    }
}
