//! What can go wrong with a store. The service decides what a caller is told; the cause stays inside.
use std::error::Error;

pub type StoreResult<T> = Result<T, StoreError>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A uniqueness rule refused the change; `what` names it for people.
    #[error("{what} already exists")]
    Conflict { what: &'static str },
    /// A stored row cannot be read as what it should be.
    #[error("table {table}, column {column}, row {row}: {reason}")]
    BadRow { table: &'static str, column: &'static str, row: String, reason: String },
    /// The database is gone, slow, full or refuses; retrying may help.
    #[error("the database failed: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// What was written may not be on the disk although a later flush says so, or the file is damaged. Trying again would turn
    /// that into a lie: whoever gets this stops, and begins anew with what the disk really holds.
    #[error("the database can no longer be trusted: {0}")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The database cannot be used at all (too old, wrong schema, wrong URL).
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    pub fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }
}
