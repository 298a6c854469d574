//! The rows of a day by light, of one walk over the log in its own order: so a reading is looked at as often in a large city as in a small
//! one. What does not fit into memory waits in a file without a name, packed, a part of the lights' numbers at a time.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use ccms_block::{BlockError, Link, READINGS_MAX, decode_batch, encode_batch};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

/// Rows that one part is aimed at, of the rows that may be in memory: lights do not all say the same.
const PART_ROWS: (u64, u64) = (3, 5);

#[derive(Debug, thiserror::Error)]
pub enum SpreadError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("what was put aside reads otherwise: {0}")]
    Block(#[from] BlockError),
}

/// Lights `from <= number < to`.
pub type Lights = (LightNo, LightNo);

pub struct Spread {
    folder: PathBuf,
    rows_max: usize,
    /// Lights of a part.
    width: u32,
    parts: BTreeMap<u32, Part>,
    in_memory: usize,
    file: Option<File>,
    end: u64,
    /// Rows of each light.
    counts: BTreeMap<LightNo, u32>,
    /// Rows of lights that said more than a day holds, beyond that.
    pub over: BTreeMap<LightNo, u64>,
    /// All rows that were pushed.
    pub seen: u64,
}

#[derive(Default)]
struct Part {
    rows: Vec<ReadingRow>,
    pieces: Vec<Piece>,
}

struct Piece {
    at: u64,
    bytes: usize,
    rows: usize,
    first_at: UtcMillis,
}

impl Spread {
    /// For about so many rows of lights up to `highest`, of which `rows_max` may be in memory.
    pub fn new(rows: u64, highest: LightNo, rows_max: usize, folder: PathBuf) -> Self {
        let rows_max = rows_max.max(1);
        let lights = u64::from(highest.0).max(1);
        let wanted = rows_max as u64 * PART_ROWS.0 / PART_ROWS.1;
        let width = (wanted.max(1) * lights / rows.max(1)).clamp(1, lights) as u32;
        let (parts, counts, over) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { folder, rows_max, width, parts, in_memory: 0, file: None, end: 0, counts, over, seen: 0 }
    }

    pub fn push(&mut self, rows: impl IntoIterator<Item = ReadingRow>) -> Result<(), SpreadError> {
        for row in rows {
            self.seen += 1;
            let light = row.light_no;
            let count = self.counts.entry(light).or_default();
            if *count as usize >= READINGS_MAX {
                *self.over.entry(light).or_default() += 1;
                continue;
            }
            *count += 1;
            self.parts.entry(light.0 / self.width).or_default().rows.push(row);
            self.in_memory += 1;
            if self.in_memory >= self.rows_max {
                self.put_aside()?;
            }
        }
        Ok(())
    }

    /// Lights whose rows fit into memory at once, and may be read; or one light.
    pub fn lights(&self) -> Vec<Lights> {
        let (mut all, mut rows): (Vec<Lights>, usize) = (Vec::new(), 0);
        for (&light, &count) in &self.counts {
            rows += count as usize;
            match all.last_mut() {
                Some(last) if rows <= self.rows_max && last.0.0 / self.width == light.0 / self.width => {
                    last.1 = LightNo(light.0.saturating_add(1));
                }
                _ => {
                    all.push((light, LightNo(light.0.saturating_add(1))));
                    rows = count as usize;
                }
            }
        }
        all
    }

    /// What these lights said, as it was pushed.
    pub fn rows(&self, (from, to): Lights) -> Result<BTreeMap<LightNo, Vec<ReadingRow>>, SpreadError> {
        let mut lights: BTreeMap<LightNo, Vec<ReadingRow>> = BTreeMap::new();
        let Some(part) = self.parts.get(&(from.0 / self.width)) else { return Ok(lights) };
        let wanted = |light: LightNo| from <= light && light < to;
        for piece in &part.pieces {
            let mut bytes = vec![0; piece.bytes];
            if let Some(file) = &self.file {
                file.read_exact_at(&mut bytes, piece.at)?;
            }
            for linked in decode_batch((piece.rows as i64, piece.first_at), &bytes, wanted)? {
                lights.entry(linked.row.light_no).or_default().push(linked.row);
            }
        }
        for row in part.rows.iter().filter(|row| wanted(row.light_no)) {
            lights.entry(row.light_no).or_default().push(row.clone());
        }
        Ok(lights)
    }

    /// Everything that is in memory goes behind what is in the file.
    fn put_aside(&mut self) -> Result<(), SpreadError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.seek(SeekFrom::Start(self.end))?;
        for part in self.parts.values_mut() {
            for some in part.rows.chunks(READINGS_MAX) {
                let rows: Vec<&ReadingRow> = some.iter().collect();
                let first_at = some.iter().map(|row| row.reading.reported_at).min().unwrap_or(UtcMillis(0));
                let link = |n: usize| Link { position: n as i64, previous: 0, newest_before: 0 };
                let links: Vec<Link> = (1..=rows.len()).map(link).collect();
                let bytes = encode_batch(first_at, &rows, &links)?;
                file.write_all(&bytes)?;
                part.pieces.push(Piece { at: self.end, bytes: bytes.len(), rows: rows.len(), first_at });
                self.end += bytes.len() as u64;
            }
            part.rows = Vec::new();
        }
        self.in_memory = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;
    use proptest::prelude::*;

    use super::*;

    fn row(light: u32, at: i64, seq: u32) -> ReadingRow {
        let reading =
            Reading { reported_at: UtcMillis(at), seq: Some(seq), energy_wh: Some(at / 7), ..Reading::default() };
        ReadingRow {
            light_no: LightNo(light),
            device_no: DeviceNo(light + 9),
            received_at: UtcMillis(at + 150),
            dedupe: reading.dedupe_key(),
            reading,
        }
    }

    proptest! {
        /// Whatever is in memory and whatever is not.
        #[test]
        fn what_is_spread_comes_back_by_light_in_its_order(
            said in prop::collection::vec((0..40_u32, 0..1_000_000_i64, 0..9_u32), 0..300),
            rows_max in 1..400_usize,
            expected in 0..1_000_u64,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let rows: Vec<ReadingRow> = said.iter().map(|&(light, at, seq)| row(light, at, seq)).collect();
            let mut spread = Spread::new(expected, LightNo(30), rows_max, folder.path().to_owned());
            for some in rows.chunks(7) {
                spread.push(some.to_vec()).unwrap();
                prop_assert!(spread.in_memory < rows_max);
            }
            let (mut back, mut before) = (BTreeMap::new(), LightNo(0));
            for lights in spread.lights() {
                prop_assert!(before <= lights.0 && lights.0 < lights.1);
                before = lights.1;
                let some = spread.rows(lights).unwrap();
                let count: usize = some.values().map(Vec::len).sum();
                prop_assert!(count <= rows_max || some.len() == 1, "{count} rows of {} lights", some.len());
                back.extend(some);
            }
            let mut all: BTreeMap<LightNo, Vec<ReadingRow>> = BTreeMap::new();
            rows.into_iter().for_each(|row| all.entry(row.light_no).or_default().push(row));
            prop_assert_eq!(back, all);
            prop_assert_eq!(spread.seen as usize, said.len());
            // The file has no name.
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_a_light_says_beyond_measure_is_counted_and_not_kept() {
        let mut spread = Spread::new(9, LightNo(9), 70_000, std::env::temp_dir());
        spread.push((0..READINGS_MAX as i64 + 3).map(|at| row(1, at, 1))).unwrap();
        spread.push([row(2, 1, 1)]).unwrap();
        assert_eq!(spread.over, BTreeMap::from([(LightNo(1), 3)]));
        let kept: Vec<usize> =
            spread.lights().into_iter().map(|l| spread.rows(l).unwrap().values().map(Vec::len).sum()).collect();
        assert_eq!((kept, spread.seen as usize), (vec![READINGS_MAX, 1], READINGS_MAX + 4));
    }
}
