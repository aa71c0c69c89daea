//! Answers a call that was answered before.
//!
//! A call is looked up by its [`Key`], which covers whom it is for, who is to answer and all that can change the answer. On a hit the kept
//! answer is replayed, as a stream or whole and in the dialect, as this call asks, and no model is called. On a miss the answer passes
//! through and is kept once it has ended well. Calls that ask the same while that is under way share its upstream call: see
//! [`coalesce`](PromptCacheLayer::coalesce).
//!
//! Not every call may be answered so. It has to ask for one answer, at temperature 0 (see [`sampled`](PromptCacheLayer::sampled)), and
//! only complete answers with status 200 and without tool calls (see [`tool_calls`](PromptCacheLayer::tool_calls)) are kept. The caller
//! decides too: `cache-control: no-store` or `x-tierway-cache: off` goes past the cache; `cache-control: no-cache` or
//! `x-tierway-cache: refresh` asks the model anew and keeps what it says; `cache-control: max-age=60` wants no answer that is older;
//! `cache-control: only-if-cached` asks no model, and is answered 504 where nothing is kept.
//!
//! Every response says in `x-tierway-cache` what happened: `hit` (then with `age`), `miss`, `coalesced` or `bypass`.
//!
//! # Example
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::prompt_cache::{Memory, PromptCacheLayer};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(PromptCacheLayer::new(Memory::new(16 * 1024 * 1024, Duration::from_secs(300))))
//!     .service_fn(|_: chat::Request| async {
//!         let answer = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}]}"#;
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer)))
//!     });
//!
//! let ask = || {
//!     let body = r#"{"model":"m","temperature":0,"messages":[{"role":"user","content":"The capital of France?"}]}"#;
//!     chat::Request::new(Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap())
//! };
//! assert_eq!(service.clone().oneshot(ask()).await.unwrap().headers()["x-tierway-cache"], "miss");
//! assert_eq!(service.oneshot(ask()).await.unwrap().headers()["x-tierway-cache"], "hit");
//! # }
//! ```
//!
//! # Stores
//! [`Memory`] keeps answers in this process; with the features `cache-disk` and `cache-redis`, `Disk` keeps them over restarts and `Remote`
//! shares them between nodes; [`Layered`] puts one before another. One's own [`Store`] is two functions.
//!
//! # Backpressure
//! Always ready: a hit must not wait until a model is free. The inner service is driven to readiness inside the future of a miss; shed
//! load above this layer.
//!
//! # Cancellation
//! A caller who leaves takes nothing from those who share its upstream call; that is dropped with the last of them.
mod alike;
mod canonical;
mod coding;
#[cfg(feature = "cache-disk")]
mod disk;
mod eligible;
mod feed;
mod flight;
mod key;
mod memory;
mod only;
mod record;
#[cfg(feature = "cache-redis")]
mod remote;
mod replay;
mod store;
mod story;
#[cfg(test)]
mod testing;

#[cfg(feature = "cache-disk")]
pub use self::disk::Disk;
#[cfg(feature = "cache-redis")]
pub use self::remote::Remote;
pub use self::{
    key::Key,
    memory::Memory,
    store::{Entry, Event, Layered, Recorded, Store},
};

use self::{
    eligible::{Settings, Wish},
    flight::Flights,
    story::{Story, marked, note},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::chat::{self, CacheStatus, Holdout};
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`PromptCache`].
pub struct PromptCacheLayer<St> {
    store: Arc<St>,
    settings: Arc<Settings>,
}

/// Answers a call that was answered before.
pub struct PromptCache<S, St> {
    inner: S,
    store: Arc<St>,
    settings: Arc<Settings>,
    flights: Arc<Flights>,
}

pin_project! {
    /// Response future of [`PromptCache`].
    pub struct ResponseFuture<S: Service<chat::Request>> { #[pin] state: State<S> }
}
pin_project! {
    #[project = StateProj]
    enum State<S: Service<chat::Request>> {
        Bypass { #[pin] future: Oneshot<S, chat::Request> },
        Story { story: Pin<Box<dyn Future<Output = Result<chat::Response, S::Error>> + Send>> },
    }
}

// === impl PromptCacheLayer ===

impl<St> PromptCacheLayer<St> {
    /// Keeps answers in `store`.
    pub fn new(store: St) -> Self {
        Self {
            store: Arc::new(store),
            settings: Arc::default(),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// Whether calls at a temperature other than 0 are answered from the cache too; not by default. Who samples expects answers to differ.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        self.set(|s| s.sampled = sampled)
    }

    /// Whether answers that call tools are kept and shared; not by default. A replayed call makes the caller act again.
    #[must_use]
    pub fn tool_calls(self, tool_calls: bool) -> Self {
        self.set(|s| s.tool_calls = tool_calls)
    }

    /// Whether calls that ask the same at the same time share one upstream call; by default they do, unless they offer tools (see
    /// [`tool_calls`](Self::tool_calls)). Streams reach all of them frame by frame. One that comes late gets what has passed at once; one
    /// that falls behind by more than [`max_entry`](Self::max_entry) loses the answer, so that the others need not wait. Where the upstream
    /// call fails, only the caller who made it is told; the others ask again.
    #[must_use]
    pub fn coalesce(self, coalesce: bool) -> Self {
        self.set(|s| s.coalesce = coalesce)
    }

    /// The most bytes of an answer that is kept; 1 MiB by default.
    #[must_use]
    pub fn max_entry(self, bytes: usize) -> Self {
        self.set(|s| s.max_entry = bytes)
    }

    /// The most bytes of a request that is looked up; 4 MiB by default. Larger ones are hardly asked twice.
    #[must_use]
    pub fn max_request(self, bytes: usize) -> Self {
        self.set(|s| s.max_request = bytes)
    }

    /// Leaves all calls of this tenant alone.
    #[must_use]
    pub fn opt_out(self, tenant: impl Into<String>) -> Self {
        self.set(|s| {
            s.opted_out.insert(tenant.into());
        })
    }

    /// What `provider` is, beyond its name: its address, say. Answers of another one under the same name, of which a store that outlives this
    /// process or is shared by several may know, are not this one's.
    #[must_use]
    pub fn identity(self, provider: impl Into<String>, identity: impl Into<String>) -> Self {
        self.set(|s| drop(s.identities.insert(provider.into(), identity.into())))
    }

    /// Calls `hear` with what happens. It must neither block nor panic. Stores tell what happens in them by themselves.
    #[must_use]
    pub fn on_event(self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.set(|s| s.hear = Some(Arc::new(hear)))
    }
}

impl<S, St> Layer<S> for PromptCacheLayer<St> {
    type Service = PromptCache<S, St>;
    fn layer(&self, inner: S) -> Self::Service {
        PromptCache {
            inner,
            store: self.store.clone(),
            settings: self.settings.clone(),
            flights: Arc::default(),
        }
    }
}

impl<St> Clone for PromptCacheLayer<St> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<St> fmt::Debug for PromptCacheLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptCacheLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl PromptCache ===

impl<S, St> Service<chat::Request> for PromptCache<S, St>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    St: Store + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S>;

    // Always ready, see the module's documentation. The clones below are driven to readiness by `Oneshot`.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let inner = self.inner.clone();
        let wish = Wish::of(&req);
        // What the gateway saves must not reach what it is measured against.
        let held_out = Holdout::of(&req) == Some(Holdout::Baseline);
        let asked = wish != Wish::Off && !held_out;
        let key = asked.then(|| self.settings.key(&req));
        let state = match key.flatten() {
            None if only::is_wanted(&req) => State::Story {
                story: Box::pin(std::future::ready(Ok(only::nothing(&req)))),
            },
            None => {
                note(&req, CacheStatus::Bypass);
                State::Bypass {
                    future: Oneshot::new(inner, req),
                }
            }
            Some(key) => {
                let story = Story {
                    store: self.store.clone(),
                    flights: self.flights.clone(),
                    settings: self.settings.clone(),
                    key,
                    wish,
                    req,
                };
                State::Story {
                    story: Box::pin(story.tell(inner)),
                }
            }
        };
        ResponseFuture { state }
    }
}

impl<S: Clone, St> Clone for PromptCache<S, St> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
            flights: self.flights.clone(),
        }
    }
}

impl<S: fmt::Debug, St> fmt::Debug for PromptCache<S, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptCache")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl ResponseFuture ===

impl<S> Future for ResponseFuture<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Output = Result<chat::Response, S::Error>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Bypass { future } => {
                let res = ready!(future.poll(cx))?;
                Poll::Ready(Ok(marked(res, CacheStatus::Bypass)))
            }
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
