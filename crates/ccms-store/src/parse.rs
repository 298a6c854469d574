//! How a stored value becomes a typed one again. What does not fit is [`StoreError::BadRow`] and says where it stands.
use std::fmt::Display;

use ccms_core::ids::LightId;
use serde::de::DeserializeOwned;

use crate::{StoreError, StoreResult};

/// One stored row, named for errors.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub table: &'static str,
    pub key: &'a dyn Display,
}

impl<'a> Row<'a> {
    pub fn new(table: &'static str, key: &'a dyn Display) -> Self {
        Self { table, key }
    }

    pub fn bad(self, column: &'static str, reason: impl Display) -> StoreError {
        StoreError::BadRow { table: self.table, column, row: self.key.to_string(), reason: reason.to_string() }
    }

    /// A whole number that must fit the type.
    pub fn number<T: TryFrom<i64>>(self, column: &'static str, value: i64) -> StoreResult<T> {
        T::try_from(value).map_err(|_| self.bad(column, format_args!("{value} is out of range")))
    }

    pub fn number_opt<T: TryFrom<i64>>(
        self,
        column: &'static str,
        value: Option<impl Into<i64>>,
    ) -> StoreResult<Option<T>> {
        value.map(|v| self.number(column, v.into())).transpose()
    }

    /// A text that `parse` must know.
    pub fn text<T>(self, column: &'static str, value: &str, parse: impl Fn(&str) -> Option<T>) -> StoreResult<T> {
        parse(value).ok_or_else(|| self.bad(column, format_args!("{value:?} is not known")))
    }

    pub fn json<T: DeserializeOwned>(self, column: &'static str, value: &str) -> StoreResult<T> {
        serde_json::from_str(value).map_err(|e| self.bad(column, e))
    }

    /// Bytes of a fixed number.
    pub fn bytes<const N: usize>(self, column: &'static str, value: &[u8]) -> StoreResult<[u8; N]> {
        value.try_into().map_err(|_| self.bad(column, format_args!("{} bytes instead of {N}", value.len())))
    }

    /// A column that may not be missing beside the others.
    pub fn present<T>(self, column: &'static str, value: Option<T>) -> StoreResult<T> {
        value.ok_or_else(|| self.bad(column, "NULL"))
    }
}

/// The `n` of an id [`LightId::numbered`]\(n), also with other zeros in front: what a new number must be above.
pub fn light_number(id: &LightId) -> Option<u32> {
    let digits = id.as_str().strip_prefix("SL")?;
    // Nine digits fit with room for the next number.
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}
