//! The readings of one light in the log, from the last one back: each says where the one before it is.
//!
//! A batch all of whose readings are sealed is gone, and with it the way to what is before it. Mostly that is nothing: what is
//! oldest is sealed first. Where it is not (a day that could not be sealed, a reading that came late), the rest is searched for
//! from there on back, batch by batch.
use std::ops::ControlFlow;

use ccms_block::Linked;
use ccms_core::ids::LightNo;
use ccms_store::StoreResult;
use sqlx::SqliteConnection;

use crate::batches;
use crate::heads::Head;

/// What became of a walk.
pub(crate) enum Walked {
    /// There is nothing further back, or who looked has enough.
    Done,
    /// What was at this position is gone, and what is before it is not known.
    Lost(i64),
}

/// Shows the readings of a light, the one that arrived last first. Those that are sealed are not shown, but passed.
pub(crate) async fn walk(
    connection: &mut SqliteConnection,
    light: LightNo,
    head: Head,
    mut see: impl FnMut(&Linked) -> ControlFlow<()>,
) -> StoreResult<Walked> {
    let mut position = head.position;
    while position > 0 {
        let Some(batch) = batches::at_or_after(connection, position).await? else { break };
        let found = batch.all_of(|no| no == light)?;
        let before = position;
        while let Some(linked) = found.iter().rfind(|l| l.link.position == position) {
            if !batch.is_gone(linked.index) && see(linked).is_break() {
                return Ok(Walked::Done);
            }
            position = linked.link.previous;
        }
        if position == before {
            break;
        }
    }
    Ok(if position > 0 { Walked::Lost(position) } else { Walked::Done })
}

/// As [`walk`], and searches where the way is lost.
pub(crate) async fn walk_all(
    connection: &mut SqliteConnection,
    light: LightNo,
    head: Head,
    mut see: impl FnMut(&Linked) -> ControlFlow<()>,
) -> StoreResult<()> {
    let Walked::Lost(mut position) = walk(connection, light, head, &mut see).await? else { return Ok(()) };
    loop {
        let batches = batches::before(connection, position).await?;
        let Some(last) = batches.last() else { return Ok(()) };
        position = last.id;
        for batch in &batches {
            for linked in batch.of(|no| no == light)?.iter().rev() {
                if see(linked).is_break() {
                    return Ok(());
                }
            }
        }
    }
}
