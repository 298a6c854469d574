//! What is sent, and how an answer is judged: the document's table of HTTP errors in one function.
use ccms_core::limits::{CONFIGURE_TIMEOUT_S, REQUEST_TIMEOUT_S};
use ccms_core::wire::envelope::ErrorEnvelope;

use crate::clock::Uptime;
use crate::config::RETRY_AFTER_MAX_S;

/// Ties an answer to its request. Never used twice in one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Which of the document's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Configure,
    Status,
    Commands,
    CommandAck,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Configure, Self::Status, Self::Commands, Self::CommandAck];

    /// The last part of the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Status => "status",
            Self::Commands => "commands",
            Self::CommandAck => "command-ack",
        }
    }

    pub const fn method(self) -> Method {
        match self {
            Self::Configure | Self::Status | Self::CommandAck => Method::Post,
            Self::Commands => Method::Get,
        }
    }

    /// The document's timeout (§11).
    pub const fn timeout_s(self) -> u32 {
        match self {
            Self::Configure => CONFIGURE_TIMEOUT_S,
            Self::Status | Self::Commands | Self::CommandAck => REQUEST_TIMEOUT_S,
        }
    }
}

/// A request for the shell to send. The device minds the timeout itself; a shell may drop what outlives `timeout_s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    /// From the server's root: `/api/device/{device_id}/status`.
    pub path: String,
    pub token: Option<String>,
    /// JSON as it is; empty for a GET.
    pub body: Vec<u8>,
    /// Large enough to be sent with `Content-Encoding: gzip`.
    pub compress: bool,
    pub timeout_s: u32,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answer {
        status: u16,
        body: Vec<u8>,
    },
    /// No connection, no answer in time, or half an answer.
    NoAnswer,
}

#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub id: RequestId,
    pub deadline: Uptime,
}

/// What the document's table (§6) says to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done(Vec<u8>),
    /// 400, and any other answer that a repetition will not change: log, retry once.
    Refused {
        status: u16,
        error: Option<ErrorEnvelope>,
    },
    /// 401 or 404: back to CONFIGURING.
    Reconfigure {
        status: u16,
    },
    /// 500: wait, at most three times.
    ServerError {
        error: Option<ErrorEnvelope>,
    },
    NoAnswer,
}

pub(crate) fn judge(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::NoAnswer => Verdict::NoAnswer,
        Outcome::Answer { status: 200..=299, body } => Verdict::Done(body),
        Outcome::Answer { status: status @ (401 | 404), .. } => Verdict::Reconfigure { status },
        // 408 and 429 are a proxy's way to say "later".
        Outcome::Answer { status: 408 | 429 | 500..=599, body } => Verdict::ServerError { error: envelope(&body) },
        Outcome::Answer { status, body } => Verdict::Refused { status, error: envelope(&body) },
    }
}

fn envelope(body: &[u8]) -> Option<ErrorEnvelope> {
    serde_json::from_slice(body).ok()
}

/// The wait that the server asks for, within reason.
pub(crate) fn asked_wait_s(error: Option<&ErrorEnvelope>) -> Option<u64> {
    error.map(|e| e.retry_after_seconds).filter(|s| *s > 0).map(|s| u64::from(s.min(RETRY_AFTER_MAX_S)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_table() {
        let answer = |status| judge(Outcome::Answer { status, body: Vec::new() });
        assert_eq!(answer(200), Verdict::Done(Vec::new()));
        for status in [400, 403, 413] {
            assert_eq!(answer(status), Verdict::Refused { status, error: None });
        }
        for status in [401, 404] {
            assert_eq!(answer(status), Verdict::Reconfigure { status });
        }
        for status in [500, 502, 503, 429] {
            assert_eq!(answer(status), Verdict::ServerError { error: None });
        }
        assert_eq!(judge(Outcome::NoAnswer), Verdict::NoAnswer);
    }
}
