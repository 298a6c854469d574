//! What whole days came to against their quarters of an hour: worked out once more and compared.
use ccms_store::{Day, DynStore, StoreResult};

use super::Report;
use super::rollups::LOOKS;
use crate::archiving::date;
use crate::history::daily::{lights_of, of_quarters};
use crate::history::energy::daily_of;

pub async fn look_through(store: &DynStore, report: &mut Report) -> StoreResult<()> {
    let known = store.daily_known(Day(i32::MIN), Day(i32::MAX)).await;
    let known = report.reads("the list of whole days", known)?.unwrap_or_default();
    for &(day, part) in &known {
        let found = finding(store, day, part).await;
        if let Some(true) = report.reads(&format!("what {} came to", date(day)), found)? {
            let (first, end) = lights_of(part);
            report.finds(format!(
                "what {} of lights number {} to {} came to is not what its quarters of an hour did",
                date(day),
                first.0,
                end.0 - 1
            ));
        }
    }
    if !known.is_empty() {
        report.looked_at.push(format!("{} whole days of a part of the lights", known.len()));
    }
    Ok(())
}

/// A running server may open a day again between two looks at it.
async fn finding(store: &DynStore, day: Day, part: u32) -> StoreResult<bool> {
    for _ in 0..LOOKS {
        let kept = store.daily(part, day, day).await?;
        let quarters = store.ledgers(lights_of(part), day, day).await?;
        let Some(daily) = kept.first() else { return Ok(false) };
        if daily_of(daily)? == of_quarters(day, &quarters)? {
            return Ok(false);
        }
        if store.daily(part, day, day).await? == kept {
            return Ok(true);
        }
    }
    Ok(false)
}
