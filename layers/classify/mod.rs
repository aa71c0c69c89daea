//! Decides how demanding a call is, before any model has seen it.
//!
//! [`ClassifyLayer`] asks its [`Policy`] once per call and writes the [`Tier`](chat::Tier) into the request's [`Notes`], for [`Bind`](crate::bind),
//! [`Cascade`](crate::cascade) or somebody's own handler to read; the response says it too, in `x-tierway-tier` and `x-tierway-reason`.
//! A policy that decides nothing (the caller named a concrete model) leaves no tier, and the headers say `direct`.
//!
//! Beside the tier it writes the [`Session`](tierway_services::chat::Session): which conversation the call belongs to, where that can be told
//! (see [`session`]); and notes what is no part of it ([`Notes::aside`]).
//!
//! The policy that is shipped is [`TierClassifier`]; a closure will do as well. Around either go, in this order from the inside out:
//! [`SideRequests`] (what a client asks on its own account), [`Ruled`] (floors, ceilings, forces, wishes, what a tenant may use) and
//! [`Guarded`] (what the models behind the tiers can take). Each stands alone; whoever speaks after the first leaves a [`Note`].
//!
//! Who calls, and for what, is left on the request too, as a [`Client`], where it is known.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::{classify::{ClassifyLayer, TierClassifier}, names::Names};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply, Tier}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(ClassifyLayer::new(TierClassifier::new(Names::default())))
//!     .service_fn(|req: chat::Request| async move {
//!         assert_eq!(Tier::of(&req), Some(Tier::Reasoning));
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole("by contradiction")))
//!     });
//!
//! let body = r#"{"model":"auto","messages":[{"role":"user","content":"Prove that the square root of 2 is irrational."}]}"#;
//! let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap();
//! let res = service.oneshot(chat::Request::new(prompt)).await.unwrap();
//! assert_eq!(res.headers()["x-tierway-tier"], "reasoning");
//! assert_eq!(res.headers()["x-tierway-reason"], "proof");
//! # }
//! ```
mod ask;
mod chunk;
mod classifier;
mod client;
mod decision;
mod features;
mod grade;
mod guards;
mod heuristic;
mod lexicon;
mod lines;
mod model;
pub(crate) mod numbers;
#[cfg(test)]
mod pinned;
mod rules;
mod said;
mod session;
mod side;
mod table;
#[cfg(test)]
mod tests;
mod tools;
mod wants;
#[cfg(test)]
mod wrapped;

pub use classifier::TierClassifier;
pub use client::{Class, Client, ClientKind, Side};
pub use decision::{Decision, Note};
pub use grade::{chance, question, see, vector};
pub use guards::{Fit, Fits, Guarded};
pub use model::{LearnedTiers, Learning, Outcome, Seen, TierModel};
pub use numbers::stepped;
pub use rules::{Effect, Risk, Rule, Ruled};
pub use session::session;
pub use side::SideRequests;

use http::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::chat::{self, Journal, Notes};
use tower_layer::Layer;
use tower_service::Service;

/// How many numbers a [`vector`] has.
pub const NUMBERS: usize = numbers::NAMES.len();

const TIER: HeaderName = HeaderName::from_static("x-tierway-tier");
const REASON: HeaderName = HeaderName::from_static("x-tierway-reason");

/// Decides the tier of a call.
///
/// It is asked on the way in, once per call, and must not block: it sees the request as it is and calls nobody.
///
/// ```
/// use tierway_layers::classify::{ClassifyLayer, Decision};
/// use tierway_services::chat::{self, Tier};
/// let by_hour = ClassifyLayer::new(|req: &chat::Request| {
///     req.headers().contains_key("x-nightly").then(|| Decision::new(Tier::Simple, "nightly"))
/// });
/// ```
pub trait Policy {
    /// The tier of `req` and why; `None` where the caller's own choice of a model stands.
    fn classify(&self, req: &chat::Request) -> Option<Decision>;

    /// The same decision with what it was made from, for a person to read. Not for the hot path.
    fn explain(&self, req: &chat::Request) -> Explanation {
        Explanation {
            decision: self.classify(req),
            features: Vec::new(),
        }
    }
}

/// A decision, and what it was made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The decision.
    pub decision: Option<Decision>,
    /// What was seen in the request, by name, where the policy tells; only what is there.
    pub features: Vec<(&'static str, f64)>,
}

impl Explanation {
    /// With what somebody further out makes of the decision.
    fn revised(mut self, revise: impl FnOnce(Decision) -> Decision) -> Self {
        self.decision = self.decision.map(revise);
        self
    }
}

impl<F: Fn(&chat::Request) -> Option<Decision>> Policy for F {
    fn classify(&self, req: &chat::Request) -> Option<Decision> {
        self(req)
    }
}

/// Applies [`Classify`].
pub struct ClassifyLayer<P> {
    policy: Arc<P>,
}

/// Writes the tier of each call.
pub struct Classify<S, P> {
    inner: S,
    policy: Arc<P>,
}

pin_project! {
    /// Response future of [`Classify`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        decision: Option<Decision>,
    }
}

// === impl ClassifyLayer ===

impl<P> ClassifyLayer<P> {
    /// Asks `policy` about every call.
    pub fn new(policy: P) -> Self {
        Self {
            policy: Arc::new(policy),
        }
    }
}

impl<S, P> Layer<S> for ClassifyLayer<P> {
    type Service = Classify<S, P>;
    fn layer(&self, inner: S) -> Self::Service {
        Classify {
            inner,
            policy: self.policy.clone(),
        }
    }
}

// By hand, because the policy stands behind an `Arc` and may be a closure.
impl<P> Clone for ClassifyLayer<P> {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy.clone(),
        }
    }
}

impl<P> fmt::Debug for ClassifyLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassifyLayer").finish_non_exhaustive()
    }
}

// === impl Classify ===

impl<S, P, B> Service<chat::Request> for Classify<S, P>
where
    S: Service<chat::Request, Response = http::Response<B>>,
    P: Policy,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let client = Client::of(&req);
        // Nobody below has to look again.
        req.extensions_mut().insert(client);
        // Before the policy, which may want to know of the conversation.
        let session = session(&req);
        if session.is_some() {
            Notes::of_mut(&mut req).session = session;
        }
        let decision = self.policy.classify(&req);
        let said = decision.as_ref().map(|d| d.reason.clone());
        if let Some(journal) = Journal::of(&req) {
            let facts = req.body().facts();
            journal.write(|j| {
                j.requested_model.get_or_insert_with(|| facts.model.clone());
                j.stream = facts.stream;
                j.client = (client.kind != ClientKind::Other).then(|| client.kind.as_str());
                j.class = Some(client.class.as_str());
                j.session = session;
                j.tier = decision.as_ref().map(|d| d.tier);
                j.tier_reason = said;
            });
        }
        let notes = Notes::of_mut(&mut req);
        // A tier that somebody outside left is not this policy's decision.
        notes.tier = decision.as_ref().map(|d| d.tier);
        notes.aside |= decision.as_ref().is_some_and(Decision::is_aside);
        if let Some(decision) = &decision {
            req.extensions_mut().insert(decision.clone());
        }
        ResponseFuture {
            future: self.inner.call(req),
            decision,
        }
    }
}

impl<S: Clone, P> Clone for Classify<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            policy: self.policy.clone(),
        }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Classify<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classify")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
{
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut res = ready!(this.future.poll(cx))?;
        // A layer below may have moved the tier; what it leaves in the answer is the last word.
        let last = res.extensions_mut().remove::<Decision>();
        let decision = last.or_else(|| this.decision.take());
        let tier = decision.as_ref().map_or("direct", |d| d.tier.as_str());
        let headers = res.headers_mut();
        headers.insert(TIER, HeaderValue::from_static(tier));
        // Not `from_static`, which panics: the reason is whatever a policy says.
        let reason = match &decision {
            Some(decision) => HeaderValue::try_from(decision.to_string()),
            None => Ok(HeaderValue::from_static("named_model")),
        };
        if let Ok(reason) = reason {
            headers.insert(REASON, reason);
        }
        if let Some(decision) = decision {
            res.extensions_mut().insert(decision.tier);
        }
        Poll::Ready(Ok(res))
    }
}

#[cfg(test)]
mod layer_tests {
    use super::*;
    use crate::testing::{ask, body, reply};
    use tierway_services::chat::Tier;
    use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
    use tower_test::mock;

    fn always(tier: Tier) -> impl Fn(&chat::Request) -> Option<Decision> {
        move |_| Some(Decision::new(tier, "always"))
    }

    #[tokio::test]
    async fn passes_through_and_tells_both_sides() {
        let (mut svc, mut handle) = mock::spawn_layer(ClassifyLayer::new(always(Tier::Complex)));
        assert_ready_ok!(svc.poll_ready());
        let journal = Journal::default();
        let mut req = ask("m", "hi");
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        let mut fut = task::spawn(svc.call(req));
        assert_pending!(fut.poll());
        let (req, send) = handle.next_request().await.unwrap();
        assert_eq!(Tier::of(&req), Some(Tier::Complex));
        send.send_response(reply("yes"));
        let res = assert_ready_ok!(fut.poll());
        assert_eq!(res.headers()[TIER], "complex");
        assert_eq!(res.headers()[REASON], "always");
        assert_eq!(res.extensions().get(), Some(&Tier::Complex));
        assert_eq!(body(res).await, "yes");
        journal.read(|j| {
            assert_eq!(j.tier, Some(Tier::Complex));
            assert_eq!(j.tier_reason.as_deref(), Some("always"));
            assert_eq!(j.requested_model.as_deref(), Some("m"));
        });
    }

    #[tokio::test]
    async fn no_decision_leaves_no_tier() {
        let (mut svc, mut handle) = mock::spawn_layer(ClassifyLayer::new(|_: &chat::Request| None));
        assert_ready_ok!(svc.poll_ready());
        let mut req = ask("m", "hi");
        Notes::of_mut(&mut req).tier = Some(Tier::Reasoning);
        let mut fut = task::spawn(svc.call(req));
        let (req, send) = handle.next_request().await.unwrap();
        assert_eq!(Tier::of(&req), None);
        send.send_response(reply(""));
        assert_eq!(assert_ready_ok!(fut.poll()).headers()[TIER], "direct");
    }

    #[tokio::test]
    async fn errors_pass_and_a_bad_reason_is_left_out() {
        let (mut svc, mut handle) = mock::spawn_layer(ClassifyLayer::new(|_: &chat::Request| {
            Some(Decision::new(Tier::Simple, "two\nlines"))
        }));
        assert_ready_ok!(svc.poll_ready());
        let mut fut = task::spawn(svc.call(ask("m", "hi")));
        handle
            .next_request()
            .await
            .unwrap()
            .1
            .send_response(reply(""));
        assert!(!assert_ready_ok!(fut.poll()).headers().contains_key(REASON));
        assert_ready_ok!(svc.poll_ready());
        let mut fut = task::spawn(svc.call(ask("m", "hi")));
        handle.next_request().await.unwrap().1.send_error("gone");
        assert!(assert_ready!(fut.poll()).is_err());
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_is_not() {
        let (mut svc, mut handle) = mock::spawn_layer::<chat::Request, chat::Response, _>(
            ClassifyLayer::new(always(Tier::Simple)),
        );
        handle.allow(0);
        assert_pending!(svc.poll_ready());
        handle.allow(1);
        assert_ready_ok!(svc.poll_ready());
    }
}
