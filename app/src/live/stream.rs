//! The line to the server: snapshot first, then events, and again from where it stopped when it breaks. Browser only.
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ccms_core::snapshot::{Delta, Snapshot};
use ccms_core::time::UtcMillis;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{EventSource, MessageEvent, Response};

use super::{Link, Live};
use crate::clock::CityClock;

/// The server beats every 5 s; a line silent for longer than this is lost.
pub const SILENCE_MS_MAX: i64 = 12_000;
/// A line lost for longer than this makes what is shown stale.
const STALE_AFTER_MS: i64 = 15_000;
/// Distance between attempts to connect again.
const RETRY_MS: [u64; 5] = [500, 1_000, 2_000, 4_000, 8_000];
const UNAUTHORISED: u16 = 401;

/// What the browser calls with each event.
type Listener = Closure<dyn FnMut(MessageEvent)>;

/// An open line. Dropping it leaves it running; [`Stream::close`] ends it.
pub struct Stream {
    live: Live,
    clock: CityClock,
    source: RefCell<Option<EventSource>>,
    listeners: RefCell<Vec<Listener>>,
    heard_ms: Cell<f64>,
    failures: Cell<usize>,
    closed: Cell<bool>,
    /// Rises with every attempt, so that a late timer of an older one does nothing.
    attempt: Cell<u32>,
}

/// Fetches the fleet and keeps it up to date until [`Stream::close`].
pub fn start(live: Live, clock: CityClock) -> Rc<Stream> {
    let stream = Rc::new(Stream {
        live,
        clock,
        source: RefCell::default(),
        listeners: RefCell::default(),
        heard_ms: Cell::new(js_sys::Date::now()),
        failures: Cell::new(0),
        closed: Cell::new(false),
        attempt: Cell::new(0),
    });
    stream.load();
    stream
}

impl Stream {
    pub fn close(&self) {
        self.closed.set(true);
        self.hang_up();
    }

    /// Call every second: notices a line that died without a word.
    pub fn check(self: &Rc<Self>) {
        let silent_ms = (js_sys::Date::now() - self.heard_ms.get()) as i64;
        match self.live.link.get_untracked() {
            Link::Live if silent_ms > SILENCE_MS_MAX => self.lost(),
            Link::Reconnecting { since } if self.clock.now_untracked().since(since) > STALE_AFTER_MS => {
                self.live.link.set(Link::Stale { since });
            }
            _ => {}
        }
    }

    /// Opens the event stream anew, for another watched light, without calling the line lost.
    pub fn reopen(self: &Rc<Self>) {
        if self.source.borrow().is_some() {
            self.open();
        }
    }

    fn load(self: &Rc<Self>) {
        let stream = self.clone();
        let attempt = self.next_attempt();
        spawn_local(async move {
            let loaded = snapshot().await;
            if stream.closed.get() || stream.attempt.get() != attempt {
                return;
            }
            match loaded {
                Ok(snapshot) => {
                    stream.live.fleet.update_value(|fleet| fleet.load(snapshot));
                    stream.changed();
                    stream.open();
                }
                Err(Failure::SignedOut) => _ = window().location().reload(),
                Err(Failure::NoAnswer) => stream.lost(),
            }
        });
    }

    fn open(self: &Rc<Self>) {
        self.hang_up();
        self.next_attempt();
        let since = self.live.fleet.with_value(|fleet| fleet.seq);
        let mut url = format!("/live/events?since={since}");
        if let Some(light) = self.live.watched.get_untracked() {
            // A light id needs no escaping: letters, digits, `_` and `-`.
            url.push_str("&light=");
            url.push_str(&light);
        }
        let Ok(source) = EventSource::new(&url) else { return self.lost() };
        self.listen(&source, "open", |stream, _| {
            stream.failures.set(0);
            stream.live.link.set(Link::Live);
            // What happened to the watched light while nobody listened is not told again.
            stream.live.news.update(|n| *n = n.wrapping_add(1));
        });
        self.listen(&source, "error", |stream, _| stream.lost());
        // The server ends the stream after it; that must not look like a lost line.
        self.listen(&source, "resync", |stream, _| {
            stream.hang_up();
            stream.load();
        });
        self.listen(&source, "light", |stream, _| stream.live.news.update(|n| *n = n.wrapping_add(1)));
        self.listen(&source, "beat", |stream, data| {
            if let Some(now) = serde_json::from_str::<Beat>(&data).ok().map(|beat| beat.now) {
                stream.clock.correct(UtcMillis(now));
            }
        });
        self.listen(&source, "fleet", |stream, data| match serde_json::from_str::<Delta>(&data) {
            Ok(delta) => {
                stream.live.fleet.update_value(|fleet| fleet.apply(delta));
                stream.changed();
            }
            Err(_) => stream.load(),
        });
        *self.source.borrow_mut() = Some(source);
    }

    fn listen(self: &Rc<Self>, source: &EventSource, event: &str, then: impl Fn(&Rc<Self>, String) + 'static) {
        let stream = Rc::downgrade(self);
        let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let Some(stream) = stream.upgrade().filter(|s| !s.closed.get()) else { return };
            stream.heard_ms.set(js_sys::Date::now());
            // `open` and `error` carry no data.
            let data = js_sys::Reflect::get(&event, &"data".into()).ok().and_then(|d| d.as_string());
            then(&stream, data.unwrap_or_default());
        });
        _ = source.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref());
        self.listeners.borrow_mut().push(listener);
    }

    fn loaded(&self) -> bool {
        self.live.fleet.with_value(|fleet| fleet.seq > 0)
    }

    fn changed(&self) {
        self.live.counts.set(self.live.fleet.with_value(|fleet| fleet.counts));
        self.live.version.update(|v| *v += 1);
    }

    fn lost(self: &Rc<Self>) {
        self.hang_up();
        let since = self.clock.now_untracked();
        self.live.link.update(|link| {
            if matches!(link, Link::Live | Link::Starting) {
                *link = Link::Reconnecting { since };
            }
        });
        let attempt = self.next_attempt();
        let failures = self.failures.get();
        self.failures.set(failures + 1);
        let stream = self.clone();
        let retry = move || {
            if !stream.closed.get() && stream.attempt.get() == attempt {
                // A snapshot asks for the session too: an event stream alone could not tell "signed out" from "no network".
                if failures > 0 || !stream.loaded() { stream.load() } else { stream.open() }
            }
        };
        set_timeout(retry, Duration::from_millis(RETRY_MS[failures.min(RETRY_MS.len() - 1)]));
    }

    fn hang_up(self: &Stream) {
        if let Some(source) = self.source.borrow_mut().take() {
            source.close();
        }
        // A listener may be running right now: let go of it after it has returned.
        let done = std::mem::take(&mut *self.listeners.borrow_mut());
        set_timeout(move || drop(done), Duration::ZERO);
    }

    fn next_attempt(&self) -> u32 {
        self.attempt.set(self.attempt.get().wrapping_add(1));
        self.attempt.get()
    }
}

#[derive(serde::Deserialize)]
struct Beat {
    now: i64,
}

enum Failure {
    SignedOut,
    NoAnswer,
}

async fn snapshot() -> Result<Snapshot, Failure> {
    let answer = async {
        let response: Response = JsFuture::from(window().fetch_with_str("/live/fleet")).await?.dyn_into()?;
        let bytes = JsFuture::from(response.array_buffer()?).await?;
        Ok::<_, JsValue>((response.status(), js_sys::Uint8Array::new(&bytes).to_vec()))
    };
    match answer.await {
        Ok((200, bytes)) => Snapshot::decode(&bytes).map_err(|_| Failure::NoAnswer),
        Ok((UNAUTHORISED, _)) => Err(Failure::SignedOut),
        _ => Err(Failure::NoAnswer),
    }
}
