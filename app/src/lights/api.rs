//! What search and table ask of the server. Both need the right to view.
use ccms_core::light::Indicator;
use ccms_core::view::{LightHit, LightsPage};
use leptos::prelude::*;

use crate::error::UiError;

/// Hits the search box shows.
#[cfg(feature = "ssr")]
const HITS_MAX: usize = 8;
/// Rows of one page of the table.
#[cfg(feature = "ssr")]
const ROWS_MAX: usize = 100;
/// Characters of a question; the rest is not looked at.
#[cfg(feature = "ssr")]
const QUERY_CHARS_MAX: usize = 100;

/// Lights by id, controller, IMEI, name or address; the best first.
#[server(prefix = "/ui", endpoint = "lights/find", output = crate::wire::Json)]
pub async fn find(q: String) -> Result<Vec<LightHit>, UiError> {
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        Ok(caller.ccms.search(person.who().may_view()?, &shortened(&q), HITS_MAX))
    };
    caller.answer.with(outcome.await)
}

/// One page of the table: the lights after number `after`.
#[server(prefix = "/ui", endpoint = "lights/page", output = crate::wire::Json)]
pub async fn page(q: String, show: Option<Indicator>, after: Option<u32>) -> Result<LightsPage, UiError> {
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        Ok(caller.ccms.lights_page(person.who().may_view()?, &shortened(&q), show, after, ROWS_MAX))
    };
    caller.answer.with(outcome.await)
}

#[cfg(feature = "ssr")]
fn shortened(q: &str) -> String {
    q.trim().chars().take(QUERY_CHARS_MAX).collect()
}
