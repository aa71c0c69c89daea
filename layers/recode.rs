//! Turns a [`Prompt`](chat::Prompt) back into a plain body, and a plain answer into a [`Reply`]: the way out of the house.
//!
//! With [`Decode`](crate::decode) above it, one prompt layer alone can wrap somebody's ordinary HTTP handler: `Decode`, `Classify`,
//! `Recode`, handler. The handler gets the very bytes that the caller sent, and every extension that layers above wrote.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use std::convert::Infallible;
//! use tierway_layers::{decode::DecodeLayer, recode::RecodeLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! async fn echo(req: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(req.into_body()))
//! }
//! let service = ServiceBuilder::new()
//!     .layer(DecodeLayer::new(1024))
//!     // ... any layer over a prompt ...
//!     .layer(RecodeLayer::new())
//!     .service_fn(echo);
//!
//! let body = r#"{"model":"auto","messages":[]}"#;
//! let req = Request::post("/v1/chat/completions").body(Full::<Bytes>::from(body)).unwrap();
//! let res = service.oneshot(req).await.unwrap();
//! assert_eq!(res.into_body().collect().await.unwrap().to_bytes(), body);
//! # }
//! ```
//!
//! A handler that takes any body, as axum's do, leaves open which: say `RecodeLayer::<axum::body::Body>::new()`.
mod body;

pub use body::EventAligned;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{
    BoxError,
    chat::{self, Reply},
};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Recode`]. `B` is the body that the handler takes.
pub struct RecodeLayer<B = Full<Bytes>> {
    body: PhantomData<fn() -> B>,
}

/// Turns a [`Prompt`](chat::Prompt) back into a plain body. See the [module](self).
pub struct Recode<S, B = Full<Bytes>> {
    inner: S,
    body: PhantomData<fn() -> B>,
}

pin_project! {
    /// Response future of [`Recode`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> { #[pin] inner: F }
}

// === impl RecodeLayer ===

impl<B> RecodeLayer<B> {
    /// The way back to a handler that takes a body made of bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { body: PhantomData }
    }
}

impl<S, B> Layer<S> for RecodeLayer<B> {
    type Service = Recode<S, B>;
    fn layer(&self, inner: S) -> Recode<S, B> {
        Recode {
            inner,
            body: PhantomData,
        }
    }
}

// By hand, because a derive would ask the same of `B`, which is only named.
impl<B> Clone for RecodeLayer<B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for RecodeLayer<B> {}
impl<B> Default for RecodeLayer<B> {
    fn default() -> Self {
        Self::new()
    }
}
impl<B> fmt::Debug for RecodeLayer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecodeLayer")
    }
}

// === impl Recode ===

impl<S: Clone, B> Clone for Recode<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            body: PhantomData,
        }
    }
}
impl<S: fmt::Debug, B> fmt::Debug for Recode<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recode")
            .field("inner", &self.inner)
            .finish()
    }
}

impl<S, ReqB, ResB> Service<chat::Request> for Recode<S, ReqB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: From<Bytes>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        ResponseFuture {
            inner: self.inner.call(req.map(|p| ReqB::from(p.raw().clone()))),
        }
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<chat::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let res = ready!(self.project().inner.poll(cx))?;
        let events = crate::wire::is_event_stream(res.headers());
        Poll::Ready(Ok(res.map(|body| {
            if events {
                Reply::stream(EventAligned::new(body))
            } else {
                reply(body, cx)
            }
        })))
    }
}

/// A reply around `body`; whole where it is plainly so, because layers may then keep or replay it.
fn reply<B>(mut body: B, cx: &mut Context<'_>) -> Reply
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Some(full) = (&mut body as &mut dyn Any).downcast_mut::<Full<Bytes>>() {
        return match Pin::new(full).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Reply::whole(frame.into_data().unwrap_or_default()),
            _ => Reply::default(),
        };
    }
    Reply::stream(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tierway_services::{
        chat::{Notes, Operation, Prompt, Tier},
        dialect::Dialect,
    };
    use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
    use tower_test::mock;

    type Req = Request<Full<Bytes>>;
    type Res = Response<Full<Bytes>>;

    fn ask() -> chat::Request {
        let body = Bytes::from_static(br#"{"model":"auto","messages":[]}"#);
        Request::new(Prompt::parse(Dialect::Messages, Operation::Generate, body).unwrap())
    }

    #[tokio::test]
    async fn bytes_and_extensions_pass_uncopied() {
        let (mut recode, mut handle) = mock::spawn_layer::<Req, Res, _>(RecodeLayer::new());
        handle.allow(1);
        assert_ready_ok!(recode.poll_ready());
        let mut req = ask();
        Notes::of_mut(&mut req).tier = Some(Tier::Complex);
        let sent = req.body().raw().clone();
        let mut answer = task::spawn(recode.call(req));
        assert_pending!(answer.poll());
        let (seen, answerer) = handle.next_request().await.unwrap();
        assert_eq!(Tier::of(&seen), Some(Tier::Complex));
        let seen = seen.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(seen.as_ptr(), sent.as_ptr());

        let mut res = Response::new(Full::new(sent.clone()));
        *res.status_mut() = StatusCode::IM_A_TEAPOT;
        answerer.send_response(res);
        let res = assert_ready_ok!(answer.poll());
        assert_eq!(res.status(), StatusCode::IM_A_TEAPOT);
        assert!(!res.body().is_stream());
        let got = res.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(got.as_ptr(), sent.as_ptr());
    }

    #[tokio::test]
    async fn errors_pass() {
        let (mut recode, mut handle) = mock::spawn_layer::<Req, Res, _>(RecodeLayer::new());
        handle.allow(1);
        assert_ready_ok!(recode.poll_ready());
        let mut answer = task::spawn(recode.call(ask()));
        handle.next_request().await.unwrap().1.send_error("down");
        assert_eq!(assert_ready_err!(answer.poll()).to_string(), "down");
    }

    #[tokio::test]
    async fn a_plain_stream_of_events_is_aligned() {
        type Res = Response<Frames>;
        let (mut recode, mut handle) = mock::spawn_layer::<Req, Res, _>(RecodeLayer::new());
        handle.allow(1);
        assert_ready_ok!(recode.poll_ready());
        let mut answer = task::spawn(recode.call(ask()));
        let mut res = Response::new(Frames::of(["data: 1\n\nda", "ta: 2\n", "\ndata: 3"]));
        res.headers_mut()
            .insert("content-type", "text/event-stream".parse().unwrap());
        handle.next_request().await.unwrap().1.send_response(res);
        let mut body = assert_ready_ok!(answer.poll()).into_body();
        for expected in ["data: 1\n\n", "data: 2\n\n", "data: 3"] {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), expected);
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_service_is_not() {
        let (mut recode, mut handle) = mock::spawn_layer::<Req, Res, _>(RecodeLayer::new());
        handle.allow(0);
        assert_pending!(recode.poll_ready::<chat::Request>());
    }
}
