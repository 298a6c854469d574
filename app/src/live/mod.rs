//! The fleet in the browser, and the line to the server that keeps it true.
//!
//! After hydration the frame fetches one binary snapshot and opens one event stream. `fleet` events carry changes since the
//! last known change number, `beat` the server's time, `light` says that the watched light changed, `resync` that
//! the gap is too large and the snapshot must be fetched again. A line that is silent for longer than
//! `SILENCE_MS_MAX` counts as lost even if the browser thinks it is open; what is on the screen then says since when.
//!
//! Authorisation: both routes answer 401 to who is not signed in; the page then reloads, and the server sends the person to sign in.
mod fleet;
mod stream;

pub use fleet::Fleet;
pub use stream::start;

use ccms_core::time::UtcMillis;
use ccms_core::view::FleetCounts;
use leptos::prelude::*;

/// How well the page is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The page has just been opened.
    Starting,
    Live,
    /// Lost a moment ago; trying again.
    Reconnecting {
        since: UtcMillis,
    },
    /// Lost for long enough that what is shown must not be trusted.
    Stale {
        since: UtcMillis,
    },
}

impl Link {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Stale { .. } => "stale",
        }
    }
}

/// The live state of the page, in context below the frame.
#[derive(Clone, Copy)]
pub struct Live {
    pub link: RwSignal<Link>,
    /// From the server's first answer, then from every change.
    pub counts: RwSignal<FleetCounts>,
    pub fleet: StoredValue<Fleet>,
    /// Rises with every change of the fleet; read it to be told.
    pub version: RwSignal<u64>,
    /// The light whose drawer is open.
    pub watched: RwSignal<Option<String>>,
    /// Rises when the watched light has news.
    pub news: RwSignal<u32>,
}

impl Live {
    pub fn new(counts: FleetCounts) -> Self {
        Self {
            link: RwSignal::new(Link::Starting),
            counts: RwSignal::new(counts),
            fleet: StoredValue::new(Fleet::default()),
            version: RwSignal::new(0),
            watched: RwSignal::new(None),
            news: RwSignal::new(0),
        }
    }
}
