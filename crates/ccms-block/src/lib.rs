//! Sealed history: the readings of one light packed into a block.
//!
//! The hot log takes readings in the order of their arrival, about ninety bytes each, and nothing in it is near anything else
//! of its light. Once a day is over, the readings of each light can be laid side by side, column by column, where they are
//! nearly the same as their neighbours. The numbers go through `pco`, a codec for columns of numbers; what is here decides only
//! which columns there are.
//!
//! Pure: no IO, no clock. A block carries a checksum, and a damaged one is an error, never a wrong reading.
//!
//! - [`encode`] and [`decode`]  the readings of one light, in the order they were given
//! - `column`                   one column of numbers, some of which may be missing
//! - [`encode_batch`] and [`decode_batch`]  readings of many lights as they arrived, for the log; `narrow` is one column of it
//! - [`encode_states`] and [`decode_states`]  the latest states of some lights, for the checkpoint
//! - `frame`                    version, checksum and number of rows around the columns
//!
//! Beside its readings a day is kept as what its quarters of an hour came to, which stays when the readings go:
//!
//! - [`quarters`] makes them of readings, and [`Tally`] puts them together over any stretch of time
//! - [`encode_quarters`], [`decode_ledger`], [`decode_measured`]  a day of them as two bodies; `series` is their columns
//! - [`Daily`], [`encode_daily`], [`decode_daily`]  the days of many lights in a line each
mod batch;
mod block;
mod column;
mod daily;
mod frame;
mod narrow;
mod quarter;
mod rollup;
mod series;
mod states;

pub use batch::{Link, Linked, decode_batch, encode_batch, second, second_of};
pub use block::{READINGS_MAX, decode, encode};
pub use daily::{Daily, decode_daily, encode_daily};
pub use quarter::{
    COUNTER_KEPT_DAYS, Ledger, Measured, QUARTER_S, Quarter, Spread, Sum, Tally, Value, quarter_of, quarters,
};
pub use rollup::{decode_ledger, decode_measured, encode_quarters};
pub use states::{decode_states, encode_states};

/// Why a block cannot be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bytes are not those that were written.
    #[error("the block is damaged: {0}")]
    Damaged(&'static str),
    /// A later version of the program wrote it.
    #[error("the block is of version {0}, which this program does not know")]
    Version(u8),
    /// [`READINGS_MAX`] is the most that one block holds.
    #[error("a block of {0} readings is too large")]
    TooLarge(usize),
    /// Every reading of a block is of one light.
    #[error("the readings are of several lights")]
    SeveralLights,
    /// Quarters of an hour are of one day and in the order of time.
    #[error("the quarters are not those of one day in their order")]
    OutOfOrder,
    /// The codec refused what it was given to pack.
    #[error("the readings could not be packed: {0}")]
    Codec(String),
}
