//! `GET events`: what happens, as it happens, over server-sent events.
//!
//! `light` carries a light that changed as `{"light_id":…,"live":{…}}`, `beat` comes every few seconds, and `resync` tells one who
//! was away for too long to read everything again: what it missed is not kept. With `Last-Event-ID` a stream goes on where it
//! broke off. A caller with a zone hears of its lights only.
//!
//! A stream without end is for those who say that they want one (`Accept: text/event-stream`, as browsers do). Anybody else
//! takes an answer for something that ends, and is given [`TASTE`] of it.
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use ccms_core::ids::LightNo;
use ccms_service::{Ccms, Change, ChangeReceiver, Missed};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, interval};
use tokio_util::sync::CancellationToken;

use super::auth::Caller;
use super::call::Call;
use super::lights::Live;
use super::problem::Problem;

/// A sign of life, so that a quiet city is told from a dead connection. The caller's right is looked at again with it.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// What a caller gets that did not ask for an event stream.
const TASTE: Duration = Duration::from_secs(10);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub async fn watch(call: Call) -> Result<Response, Problem> {
    call.who().may_view()?;
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let Nothing {} = call.params()?;
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
        Ok((missed, rest)) => (missed.iter().flat_map(Waiting::of).collect::<Vec<_>>(), rest),
        Err(Missed) => (vec![Waiting::Resync], feed.watch(feed.seq()).map_err(|Missed| gone())?.1),
    };
    waiting.reverse();
    let accepted = call.headers.get_all(header::ACCEPT).into_iter().filter_map(|v| v.to_str().ok());
    let endless = accepted.into_iter().any(|v| v.contains("text/event-stream"));
    let watcher = Watcher {
        ccms: call.ccms().clone(),
        stop: call.context.stop.clone(),
        caller: call.caller,
        waiting,
        rest,
        beat: interval(BEAT_EVERY),
        end: Box::pin(
            async move { if endless { std::future::pending().await } else { tokio::time::sleep(TASTE).await } },
        ),
        _permit: permit,
    };
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Sse::new(watcher.events())).into_response())
}

fn gone() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The stream could not begin. Please try again.")
}

/// What is to be sent next; lights are looked up when their turn comes.
enum Waiting {
    Resync,
    /// The last light of a change carries its number: a stream that breaks off before goes on with the whole change.
    Light(LightNo, Option<u64>),
}

impl Waiting {
    fn of(change: &Change) -> Vec<Self> {
        let last = change.touched.len().saturating_sub(1);
        let lights = change.touched.iter().enumerate();
        lights.map(|(i, no)| Self::Light(*no, (i == last).then_some(change.seq))).collect()
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
struct Told<'a> {
    light_id: &'a str,
    live: Live<'a>,
}

impl Watcher {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures_util::stream::unfold(self, |mut watcher| async move {
            loop {
                if let Some(next) = watcher.waiting.pop() {
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
                        Ok(change) => {
                            watcher.waiting = Waiting::of(&change);
                            watcher.waiting.reverse();
                        }
                        Err(RecvError::Lagged(_)) => watcher.waiting = vec![Waiting::Resync],
                        Err(RecvError::Closed) => return None,
                    },
                }
            }
        })
    }

    /// `None` when there is nothing that this caller is to hear.
    async fn event(&self, waiting: Waiting) -> Option<Event> {
        let (no, seq) = match waiting {
            Waiting::Resync => {
                let seq = self.ccms.feed().seq();
                return Some(Event::default().event("resync").id(seq.to_string()).data("{}"));
            }
            Waiting::Light(no, seq) => (no, seq),
        };
        let view = self.ccms.watched_light(self.caller.who(), no).await.ok().flatten()?;
        let told = Told { light_id: view.record.id.as_str(), live: Live::of(&view.live) };
        let event = Event::default().event("light").data(serde_json::to_string(&told).ok()?);
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
