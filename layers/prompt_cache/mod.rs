//! Answers a call that was answered before.
//!
//! A call is looked up by its [`Key`], which covers whom it is for, who is to answer and all that can change the answer. On a hit the kept
//! answer is replayed, as a stream or whole, as this call asks, and no model is called. On a miss the answer passes through and is kept
//! once it has ended well.
//!
//! Not every call may be answered so. It has to ask for one answer, at temperature 0 (see [`sampled`](PromptCacheLayer::sampled)), and
//! only complete answers with status 200 and without tool calls (see [`tool_calls`](PromptCacheLayer::tool_calls)) are kept. The caller
//! decides too: `cache-control: no-store` or `x-tierway-cache: off` goes past the cache; `cache-control: no-cache` or
//! `x-tierway-cache: refresh` asks the model anew and keeps what it says.
//!
//! Every response says in `x-tierway-cache` what happened: `hit` (then with `age`), `miss` or `bypass`.
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
//! # Backpressure
//! Always ready: a hit must not wait until a model is free. The inner service is driven to readiness inside the future of a miss; shed
//! load above this layer.
mod canonical;
mod key;
mod record;
mod replay;
mod store;

pub use self::{
    key::Key,
    store::{Entry, Memory, Recorded, Store},
};

use self::record::{Recorder, Recording, may_keep};
use crate::headers::header_value;
use http::{
    HeaderName, HeaderValue,
    header::{AGE, CACHE_CONTROL},
};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::chat::{
    self, CacheStatus, EarlyHead, Holdout, Journal, Operation, Reply, Target,
};
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

const CACHE: HeaderName = HeaderName::from_static("x-tierway-cache");

/// Applies [`PromptCache`].
pub struct PromptCacheLayer<St> {
    store: Arc<St>,
    settings: Settings,
}

/// Answers a call that was answered before.
pub struct PromptCache<S, St> {
    inner: S,
    store: Arc<St>,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    sampled: bool,
    tool_calls: bool,
    max_entry: usize,
    max_request: usize,
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

/// What a caller may decide about one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Any,
    Refresh,
    Off,
}

// === impl PromptCacheLayer ===

impl<St> PromptCacheLayer<St> {
    /// Keeps answers in `store`.
    pub fn new(store: St) -> Self {
        Self {
            store: Arc::new(store),
            settings: Settings {
                sampled: false,
                tool_calls: false,
                max_entry: 1024 * 1024,
                max_request: 4 * 1024 * 1024,
            },
        }
    }

    /// Whether calls at a temperature other than 0 are answered from the cache too; not by default. Who samples expects answers to differ.
    #[must_use]
    pub const fn sampled(mut self, sampled: bool) -> Self {
        self.settings.sampled = sampled;
        self
    }

    /// Whether answers that call tools are kept; not by default. A replayed call makes the caller act again.
    #[must_use]
    pub const fn tool_calls(mut self, tool_calls: bool) -> Self {
        self.settings.tool_calls = tool_calls;
        self
    }

    /// The most bytes of an answer that is kept; 1 MiB by default.
    #[must_use]
    pub const fn max_entry(mut self, bytes: usize) -> Self {
        self.settings.max_entry = bytes;
        self
    }

    /// The most bytes of a request that is looked up; 4 MiB by default. Larger ones are hardly asked twice.
    #[must_use]
    pub const fn max_request(mut self, bytes: usize) -> Self {
        self.settings.max_request = bytes;
        self
    }
}

impl<S, St> Layer<S> for PromptCacheLayer<St> {
    type Service = PromptCache<S, St>;
    fn layer(&self, inner: S) -> Self::Service {
        PromptCache {
            inner,
            store: self.store.clone(),
            settings: self.settings,
        }
    }
}

impl<St> Clone for PromptCacheLayer<St> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            settings: self.settings,
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
        let key = if wish != Wish::Off && !held_out && self.settings.allow(&req) {
            Key::of(&req)
        } else {
            None
        };
        let state = match key {
            None => {
                note(&req, CacheStatus::Bypass);
                State::Bypass {
                    future: Oneshot::new(inner, req),
                }
            }
            Some(key) => State::Story {
                story: Box::pin(tell(
                    inner,
                    self.store.clone(),
                    self.settings,
                    key,
                    wish,
                    req,
                )),
            },
        };
        ResponseFuture { state }
    }
}

impl<S: Clone, St> Clone for PromptCache<S, St> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            store: self.store.clone(),
            settings: self.settings,
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

// === impl Settings ===

impl Settings {
    /// Whether an answer to `req` may be had from the cache.
    fn allow(&self, req: &chat::Request) -> bool {
        let facts = req.body().facts();
        facts.operation == Operation::Generate
            && facts.choices == 1
            && (self.sampled || facts.temperature == Some(0.0))
            && req.body().raw().len() <= self.max_request
    }
}

// === impl Wish ===

impl Wish {
    fn of(req: &chat::Request) -> Self {
        let says = |name: HeaderName, word: &str| {
            req.headers()
                .get_all(name)
                .iter()
                .filter_map(|v| v.to_str().ok())
                .flat_map(|v| v.split(','))
                .any(|v| v.trim().eq_ignore_ascii_case(word))
        };
        if says(CACHE_CONTROL, "no-store") || says(CACHE, "off") {
            Self::Off
        } else if says(CACHE_CONTROL, "no-cache") || says(CACHE, "refresh") {
            Self::Refresh
        } else {
            Self::Any
        }
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
                let mut res = ready!(future.poll(cx))?;
                mark(&mut res, CacheStatus::Bypass);
                Poll::Ready(Ok(res))
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

/// Looks the call up; else asks, and keeps the answer while it passes.
async fn tell<S, St>(
    inner: S,
    store: Arc<St>,
    settings: Settings,
    key: Key,
    wish: Wish,
    req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
    St: Store + Send + Sync + 'static,
{
    if wish == Wish::Any
        && let Some(entry) = store.get(&key).await
        && let Some(res) = hit(&entry, &req)
    {
        return Ok(res);
    }
    note(&req, CacheStatus::Miss);
    let recording = Recording {
        store,
        key,
        settings,
        prompt: req.body().clone(),
        target: Target::of(&req).cloned(),
        journal: Journal::of(&req).cloned(),
    };
    let mut res = Oneshot::new(inner, req).await?;
    mark(&mut res, CacheStatus::Miss);
    let (head, body) = res.into_parts();
    if !may_keep(&head, &body, settings.max_entry) {
        return Ok(http::Response::from_parts(head, body));
    }
    let whole = !body.is_stream();
    let recorder = Recorder::new(head.headers.clone(), body, recording);
    let body = if whole {
        // It is all here, so it is kept at once and stays a whole reply; this cannot fail.
        let collected = recorder.collect().await.unwrap_or_default();
        Reply::whole(collected.to_bytes())
    } else {
        Reply::stream(recorder)
    };
    Ok(http::Response::from_parts(head, body))
}

fn hit(entry: &Entry, req: &chat::Request) -> Option<chat::Response> {
    let mut res = replay::replay(entry, req.body().facts())?;
    mark(&mut res, CacheStatus::Hit);
    let age = header_value(format_args!("{}", entry.age().as_secs()));
    res.headers_mut().insert(AGE, age);
    if let Some(journal) = Journal::of(req) {
        journal.write(|j| {
            j.cache = Some(CacheStatus::Hit);
            j.replayed = entry.target.clone().zip(entry.usage);
        });
    }
    Some(res)
}

fn note(req: &chat::Request, status: CacheStatus) {
    if let Some(journal) = Journal::of(req) {
        journal.write(|j| j.cache = Some(status));
    }
    let value = HeaderValue::from_static(status.as_str());
    EarlyHead::say(req, CACHE, value);
}

fn mark(res: &mut chat::Response, status: CacheStatus) {
    let value = HeaderValue::from_static(status.as_str());
    res.headers_mut().insert(CACHE, value);
}

#[cfg(test)]
mod tests;
