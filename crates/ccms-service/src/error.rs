//! What a person is told when a use case refuses. The cause of a fault stays inside: it is logged where it is met.
use ccms_store::StoreError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    #[error("Your role does not allow this. Ask an administrator.")]
    Forbidden,
    #[error("There is no such thing here.")]
    NotFound,
    #[error("{message}")]
    Invalid { field: &'static str, message: String },
    /// Something that is there already, or over already, stands against it.
    #[error("{message}")]
    Conflict { message: String },
    #[error("Somebody changed this in the meantime. Read it again and decide anew.")]
    Stale,
    #[error("The database does not answer right now. Nothing was changed; please try again.")]
    Unavailable,
    #[error("E-mail address or password is wrong.")]
    SignInRefused,
    #[error("Too many attempts. Please wait {seconds} seconds.")]
    SignInLater { seconds: u32 },
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { what } => {
                Self::Invalid { field: "id", message: format!("There is {what} already.") }
            }
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::Unavailable
            }
        }
    }
}
