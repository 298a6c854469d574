//! What a device is told when it is not served: a code of the contract, a sentence, and when to come back.
use ccms_core::limits;
use ccms_core::wire::BadBody;
use ccms_core::wire::envelope::{ErrorCode, ErrorEnvelope};
use ccms_store::StoreError;

/// What a device is told to wait that only a person can let back in.
pub const RECLAIM_RETRY_S: u32 = 3_600;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
    pub retry_after_s: u32,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let retry_after_s = match code {
            ErrorCode::Internal | ErrorCode::Unavailable => limits::SERVER_ERROR_WAIT_S,
            ErrorCode::Unauthorized
            | ErrorCode::SignatureRequired
            | ErrorCode::BadSignature
            | ErrorCode::NotRegistered => 0,
            ErrorCode::ReclaimRequired => RECLAIM_RETRY_S,
            _ => limits::CONFIGURE_RETRY_S,
        };
        Self { code, message: message.into(), retry_after_s }
    }

    pub fn unauthorized(message: &str) -> Self {
        Self::new(ErrorCode::Unauthorized, message)
    }

    pub fn mismatch(message: &str) -> Self {
        Self::new(ErrorCode::DeviceMismatch, message)
    }

    pub fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable, "The server cannot store this right now; nothing was kept")
    }

    pub fn envelope(&self) -> ErrorEnvelope {
        ErrorEnvelope::new(self.code, self.message.clone(), self.retry_after_s)
    }
}

impl From<BadBody> for Refusal {
    fn from(bad: BadBody) -> Self {
        Self::new(ErrorCode::BadRequest, bad.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed a device's request");
        Self::unavailable()
    }
}
