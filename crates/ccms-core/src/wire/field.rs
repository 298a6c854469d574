//! Reads single JSON values that may be anything: absent, null, of another type, or out of range.
use serde_json::value::RawValue;

use crate::reading::ReadingFlags;
use crate::time::UtcMillis;

/// A field as it came: absent and `null` are the same.
pub(super) type Raw<'a> = Option<&'a RawValue>;

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
    let value = number(raw).filter(|v| v.is_finite() && *v >= range.0 && *v <= range.1);
    if value.is_none() {
        flags.set(bad);
    }
    value.map(|v| (v * scale).round() as i64)
}

pub(super) fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => text.trim_matches('"').trim().parse().ok(),
        b'-' | b'0'..=b'9' => text.parse().ok(),
        _ => None,
    }
}

/// A string; numbers are taken as their text. `None` for anything else.
pub(super) fn text(raw: Raw<'_>) -> Option<String> {
    let raw = raw?;
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// An instant as text or epoch number.
pub(super) fn instant(raw: Raw<'_>) -> Option<UtcMillis> {
    UtcMillis::parse_lenient(&text(raw)?)
}

/// True when the field is there and is an object.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}
