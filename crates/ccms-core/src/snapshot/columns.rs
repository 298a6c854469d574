//! Numbers, states and brightnesses of the lights. They come in runs: numbers without a gap, streets that look alike.
//!
//! First the `k` of gaps and of runs, and in turn how many numbers are left out and how many follow each other (less one)
//! until all lights have theirs. Then how many looks occur and each of them, 16 bits for state and brightness, the `k` of
//! their runs, and runs (less one) with the place of their look in that list, in as few bits as it needs.
use std::collections::BTreeSet;

use super::bits::{BitReader, BitWriter, rice_k};
use super::{BadSnapshot, Look, Mark, MarkState};

/// Bits of how many looks there are, and of one.
const LOOKS_BITS: u32 = 17;
const LOOK_BITS: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct ColumnWriter {
    count: u32,
    /// What was left out, and how many follow behind the first.
    numbers: Vec<(u32, u32)>,
    /// How many look like the first.
    looks: Vec<(u16, u32)>,
}

fn packed((state, brightness): Look) -> u16 {
    u16::from_le_bytes([state.0, brightness])
}

fn unpacked(look: u16) -> Look {
    let [state, brightness] = look.to_le_bytes();
    (MarkState(state), brightness)
}

fn index_width(looks: usize) -> u32 {
    usize::BITS - looks.saturating_sub(1).leading_zeros()
}

impl ColumnWriter {
    /// A light whose number is `step` more than that of the light before.
    pub fn push(&mut self, step: u32, look: Look) {
        self.count += 1;
        match (step, self.numbers.last_mut()) {
            (1, Some((_, more))) => *more += 1,
            _ => self.numbers.push((step.wrapping_sub(1), 0)),
        }
        match (packed(look), self.looks.last_mut()) {
            (look, Some((same, more))) if *same == look => *more += 1,
            (look, _) => self.looks.push((look, 0)),
        }
    }

    /// How many lights there were, and their columns.
    pub fn finish(self) -> (u32, Vec<u8>) {
        let mut bits = BitWriter::default();
        let numbers = self.numbers.iter();
        let k = (rice_k(numbers.clone().map(|(gap, _)| *gap)), rice_k(numbers.map(|(_, more)| *more)));
        bits.k(k.0);
        bits.k(k.1);
        for (gap, more) in &self.numbers {
            bits.rice(*gap, k.0);
            bits.rice(*more, k.1);
        }
        let occur: BTreeSet<u16> = self.looks.iter().map(|(look, _)| *look).collect();
        let occur: Vec<u16> = occur.into_iter().collect();
        let (k, width) = (rice_k(self.looks.iter().map(|(_, more)| *more)), index_width(occur.len()));
        bits.put(occur.len() as u32, LOOKS_BITS);
        occur.iter().for_each(|look| bits.put((*look).into(), LOOK_BITS));
        bits.k(k);
        for (look, more) in &self.looks {
            bits.rice(*more, k);
            bits.put(occur.partition_point(|other| other < look) as u32, width);
        }
        (self.count, bits.finish())
    }
}

/// So many lights with their numbers and looks, and nothing else yet.
pub(super) fn read(count: usize, bits: &mut BitReader<'_>) -> Result<Vec<Mark>, BadSnapshot> {
    let mut marks = Vec::with_capacity(count);
    let (mut no, k) = (0u32, (bits.k()?, bits.k()?));
    while marks.len() < count {
        no = no.wrapping_add(bits.rice(k.0)?);
        for _ in 0..run(bits, k.1, count - marks.len())? {
            no = no.wrapping_add(1);
            marks.push(Mark { no, ..Mark::default() });
        }
    }
    let looks = (0..bits.take(LOOKS_BITS)?).map(|_| bits.take(LOOK_BITS).map(|look| unpacked(look as u16)));
    let looks: Vec<Look> = looks.collect::<Result<_, _>>()?;
    let (k, width) = (bits.k()?, index_width(looks.len()));
    let mut rest = marks.as_mut_slice();
    while !rest.is_empty() {
        let (alike, behind) = rest.split_at_mut(run(bits, k, rest.len())?);
        let look = looks.get(bits.take(width)? as usize).ok_or(BadSnapshot("a look is not in the list"))?;
        alike.iter_mut().for_each(|mark| (mark.state, mark.brightness) = *look);
        rest = behind;
    }
    Ok(marks)
}

/// How many lights, one at least and no more than are left.
fn run(bits: &mut BitReader<'_>, k: u32, left: usize) -> Result<usize, BadSnapshot> {
    let more = bits.rice(k)? as usize;
    if more < left { Ok(more + 1) } else { Err(BadSnapshot("a run is too long")) }
}
