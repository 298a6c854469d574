//! Devices to the left, everybody else to the right: nearly all requests are of devices, and none of them passes a router or
//! any of its layers.
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::Service;

use crate::device_api::Front;
use crate::door::ClientAddress;

/// What a listener serves.
#[derive(Clone)]
pub struct Site {
    devices: Option<Front>,
    others: Router,
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Site {
    pub(crate) fn new(devices: Front, others: Router) -> Self {
        Self { devices: Some(devices), others }
    }

    /// `client` is whose request it is, where that is known.
    pub(crate) fn answer(&mut self, mut request: Request, client: Option<ClientAddress>) -> Answering {
        if let Some(devices) = self.devices.as_ref().filter(|_| Front::takes(request.uri().path())) {
            return devices.answer(request, client);
        }
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        // A router is always ready, and never fails.
        let answer = self.others.call(request);
        Box::pin(async move { answer.await.unwrap_or_else(|never| match never {}) })
    }
}

impl From<Router> for Site {
    fn from(others: Router) -> Self {
        Self { devices: None, others }
    }
}

/// For whoever calls it without a listener.
impl From<Site> for Router {
    fn from(site: Site) -> Self {
        Self::new().fallback_service(site)
    }
}

impl Service<Request> for Site {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = request.extensions().get().copied();
        let answer = self.answer(request, client);
        Box::pin(async move { Ok(answer.await) })
    }
}
