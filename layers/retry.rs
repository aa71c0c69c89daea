//! Asks a model again that failed, as long as nobody has seen a byte of its answer.
//!
//! # What is asked again
//! | failure | again |
//! |---|---|
//! | no connection; 408, 409, 425, 429, 503, 529 | after a pause: nothing was done |
//! | a kept connection that was closed instead of an answer | at once, once; then after a pause |
//! | a connection that broke; other 5xx | after a pause |
//! | no first byte in time | no: that time is spent |
//! | anything else | no: it would fail again |
//!
//! The second and third only where the call is idempotent by nature. Calls to models are, for they leave nothing behind; those to
//! Responses that the provider is to store, and completions with `"store": true`, are not. A stream counts as failed until its first
//! bytes are here; an error that is all that it says is a failure too.
//!
//! # How often
//! [`RetryLayer::new`] takes the most. The pause grows exponentially, with jitter so that callers who failed together do not return
//! together. A provider that says how long to wait (`retry-after`, `retry-after-ms`) is taken at its word up to
//! [`patience`](RetryLayer::patience); one that wants longer is not asked again here. `x-should-retry` is obeyed. A budget per provider
//! bounds the sum of it: retries are a share of the calls, so that a provider that is down is not asked three times as much as one that
//! is up. A cascade's draft, and whatever else a call can do without, is asked again only where that costs no pause. Nothing is asked again that could not answer before the call's deadline.
//!
//! # Example
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use http::StatusCode;
//! use tierway_layers::retry::RetryLayer;
//! use tierway_services::{BoxError, chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! static ASKED: AtomicU32 = AtomicU32::new(0);
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(2))
//!     .service_fn(|_: chat::Request| async {
//!         let mut res = chat::Response::new(Reply::whole("{}"));
//!         if ASKED.fetch_add(1, Ordering::Relaxed) < 2 {
//!             *res.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
//!         }
//!         Ok::<_, BoxError>(res)
//!     });
//!
//! let body = r#"{"model":"auto","messages":[]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let res = service.oneshot(chat::Request::new(prompt)).await.unwrap();
//! assert_eq!((res.status(), ASKED.load(Ordering::Relaxed)), (StatusCode::OK, 3));
//! # }
//! ```
//!
//! # Cancellation
//! Dropping the future drops the attempt under way, or the pause before the next.
mod story;

use pin_project_lite::pin_project;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::{
    BoxError,
    chat::{self, Target},
};
use tower::{
    retry::{
        backoff::{ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff},
        budget::TpsBudget,
    },
    util::rng::HasherRng,
};
use tower_layer::Layer;
use tower_service::Service;

/// For how long a call counts towards the budget.
const REMEMBERED: Duration = Duration::from_secs(10);
/// More providers than anybody configures; what comes beyond shares one budget.
const MOST: usize = 256;

/// A call that is about to be asked again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retried<'a> {
    /// Who failed; `None` where nothing was bound.
    pub target: Option<&'a Target>,
    /// Why, in one word of a closed set.
    pub reason: &'static str,
    /// How long it waits; zero for none.
    pub pause: Duration,
}

type OnRetry = Arc<dyn Fn(&Retried<'_>) + Send + Sync>;

/// Applies [`Retry`].
#[derive(Clone)]
pub struct RetryLayer {
    settings: Settings,
}

/// Asks again. See the [module](self).
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Settings {
    most: u32,
    first: Duration,
    longest: Duration,
    patience: Duration,
    share: f32,
    a_second: u32,
    hear: Option<OnRetry>,
}

/// What all clones of a service share.
struct Shared {
    settings: Settings,
    budgets: Mutex<HashMap<Arc<str>, Arc<TpsBudget>>>,
}

pin_project! {
    /// Response future of [`Retry`].
    pub struct ResponseFuture {
        // The one box: attempts and pauses are a story.
        story: Pin<Box<dyn Future<Output = Result<chat::Response, BoxError>> + Send>>,
    }
}

// === impl RetryLayer ===

impl RetryLayer {
    /// Asks again up to `most` times.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self {
            settings: Settings {
                most,
                first: Duration::from_millis(250),
                longest: Duration::from_secs(8),
                patience: Duration::from_secs(5),
                share: 0.2,
                a_second: 1,
                hear: None,
            },
        }
    }

    /// The first pause, which doubles each time up to `longest`, and up to as much again by chance; 250 ms and 8 s by default.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.first = first.max(Duration::from_millis(1));
        self.settings.longest = longest.max(self.settings.first);
        self
    }

    /// How long a wait that a provider asks for is waited; 5 s by default, and 1 s where another
    /// model may answer ([`Alternatives`](chat::Alternatives)). One that asks for more is not asked again.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// The most retries of a provider: as a share of the calls of the last ten seconds, and besides so many a second for providers that
    /// are hardly called; 0.2 and 1 by default.
    #[must_use]
    pub const fn budget(mut self, share: f32, a_second: u32) -> Self {
        self.settings.share = share.clamp(0.0, 10.0);
        self.settings.a_second = if a_second > 1000 { 1000 } else { a_second };
        self
    }

    /// Shows each retry to `hear` before it waits. It must neither block nor panic.
    #[must_use]
    pub fn on_retry(mut self, hear: impl Fn(&Retried<'_>) + Send + Sync + 'static) -> Self {
        self.settings.hear = Some(Arc::new(hear));
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;
    fn layer(&self, inner: S) -> Retry<S> {
        Retry {
            inner,
            shared: Arc::new(Shared {
                settings: self.settings.clone(),
                budgets: Mutex::default(),
            }),
        }
    }
}

impl fmt::Debug for RetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer")
            .field("most", &self.settings.most)
            .finish_non_exhaustive()
    }
}

// === impl Retry ===

impl<S> Service<chat::Request> for Retry<S>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    type Response = chat::Response;
    // As tower's own layers that look at errors have it: an error that was looked at is erased.
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, req: chat::Request) -> ResponseFuture {
        // The first attempt takes the instance that was polled ready; the clone stays and must be polled anew.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        ResponseFuture {
            story: Box::pin(story::tell(ready, self.shared.clone(), req)),
        }
    }
}

impl<S: Clone> Clone for Retry<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Retry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn budget(&self, target: Option<&Target>) -> Arc<TpsBudget> {
        let provider = target.map_or("", |target| &*target.provider);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get(provider) {
            return budget.clone();
        }
        let provider = if budgets.len() < MOST { provider } else { "" };
        let (share, a_second) = (self.settings.share, self.settings.a_second);
        let new = || Arc::new(TpsBudget::new(REMEMBERED, a_second, share));
        budgets.entry(provider.into()).or_insert_with(new).clone()
    }

    /// `None` where the settings are none.
    fn backoff(&self) -> Option<ExponentialBackoff<HasherRng>> {
        let Settings { first, longest, .. } = self.settings;
        let maker = ExponentialBackoffMaker::new(first, longest, 1.0, HasherRng::new());
        maker.ok().map(|mut maker| maker.make_backoff())
    }
}

// === impl ResponseFuture ===

impl Future for ResponseFuture {
    type Output = Result<chat::Response, BoxError>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().story.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
