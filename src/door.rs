//! What every request passes on its way from a connection to the router and back: what a stranger says about other
//! addresses is dropped, and the connection knows what it is doing.
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::Service;

use crate::connections::{Connection, Under};
use crate::site::{Answering, Site};

/// Where a request comes from: the peer's address or, behind the trusted proxy, what the proxy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The site, as one connection sees it.
#[derive(Clone)]
pub(crate) struct Door {
    pub site: Site,
    pub connection: Arc<Connection>,
    pub peer: SocketAddr,
    pub trusted_proxy: Option<IpAddr>,
}

/// The answer on its way; the connection is at work until it is read.
pub(crate) struct Answer {
    answering: Answering,
    under: Option<Under>,
}

impl Future for Answer {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answering.as_mut().poll(cx));
        let under = self.under.take();
        Poll::Ready(Ok(answer.map(|body| Outgoing { body, under })))
    }
}

impl Service<Request<Incoming>> for Door {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        let under = Some(self.connection.begins());
        let client = client(request.headers_mut(), self.peer.ip(), self.trusted_proxy);
        let request = request.map(|body| {
            let awaited = (!body.is_end_stream()).then(|| self.connection.awaits_body());
            Body::new(Arriving { body, awaited })
        });
        let answering = self.site.clone().answer(request, Some(ClientAddress(client)));
        Answer { answering, under }
    }
}

/// The client's address. Only the trusted proxy may speak of any other than its own; from everybody else such headers are
/// removed here, so that nothing behind can believe them.
fn client(headers: &mut HeaderMap, peer: IpAddr, trusted_proxy: Option<IpAddr>) -> IpAddr {
    let peer = peer.to_canonical();
    if trusted_proxy.is_some_and(|proxy| proxy.to_canonical() == peer) {
        // The last is the one that the proxy itself added.
        let said = headers.get_all(FORWARDED_FOR).iter().next_back().and_then(|v| v.to_str().ok());
        return said.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).unwrap_or(peer);
    }
    while let Some(name) = headers.keys().find(|name| speaks_of_others(name)).cloned() {
        headers.remove(name);
    }
    peer
}

fn speaks_of_others(name: &HeaderName) -> bool {
    *name == header::FORWARDED || name.as_str().starts_with("x-forwarded-") || name.as_str() == "x-real-ip"
}

/// A request's body, whose connection knows until its end that it is awaited.
struct Arriving {
    body: Incoming,
    awaited: Option<Under>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.awaited = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, whose connection is at work until its end.
pub(crate) struct Outgoing {
    body: Body,
    under: Option<Under>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(under) = &self.under {
            under.moves();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
            ("x-forwarded-for", "3.3.3.3 , 4.4.4.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=1.1.1.1"),
            ("x-real-ip", "1.1.1.1"),
            ("x-request-id", "1"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_the_trusted_proxy_speaks_of_others() {
        let (proxy, stranger): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for trusted in [None, Some(proxy)] {
            let mut heard = headers();
            assert_eq!(client(&mut heard, stranger, trusted), stranger);
            assert_eq!(heard.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-request-id"]);
        }
        let mut heard = headers();
        assert_eq!(client(&mut heard, proxy, Some(proxy)).to_string(), "4.4.4.4");
        assert_eq!(heard, headers());
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(
            client(&mut headers(), mapped, Some(proxy)).to_string(),
            "4.4.4.4",
            "on a listener for both families"
        );
        assert_eq!(client(&mut HeaderMap::new(), proxy, Some(proxy)), proxy);
    }
}
