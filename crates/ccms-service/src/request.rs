//! The request that is being served, for the lines that it writes into the log. A span would say the same, but formats its
//! fields for every request, and nearly none of them writes a line; here they are formatted when one does.
use std::fmt::Display;
use std::sync::Arc;

use futures_util::future::Either;

/// What a log line says of the request that wrote it.
pub trait Described: Send + Sync {
    /// Calls for each name and value.
    fn describe(&self, each: &mut dyn FnMut(&'static str, &dyn Display));
}

tokio::task_local! {
    static CURRENT: Arc<dyn Described>;
}

/// Serves a request: every line that comes from `serving` carries its description.
pub fn serve<F: Future>(request: Arc<dyn Described>, serving: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(request, serving)
}

/// For a part of the present request that goes on in a task of its own.
pub fn go_on<F: Future>(part: F) -> impl Future<Output = F::Output> {
    match CURRENT.try_with(Arc::clone) {
        Ok(request) => Either::Left(CURRENT.scope(request, part)),
        Err(_) => Either::Right(part),
    }
}

/// The request that the caller serves, if it is one.
pub fn current() -> Option<Arc<dyn Described>> {
    CURRENT.try_with(Arc::clone).ok()
}
