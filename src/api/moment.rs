//! What every light said at a moment of the past.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::ids::LightNo;
use serde::{Deserialize, Serialize};

use super::call::{Call, Cursor, Limit, Page, json};
use super::problem::Problem;
use super::readings::{Instant, Item as Reading};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    at: Option<Instant>,
    cursor: Option<Cursor<1>>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Serialize)]
struct Item<'a> {
    light_id: &'a str,
    /// Null when it said nothing in the quarter of an hour before.
    reading: Option<Reading<'a>>,
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_view()?;
    let wish: Wish = call.params()?;
    let at = wish.at.map_or(call.ccms().now(), |t| t.0);
    let after = match wish.cursor {
        Some(Cursor([no])) => u32::try_from(no).map_err(|_| Problem::malformed("The cursor is of another list."))?,
        None => 0,
    };
    let (said, next) = call.ccms().fleet_at(may, at, LightNo(after), wish.limit.0).await?;
    let items: Vec<Item> = said
        .iter()
        .map(|s| Item { light_id: s.light_id.as_str(), reading: s.reading.as_ref().map(Reading::of) })
        .collect();
    Ok(json(StatusCode::OK, &Page { items, next_cursor: next.map(|no| Cursor([no.0.into()]).text()) }))
}
