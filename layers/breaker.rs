//! Leaves a model alone that keeps failing, and looks now and then whether it has recovered.
//!
//! Every model at a provider has a breaker of its own. It opens when so many of the recent calls have failed ([`failures`]), which are also
//! a share of all of them ([`share`]), within a sliding [`window`]. While it is open nobody waits for that model: calls are refused at
//! once with 503 (529 in Anthropic's dialect), `retry-after` and a [`Declined`] mark, upon which [`Fallback`](crate::fallback) asks another
//! model and a cascade's small arm defers. After [`open_for`] it is half open: one call at a time may try. When two in a row have
//! succeeded it closes; when one fails it opens for twice as long.
//!
//! # What counts
//! 5xx, 408 and 429, time that ran out, connections that could not be made or broke, answers that are none, streams that break off in the
//! middle. Not what the provider has against the request or its key (other 4xx), not 501, and nothing where the caller left. A 429 is the
//! provider's own way to say that there is too much for it; where nobody else may answer ([`Alternatives`] is empty, and the call is no
//! cascade's draft) it does not count either, for then waiting for it is all that there is. A `retry-after` keeps the breaker open for that
//! long, up to [`longest`](BreakerLayer::longest).
//!
//! # Example
//! ```
//! use http::StatusCode;
//! use tierway_layers::breaker::BreakerLayer;
//! use tierway_services::{chat::{self, Notes, Operation, Prompt, Reply, Target}, dialect::Dialect};
//! use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(BreakerLayer::new().failures(3))
//!     .service_fn(|_: chat::Request| async {
//!         let mut res = chat::Response::new(Reply::whole("{}"));
//!         *res.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
//!         Ok::<_, Infallible>(res)
//!     });
//! let mut statuses = Vec::new();
//! for _ in 0..4 {
//!     let body = r#"{"model":"auto","messages":[]}"#;
//!     let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//!     let mut req = chat::Request::new(prompt);
//!     Notes::of_mut(&mut req).target = Some(Target::new("cloud", "big"));
//!     statuses.push(service.clone().oneshot(req).await.unwrap().status().as_u16());
//! }
//! assert_eq!(statuses, [500, 500, 500, 503]);
//! # }
//! ```
//!
//! # Several nodes
//! Each learns by itself. With `Hints` (feature `redis`) a node tells the others whom it has begun to leave alone; for those one failure is
//! then [enough](BreakerLayer::suspect).
//!
//! # Backpressure and cancellation
//! Readiness is the inner service's. A call that is dropped counts for nothing, and gives its place as a probe back.
//!
//! [`failures`]: BreakerLayer::failures
//! [`share`]: BreakerLayer::share
//! [`window`]: BreakerLayer::window
//! [`open_for`]: BreakerLayer::open_for
#[cfg(feature = "redis")]
mod hints;
mod state;

#[cfg(feature = "redis")]
pub use hints::Hints;
pub use state::State;

use crate::attempt::{Failure, What};
use foldhash::fast::RandomState;
use pin_project_lite::pin_project;
use state::{Breaker, Permit};
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::Duration,
};
use tierway_services::{
    BoxError,
    chat::{self, Alternatives, Cause, Declined, Kind, Notes, Refusal, Role, Target},
};
use tower_layer::Layer;
use tower_service::Service;

/// More models than anybody asks in earnest; what comes beyond has no breaker.
const MOST: usize = 1024;

type OnChange = Arc<dyn Fn(&Target, State) + Send + Sync>;

/// Applies [`BreakerService`]. All services that one layer makes, and its clones, share their breakers.
#[derive(Clone)]
pub struct BreakerLayer {
    settings: Settings,
    breakers: Breakers,
    hear: Option<OnChange>,
    /// Who tells other nodes whom this one begins to leave alone, where anybody does.
    #[cfg(feature = "redis")]
    teller: Arc<std::sync::OnceLock<tokio::sync::mpsc::Sender<Target>>>,
}

/// Bounded in number, so that nobody gains by making them collide.
type Breakers = Arc<RwLock<HashMap<Target, Arc<Breaker>, RandomState>>>;

/// Leaves failing models alone. See the [module](self).
#[derive(Clone, Debug)]
pub struct BreakerService<S> {
    inner: S,
    shared: Arc<BreakerLayer>,
}

/// When to open, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    failures: u32,
    share: f64,
    window: Duration,
    open_for: Duration,
    longest: Duration,
}

pin_project! {
    /// Response future of [`BreakerService`].
    pub struct ResponseFuture<F> { #[pin] state: Asking<F> }
}
pin_project! {
    #[project = FutureProj]
    enum Asking<F> {
        Declined { res: Option<chat::Response> },
        Asked { #[pin] future: F, permit: Option<Permit> },
    }
}

// === impl BreakerLayer ===

impl Default for BreakerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerLayer {
    /// With the defaults of the setters below.
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: Settings {
                failures: 5,
                share: 0.5,
                window: Duration::from_secs(30),
                open_for: Duration::from_secs(10),
                longest: Duration::from_secs(120),
            },
            breakers: Arc::default(),
            hear: None,
            #[cfg(feature = "redis")]
            teller: Arc::default(),
        }
    }

    /// Goes on with the breakers of `before`, as they stand and as they were told; what is set or heard here is for models that have none yet.
    #[must_use]
    pub fn continuing(mut self, before: &Self) -> Self {
        self.breakers = before.breakers.clone();
        #[cfg(feature = "redis")]
        {
            self.teller = before.teller.clone();
        }
        self
    }

    /// How many failures within the window open a breaker at least; 5 by default.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.settings.failures = failures.max(1);
        self
    }

    /// The share of failures among the calls of the window that opens it; 0.5 by default.
    #[must_use]
    pub const fn share(mut self, share: f64) -> Self {
        self.settings.share = share;
        self
    }

    /// How long a call is remembered; 30 s by default.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// How long it is open at first; 10 s by default.
    #[must_use]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.settings.open_for = open_for.max(Duration::from_millis(1));
        self
    }

    /// How long it is open at most, when a model has failed again and again, or wants to be left alone for long; 2 min by default.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.settings.longest = longest;
        self
    }

    /// Tells `hear` whenever a breaker changes. It must neither block nor panic.
    #[must_use]
    pub fn on_change(mut self, hear: impl Fn(&Target, State) + Send + Sync + 'static) -> Self {
        self.hear = Some(Arc::new(hear));
        self
    }

    /// How the breaker of this model stands.
    #[must_use]
    pub fn state(&self, target: &Target) -> State {
        let breakers = self.breakers.read().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.get(target);
        breaker.map_or(State::Closed, |breaker| breaker.state())
    }

    /// Takes somebody's word that this model fails: for so long a single failure here opens its breaker. Nothing else changes, so that a word
    /// that is wrong, or true for another node alone, costs nobody an answer.
    pub fn suspect(&self, target: &Target, time: Duration) {
        if let Some(breaker) = self.breaker(target) {
            breaker.suspect(time);
        }
    }

    /// Whether somebody's [word](Self::suspect) against this model still counts.
    #[must_use]
    pub fn is_suspected(&self, target: &Target) -> bool {
        let breakers = self.breakers.read().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.get(target);
        breaker.is_some_and(|breaker| breaker.is_suspected())
    }

    fn breaker(&self, target: &Target) -> Option<Arc<Breaker>> {
        let known = self.breakers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = known.get(target) {
            return Some(breaker.clone());
        }
        drop(known);
        let mut all = self
            .breakers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(target) {
            return None;
        }
        let breaker = all.entry(target.clone()).or_insert_with(|| {
            let hear = self.hear.clone();
            let named = target.clone();
            #[cfg(feature = "redis")]
            let teller = self.teller.clone();
            Arc::new(Breaker::new(self.settings, move |state| {
                #[cfg(feature = "redis")]
                if let (State::Open, Some(teller)) = (state, teller.get()) {
                    // One that is not told is learned of by itself.
                    let _ = teller.try_send(named.clone());
                }
                if let Some(hear) = &hear {
                    hear(&named, state);
                }
            }))
        });
        Some(breaker.clone())
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = BreakerService<S>;
    fn layer(&self, inner: S) -> BreakerService<S> {
        BreakerService {
            inner,
            shared: Arc::new(self.clone()),
        }
    }
}

impl fmt::Debug for BreakerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl BreakerService ===

impl<S> Service<chat::Request> for BreakerService<S>
where
    S: Service<chat::Request, Response = chat::Response>,
    S::Error: Into<BoxError>,
{
    type Response = chat::Response;
    // As tower's own layers that look at errors have it: an error that was looked at is erased.
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let breaker = Target::of(&req).and_then(|target| self.shared.breaker(target));
        // A call with nowhere else to go waits for whom it has.
        let elsewhere = !Alternatives::of(&req).is_empty() || Notes::of(&req).role == Role::Small;
        let state = match breaker.map(|breaker| breaker.enter(elsewhere)).transpose() {
            Ok(permit) => Asking::Asked {
                future: self.inner.call(req),
                permit,
            },
            Err(left) => Asking::Declined {
                res: Some(declined(&req, left)),
            },
        };
        ResponseFuture { state }
    }
}

fn declined(req: &chat::Request, left: Duration) -> chat::Response {
    let target = Target::of(req).map(ToString::to_string).unwrap_or_default();
    let message = format!("{target} is failing and is left alone for a moment");
    let refusal = Refusal::new(Kind::Overloaded, message)
        .with_code("breaker_open")
        .with_retry_after(left);
    let mut res = refusal.into_response(req.body().facts().dialect);
    res.extensions_mut().insert(Declined);
    res
}

/// Whether this failure is one of the model, rather than of the request or of its key.
const fn counts(failure: &Failure, elsewhere: bool) -> bool {
    match failure.what {
        What::Status(429) => elsewhere,
        What::Status(501 | 505) => false,
        What::Status(408 | 500..) => true,
        What::Status(_) | What::Declined => false,
        What::Cause(Cause::Stale | Cause::Crowded | Cause::Misconfigured) => false,
        What::Cause(_) | What::Unknown => true,
    }
}

// === impl ResponseFuture ===

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<chat::Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<chat::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            FutureProj::Declined { res } => Poll::Ready(Ok(res.take().unwrap_or_default())),
            FutureProj::Asked { future, permit } => {
                let outcome = ready!(future.poll(cx)).map_err(Into::into);
                let Some(permit) = permit.take() else {
                    return Poll::Ready(outcome);
                };
                Poll::Ready(match Failure::of(&outcome) {
                    Some(failure) => {
                        if counts(&failure, permit.elsewhere()) {
                            permit.failed(failure.retry_after);
                        }
                        outcome
                    }
                    None => outcome.map(|res| res.map(|reply| reply.witnessed(permit))),
                })
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
