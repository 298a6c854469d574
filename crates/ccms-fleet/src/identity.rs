//! Device identities: IMEI numbers with a valid check digit, the same for the same seed and index.
use ccms_core::ids::DeviceId;
use ccms_device::chance::Chance;

/// The last digit of an IMEI, from its first fourteen.
fn luhn_digit(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let d = u32::from(b - b'0');
            match i % 2 {
                0 if d > 4 => d * 2 - 9,
                0 => d * 2,
                _ => d,
            }
        })
        .sum();
    (10 - sum % 10) % 10
}

/// The 15 digits of device `index` of the fleet `seed`: a type code drawn from the seed, the index as serial number.
pub fn imei(seed: u64, index: usize) -> String {
    let type_code = 35_000_000 + Chance::new(seed).below(1_000_000);
    let body = format!("{type_code:08}{:06}", index % 1_000_000);
    let check = luhn_digit(&body);
    format!("{body}{check}")
}

pub fn device_id(seed: u64, index: usize) -> DeviceId {
    #[allow(clippy::unwrap_used, reason = "`IMEI:` and 15 digits always parse")]
    DeviceId::parse(&format!("IMEI:{}", imei(seed, index))).unwrap()
}

/// The seed of everything that is particular to device `index`.
pub fn device_seed(seed: u64, index: usize) -> u64 {
    Chance::new(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_right_and_identities_are_distinct_and_stable() {
        assert_eq!(luhn_digit("49015420323751"), 8);
        let a: std::collections::HashSet<_> = (0..5000).map(|i| imei(1, i)).collect();
        assert_eq!(a.len(), 5000);
        assert_eq!(imei(1, 7), imei(1, 7));
        assert_ne!(imei(1, 7), imei(2, 7));
        assert_eq!(device_id(1, 7).imei().unwrap().len(), 15);
    }
}
