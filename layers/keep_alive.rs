//! Shows the caller of a stream a sign of life where the provider is silent.
//!
//! A model may think for minutes before its first word, and again between two; load balancers hang up on a silent connection after one
//! minute, clients after one or two. So a stream that has been silent for the interval gets an event that says nothing: `ping` in
//! Messages, a comment elsewhere.
//!
//! The silence may begin before the answer's head. Then the head is sent without waiting for the provider's, as that of a stream that
//! goes well, and what comes of it is told within the stream: an error or a refusal as the dialect's error event. Such a head has what the
//! layers below have [said](EarlyHead) by then: what the cache and the cascade did, who was asked, what of the request was left out. It cannot
//! have what only the answer tells: its status, the provider's limits and request id, and who answers while a small model is at a draft.
//!
//! Signs of life hide no dead provider: whoever waits for it below keeps its own time, and its error ends the stream. Calls that ask
//! for a whole answer pass untouched.
//!
//! # Example
//! ```
//! use http_body_util::BodyExt;
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::keep_alive::KeepAliveLayer;
//! use tierway_services::{chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(KeepAliveLayer::new(Duration::from_secs(15)))
//!     .service_fn(|_: chat::Request| async {
//!         tokio::time::sleep(Duration::from_secs(20)).await;
//!         let mut res = chat::Response::new(Reply::whole("data: [DONE]\n\n"));
//!         res.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
//!         Ok::<_, Infallible>(res)
//!     });
//!
//! let body = r#"{"model":"m","stream":true,"messages":[]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let res = service.oneshot(chat::Request::new(prompt)).await.unwrap();
//! let body = res.into_body().collect().await.unwrap().to_bytes();
//! assert_eq!(body, ": keep-alive\n\ndata: [DONE]\n\n");
//! # }
//! ```
mod body;
#[cfg(test)]
mod tests;

use self::body::Paced;
use crate::wire;
use http::{HeaderValue, header};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::{
    BoxError,
    chat::{self, EarlyHead, Notes, Reply},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`KeepAlive`].
#[derive(Clone, Copy, Debug)]
pub struct KeepAliveLayer {
    interval: Duration,
}

/// Shows callers of streams signs of life. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive<S> {
    inner: S,
    interval: Duration,
}

pin_project! {
    /// Response future of [`KeepAlive`].
    pub struct ResponseFuture<F> { #[pin] state: State<F> }
}
pin_project! {
    #[project = StateProj]
    enum State<F> {
        Untouched { #[pin] future: F },
        Stream { waiting: Option<Waiting<F>>, #[pin] sleep: Sleep },
    }
}

/// What a stream's caller waits for.
struct Waiting<F> {
    /// In a box, because it moves into the body where it takes too long.
    future: Pin<Box<F>>,
    prompt: chat::Prompt,
    interval: Duration,
    early: EarlyHead,
}

// === impl KeepAliveLayer ===

impl KeepAliveLayer {
    /// A sign of life for each `interval` of silence; none at all where it is zero.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self { interval }
    }
}

impl<S> Layer<S> for KeepAliveLayer {
    type Service = KeepAlive<S>;
    fn layer(&self, inner: S) -> KeepAlive<S> {
        KeepAlive {
            inner,
            interval: self.interval,
        }
    }
}

// === impl KeepAlive ===

impl<S> Service<chat::Request> for KeepAlive<S>
where
    S: Service<chat::Request, Response = chat::Response>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        if self.interval.is_zero() || !req.body().facts().stream {
            let future = self.inner.call(req);
            return ResponseFuture {
                state: State::Untouched { future },
            };
        }
        let prompt = req.body().clone();
        let early = EarlyHead::default();
        Notes::of_mut(&mut req).early = Some(early.clone());
        let waiting = Waiting {
            future: Box::pin(self.inner.call(req)),
            prompt,
            interval: self.interval,
            early,
        };
        ResponseFuture {
            state: State::Stream {
                waiting: Some(waiting),
                sleep: sleep_until(Instant::now() + self.interval),
            },
        }
    }
}

// === impl ResponseFuture ===

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<chat::Response, E>> + Send + 'static,
    E: Into<BoxError>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (waiting, sleep) = match self.project().state.project() {
            StateProj::Untouched { future } => return future.poll(cx),
            StateProj::Stream { waiting, sleep } => (waiting, sleep),
        };
        let Some(told) = waiting else {
            return Poll::Pending;
        };
        match told.future.as_mut().poll(cx) {
            Poll::Ready(Ok(res)) if wire::is_event_stream(res.headers()) => {
                let interval = told.interval;
                let dialect = told.prompt.facts().dialect;
                let paced = |reply| Reply::stream(Paced::<F>::of_body(reply, dialect, interval));
                Poll::Ready(Ok(res.map(paced)))
            }
            Poll::Ready(res) => Poll::Ready(res),
            Poll::Pending => match (sleep.poll(cx), waiting.take()) {
                (Poll::Ready(()), Some(late)) => Poll::Ready(Ok(head(late))),
                (_, told) => {
                    *waiting = told;
                    Poll::Pending
                }
            },
        }
    }
}

/// The head of a stream whose provider is late.
fn head<F, E>(late: Waiting<F>) -> chat::Response
where
    F: Future<Output = Result<chat::Response, E>> + Send + 'static,
    E: Into<BoxError>,
{
    let said = late.early.said();
    let paced = Paced::of_head(late.future, late.prompt, late.interval);
    let mut res = chat::Response::new(Reply::stream(paced));
    let headers = res.headers_mut();
    *headers = said;
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    res
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
