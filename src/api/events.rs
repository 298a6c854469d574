//! `GET events`: what happens, as it happens, over server-sent events.
//!
//! `light` carries a light that changed as `{"light_id":…,"live":{…}}`, `command` a command in each state that it comes to,
//! `alert` an alert with what became of it, `beat` comes every few seconds, and `resync` tells one who was away for too long to
//! read everything again: what it missed is not kept. With `Last-Event-ID` a stream goes on where it broke off. A caller with a
//! zone hears of its lights only.
//!
//! The stream has no end for a caller that names its type in Accept, as browsers do. Any other, which may take an answer for
//! something that ends, is given [`TASTE`] of it; and whoever says for how long it wants to listen (`for_seconds`) is given that.
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use ccms_core::ids::LightNo;
use ccms_core::view::AlertView;
use ccms_service::{Ccms, Change, ChangeReceiver, Missed, Told, Who};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, interval};
use tokio_util::sync::CancellationToken;

use super::auth::Caller;
use super::call::Call;
use super::commands::Command;
use super::lights::Live;
use super::problem::Problem;

/// A sign of life, so that a quiet city is told from a dead connection. The caller's right is looked at again with it.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// For callers that take anything and may wait for an end.
const TASTE: Duration = Duration::from_secs(10);
/// The longest that a caller may say it wants to listen.
const LISTEN_MAX_S: u64 = 86_400;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub async fn watch(call: Call) -> Result<Response, Problem> {
    call.who().may_view()?;
    let Wish { for_seconds } = call.params()?;
    if for_seconds.is_some_and(|s| !(1..=LISTEN_MAX_S).contains(&s)) {
        return Err(Problem::malformed(format!("for_seconds is a number from 1 to {LISTEN_MAX_S}.")));
    }
    if !takes_events(&call.headers) {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "This is a text/event-stream; your Accept forbids it."));
    }
    let listens = for_seconds.map(Duration::from_secs).or_else(|| (!names_events(&call.headers)).then_some(TASTE));
    let permit = Arc::clone(&call.context.watchers).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many event streams are open. Please try again later.")
    })?;
    let feed = call.ccms().feed();
    let last = match call.headers.get(LAST_EVENT_ID) {
        None => feed.seq(),
        // One that was never given here is one whose followers are gone.
        Some(value) => value.to_str().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
    };
    let (mut waiting, rest) = match feed.watch(last) {
        Ok((missed, rest)) => (missed.into_iter().map(Waiting::Change).collect::<Vec<_>>(), rest),
        Err(Missed) => (vec![Waiting::Resync], feed.watch(feed.seq()).map_err(|Missed| gone())?.1),
    };
    waiting.reverse();
    let watcher = Watcher {
        ccms: call.ccms().clone(),
        stop: call.context.stop.clone(),
        caller: call.caller,
        waiting,
        rest,
        beat: interval(BEAT_EVERY),
        end: Box::pin(async move {
            match listens {
                Some(length) => tokio::time::sleep(length).await,
                None => std::future::pending().await,
            }
        }),
        _permit: permit,
    };
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Sse::new(watcher.events())).into_response())
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    for_seconds: Option<u64>,
}

/// Whether an event stream is among what the caller takes; one that says nothing takes everything.
fn takes_events(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).into_iter().filter_map(|v| v.to_str().ok()).peekable();
    let takes = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        !refused && matches!(kind.as_str(), "text/event-stream" | "text/*" | "*/*")
    };
    ranges.peek().is_none() || ranges.any(|value| value.split(',').any(takes))
}

/// Whether the caller knows what it asks for.
fn names_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|v| v.to_str().ok());
    accepted.any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

fn gone() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The stream could not begin. Please try again.")
}

/// What is to be sent next. The last event of a change carries its number: a stream that breaks off before goes on with the
/// whole change.
enum Waiting {
    Resync,
    Change(Change),
    /// Looked up when its turn comes.
    Light(LightNo, Option<u64>),
    Told(Told, Option<u64>),
}

impl Waiting {
    /// What one change comes to for this caller, the first one last.
    fn of(change: &Change, ccms: &Ccms, who: Who<'_>) -> Vec<Self> {
        let told = change.told(ccms, who).into_iter().map(|told| Self::Told(told, None));
        let mut all: Vec<Self> = told.chain(change.touched.iter().map(|no| Self::Light(*no, None))).collect();
        if let Some(Self::Light(_, seq) | Self::Told(_, seq)) = all.last_mut() {
            *seq = Some(change.seq);
        }
        all.reverse();
        all
    }
}

struct Watcher {
    ccms: Ccms,
    stop: CancellationToken,
    caller: Caller,
    /// The next one last.
    waiting: Vec<Waiting>,
    rest: ChangeReceiver,
    beat: Interval,
    end: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Serialize)]
struct Changed<'a> {
    light_id: &'a str,
    live: Live<'a>,
}

#[derive(Serialize)]
struct Alerted<'a> {
    /// What became of it: opened, repeated, acknowledged, resolved.
    change: &'static str,
    #[serde(flatten)]
    alert: &'a AlertView,
}

impl Watcher {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures_util::stream::unfold(self, |mut watcher| async move {
            loop {
                if let Some(next) = watcher.waiting.pop() {
                    if let Waiting::Change(change) = &next {
                        let events = Waiting::of(change, &watcher.ccms, watcher.caller.who());
                        watcher.waiting.extend(events);
                        continue;
                    }
                    match watcher.event(next).await {
                        Some(event) => return Some((Ok(event), watcher)),
                        None => continue,
                    }
                }
                tokio::select! {
                    () = watcher.stop.cancelled() => return None,
                    () = &mut watcher.end => return None,
                    _ = watcher.beat.tick() => {
                        if !watcher.still_may().await {
                            return None;
                        }
                        let data = format!("{{\"now\":\"{}\"}}", watcher.ccms.now());
                        return Some((Ok(Event::default().event("beat").data(data)), watcher));
                    }
                    change = watcher.rest.recv() => match change {
                        Ok(change) => watcher.waiting = vec![Waiting::Change(change)],
                        Err(RecvError::Lagged(_)) => watcher.waiting = vec![Waiting::Resync],
                        Err(RecvError::Closed) => return None,
                    },
                }
            }
        })
    }

    /// `None` when there is nothing that this caller is to hear.
    async fn event(&self, waiting: Waiting) -> Option<Event> {
        let (event, seq) = match waiting {
            Waiting::Resync => (Event::default().event("resync").data("{}"), Some(self.ccms.feed().seq())),
            Waiting::Change(_) => return None,
            Waiting::Light(no, seq) => {
                let view = self.ccms.watched_light(self.caller.who(), no).await.ok().flatten()?;
                let told = Changed { light_id: view.record.id.as_str(), live: Live::of(&view.live) };
                (Event::default().event("light").data(serde_json::to_string(&told).ok()?), seq)
            }
            Waiting::Told(Told::Command(command), seq) => {
                let data = serde_json::to_string(&Command::of(&command)).ok()?;
                (Event::default().event("command").data(data), seq)
            }
            Waiting::Told(Told::Alert(step, alert), seq) => {
                let told = Alerted { change: step.as_str(), alert: &alert };
                (Event::default().event("alert").data(serde_json::to_string(&told).ok()?), seq)
            }
        };
        Some(match seq {
            Some(seq) => event.id(seq.to_string()),
            None => event,
        })
    }

    /// A key that was revoked and a person who may no longer look hear nothing more.
    async fn still_may(&self) -> bool {
        match &self.caller {
            Caller::Key(key) => self.ccms.api_key_in_force(key).await,
            // A database that is slow to say so ends nothing.
            Caller::Person(person, session) => {
                self.ccms.session_person(session).await.map_or(true, |now| now.as_ref() == Some(person))
            }
        }
    }
}
