//! Answers a question that was asked before in other words.
//!
//! Stands above [`PromptCache`](crate::prompt_cache) and widens it: a call whose last text is like one that was answered, while all else is the
//! same, is looked up there under that other text. *All else* is the exact cache's whole key: tenant, model, system prompt, tools, the
//! conversation before, parameters, everything but the last text of the user's. Answers stay where they are, with their bounds, ages and
//! policies; here are only the questions and their vectors.
//!
//! *Like* means two things. The texts' vectors ([`Embed`]) are close: their cosine reaches the [threshold](SemanticCacheLayer::threshold). And
//! their words agree: see [`difference`], which tells France from Germany, 5 from 50, and a question from its opposite. Whatever is in doubt is
//! asked of the model.
//!
//! The lookup is the same call with the other text and `cache-control: only-if-cached`, which [`PromptCache`](crate::prompt_cache) answers itself,
//! with 504 where it has nothing; so this layer needs that one below it. A call passes unseen where its last word is no text of the user's alone, where
//! the caller wishes anything of the cache, where it samples ([`sampled`](SemanticCacheLayer::sampled)), and where the very same words were asked, which needs no
//! vector.
//!
//! On a hit the answer says `x-tierway-cache: semantic; similarity=0.973`, and `age`.
//!
//! # Example
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::{prompt_cache::{Memory, PromptCacheLayer}, semantic_cache::{Embed, SemanticCacheLayer}};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! struct Letters;
//! impl Embed for Letters {
//!     async fn embed(&self, text: &str, _: &chat::Request) -> Option<Vec<f32>> {
//!         let text = text.to_lowercase();
//!         Some(('a'..='z').map(|letter| text.matches(letter).count() as f32).collect())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(SemanticCacheLayer::new(Letters))
//!     .layer(PromptCacheLayer::new(Memory::new(1 << 20, Duration::from_secs(300))))
//!     .service_fn(|_: chat::Request| async {
//!         let answer = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}]}"#;
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer)))
//!     });
//! let ask = |text: &str| {
//!     let body = format!(r#"{{"model":"m","temperature":0,"messages":[{{"role":"user","content":"{text}"}}]}}"#);
//!     chat::Request::new(Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap())
//! };
//! let first = service.clone().oneshot(ask("What is the capital of France?")).await.unwrap();
//! assert_eq!(first.headers()["x-tierway-cache"], "miss");
//! drop(first);
//! let second = service.clone().oneshot(ask("what's the capital of France")).await.unwrap();
//! assert!(second.headers()["x-tierway-cache"].to_str().unwrap().starts_with("semantic; similarity=0.9"));
//! let third = service.oneshot(ask("What is the capital of Francia?")).await.unwrap();
//! assert_eq!(third.headers()["x-tierway-cache"], "miss");
//! # }
//! ```
//!
//! # Backpressure
//! Always ready, as the exact cache is.
mod ask;
mod embed;
mod guards;
mod index;
mod lexicon;
#[cfg(feature = "local-embeddings")]
mod local;

#[cfg(feature = "local-embeddings")]
pub use self::local::Local;
pub use self::{
    embed::{Embed, Remote},
    guards::{Difference, difference},
};
pub use crate::detour::ResponseFuture;

use self::{ask::Ask, guards::is_timeless, index::Index};
use crate::headers::header_value;
use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::chat::{self, CacheStatus, EarlyHead, Holdout, Journal};
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

const CACHE: HeaderName = HeaderName::from_static("x-tierway-cache");

/// The least cosine at which two texts are taken for the same, by vectors of all-MiniLM-L6-v2. Calibrated, not guessed: see `docs/caching.md`.
pub const THRESHOLD: f32 = 0.87;

/// Of so many that are like enough the words are compared.
const TRIES: usize = 8;

/// Applies [`SemanticCache`].
pub struct SemanticCacheLayer<E> {
    shared: Arc<Shared<E>>,
}

/// Answers a question that was asked before in other words.
pub struct SemanticCache<S, E> {
    inner: S,
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    embedder: Arc<E>,
    index: Index,
    threshold: f32,
    sampled: bool,
}

// === impl SemanticCacheLayer ===

impl<E> SemanticCacheLayer<E> {
    /// Compares texts by the vectors of `embedder`.
    pub fn new(embedder: E) -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self {
            shared: Arc::new(Shared {
                embedder: Arc::new(embedder),
                index: Index::new(64 << 20, hour),
                threshold: THRESHOLD,
                sampled: false,
            }),
        }
    }

    fn set(self, set: impl FnOnce(&mut Shared<E>)) -> Self {
        let shared = &*self.shared;
        let mut shared = Shared {
            embedder: shared.embedder.clone(),
            index: shared.index.clone(),
            ..*shared
        };
        set(&mut shared);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The least cosine; [`THRESHOLD`] by default, which is right for one model: calibrate it for another.
    #[must_use]
    pub fn threshold(self, threshold: f32) -> Self {
        self.set(|s| s.threshold = threshold)
    }

    /// Whether calls at a temperature other than 0 are looked up too; as the exact cache below is told.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        self.set(|s| s.sampled = sampled)
    }

    /// The most bytes of questions and vectors, and how long they are remembered; 64 MiB and an hour by default. Of one scope at most 1000 are.
    #[must_use]
    pub fn bounds(self, max_bytes: u64, ttl: Duration) -> Self {
        self.set(|s| s.index = Index::new(max_bytes, ttl))
    }
}

impl<S, E> Layer<S> for SemanticCacheLayer<E> {
    type Service = SemanticCache<S, E>;
    fn layer(&self, inner: S) -> Self::Service {
        SemanticCache {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<E> Clone for SemanticCacheLayer<E> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<E> fmt::Debug for SemanticCacheLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemanticCacheLayer")
            .field("threshold", &self.shared.threshold)
            .field("sampled", &self.shared.sampled)
            .finish_non_exhaustive()
    }
}

// === impl SemanticCache ===

impl<S, E> Service<chat::Request> for SemanticCache<S, E>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    E: Embed + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Oneshot<S, chat::Request>>;

    // Always ready, as the exact cache is. The clones below are driven to readiness by `Oneshot`.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let inner = self.inner.clone();
        match self.shared.ask(&req) {
            Some(ask) => ResponseFuture::story(tell(inner, self.shared.clone(), ask, req)),
            None => ResponseFuture::past(Oneshot::new(inner, req)),
        }
    }
}

impl<S: Clone, E> Clone for SemanticCache<S, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug, E> fmt::Debug for SemanticCache<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemanticCache")
            .field("inner", &self.inner)
            .field("threshold", &self.shared.threshold)
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl<E> Shared<E> {
    /// What is to be compared of a call, if anything.
    fn ask(&self, req: &chat::Request) -> Option<Ask> {
        let facts = req.body().facts();
        let wishes = [CACHE_CONTROL, CACHE];
        let wishes = wishes.iter().any(|name| req.headers().contains_key(name));
        // What the gateway saves must not reach what it is measured against.
        let held_out = Holdout::of(req) == Some(Holdout::Baseline);
        if wishes || held_out || !(self.sampled || facts.temperature == Some(0.0)) {
            return None;
        }
        let ask = Ask::of(req)?;
        let known = self.index.has(&ask.scope, &ask.text);
        (!known && is_timeless(&ask.text)).then_some(ask)
    }
}

async fn tell<S, E>(
    mut inner: S,
    shared: Arc<Shared<E>>,
    ask: Ask,
    req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
    E: Embed,
{
    let vector = shared.embedder.embed(&ask.text, &req).await;
    let Some(vector) = vector.and_then(index::unit) else {
        return Oneshot::new(inner, req).await;
    };
    let near = shared.index.nearest(&ask.scope, &vector, shared.threshold);
    let same = near
        .iter()
        .take(TRIES)
        .find(|(_, text)| difference(&ask.text, text).is_none());
    if let Some((likeness, text)) = same {
        if let Some(res) = look_up(&mut inner, &ask, &req, text).await? {
            return Ok(semantic(res, &req, *likeness));
        }
        shared.index.forget(&ask.scope, text);
    }
    let res = Oneshot::new(inner, req).await?;
    // What the exact cache does not keep cannot be found again.
    let looked = res.headers().get(CACHE).is_some_and(|v| v != "bypass");
    if res.status().is_success() && looked {
        shared.index.add(ask.scope, &ask.text, vector);
    }
    Ok(res)
}

/// The answer to the call with this other text, if the exact cache has it.
async fn look_up<S>(
    inner: &mut S,
    ask: &Ask,
    req: &chat::Request,
    text: &str,
) -> Result<Option<chat::Response>, S::Error>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
{
    let Some(mut other) = ask.with(req, text) else {
        return Ok(None);
    };
    let only = HeaderValue::from_static("only-if-cached");
    other.headers_mut().insert(CACHE_CONTROL, only);
    let res = Oneshot::new(inner.clone(), other).await?;
    let hit = res.headers().get(CACHE).is_some_and(|v| v == "hit");
    Ok(hit.then_some(res))
}

fn semantic(mut res: chat::Response, req: &chat::Request, likeness: f32) -> chat::Response {
    let value = header_value(format_args!(
        "{}; similarity={likeness:.3}",
        CacheStatus::Semantic.as_str()
    ));
    if let Some(journal) = Journal::of(req) {
        journal.write(|j| j.cache = Some(CacheStatus::Semantic));
    }
    EarlyHead::say(req, CACHE, value.clone());
    res.headers_mut().insert(CACHE, value);
    res
}

#[cfg(test)]
mod tests;
