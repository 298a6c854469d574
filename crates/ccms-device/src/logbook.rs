//! What the device noted for the technician. In memory only: the store of lowest worth is not worth a write to flash.
use std::collections::VecDeque;

use ccms_core::time::UtcMillis;
use ccms_core::wire::logs::LogLine;

use crate::config::{LOG_LINE_BYTES_MAX, LOG_LINES_KEPT};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Logbook {
    lines: VecDeque<LogLine>,
    /// How many lines went before the first that is here.
    gone: u64,
}

impl Logbook {
    pub(crate) fn push(&mut self, at: UtcMillis, level: Level, text: &str) {
        let text = &text[..text.floor_char_boundary(LOG_LINE_BYTES_MAX)];
        // The same again and again says no more than once, with its newest time.
        if let Some(last) = self.lines.back_mut().filter(|l| l.message == text) {
            last.timestamp = Some(at);
            return;
        }
        if self.lines.len() >= LOG_LINES_KEPT {
            self.lines.pop_front();
            self.gone += 1;
        }
        let level = Some(level.as_str().to_owned());
        self.lines.push_back(LogLine { timestamp: Some(at), level, message: text.to_owned() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn lines(&self) -> &VecDeque<LogLine> {
        &self.lines
    }

    /// The number after the last line: what an answer to all of them covers.
    pub(crate) fn end(&self) -> u64 {
        self.gone + self.lines.len() as u64
    }

    /// The lines before `end` are the server's.
    pub(crate) fn remove_until(&mut self, end: u64) {
        while self.gone < end && self.lines.pop_front().is_some() {
            self.gone += 1;
        }
    }

    pub(crate) fn shift(&mut self, seconds: i64) {
        for at in self.lines.iter_mut().filter_map(|l| l.timestamp.as_mut()) {
            *at = at.plus_seconds(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_is_bounded_in_lines_and_bytes_and_only_what_was_covered_goes() {
        let (mut book, at) = (Logbook::default(), UtcMillis(0));
        (0..LOG_LINES_KEPT + 10).for_each(|n| book.push(at, Level::Info, &format!("{n} {}", "é".repeat(500))));
        assert_eq!(book.lines().len(), LOG_LINES_KEPT);
        assert!(book.lines().iter().all(|l| l.message.len() <= LOG_LINE_BYTES_MAX));
        let end = book.end();
        book.push(at, Level::Error, "later");
        book.push(at, Level::Error, "later");
        book.remove_until(end);
        assert_eq!(book.lines().iter().map(|l| l.message.as_str()).collect::<Vec<_>>(), ["later"]);
        book.remove_until(end + 5);
        assert!(book.is_empty());
    }
}
