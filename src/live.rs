//! What the map is fed with: the whole fleet once, then a stream of changes.
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ccms_core::ids::{LightId, LightNo};
use ccms_service::{Ccms, Change, ChangeReceiver, Missed, Person};
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, interval};
use tokio_util::sync::CancellationToken;
use tower_sessions::Session;

use crate::session;

/// A sign of life, so that a browser knows a quiet city from a dead connection.
const BEAT_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Context {
    ccms: Ccms,
    stop: CancellationToken,
}

pub fn routes(ccms: &Ccms, stop: CancellationToken) -> Router {
    Router::new()
        .route("/live/fleet", get(fleet))
        .route("/live/events", get(events))
        .with_state(Context { ccms: ccms.clone(), stop })
}

/// `GET /live/fleet`: a [`Snapshot`](ccms_core::snapshot::Snapshot), binary, the same for whatever encodings a browser takes.
async fn fleet(State(context): State<Context>, session: Session) -> Response {
    let Some(person) = session::person(&session, &context.ccms).await else { return signed_out() };
    let Ok(may) = person.who().may_view() else { return signed_out() };
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, context.ccms.snapshot(may)).into_response()
}

#[derive(Deserialize)]
struct Watch {
    /// The last change that the browser has.
    #[serde(default)]
    since: u64,
    /// A light whose every change matters.
    light: Option<String>,
}

/// `GET /live/events?since=SEQ&light=ID`: server-sent events `fleet`, `light`, `resync` and `beat`.
async fn events(State(context): State<Context>, Query(watch): Query<Watch>, session: Session) -> Response {
    let Some(person) = session::person(&session, &context.ccms).await else { return signed_out() };
    let light = watch.light.as_deref().and_then(|id| LightId::parse(id).ok());
    let light = light.and_then(|id| context.ccms.light_no(person.who().may_view().ok()?, &id));
    let (missed, rest) = match context.ccms.feed().watch(watch.since) {
        Ok((missed, rest)) => (missed, Some(rest)),
        Err(Missed) => (Vec::new(), None),
    };
    let mut stream = Watcher {
        ccms: context.ccms,
        stop: context.stop,
        session: session.id().map(|id| id.to_string()).unwrap_or_default(),
        person,
        light,
        waiting: Vec::new(),
        rest,
        beat: interval(BEAT_EVERY),
    };
    stream.waiting = missed.iter().flat_map(|c| stream.describe(c)).rev().collect();
    let no_buffering =
        [(header::HeaderName::from_static("x-accel-buffering"), "no"), (header::CACHE_CONTROL, "no-store")];
    (no_buffering, Sse::new(stream.events())).into_response()
}

fn signed_out() -> Response {
    (StatusCode::UNAUTHORIZED, "Please sign in.\n").into_response()
}

struct Watcher {
    ccms: Ccms,
    stop: CancellationToken,
    session: String,
    person: Person,
    light: Option<LightNo>,
    /// To be sent before anything else, the next one last.
    waiting: Vec<Event>,
    /// `None` once the browser missed something: it is told to fetch everything, and the stream ends.
    rest: Option<ChangeReceiver>,
    beat: Interval,
}

impl Watcher {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures_util::stream::unfold(Some(self), |watcher| async move {
            let mut watcher = watcher?;
            loop {
                if let Some(event) = watcher.waiting.pop() {
                    return Some((Ok(event), Some(watcher)));
                }
                let Some(rest) = &mut watcher.rest else {
                    return Some((Ok(Event::default().event("resync").data("{}")), None));
                };
                tokio::select! {
                    () = watcher.stop.cancelled() => return None,
                    _ = watcher.beat.tick() => {
                        if !watcher.is_welcome().await {
                            return None;
                        }
                        let data = format!("{{\"now\":{}}}", watcher.ccms.now().0);
                        return Some((Ok(Event::default().event("beat").data(data)), Some(watcher)));
                    }
                    change = rest.recv() => match change {
                        Ok(change) => watcher.waiting = watcher.describe(&change).into_iter().rev().collect(),
                        Err(RecvError::Lagged(_)) => watcher.rest = None,
                        Err(RecvError::Closed) => return None,
                    },
                }
            }
        })
    }

    /// The events that one change means for this watcher.
    fn describe(&self, change: &Change) -> Vec<Event> {
        let id = change.seq.to_string();
        let mut events = Vec::new();
        let delta = self.person.who().may_view().ok().and_then(|may| self.ccms.seen_delta(may, change));
        if let Some(delta) = delta {
            events.push(Event::default().event("fleet").id(&id).data(&*delta));
        }
        if self.light.is_some_and(|no| change.concerns(no)) {
            events.push(Event::default().event("light").id(&id).data("{}"));
        }
        events
    }

    /// The session is still open and its person may see what they saw. A database that is slow to say so ends nothing.
    async fn is_welcome(&self) -> bool {
        match self.ccms.session_person(&self.session).await {
            Ok(person) => person.as_ref() == Some(&self.person),
            Err(_) => true,
        }
    }
}
