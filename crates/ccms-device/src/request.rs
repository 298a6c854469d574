//! What is sent. The document's routes (§12), their timeouts (§11), and what a shell adds to a request on its way out.
use ccms_core::limits::{CONFIGURE_TIMEOUT_S, REQUEST_TIMEOUT_S, SYNC_TIMEOUT_S};

use crate::clock::Uptime;
use crate::signature::Key;

/// Ties an answer to its request. Never used twice in one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Which of the document's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Configure,
    /// What piled up, in the document's order, in one request.
    Sync,
    CommandAck,
    Alert,
    Status,
    Commands,
    Firmware,
    Logs,
    Health,
}

impl Kind {
    /// In the order in which they are sent when several are due at once: §7, then the rest.
    pub const ALL: [Self; 9] = [
        Self::Configure,
        Self::Sync,
        Self::CommandAck,
        Self::Alert,
        Self::Status,
        Self::Commands,
        Self::Firmware,
        Self::Logs,
        Self::Health,
    ];

    /// The last part of the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Sync => "sync",
            Self::CommandAck => "command-ack",
            Self::Alert => "alert",
            Self::Status => "status",
            Self::Commands => "commands",
            Self::Firmware => "firmware",
            Self::Logs => "logs",
            Self::Health => "health",
        }
    }

    pub const fn method(self) -> Method {
        match self {
            Self::Commands | Self::Health => Method::Get,
            Self::Firmware => Method::Put,
            Self::Configure | Self::Sync | Self::CommandAck | Self::Alert | Self::Status | Self::Logs => Method::Post,
        }
    }

    /// The document's timeout (§11).
    pub const fn timeout_s(self) -> u32 {
        match self {
            Self::Configure => CONFIGURE_TIMEOUT_S,
            Self::Sync => SYNC_TIMEOUT_S,
            Self::CommandAck
            | Self::Alert
            | Self::Status
            | Self::Commands
            | Self::Firmware
            | Self::Logs
            | Self::Health => REQUEST_TIMEOUT_S,
        }
    }

    /// Kinds that share a lane are never under way together: a status and a sync speak of the same readings.
    pub(crate) const fn lane(self) -> usize {
        match self {
            Self::Configure => 0,
            Self::Status | Self::Sync => 1,
            Self::CommandAck => 2,
            Self::Alert => 3,
            Self::Commands => 4,
            Self::Firmware => 5,
            Self::Logs => 6,
            Self::Health => 7,
        }
    }
}

pub(crate) const LANES: usize = 8;

/// One lane of requests: at most one of them is under way, and the failures of the document's table are counted here.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub in_flight: Option<InFlight>,
    /// Nothing is sent before this.
    pub not_before: Uptime,
    /// Timeouts in a row, and 500s in a row.
    pub no_answers: u32,
    pub server_errors: u32,
    /// 400s in a row.
    pub refusals: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub id: RequestId,
    pub kind: Kind,
    pub deadline: Uptime,
}

/// A request for the shell to send, in this order: pack the body if [`compress`](Self::compress) says so, sign what comes
/// of it ([`signature`](Self::signature)), send. The machine minds the timeout itself; a shell may drop what outlives
/// `timeout_s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    /// From the server's root: `/api/device/{device_id}/status`.
    pub path: String,
    /// For `Authorization: Bearer`.
    pub token: Option<String>,
    /// JSON as it is; empty for a GET.
    pub body: Vec<u8>,
    /// Large enough to be sent with `Content-Encoding: gzip` (§7: above 10 KB).
    pub compress: bool,
    pub timeout_s: u32,
    pub(crate) key: Option<Key>,
}

impl Request {
    /// The value of `X-Device-Signature` for the bytes as they are sent. `None` while the device has no key, and for a
    /// request without a body, which has nothing to sign.
    pub fn signature(&self, sent: &[u8]) -> Option<String> {
        self.key.as_ref().filter(|_| !sent.is_empty()).map(|key| key.sign(sent))
    }
}
