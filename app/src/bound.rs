//! Values on the page that follow signals, in three types only. Every closure has a type of its own, and for every type the
//! browser would have to load another copy of what shows, hydrates and updates it.
use leptos::prelude::*;

/// A text that follows what `read` reads.
pub fn text<T: ToString>(read: impl Fn() -> T + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(move || read().to_string())
}

/// An attribute that is there only with a value.
pub fn maybe<T: ToString>(read: impl Fn() -> Option<T> + Send + Sync + 'static) -> Signal<Option<String>> {
    Signal::derive(move || read().map(|value| value.to_string()))
}

/// An attribute without a value, there or not.
pub fn flag(read: impl Fn() -> bool + Send + Sync + 'static) -> Signal<bool> {
    Signal::derive(read)
}
