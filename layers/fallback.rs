//! Asks the next model where one fails, as long as nobody has seen a byte of an answer.
//!
//! [`Bind`](crate::bind) writes the [`Target`] that is to answer and, for a tier that lists several, the [`Alternatives`]. This layer asks
//! them in that order. They may be of other providers and other dialects: each is asked in the way that it understands, and answers in
//! the caller's. What fails over is what another model may do better: no connection, time that ran out, a stream that breaks before it
//! has begun, and the statuses 401 to 404, 408, 409, 425, 429 and 5xx. What is the request's own fault (400, 413, 422) goes to the caller,
//! and so does a 401 or 403 where the caller's own credentials travel, for only the caller can renew them. After the first byte nothing
//! is asked again: a stream that breaks then ends in an error of the caller's dialect, as [`Rescue`](crate::rescue) has it.
//!
//! The answer tells: `x-tierway-fallback: 1; from=cloud:big; reason=overloaded`, where the number says how many have failed, and `from`
//! names the first of them. It carries a [`FellBack`] mark, so that a prompt cache does not take it for the first model's. Where all fail the
//! caller gets the last refusal that came from a provider.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use http::StatusCode;
//! use tierway_layers::fallback::FallbackLayer;
//! use tierway_services::{chat::{self, Alternatives, Notes, Operation, Prompt, Reply, Target}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(FallbackLayer::new())
//!     .service_fn(|req: chat::Request| async move {
//!         let target = Target::of(&req).map(ToString::to_string).unwrap_or_default();
//!         let mut res = chat::Response::new(Reply::whole(target.clone()));
//!         if target == "cloud:big" {
//!             *res.status_mut() = StatusCode::BAD_GATEWAY;
//!         }
//!         Ok::<_, Infallible>(res)
//!     });
//!
//! let body = r#"{"model":"auto","messages":[]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let mut req = chat::Request::new(prompt);
//! Notes::of_mut(&mut req).target = Some(Target::new("cloud", "big"));
//! Notes::of_mut(&mut req).alternatives = Some(Alternatives::new([Target::new("other", "big")]));
//! let res = service.oneshot(req).await.unwrap();
//! assert_eq!(res.headers()["x-tierway-fallback"], "1; from=cloud:big; reason=server_error");
//! # }
//! ```
//!
//! # Backpressure and cancellation
//! Always ready: each model is asked on a clone of the inner service that is driven to readiness for it. Dropping the future drops the
//! attempt under way.
use crate::{
    attempt::{Failure, Outcome, What, settle},
    headers::header_value,
};
use http::{HeaderName, header};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tierway_services::{
    BoxError,
    chat::{self, Alternatives, Deadline, EarlyHead, FellBack, Notes, Target},
};
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

/// Tells who should have answered.
pub const FALLBACK: HeaderName = HeaderName::from_static("x-tierway-fallback");

/// A model that failed, and the one that is asked instead.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FailedOver<'a> {
    /// Who failed.
    pub from: &'a Target,
    /// Who is asked.
    pub to: &'a Target,
    /// Why, in one word of a closed set.
    pub reason: &'static str,
}

type OnFallback = Arc<dyn Fn(&FailedOver<'_>) + Send + Sync>;

/// Applies [`Fallback`].
#[derive(Clone, Default)]
pub struct FallbackLayer {
    hear: Option<OnFallback>,
}

/// Asks the next model where one fails. See the [module](self).
#[derive(Clone)]
pub struct Fallback<S> {
    inner: S,
    hear: Option<OnFallback>,
}

pin_project! {
    /// Response future of [`Fallback`].
    pub struct ResponseFuture<S: Service<chat::Request>> { #[pin] state: State<S> }
}
pin_project! {
    #[project = StateProj]
    enum State<S: Service<chat::Request>> {
        // Nobody else may answer.
        Only { #[pin] future: Oneshot<S, chat::Request> },
        Story { story: Pin<Box<dyn Future<Output = Outcome> + Send>> },
    }
}

// === impl FallbackLayer ===

impl FallbackLayer {
    /// Asks whom the requests name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Shows each failover to `hear`. It must neither block nor panic.
    #[must_use]
    pub fn on_fallback(mut self, hear: impl Fn(&FailedOver<'_>) + Send + Sync + 'static) -> Self {
        self.hear = Some(Arc::new(hear));
        self
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = Fallback<S>;
    fn layer(&self, inner: S) -> Fallback<S> {
        Fallback {
            inner,
            hear: self.hear.clone(),
        }
    }
}

impl fmt::Debug for FallbackLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer").finish_non_exhaustive()
    }
}

// === impl Fallback ===

impl<S> Service<chat::Request> for Fallback<S>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    type Response = chat::Response;
    // As tower's own layers that look at errors have it: an error that was looked at is erased.
    type Error = BoxError;
    type Future = ResponseFuture<S>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let inner = self.inner.clone();
        let state = match (Target::of(&req), Alternatives::of(&req)) {
            (Some(first), [_, ..]) => {
                let first = first.clone();
                State::Story {
                    story: Box::pin(tell(inner, self.hear.clone(), first, req)),
                }
            }
            _ => State::Only {
                future: Oneshot::new(inner, req),
            },
        };
        ResponseFuture { state }
    }
}

impl<S: fmt::Debug> fmt::Debug for Fallback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

async fn tell<S>(inner: S, hear: Option<OnFallback>, first: Target, req: chat::Request) -> Outcome
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
    S::Error: Into<BoxError>,
{
    let dialect = req.body().facts().dialect;
    let deadline = Deadline::of(&req);
    let others = Alternatives::of(&req).iter();
    let mut others = others.filter(|target| **target != first);
    let mut asked = &first;
    let attempt = ask(&inner, &req, asked);
    let mut outcome = settle(attempt.await.map_err(Into::into), dialect).await;
    let (mut failed, mut why, mut told, mut word) = (0_usize, "", None, None);
    while let Some(failure) = Failure::of(&outcome) {
        if !fails_over(&failure, &req) || deadline.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let Some(next) = others.next() else {
            break;
        };
        if failed == 0 {
            why = failure.reason();
        }
        failed += 1;
        let value = header_value(format_args!("{failed}; from={first}; reason={why}"));
        EarlyHead::say(&req, FALLBACK, value.clone());
        word = Some(value);
        if let Some(hear) = &hear {
            hear(&FailedOver {
                from: asked,
                to: next,
                reason: failure.reason(),
            });
        }
        // What a provider said is worth more to the caller than that nobody was asked.
        if failure.what != What::Declined {
            told = Some(outcome);
        }
        asked = next;
        let attempt = ask(&inner, &req, asked);
        outcome = settle(attempt.await.map_err(Into::into), dialect).await;
    }
    let Some(word) = word else {
        return outcome;
    };
    let declined = Failure::of(&outcome).is_some_and(|f| f.what == What::Declined);
    let outcome = match told {
        Some(earlier) if declined => earlier,
        _ => outcome,
    };
    let mut res = outcome?;
    res.headers_mut().insert(FALLBACK, word);
    res.extensions_mut().insert(FellBack(first));
    Ok(res)
}

fn ask<S>(inner: &S, req: &chat::Request, target: &Target) -> Oneshot<S, chat::Request>
where
    S: Service<chat::Request> + Clone,
{
    let mut req = req.clone();
    Notes::of_mut(&mut req).target = Some(target.clone());
    Oneshot::new(inner.clone(), req)
}

fn fails_over(failure: &Failure, req: &chat::Request) -> bool {
    let own_key = || {
        [header::AUTHORIZATION, HeaderName::from_static("x-api-key")]
            .iter()
            .any(|name| req.headers().contains_key(name))
    };
    !(matches!(failure.what, What::Status(401 | 403)) && own_key())
}

// === impl ResponseFuture ===

impl<S> Future for ResponseFuture<S>
where
    S: Service<chat::Request, Response = chat::Response>,
    S::Error: Into<BoxError>,
{
    type Output = Outcome;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.project().state.project() {
            StateProj::Only { future } => future.poll(cx).map_err(Into::into),
            StateProj::Story { story } => story.as_mut().poll(cx),
        }
    }
}

impl<S: Service<chat::Request>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
