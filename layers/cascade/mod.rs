//! Asks a small model first and defers to the inner, big one where its answer will not do.
//!
//! For a call that is eligible, the small service writes a draft, which is held back and judged by a [`Confidence`] predicate. At or
//! above the threshold the draft is the answer; below it, or where the small model fails, the big service answers as if nothing had been.
//! No byte of a rejected draft ever reaches the caller. Both attempts are on the caller's bill, and
//! [`Role`](tierway_services::chat::Role) tells them apart for who counts.
//!
//! A call is eligible when its [`Tier`] is among [`tiers`](CascadeLayer::tiers) and it asks for one answer; streams and calls with tools
//! only when [told](CascadeLayer::streams) [so](CascadeLayer::tools). Each response says in `x-tierway-cascade` what happened: `accepted`
//! or `deferred` with confidence, threshold, reason and what is certified, or `skipped` with the reason why nobody drafted. The call's
//! [`Journal`] has the same, and the times.
//!
//! # Streams
//! The small model is asked for a stream in the caller's dialect. Its frames wait in a bounded buffer while the answer in them is read as
//! far as it has come. A beginning that cannot become good (a refusal, a circle, arguments that are no JSON, a tool that nobody offered)
//! is dropped at once, which hangs up on the small model, and the big one starts; a draft that is kept goes to the caller byte for byte
//! as it was recorded. In [`Prefix`](StreamMode::Prefix) mode it goes as soon as the predicate, [certified for beginnings of that
//! length](Confidence::judge_prefix), is sure; from there on it passes frame by frame and nothing can be taken back, so that a small model
//! that then breaks off has broken off the answer. In [`Hedged`](StreamMode::Hedged) mode the big model may start beside it, for a
//! [bounded share](CascadeLayer::hedge) of drafts; whichever is not needed is hung up on, and what it cost is counted.
//!
//! A head that tells the outcome waits for the outcome. Where something above sends the head early
//! (`KeepAliveLayer` does), it can say no more than `pending`, or `deferred` where that is known by then; the journal, and who reads it, has
//! the rest.
//!
//! # Tools
//! The gateway executes nothing. What a small model wants to call is judged like its words, and before anybody acts on it; so calls with
//! tools are as safe as others. [`Vetoes`] holds each call to the schema under which its tool was offered.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::cascade::{CascadeLayer, Draft, Verdict, confidence_fn};
//! use tierway_services::{chat::{self, Notes, Operation, Prompt, Reply, Tier}, dialect::Dialect};
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
//! Notes::of_mut(&mut req).tier = Some(Tier::Medium); // Classify would
//! let res = service.oneshot(req).await.unwrap();
//! assert_eq!(res.headers()["x-tierway-cascade"], "deferred; confidence=0.20; threshold=0.85; reason=hedges; certified=no");
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
//! The arms at work are dropped with the future.
mod beginnings;
mod certify;
mod checks;
mod combine;
pub(crate) mod compare;
mod confidence;
mod draft;
mod draft_arm;
mod drift;
mod family;
mod future;
mod hedge;
mod judge;
mod learned;
mod model;
mod recorded;
mod schemas;
mod settings;
mod sight;
pub mod signals;
mod stay;
mod vetoes;

pub use self::{
    beginnings::{Beginning, LENGTHS},
    certify::{
        Certificate, Label, Promise, Shortfall, binomial_cdf, certify, even_grid, harm_bound,
        labels_needed, least_deferred, quantile_grid,
    },
    combine::{And, FirstDecided, Vetoed, Weighted},
    confidence::{Certified, Confidence, ConfidenceFn, Verdict, confidence_fn},
    draft::{Asked, Draft},
    drift::Drift,
    family::Family,
    future::ResponseFuture,
    judge::Judge,
    learned::Learned,
    model::{Labelled, Model, Operating},
    settings::{ParseStreamModeError, StreamMode},
    sight::{Sight, Sighted},
    vetoes::Vetoes,
};

use self::{hedge::Budget, settings::Settings, stay::StayBig};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::chat::{self, CascadeStatus, Journal, Session, Target, Tier};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Cascade`].
pub struct CascadeLayer<M, C> {
    small: M,
    shared: Shared<C>,
}

/// Asks a small model first.
pub struct Cascade<S, M, C> {
    inner: S,
    small: M,
    shared: Shared<C>,
}

/// What all calls share.
struct Shared<C> {
    confidence: Arc<C>,
    settings: Arc<Settings>,
    stay: StayBig,
    budget: Budget,
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
            shared: Shared {
                confidence: Arc::new(confidence),
                settings: Arc::default(),
                stay: StayBig::new(3),
                budget: Budget::new(0.05),
            },
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.shared.settings));
        self
    }

    /// The tiers that get a draft; medium and complex by default. A call without a tier never does.
    #[must_use]
    pub fn tiers(self, tiers: impl IntoIterator<Item = Tier>) -> Self {
        self.set(|s| s.tiers = tiers.into_iter().collect())
    }

    /// The confidence from which a draft is kept; 0.85 by default. A [verdict](Verdict::with_threshold) may know better.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.set(|s| s.threshold = threshold)
    }

    /// What becomes of streams; they get no draft by default. `true` means [`StreamMode::Buffer`].
    #[must_use]
    pub fn streams(self, mode: impl Into<StreamMode>) -> Self {
        self.set(|s| s.every.streams = mode.into())
    }

    /// What becomes of the streams of one tier.
    #[must_use]
    pub fn streams_of(self, tier: Tier, mode: impl Into<StreamMode>) -> Self {
        self.set(|s| s.each[tier as usize].streams = Some(mode.into()))
    }

    /// How long the big model may be kept waiting for a draft and its verdict; then it is asked, for the reason `deadline`. No limit by
    /// default.
    #[must_use]
    pub fn max_added_latency(self, limit: Option<Duration>) -> Self {
        self.set(|s| s.every.max_added_latency = limit)
    }

    /// The same for one tier.
    #[must_use]
    pub fn max_added_latency_of(self, tier: Tier, limit: Option<Duration>) -> Self {
        self.set(|s| s.each[tier as usize].max_added_latency = Some(limit))
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

    /// No draft for calls for which `why` gives a reason: those for which it costs more than it is likely to save. The reason is one word
    /// of a closed set.
    ///
    /// With an acceptance rate *a*, drafts save *a* - (*c*<sub>small</sub> + *v*) / *c*<sub>big</sub> of the big model's cost, where *v* is
    /// the cost of judging: where that ratio reaches the rate that can be hoped for, the big model alone is cheaper.
    #[must_use]
    pub fn skip_when(
        self,
        why: impl Fn(&chat::Request) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        self.set(|s| s.skip_when = Some(Arc::new(why)))
    }

    /// The model that predicates may ask about a draft; none by default.
    #[must_use]
    pub fn judge(self, judge: Judge) -> Self {
        self.set(|s| s.judge = Some(judge))
    }

    /// How many further answers the small model is asked for beside each draft whose answers can be compared (calls, JSON, choices,
    /// numbers): the share that says the same is what [`Draft::told`] tells. None by default, ten at the most. They cost as much as so many
    /// drafts, and are warm where the request is cold.
    #[must_use]
    pub fn samples(self, samples: u32) -> Self {
        self.set(|s| s.samples = samples.min(checks::MOST_SAMPLES))
    }

    /// Who is asked whether a draft that nothing is plainly wrong with is right; nobody by default. The small model itself is the usual one.
    #[must_use]
    pub fn verify(self, by: Option<Judge>) -> Self {
        self.set(|s| s.verify = by)
    }

    /// For how many calls a [`Session`] stays with the big model after it had to answer; 3 by default. Calls without one do not.
    #[must_use]
    pub fn stay_big(mut self, turns: u32) -> Self {
        self.shared.stay = StayBig::new(turns);
        self
    }

    /// Whether the small model is asked for log-probabilities, where it gives them; so by default. The caller sees those alone that it
    /// asked for.
    #[must_use]
    pub fn logprobs(self, ask: bool) -> Self {
        self.set(|s| s.logprobs = ask)
    }

    /// In [`StreamMode::Hedged`]: at most which share of drafts the big model may start beside (0.05 by default); after which share of
    /// [`max_added_latency`](Self::max_added_latency) it does (0.5); and under which confidence in the beginning of a draft (0.5).
    #[must_use]
    pub fn hedge(mut self, share: f64, after: f64, below: f64) -> Self {
        self.shared.budget = Budget::new(share);
        self.set(|s| {
            // Not a number means never.
            s.hedge_after = if after >= 0.0 { after.min(1.0) } else { 1.0 };
            s.hedge_below = below;
        })
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
            shared: self.shared.clone(),
        }
    }
}

impl<M: Clone, C> Clone for CascadeLayer<M, C> {
    fn clone(&self) -> Self {
        Self {
            small: self.small.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<M, C> fmt::Debug for CascadeLayer<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CascadeLayer")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

// By hand, because the predicate stands behind an `Arc` and may be a closure.
impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self {
            confidence: self.confidence.clone(),
            settings: self.settings.clone(),
            stay: self.stay.clone(),
            budget: self.budget.clone(),
        }
    }
}

impl<C> Shared<C> {
    /// Why this call gets no draft, if it gets none.
    fn why_not(&self, req: &chat::Request) -> Option<&'static str> {
        let why = self.settings.why_not(req);
        // Asked last, because each time costs the session a turn.
        why.or_else(|| self.stay.holds(Session::of(req)).then_some("stay_big"))
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
        let Some(reason) = self.shared.why_not(&req) else {
            let (small, shared) = (self.small.clone(), self.shared.clone());
            return ResponseFuture::story(future::tell(big, small, shared, req));
        };
        if let Some(journal) = Journal::of(&req) {
            let status = CascadeStatus::skipped(self.shared.settings.threshold, reason);
            journal.write(|j| j.cascade = Some(status));
        }
        ResponseFuture::skipped(big, req, reason)
    }
}

impl<S: Clone, M: Clone, C> Clone for Cascade<S, M, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            small: self.small.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug, M, C> fmt::Debug for Cascade<S, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cascade")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
