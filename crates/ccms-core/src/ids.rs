//! Identifiers. Each is a type of its own, so that none can stand in for another, and each is parsed once, at the door.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 1 to {max} characters of {allowed}")]
pub struct InvalidId {
    pub kind: &'static str,
    pub max: usize,
    pub allowed: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:expr, $allowed:literal, $test:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let test: fn(u8) -> bool = $test;
                if text.is_empty() || text.len() > $max || !text.bytes().all(test) {
                    return Err(InvalidId { kind: $kind, max: $max, allowed: $allowed });
                }
                Ok(Self(text.into()))
            }

            /// The text of one that was parsed once and is kept in another form since.
            pub fn kept(text: String) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// A controller: `IMEI:` and 15 digits in the contract's examples, any short token in practice.
    DeviceId, "device_id", 64, "letters, digits, ':', '.', '_' and '-'",
    |b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'.' | b'_' | b'-')
);

text_id!(
    /// What stands on the map, `SL001` by default. It stays with the pole when the controller is swapped.
    LightId, "light_id", 64, "letters, digits, '_' and '-'",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
);

text_id!(
    /// A command: `CMD_` and 128 random bits in base 32, shown only to the device it is meant for.
    CommandId, "command_id", 64, "letters, digits, '_' and '-'",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
);

impl DeviceId {
    /// The digits of an `IMEI:…` identifier, if it is one.
    pub fn imei(&self) -> Option<&str> {
        self.as_str().strip_prefix("IMEI:").filter(|d| d.len() == 15 && d.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl LightId {
    /// The default name of the `n`-th light, counted from 1: `SL001`, …, `SL999`, `SL1000`.
    pub fn numbered(n: u32) -> Self {
        Self(format!("SL{n:03}").into())
    }
}

impl CommandId {
    /// An identifier made of 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut text = String::with_capacity(30);
        text.push_str("CMD_");
        for shift in (0..26).rev() {
            text.push(char::from(ALPHABET[((bits >> (shift * 5)) & 31) as usize]));
        }
        Self(text.into())
    }
}

/// A light's dense number inside one installation, from 1, never reused: the index of everything kept per light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LightNo(pub u32);

/// A device's dense number inside one installation, from 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceNo(pub u32);

/// A person who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_accept_the_contract_and_refuse_what_is_not_theirs() {
        assert_eq!(DeviceId::parse("IMEI:351234567890123").unwrap().imei(), Some("351234567890123"));
        assert!(DeviceId::parse("").is_err());
        assert!(DeviceId::parse("a/b").is_err());
        assert!(DeviceId::parse(&"x".repeat(65)).is_err());
        assert!(LightId::parse("SL:001").is_err());
        assert_eq!(LightId::numbered(1).as_str(), "SL001");
        assert_eq!(LightId::numbered(1234).as_str(), "SL1234");
    }

    #[test]
    fn command_ids_are_distinct_and_parse_back() {
        let (a, b) = (CommandId::from_random(1), CommandId::from_random(u128::MAX));
        assert_ne!(a, b);
        assert_eq!(CommandId::parse(a.as_str()).unwrap(), a);
        assert_eq!(a.as_str().len(), 30);
    }
}
