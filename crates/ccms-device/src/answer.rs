//! How an answer is judged: the document's table of HTTP errors (§6) in one function. A 200 counts only with a JSON object
//! inside: what a captive portal or a half-dead proxy says with a 200 covers no reading.
use ccms_core::time::UtcMillis;
use ccms_core::wire::envelope::ErrorEnvelope;
use serde_json::{Map, Value};

use crate::config::{ANSWER_BYTES_MAX, RETRY_AFTER_MAX_S};

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

/// What the document's table says to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// 200: clear the queue, continue.
    Done(Answer),
    /// 400, and any other answer that a repetition will not change: log, retry once.
    Refused { status: u16, error: Option<ErrorEnvelope> },
    /// 401 or 404: back to CONFIGURING.
    Reconfigure { status: u16 },
    /// 500: wait 30 s, at most three times.
    ServerError { error: Option<ErrorEnvelope> },
    /// Timeout: again after 10 s, at most five times, then offline.
    NoAnswer,
    /// A 200 that the server cannot have meant. As good as none.
    Unreadable,
}

/// A documented answer, read field by field: one that is missing or of another type costs itself only.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answer(pub Map<String, Value>);

impl Answer {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|t| !t.is_empty())
    }

    /// A count or a number of seconds; `30.0` is one too.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let number = self.0.get(name)?.as_f64()?;
        (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
    }

    pub(crate) fn instant(&self, name: &str) -> Option<UtcMillis> {
        instant(self.0.get(name)?)
    }
}

/// What stands for an instant: a text or an epoch number.
pub(crate) fn instant(value: &Value) -> Option<UtcMillis> {
    serde_json::from_value(value.clone()).ok()
}

pub(crate) fn judge(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::NoAnswer => Verdict::NoAnswer,
        Outcome::Answer { status: 200..=299, body } => readable(&body).map_or(Verdict::Unreadable, Verdict::Done),
        Outcome::Answer { status: status @ (401 | 404), .. } => Verdict::Reconfigure { status },
        // 408 and 429 are a proxy's way to say "later".
        Outcome::Answer { status: 408 | 429 | 500..=599, body } => Verdict::ServerError { error: envelope(&body) },
        Outcome::Answer { status, body } => Verdict::Refused { status, error: envelope(&body) },
    }
}

fn readable(body: &[u8]) -> Option<Answer> {
    if body.len() > ANSWER_BYTES_MAX {
        return None;
    }
    let answer = Answer(serde_json::from_slice(body).ok()?);
    (answer.text("status") != Some("error")).then_some(answer)
}

fn envelope(body: &[u8]) -> Option<ErrorEnvelope> {
    (body.len() <= ANSWER_BYTES_MAX).then(|| serde_json::from_slice(body).ok())?
}

/// The wait that the server asks for, within reason.
pub(crate) fn asked_wait_s(error: Option<&ErrorEnvelope>) -> Option<u64> {
    error.map(|e| e.retry_after_seconds).filter(|s| *s > 0).map(|s| u64::from(s.min(RETRY_AFTER_MAX_S)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Verdict {
        judge(Outcome::Answer { status, body: body.to_vec() })
    }

    #[test]
    fn the_documents_table() {
        assert_eq!(answer(200, b"{}"), Verdict::Done(Answer::default()));
        for status in [400, 403, 413, 302, 418] {
            assert_eq!(answer(status, b""), Verdict::Refused { status, error: None });
        }
        for status in [401, 404] {
            assert_eq!(answer(status, b"{}"), Verdict::Reconfigure { status });
        }
        for status in [500, 502, 503, 429, 408] {
            assert_eq!(answer(status, b"{}"), Verdict::ServerError { error: None });
        }
        assert_eq!(judge(Outcome::NoAnswer), Verdict::NoAnswer);
    }

    #[test]
    fn a_200_without_an_object_or_with_an_error_inside_is_none() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX));
        for body in ["", "<html>", "[]", "7", "{\"status\":\"suc", "{\"status\":\"error\"}", &long] {
            assert_eq!(answer(200, body.as_bytes()), Verdict::Unreadable, "{body:.20}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_costs_itself_only() {
        let Verdict::Done(a) =
            answer(200, br#"{"n":30.0,"minus":-1,"text":"","at":"2025-12-17T10:30:00Z","epoch":1765967400,"no":{}}"#)
        else {
            panic!("an answer")
        };
        assert_eq!((a.number("n"), a.number("minus"), a.number("at"), a.number("gone")), (Some(30), None, None, None));
        assert_eq!((a.text("text"), a.text("no")), (None, None));
        assert_eq!(a.instant("at"), Some(UtcMillis::from_seconds(1_765_967_400)));
        assert_eq!((a.instant("epoch"), a.instant("no")), (a.instant("at"), None));
    }
}
