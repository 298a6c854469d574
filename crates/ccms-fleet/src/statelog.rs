//! The flash of a whole city in one file: a snapshot followed by what changed since, one JSON line each. Every start
//! rewrites it as a snapshot. Without it a restarted city would stand before the server without its tokens, and a claimed
//! device without its token gets no new one.
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ccms_device::{Change, Saved};
use serde::{Deserialize, Serialize};

use crate::appender::{Appender, Pen};
use crate::flash::replace_by;

const FILE: &str = "devices.jsonl";
const LOCK: &str = "lock";

/// What is kept of one device: its flash, and its lamp's meter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    pub saved: Saved,
    pub meter_uj: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saved: Option<Saved>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meter_uj: Option<u64>,
}

#[derive(Debug)]
pub struct StateLog {
    appender: Appender,
    /// Held until the end: two fleets with one identity each would look like clones.
    _lock: File,
}

impl StateLog {
    /// Opens the state in `dir`, and returns it with what it holds.
    pub fn open(dir: &Path) -> anyhow::Result<(Self, HashMap<String, Kept>)> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let lock = File::create(dir.join(LOCK)).with_context(|| format!("writing in {}", dir.display()))?;
        lock.try_lock().map_err(|_| anyhow::anyhow!("another fleet runs on {}", dir.display()))?;
        let path: PathBuf = dir.join(FILE);
        let kept = match File::open(&path) {
            Ok(file) => replay(BufReader::new(file)).with_context(|| format!("reading {}", path.display()))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => HashMap::new(),
            Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
        };
        replace_by(&path, |file| snapshot(&kept, file))?;
        Ok((Self { appender: Appender::open(&path)?, _lock: lock }, kept))
    }

    pub fn notebook(&self) -> Notebook {
        Notebook(self.appender.pen())
    }

    pub fn close(self) -> anyhow::Result<()> {
        self.appender.close()
    }
}

/// Where devices write down what must survive.
#[derive(Debug, Clone)]
pub struct Notebook(Pen);

impl Notebook {
    pub fn change(&self, id: &str, change: Change) {
        self.line(&Line { id: id.to_owned(), saved: None, change: Some(change), meter_uj: None });
    }

    pub fn meter(&self, id: &str, meter_uj: u64) {
        self.line(&Line { id: id.to_owned(), saved: None, change: None, meter_uj: Some(meter_uj) });
    }

    fn line(&self, line: &Line) {
        // Plain data with text keys: it always becomes JSON.
        if let Ok(text) = serde_json::to_string(line) {
            self.0.line(text);
        }
    }
}

/// The last line may be torn by a crash; an unreadable line costs itself only.
fn replay(text: impl BufRead) -> std::io::Result<HashMap<String, Kept>> {
    let mut kept: HashMap<String, Kept> = HashMap::new();
    for line in text.split(b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(&line?) else { continue };
        let device = kept.entry(line.id).or_default();
        if let Some(saved) = line.saved {
            device.saved = saved;
        }
        if let Some(change) = line.change {
            device.saved.apply(change);
        }
        device.meter_uj = line.meter_uj.or(device.meter_uj);
    }
    Ok(kept)
}

/// One line for each device, written as it is made: a large city's would fill the memory.
fn snapshot(kept: &HashMap<String, Kept>, file: &mut File) -> std::io::Result<()> {
    let mut out = BufWriter::new(file);
    let mut ids: Vec<&String> = kept.keys().collect();
    ids.sort_unstable();
    for id in ids {
        let Kept { saved, meter_uj } = kept[id].clone();
        serde_json::to_writer(&mut out, &Line { id: id.clone(), saved: Some(saved), change: None, meter_uj })?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use ccms_device::Settings;

    use super::*;

    #[test]
    fn a_city_comes_back_with_its_tokens_and_a_torn_line_costs_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { token: Some("t".into()), ..Settings::default() };
        {
            let (log, kept) = StateLog::open(dir.path()).unwrap();
            assert!(kept.is_empty());
            assert!(StateLog::open(dir.path()).is_err(), "one fleet at a time");
            let notes = log.notebook();
            notes.change("a", Change::Settings(Box::new(settings.clone())));
            notes.meter("a", 7);
            drop(notes);
            log.close().unwrap();
        }
        let path = dir.path().join(FILE);
        let torn = std::fs::read_to_string(&path).unwrap() + "{\"id\":\"a\",\"meter_uj\":9";
        std::fs::write(&path, torn).unwrap();
        for _ in 0..2 {
            let (log, kept) = StateLog::open(dir.path()).unwrap();
            assert_eq!(kept["a"].saved.settings, settings);
            assert_eq!(kept["a"].meter_uj, Some(7));
            log.close().unwrap();
        }
    }
}
