//! The envelope of every failure on a device route.
use serde::{Deserialize, Serialize};

/// `{"status":"error","code":…,"message":…,"retry_after_seconds":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    pub status: String,
    pub code: String,
    pub message: String,
    pub retry_after_seconds: u32,
}

impl ErrorEnvelope {
    pub fn new(code: ErrorCode, message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self { status: "error".into(), code: code.as_str().into(), message: message.into(), retry_after_seconds }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $text:literal, $http:literal;)*) => {
        /// The `code` of a failure and the HTTP status it comes with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }
        }
    };
}

codes! {
    /// Coordinates or identity of a configure cannot be accepted.
    ConfigInvalid => "CONFIG_INVALID", 400;
    /// The body is not JSON or not of a documented shape.
    BadRequest => "BAD_REQUEST", 400;
    /// The body is larger than the named limit, packed or unpacked.
    BodyTooLarge => "BODY_TOO_LARGE", 400;
    /// No such path below `/api/device/`.
    UnknownPath => "UNKNOWN_PATH", 400;
    /// The path exists, the method does not.
    MethodNotAllowed => "METHOD_NOT_ALLOWED", 400;
    /// Known, but a person has to approve it first.
    PendingApproval => "DEVICE_PENDING_APPROVAL", 400;
    /// It is claimed and has lost its credentials; an operator has to allow it to be claimed again.
    ReclaimRequired => "DEVICE_RECLAIM_REQUIRED", 400;
    /// The token is missing, wrong, revoked or too old; configure cures it.
    Unauthorized => "UNAUTHORIZED", 401;
    /// This model has to sign its bodies, and this one is not signed.
    SignatureRequired => "SIGNATURE_REQUIRED", 401;
    /// The signature is not that of this body by this device.
    BadSignature => "SIGNATURE_INVALID", 401;
    /// The token speaks for another device than path or body.
    DeviceMismatch => "DEVICE_MISMATCH", 403;
    /// The device is not registered; configure.
    NotRegistered => "DEVICE_NOT_REGISTERED", 404;
    /// A fault of ours.
    Internal => "INTERNAL_ERROR", 500;
    /// Storage is slow, full or gone; nothing was kept of this request.
    Unavailable => "UNAVAILABLE", 503;
    /// More requests than a device, or the fleet, has a share of; nothing was kept of this one.
    RateLimited => "RATE_LIMITED", 503;
}
