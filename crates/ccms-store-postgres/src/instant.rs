//! An instant on its way into and out of a TIMESTAMPTZ: epoch milliseconds here, microseconds since 2000 there.
use ccms_core::time::UtcMillis;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub UtcMillis);

/// 2000-01-01T00:00:00Z.
const EPOCH_MS: i64 = 946_684_800_000;
/// What the type can hold, in milliseconds of its own epoch: 4714 BC to AD 294276. Instants beyond are stored as these:
/// one absurd clock must not make a whole batch fail.
const RANGE_MS: (i64, i64) = (-211_813_488_000_000, 9_223_371_331_199_999);

impl From<UtcMillis> for Instant {
    fn from(at: UtcMillis) -> Self {
        Self(at)
    }
}

impl Instant {
    /// What will be read when this was written.
    pub(crate) const fn stored(self) -> UtcMillis {
        UtcMillis(self.micros().div_euclid(1000).saturating_add(EPOCH_MS))
    }

    const fn micros(self) -> i64 {
        let ms = self.0.0.saturating_sub(EPOCH_MS);
        let (first, last) = RANGE_MS;
        1000 * if ms < first {
            first
        } else if ms > last {
            last
        } else {
            ms
        }
    }
}

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Instant {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.micros(), buffer)
    }

    fn size_hint(&self) -> usize {
        size_of::<i64>()
    }
}

impl<'r> Decode<'r, Postgres> for Instant {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as Decode<Postgres>>::decode(value)?;
                Ok(Self(UtcMillis(micros.div_euclid(1000).saturating_add(EPOCH_MS))))
            }
            // Only unprepared statements answer in text, and there are none that read instants.
            PgValueFormat::Text => Err("an instant came as text".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_and_absurd_clocks_stop_at_the_edge() {
        assert_eq!(Instant(UtcMillis(EPOCH_MS)).micros(), 0);
        assert_eq!(Instant(UtcMillis(EPOCH_MS - 1)).micros(), -1000);
        assert_eq!(Instant(UtcMillis(i64::MAX)).micros(), RANGE_MS.1 * 1000);
        assert_eq!(Instant(UtcMillis(i64::MIN)).micros(), RANGE_MS.0 * 1000);
        assert_eq!(Instant(UtcMillis(-1)).stored(), UtcMillis(-1));
        assert_eq!(Instant(UtcMillis(i64::MAX)).stored(), UtcMillis(RANGE_MS.1 + EPOCH_MS));
    }
}
