//! The lights as a table: the same fleet as the map, for screen readers, for long lists, for those who know the name and not the
//! place. Rendered on the server, filtered by a form of the address, paged by the light's number; works without the browser half.
//!
//! Authorisation: [`find`] and [`page()`] need the right to view.
mod api;
mod page;

pub use api::{Find, Page, find, page};
pub use page::{LightsPage, address};
