//! Turns an HTTP body into a [`Prompt`]: the only door from bytes to meaning.
//!
//! The body is read whole, within a limit, and parsed once; layers below share what was read. A body that arrives in one piece is not
//! copied. The dialect is known from the path, or [given](DecodeLayer::dialect) for a route of the host's own naming. Whoever sends what
//! is no request of that dialect is refused in it, and nobody below is called.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tierway_layers::decode::DecodeLayer;
//! use tierway_services::chat::{self, Reply};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(DecodeLayer::new(32 * 1024 * 1024))
//!     .service_fn(|req: chat::Request| async move {
//!         Ok::<_, Infallible>(Response::new(Reply::whole(req.body().facts().model.clone())))
//!     });
//! let ask = |body: &'static str| Request::post("/v1/chat/completions").body(Full::<Bytes>::from(body)).unwrap();
//!
//! let res = service.clone().oneshot(ask(r#"{"model":"auto","messages":[]}"#)).await.unwrap();
//! assert_eq!(res.status(), StatusCode::OK);
//! let res = service.oneshot(ask(r#"{"model":"auto"}"#)).await.unwrap();
//! assert_eq!(res.status(), StatusCode::BAD_REQUEST);
//! # }
//! ```
//!
//! # Forgetting it
//!
//! Layers over a prompt take nothing else, so a stack without this one does not compile:
//!
//! ```compile_fail
//! # use bytes::Bytes;
//! # use http::Request;
//! # use http_body_util::Full;
//! # use std::convert::Infallible;
//! # use tierway_layers::{classify::{ClassifyLayer, TierClassifier}, names::Names};
//! # use tierway_services::chat::{self, Reply};
//! # use tower::{ServiceBuilder, ServiceExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(ClassifyLayer::new(TierClassifier::new(Names::default())))
//!     .service_fn(|_: chat::Request| async { Ok::<_, Infallible>(chat::Response::new(Reply::default())) });
//! let req = Request::post("/v1/messages").body(Full::<Bytes>::default()).unwrap();
//! service.oneshot(req).await.unwrap(); // expected `Prompt`, found `Full<Bytes>`
//! # }
//! ```
//!
//! # Backpressure
//!
//! The inner service is reserved before the body is read, so a slow caller holds its place below. Limits that should not wait for bodies
//! stand above this layer.
mod depth;

use crate::wire;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::{
    BoxError,
    chat::{self, Journal, Kind, Operation, Prompt, Refusal},
    dialect::Dialect,
    translate,
};
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

/// How deep the parser itself reads.
const DEEPEST: usize = 128;

/// Applies [`Decode`].
#[derive(Clone, Copy, Debug)]
pub struct DecodeLayer {
    limit: usize,
    most: usize,
    deepest: usize,
    patience: Option<Duration>,
    dialect: Option<Dialect>,
}

/// Turns an HTTP body into a [`Prompt`]. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Decode<S> {
    inner: S,
    config: DecodeLayer,
}

pin_project! {
    /// Response future of [`Decode`].
    #[derive(Debug)]
    pub struct ResponseFuture<S, F, B> { #[pin] state: State<S, F, B> }
}
pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<S, F, B> {
        Read { #[pin] body: B, #[pin] pause: Option<Sleep>, gathered: Gathered, waiting: Option<Waiting<S>> },
        Call { #[pin] future: F },
        Refused { refusal: Refusal, dialect: Dialect },
    }
}

/// What waits for the body: the service that is ready for it, and the rest of the request.
#[derive(Debug)]
struct Waiting<S> {
    service: S,
    head: Parts,
    dialect: Dialect,
    operation: Operation,
    config: DecodeLayer,
}

/// A body so far.
#[derive(Debug)]
struct Gathered {
    /// The first frame, while it is the only one.
    one: Bytes,
    /// All frames, where there are several.
    many: BytesMut,
    expected: usize,
    limit: usize,
}

// === impl DecodeLayer ===

impl DecodeLayer {
    /// Refuses bodies over `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            most: usize::MAX,
            deepest: DEEPEST,
            patience: None,
            dialect: None,
        }
    }
    /// Refuses conversations of more than `most` messages.
    #[must_use]
    pub const fn max_messages(mut self, most: usize) -> Self {
        self.most = most;
        self
    }
    /// Refuses JSON that is nested deeper than `deepest`; 128 by default, and at most.
    #[must_use]
    pub const fn max_depth(mut self, deepest: usize) -> Self {
        self.deepest = deepest;
        self
    }
    /// Waits at most so long between two pieces of a body; by default for ever. Whoever is slower is refused with 408.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
    /// Reads every body in this dialect, whatever the path; a path that ends in `/count_tokens` asks for a count. By default the
    /// dialects' own paths decide, and others are not found.
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// What the head asks for, where that can be.
    fn admit(&self, head: &Parts, least: u64) -> Result<(Dialect, Operation), Refusal> {
        let path = head.uri.path();
        let route = match self.dialect {
            Some(dialect) => (dialect, wire::operation(path)),
            None => wire::route(path).ok_or_else(|| {
                Refusal::new(
                    Kind::NotFound,
                    "no such route: chat calls go to /v1/messages, /v1/chat/completions or /v1/responses",
                )
            })?,
        };
        if head.method != Method::POST {
            return Err(
                Refusal::new(Kind::InvalidRequest, "this route takes POST only")
                    .with_status(StatusCode::METHOD_NOT_ALLOWED),
            );
        }
        // No decompression, so no decompression bombs. No known client compresses what it sends.
        let encoding = head.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Refusal::new(
                Kind::InvalidRequest,
                "compressed request bodies are not taken: send it without content-encoding",
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        if least > self.limit as u64 {
            return Err(too_large(self.limit));
        }
        Ok(route)
    }
}

impl<S> Layer<S> for DecodeLayer {
    type Service = Decode<S>;
    fn layer(&self, inner: S) -> Decode<S> {
        Decode {
            inner,
            config: *self,
        }
    }
}

// === impl Decode ===

impl<S, B> Service<Request<B>> for Decode<S>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (head, body) = req.into_parts();
        let announced = announced(&head);
        let least = announced.unwrap_or_default().max(body.size_hint().lower());
        let state = match self.config.admit(&head, least) {
            Ok((dialect, operation)) => {
                // The future takes the instance that was polled ready; the clone stays and must be polled anew.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                State::Read {
                    body,
                    pause: None,
                    gathered: Gathered::new(announced, self.config.limit),
                    waiting: Some(Waiting {
                        service,
                        head,
                        dialect,
                        operation,
                        config: self.config,
                    }),
                }
            }
            Err(refusal) => State::Refused {
                refusal,
                dialect: self
                    .config
                    .dialect
                    .unwrap_or_else(|| Dialect::of(&head.uri, &head.headers)),
            },
        };
        ResponseFuture { state }
    }
}

// === impl ResponseFuture ===

impl<S, B> Future for ResponseFuture<S, S::Future, B>
where
    S: Service<chat::Request, Response = chat::Response>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<chat::Response, S::Error>;

    #[expect(
        clippy::expect_used,
        reason = "`waiting` is taken only where the state is replaced"
    )]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Call { future } => return future.poll(cx),
                StateProj::Refused { refusal, dialect } => {
                    return Poll::Ready(Ok(refusal.clone().into_response(*dialect)));
                }
                StateProj::Read {
                    body,
                    mut pause,
                    gathered,
                    waiting,
                } => {
                    let frame = match body.poll_frame(cx) {
                        Poll::Ready(frame) => frame,
                        Poll::Pending => {
                            let patience = waiting.as_ref().and_then(|w| w.config.patience);
                            let Some(patience) = patience else {
                                return Poll::Pending;
                            };
                            // Most bodies are here at once, and need no timer.
                            if pause.is_none() {
                                pause.set(Some(sleep(patience)));
                            }
                            let over = pause.as_mut().as_pin_mut().map(|pause| pause.poll(cx));
                            if !matches!(over, Some(Poll::Ready(()))) {
                                return Poll::Pending;
                            }
                            let dialect = waiting.take().map(|w| w.dialect);
                            let refusal = too_slow(patience);
                            this.state.set(State::Refused {
                                refusal,
                                dialect: dialect.unwrap_or(Dialect::Messages),
                            });
                            continue;
                        }
                    };
                    pause.set(None);
                    let raw = match frame {
                        None => Ok(gathered.take()),
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(data) => match gathered.push(data) {
                                Ok(()) => continue,
                                Err(refusal) => Err(refusal),
                            },
                            // Trailers say nothing that anybody reads.
                            Err(_) => continue,
                        },
                        Some(Err(error)) => Err(unreadable(&*error.into(), gathered.limit)),
                    };
                    let waiting = waiting.take().expect("a body is read once");
                    let dialect = waiting.dialect;
                    match raw.and_then(|raw| waiting.call(raw)) {
                        Ok(future) => State::Call { future },
                        Err(refusal) => State::Refused { refusal, dialect },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<chat::Request>> Waiting<S> {
    fn call(mut self, raw: Bytes) -> Result<S::Future, Refusal> {
        let deepest = self.config.deepest;
        // The parser has a limit of its own, which costs nothing.
        if deepest < DEEPEST && depth::over(&raw, deepest) {
            let message = format!("JSON is nested deeper than {deepest} levels");
            return Err(Refusal::new(Kind::InvalidRequest, message));
        }
        let prompt = match (self.dialect, self.operation) {
            (Dialect::ChatCompletions, Operation::Generate) => translate::chat_prompt(raw)?,
            (dialect, operation) => Prompt::parse(dialect, operation, raw)?,
        };
        let most = self.config.most;
        if prompt.facts().turns.len() > most {
            let message = format!("messages: more than {most}");
            return Err(Refusal::new(Kind::InvalidRequest, message).with_param("messages"));
        }
        let req = Request::from_parts(self.head, prompt);
        if let Some(journal) = Journal::of(&req) {
            journal.write(|entries| {
                entries.requested_model = Some(req.body().facts().model.clone());
                entries.stream = req.body().facts().stream;
            });
        }
        Ok(self.service.call(req))
    }
}

// === impl Gathered ===

/// What is set aside for a body of unknown length, once it proves to be more than one frame.
const UNKNOWN: usize = 64 * 1024;

impl Gathered {
    fn new(announced: Option<u64>, limit: usize) -> Self {
        let expected = announced.map_or(UNKNOWN, |n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            one: Bytes::new(),
            many: BytesMut::new(),
            expected: expected.min(limit),
            limit,
        }
    }

    fn push(&mut self, data: Bytes) -> Result<(), Refusal> {
        if data.len() > self.limit - self.one.len() - self.many.len() {
            return Err(too_large(self.limit));
        }
        if self.one.is_empty() && self.many.is_empty() {
            self.one = data;
            return Ok(());
        }
        if self.many.is_empty() {
            let least = self.one.len() + data.len();
            self.many.reserve(self.expected.max(least));
            self.many.extend_from_slice(&mem::take(&mut self.one));
        }
        self.many.extend_from_slice(&data);
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        if self.many.is_empty() {
            mem::take(&mut self.one)
        } else {
            mem::take(&mut self.many).freeze()
        }
    }
}

fn announced(head: &Parts) -> Option<u64> {
    let length = head.headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.trim().parse().ok()
}

fn too_large(limit: usize) -> Refusal {
    const MIB: usize = 1024 * 1024;
    Refusal::new(
        Kind::TooLarge,
        if limit >= MIB && limit.is_multiple_of(MIB) {
            format!("request body is over {} MiB", limit / MIB)
        } else {
            format!("request body is over {limit} bytes")
        },
    )
}

fn too_slow(patience: Duration) -> Refusal {
    let message = format!(
        "no more of the request body came for {} ms",
        patience.as_millis()
    );
    Refusal::new(Kind::InvalidRequest, message).with_status(StatusCode::REQUEST_TIMEOUT)
}

/// Mostly the caller is gone and nobody reads this; but a limit of the host's own may also have struck.
fn unreadable(error: &(dyn std::error::Error + 'static), limit: usize) -> Refusal {
    if error.is::<LengthLimitError>() {
        return too_large(limit);
    }
    Refusal::new(
        Kind::InvalidRequest,
        "request body could not be read to its end",
    )
}

#[cfg(test)]
mod tests;
