//! The blocks of a day and the file that there is already, as one stream of lights with all their readings. Each is read on
//! only when what was read is used up, so that no more than some lights and one group are in memory.
use std::collections::VecDeque;
use std::sync::Arc;

use ccms_archive::Footer;
use ccms_core::ids::LightNo;
use ccms_store::{ArchivedDay, Day, DynStore, ReadingRow, SealedDay, SealedMark};

use super::shelf::Shelf;
use super::{ArchiveError, join};

/// Blocks read and unpacked in one go: about 10 MB.
const BLOCKS_AT_ONCE: u32 = 16;

type OfLights = VecDeque<(LightNo, Vec<ReadingRow>)>;

pub(crate) struct Merged {
    blocks: Blocks,
    file: Option<Before>,
}

struct Blocks {
    store: DynStore,
    day: Day,
    next: Option<LightNo>,
    waiting: OfLights,
    marks: Vec<SealedMark>,
}

/// The file before.
struct Before {
    shelf: Shelf,
    file: String,
    footer: Arc<Footer>,
    next: usize,
    waiting: OfLights,
}

impl Merged {
    pub async fn open(
        store: DynStore,
        shelf: &Shelf,
        day: Day,
        before: Option<&ArchivedDay>,
    ) -> Result<Self, ArchiveError> {
        let file = match before {
            Some(before) => {
                let footer = shelf.footer(before).await?;
                let (shelf, file) = (shelf.clone(), before.file.clone());
                Some(Before { shelf, file, footer, next: 0, waiting: VecDeque::new() })
            }
            None => None,
        };
        let blocks = Blocks { store, day, next: Some(LightNo(0)), waiting: VecDeque::new(), marks: Vec::new() };
        Ok(Self { blocks, file })
    }

    /// The readings of the next light, in order; of two that are alike the one in the file stays.
    pub async fn next_light(&mut self) -> Result<Option<Vec<ReadingRow>>, ArchiveError> {
        self.blocks.read_on().await?;
        if let Some(file) = &mut self.file {
            file.read_on().await?;
        }
        let first = |waiting: &OfLights| waiting.front().map(|(light, _)| *light);
        let (in_file, in_blocks) = (self.file.as_ref().and_then(|f| first(&f.waiting)), first(&self.blocks.waiting));
        let Some(light) = in_file.into_iter().chain(in_blocks).min() else { return Ok(None) };
        let mut rows = Vec::new();
        if let Some(file) = self.file.as_mut().filter(|_| in_file == Some(light)) {
            rows = file.waiting.pop_front().map(|(_, rows)| rows).unwrap_or_default();
        }
        if in_blocks == Some(light) {
            rows = join(rows, self.blocks.waiting.pop_front().map(|(_, rows)| rows).unwrap_or_default());
        }
        Ok(Some(rows))
    }

    /// The blocks that went in.
    pub fn marks(self) -> Vec<SealedMark> {
        self.blocks.marks
    }
}

impl Blocks {
    async fn read_on(&mut self) -> Result<(), ArchiveError> {
        let Some(from) = self.next.filter(|_| self.waiting.is_empty()) else { return Ok(()) };
        let page = self.store.sealed_page(self.day, from, BLOCKS_AT_ONCE).await?;
        let full = page.len() == BLOCKS_AT_ONCE as usize;
        self.next = page.last().filter(|_| full).and_then(|b| b.light_no.0.checked_add(1)).map(LightNo);
        self.marks.extend(page.iter().map(SealedMark::of));
        let unpacking = tokio::task::spawn_blocking(move || -> Result<OfLights, ArchiveError> {
            page.iter().map(|block| Ok((block.light_no, unpack(block)?))).collect()
        });
        self.waiting = unpacking.await??;
        Ok(())
    }
}

impl Before {
    async fn read_on(&mut self) -> Result<(), ArchiveError> {
        if self.waiting.is_empty() && self.next < self.footer.groups().len() {
            let rows = self.shelf.rows(&self.file, &self.footer, self.next, None).await?;
            self.next += 1;
            self.waiting = by_light(rows);
        }
        Ok(())
    }
}

/// Readings in the order of lights, one light apart from the other.
pub(super) fn by_light(rows: Vec<ReadingRow>) -> OfLights {
    let mut lights = OfLights::new();
    for row in rows {
        match lights.back_mut() {
            Some((light, rows)) if *light == row.light_no => rows.push(row),
            _ => lights.push_back((row.light_no, vec![row])),
        }
    }
    lights
}

/// The readings of a block.
pub(crate) fn unpack(block: &SealedDay) -> Result<Vec<ReadingRow>, ArchiveError> {
    let (light, day) = (block.light_no, block.day);
    ccms_block::decode(light, &block.body).map_err(|error| ArchiveError::Block { light, day, error })
}
