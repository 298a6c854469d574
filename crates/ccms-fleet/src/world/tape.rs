//! What a server answered, line by line, so that it can be made to answer the same again: a story that went wrong before a real
//! server can then be told without it, on any machine.
use std::collections::VecDeque;
use std::io::{BufRead, Write};

use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use serde::{Deserialize, Serialize};

use super::rules::{Request, Response};
use super::server::{Deed, Held, Holdings, Server};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Answer {
        status: u16,
        body: String,
    },
    /// The command that an order became.
    Done(Option<CommandId>),
    Shown(Vec<Held>),
    Held(Holdings),
}

/// Listens to a server.
#[derive(Debug)]
pub struct Recorder<S, W> {
    pub server: S,
    tape: W,
    /// The first failure to write; a story is not stopped by it.
    pub failed: Option<std::io::Error>,
}

impl<S: Server, W: Write> Recorder<S, W> {
    pub fn new(server: S, tape: W) -> Self {
        Self { server, tape, failed: None }
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn finish(mut self) -> std::io::Result<S> {
        self.tape.flush()?;
        self.failed.map_or(Ok(self.server), Err)
    }

    fn hears(&mut self, word: &Word) {
        let written = serde_json::to_writer(&mut self.tape, word).map_err(Into::into);
        let written = written.and_then(|()| self.tape.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }
}

impl<S: Server, W: Write> Server for Recorder<S, W> {
    async fn answers(&mut self, request: Request) -> Response {
        let response = self.server.answers(request).await;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        self.hears(&Word::Answer { status: response.status, body });
        response
    }

    async fn does(&mut self, at: UtcMillis, deed: &Deed) -> Option<CommandId> {
        let id = self.server.does(at, deed).await;
        self.hears(&Word::Done(id.clone()));
        id
    }

    async fn shows(&mut self, at: UtcMillis) -> Vec<Held> {
        let shown = self.server.shows(at).await;
        self.hears(&Word::Shown(shown.clone()));
        shown
    }

    async fn holds(&mut self, at: UtcMillis) -> Holdings {
        let held = self.server.holds(at).await;
        self.hears(&Word::Held(held.clone()));
        held
    }
}

/// Says what is on a tape.
#[derive(Debug)]
pub struct Player {
    words: VecDeque<Word>,
    /// What was asked for was not what came next: another story, or other devices.
    pub lost: bool,
}

impl Player {
    /// # Errors
    /// When the tape cannot be read.
    pub fn of(tape: impl BufRead) -> anyhow::Result<Self> {
        let mut words = VecDeque::new();
        for line in tape.lines() {
            words.push_back(serde_json::from_str(&line?)?);
        }
        Ok(Self { words, lost: false })
    }

    fn next<T>(&mut self, is: impl FnOnce(Word) -> Option<T>) -> Option<T> {
        let word = self.words.pop_front().and_then(is);
        self.lost |= word.is_none();
        word
    }
}

impl Server for Player {
    async fn answers(&mut self, _request: Request) -> Response {
        let answer = self.next(|word| match word {
            Word::Answer { status, body } => Some(Response { status, body: body.into_bytes() }),
            Word::Done(_) | Word::Shown(_) | Word::Held(_) => None,
        });
        answer.unwrap_or(Response { status: 503, body: Vec::new() })
    }

    async fn does(&mut self, _at: UtcMillis, _deed: &Deed) -> Option<CommandId> {
        let done = self.next(|word| if let Word::Done(id) = word { Some(id) } else { None });
        done.flatten()
    }

    async fn shows(&mut self, _at: UtcMillis) -> Vec<Held> {
        self.next(|word| if let Word::Shown(shown) = word { Some(shown) } else { None }).unwrap_or_default()
    }

    async fn holds(&mut self, _at: UtcMillis) -> Holdings {
        self.next(|word| if let Word::Held(held) = word { Some(held) } else { None }).unwrap_or_default()
    }
}
