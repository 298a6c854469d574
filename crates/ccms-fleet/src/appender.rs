//! Appends lines to a file on a thread of its own, so that no device waits for a disk. Every batch reaches the operating
//! system at once; `close` makes sure of the disk.
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::Context;

/// Lines taken per write at most; keeps memory and the time between flushes bounded.
const LINES_PER_WRITE: usize = 4_096;

#[derive(Debug)]
pub struct Appender {
    lines: Sender<String>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Appender {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        let (lines, waiting) = channel();
        let thread = std::thread::spawn(move || write_all(file, &waiting));
        Ok(Self { lines, thread })
    }

    /// Hands out a pen. `close` returns only once all pens are gone.
    pub fn pen(&self) -> Pen {
        Pen(self.lines.clone())
    }

    /// Writes what is left and waits for the disk.
    pub fn close(self) -> anyhow::Result<()> {
        drop(self.lines);
        match self.thread.join() {
            Ok(result) => result.context("appending lines"),
            Err(_) => anyhow::bail!("the appending thread failed"),
        }
    }
}

/// Appends whole lines; the newline is added.
#[derive(Debug, Clone)]
pub struct Pen(Sender<String>);

impl Pen {
    pub fn line(&self, text: String) {
        // The thread ends early only when the disk failed; `close` reports that.
        let _ = self.0.send(text);
    }
}

fn write_all(file: File, waiting: &Receiver<String>) -> std::io::Result<()> {
    let mut out = BufWriter::new(file);
    while let Ok(first) = waiting.recv() {
        writeln!(out, "{first}")?;
        for line in waiting.try_iter().take(LINES_PER_WRITE) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}
