//! Asks a small model first and defers to the inner, big one where its answer will not do.
//!
//! For a call that is eligible, the small service writes a draft, which is collected whole and judged by a [`Confidence`] predicate. At or
//! above the threshold the draft is the answer; below it, or where the small model fails, the big service answers as if nothing had been.
//! No byte of a rejected draft ever reaches the caller. Both attempts are on the caller's bill, and
//! [`Role`](tierway_services::chat::Role) tells them apart for who counts.
//!
//! A call is eligible when its [`Tier`] is among [`tiers`](CascadeLayer::tiers) and it asks for one answer, whole
//! (see [`streams`](CascadeLayer::streams)), without tools (see [`tools`](CascadeLayer::tools)). Each response says in `x-tierway-cascade`
//! what happened: `off`, `accepted` or `deferred`, the confidence and the reason.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::cascade::{CascadeLayer, Draft, Verdict, confidence_fn};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply, Tier}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! async fn answer(text: &str) -> Result<chat::Response, Infallible> {
//!     let choice = serde_json::json!({"message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
//!     Ok(chat::Response::new(Reply::whole(serde_json::json!({"choices": [choice]}).to_string())))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let sure = confidence_fn(|draft: &Draft<'_>| match draft.answer().text.contains("think") {
//!     true => Verdict::new(0.2, "hedges"),
//!     false => Verdict::new(0.95, "firm"),
//! });
//! let small = service_fn(|_: chat::Request| answer("I think it is Lyon."));
//! let service = ServiceBuilder::new()
//!     .layer(CascadeLayer::new(small, sure))
//!     .service_fn(|_: chat::Request| answer("Paris."));
//!
//! let body = r#"{"model":"auto","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let mut req = chat::Request::new(prompt);
//! req.extensions_mut().insert(Tier::Medium); // Classify would
//! let res = service.oneshot(req).await.unwrap();
//! assert_eq!(res.headers()["x-tierway-cascade"], "deferred; confidence=0.20; reason=hedges");
//! # use http_body_util::BodyExt;
//! # assert!(res.into_body().collect().await.unwrap().to_bytes().windows(5).any(|w| w == b"Paris"));
//! # }
//! ```
//!
//! # Backpressure
//! Always ready. Which arm a call needs is known only once it is here, and waiting for both would hold the big model's permits for calls
//! that never reach it. Each arm is driven to readiness inside the future; shed load above this layer, and give each arm its own limit.
//!
//! # Cancellation
//! The arm at work is dropped with the future.
mod certify;
mod confidence;
mod drift;
mod future;
pub mod signals;
mod vetoes;

pub use self::{
    certify::{
        Certificate, Label, Promise, Shortfall, binomial_cdf, certify, even_grid, harm_bound,
        labels_needed, least_deferred, quantile_grid,
    },
    confidence::{And, Confidence, ConfidenceFn, Draft, Verdict, confidence_fn},
    drift::Drift,
    future::ResponseFuture,
    vetoes::Vetoes,
};

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::chat::{self, Operation, Target, Tier};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Cascade`].
pub struct CascadeLayer<M, C> {
    small: M,
    confidence: Arc<C>,
    settings: Arc<Settings>,
}

/// Asks a small model first.
pub struct Cascade<S, M, C> {
    inner: S,
    small: M,
    confidence: Arc<C>,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    tiers: Vec<Tier>,
    threshold: f64,
    streams: bool,
    tools: bool,
    unless_bound_to: Option<Target>,
    max_draft: usize,
}

// === impl CascadeLayer ===

impl<M, C> CascadeLayer<M, C> {
    /// Asks `small` first and lets `confidence` judge its drafts.
    ///
    /// `small` has to send the call to the small model by itself; before a shared leaf stands a
    /// [`RetargetLayer`](crate::bind::RetargetLayer).
    pub fn new(small: M, confidence: C) -> Self {
        Self {
            small,
            confidence: Arc::new(confidence),
            settings: Arc::new(Settings {
                tiers: vec![Tier::Medium, Tier::Complex],
                threshold: 0.85,
                streams: false,
                tools: false,
                unless_bound_to: None,
                max_draft: 4 * 1024 * 1024,
            }),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// The tiers that get a draft; medium and complex by default. A call without a tier never does.
    #[must_use]
    pub fn tiers(self, tiers: impl IntoIterator<Item = Tier>) -> Self {
        self.set(|s| s.tiers = tiers.into_iter().collect())
    }

    /// The confidence from which a draft is kept; 0.85 by default.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.set(|s| s.threshold = threshold)
    }

    /// Whether streams get a draft too; not by default. The draft is collected whole before the caller sees its first byte, so the time to
    /// the first token becomes the time to the small model's last.
    #[must_use]
    pub fn streams(self, streams: bool) -> Self {
        self.set(|s| s.streams = streams)
    }

    /// Whether calls that offer tools get a draft too; not by default. Nothing is executed here, so a draft's tool calls are as safe to
    /// judge as its words.
    #[must_use]
    pub fn tools(self, tools: bool) -> Self {
        self.set(|s| s.tools = tools)
    }

    /// No draft for calls bound to this target: the small model's own, which would be asked twice.
    #[must_use]
    pub fn unless_bound_to(self, target: Target) -> Self {
        self.set(|s| s.unless_bound_to = Some(target))
    }

    /// The most bytes of a draft; 4 MiB by default. A longer one is dropped and the big model asked.
    #[must_use]
    pub fn max_draft(self, bytes: usize) -> Self {
        self.set(|s| s.max_draft = bytes)
    }
}

impl<S, M: Clone, C> Layer<S> for CascadeLayer<M, C> {
    type Service = Cascade<S, M, C>;
    fn layer(&self, inner: S) -> Self::Service {
        Cascade {
            inner,
            small: self.small.clone(),
            confidence: self.confidence.clone(),
            settings: self.settings.clone(),
        }
    }
}

// By hand, because the predicate stands behind an `Arc` and may be a closure.
impl<M: Clone, C> Clone for CascadeLayer<M, C> {
    fn clone(&self) -> Self {
        Self {
            small: self.small.clone(),
            confidence: self.confidence.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<M, C> fmt::Debug for CascadeLayer<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CascadeLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl Cascade ===

impl<S, M, C> Service<chat::Request> for Cascade<S, M, C>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    M: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    M::Future: Send,
    M::Error: Send,
    C: Confidence + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S>;

    // Always ready, see the module's documentation. The clones below are driven to readiness by `Oneshot`.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let big = self.inner.clone();
        match self.settings.why_not(&req) {
            Some(reason) => ResponseFuture::off(big, req, reason),
            None => ResponseFuture::story(future::tell(
                big,
                self.small.clone(),
                self.confidence.clone(),
                self.settings.clone(),
                req,
            )),
        }
    }
}

impl<S: Clone, M: Clone, C> Clone for Cascade<S, M, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            small: self.small.clone(),
            confidence: self.confidence.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<S: fmt::Debug, M, C> fmt::Debug for Cascade<S, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cascade")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl Settings ===

impl Settings {
    /// Why this call gets no draft, if it gets none.
    fn why_not(&self, req: &chat::Request) -> Option<&'static str> {
        let facts = req.body().facts();
        if facts.operation != Operation::Generate {
            Some("operation")
        } else if !Tier::of(req).is_some_and(|t| self.tiers.contains(&t)) {
            Some("tier")
        } else if self.unless_bound_to.is_some() && self.unless_bound_to.as_ref() == Target::of(req)
        {
            Some("same_model")
        } else if facts.stream && !self.streams {
            Some("stream")
        } else if facts.tool_count > 0 && !self.tools {
            Some("tools")
        } else if facts.choices != 1 {
            Some("choices")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
