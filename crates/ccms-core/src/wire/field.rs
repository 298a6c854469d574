//! Reads single JSON values that may be anything: absent, null, of another type, or out of range.
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BadBody;
use crate::limits::DEVICE_TEXT_CHARS_MAX;
use crate::reading::{ReadingFlags, clean_text};
use crate::time::UtcMillis;

/// A field as it came: absent and `null` are the same.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The fields of a body's or an item's object that have these names, in this order; others are passed over.
///
/// # Errors
/// [`BadBody`] when it is no JSON, no object, or says one of the names twice: then nobody knows which one is meant.
pub(super) fn fields<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Result<[Raw<'a>; N], BadBody> {
    let found = find(json, &names).map_err(|e| BadBody::json(&e))?;
    if found.repeated { Err(BadBody::Shape("an object has each name once")) } else { Ok(found.values) }
}

/// The same for an object inside: what is not an object has no fields, and of a name said twice the last one counts, so
/// that its neighbours are not lost.
pub(super) fn part<'a, const N: usize>(raw: Raw<'a>, names: [&str; N]) -> [Raw<'a>; N] {
    raw.and_then(|r| find(r.get(), &names).ok()).map_or([None; N], |found| found.values)
}

/// A list's items as they came.
pub(super) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok())?
}

fn find<'a, const N: usize>(json: &'a str, names: &[&str; N]) -> serde_json::Result<Found<'a, N>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = reader.deserialize_map(Object(names))?;
    reader.end()?;
    Ok(found)
}

struct Found<'a, const N: usize> {
    values: [Raw<'a>; N],
    repeated: bool,
}

struct Object<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = Found<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut seen) = (Found { values: [None; N], repeated: false }, [false; N]);
        while let Some(at) = map.next_key_seed(Name(self.0))? {
            let Some(at) = at else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            found.values[at] = map.next_value()?;
            found.repeated |= std::mem::replace(&mut seen[at], true);
        }
        Ok(found)
    }
}

/// Reads a name without keeping it: its place among the wanted ones.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
}

/// A number in `min..=max`, multiplied by `scale` and rounded; numeric strings are read too. Sets `bad` when the field is
/// there but is not that.
pub(super) fn scaled(
    raw: Raw<'_>,
    range: (f64, f64),
    scale: f64,
    bad: ReadingFlags,
    flags: &mut ReadingFlags,
) -> Option<i64> {
    let raw = raw.filter(|r| r.get() != "null")?;
    let value = number(raw).filter(|v| *v >= range.0 && *v <= range.1);
    if value.is_none() {
        flags.set(bad);
    }
    value.map(|v| (v * scale).round() as i64)
}

/// A finite number, or a text that is one.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    let value: f64 = match text.as_bytes().first()? {
        b'"' => text.trim_matches('"').trim().parse().ok()?,
        b'-' | b'0'..=b'9' => text.parse().ok()?,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A whole number that fits; `85.0` is one.
pub(super) fn whole(raw: &RawValue) -> Option<u32> {
    number(raw).filter(|v| v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(v)).map(|v| v as u32)
}

/// A string; numbers are taken as their text, whole ones without a fraction. `None` for anything else.
pub(super) fn text(raw: Raw<'_>) -> Option<String> {
    let raw = raw?.get();
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'-' | b'0'..=b'9' => match raw.split_once('.') {
            Some((whole, rest)) if rest.bytes().all(|b| b == b'0') => Some(whole.to_owned()),
            _ => Some(raw.to_owned()),
        },
        _ => None,
    }
}

/// A text for people: cleaned, at most `chars_max` characters, `None` when nothing is left.
pub(super) fn cleaned(raw: Raw<'_>, chars_max: usize) -> Option<String> {
    text(raw).map(|t| clean_text(&t, chars_max)).filter(|t| !t.is_empty())
}

/// A text that must equal something we know, so it is kept as it came; an empty one says nothing. What is longer than any
/// identifier equals none, whole or shortened.
pub(super) fn identity(raw: Raw<'_>) -> Option<String> {
    text(raw).map(|t| t.chars().take(DEVICE_TEXT_CHARS_MAX).collect::<String>()).filter(|t| !t.is_empty())
}

/// The number of a modem, as [`identity`], without the blanks that some put around it.
pub(super) fn imei(raw: Raw<'_>) -> Option<String> {
    identity(raw).map(|t| t.trim().to_owned())
}

/// An instant as text or epoch number.
pub(super) fn instant(raw: Raw<'_>) -> Option<UtcMillis> {
    UtcMillis::parse_lenient(&text(raw)?)
}

/// True when the field is there and is an object.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}
