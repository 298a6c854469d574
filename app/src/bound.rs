//! Values on the page that follow signals, in three types only. Every closure has a type of its own, and for every type the
//! browser would have to load another copy of what shows, hydrates and updates it. They are counted, not owned: what stands on the page while
//! something else is fetched may be read after its owner is gone.
use leptos::prelude::*;

/// A text that follows what `read` reads.
pub fn text<T: ToString>(read: impl Fn() -> T + Send + Sync + 'static) -> ArcSignal<String> {
    ArcSignal::derive(move || read().to_string())
}

/// An attribute that is there only with a value.
pub fn maybe<T: ToString>(read: impl Fn() -> Option<T> + Send + Sync + 'static) -> ArcSignal<Option<String>> {
    ArcSignal::derive(move || read().map(|value| value.to_string()))
}

/// An attribute without a value, there or not.
pub fn flag(read: impl Fn() -> bool + Send + Sync + 'static) -> ArcSignal<bool> {
    ArcSignal::derive(read)
}
