//! A conversation keeps its model.
//!
//! Switching throws away the prefix that the provider has cached, and breaks signatures of thinking. So [`Classify`](crate::classify)
//! decides each call on its own, and this layer, right below it, asks what the conversation
//! ([`Session`]) had before:
//!
//! | the call | its tier | outcome |
//! |---|---|---|
//! | is the first of its conversation that is known | as decided | `new` |
//! | answers a tool call | the conversation's, whatever was decided, but for a guard | `same`, `kept` |
//! | is decided as the conversation was, or to a tier with the same model | as decided | `same` |
//! | is decided higher: the task outgrew the model | as decided | `escalated` |
//! | is decided lower, and changing pays (see [`Outlook`]) | as decided | `deescalated` |
//! | is decided lower, and it does not | the conversation's | `kept` |
//! | must not stay: a guard, a floor, a ceiling or a rule says so | as decided | `forced`, `escalated` |
//! | is a client's side request | as decided; the conversation does not learn of it | `aside` |
//!
//! The outcome is in the [`Journal`], and `x-tierway-reason` tells it as `session:kept`, `session:escalated` or `session:deescalated`.
//! Calls whose caller named a model or a tier pass unseen, and so do calls of no conversation.
//!
//! What is remembered is a [`Pin`]: the tier and its model, and what the prefix is worth there, once the answer has ended. The store is
//! [`Memory`], or one that several nodes share (`Shared`, with the feature `redis`). One that fails or keeps us waiting knows nothing: the call goes where it was decided to.
//!
//! A side request is told by [`Notes::aside`] of the request, which `Classify` writes and anybody above may; and by offering no tools
//! where its conversation does, in fewer turns than that already has.
//!
//! # Example
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::{affinity::{AffinityLayer, Memory}, classify::{ClassifyLayer, Decision}};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply, Tier}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let by_length = |req: &chat::Request| {
//!     let hard = req.body().facts().turns.len() < 2;
//!     Some(Decision::new(if hard { Tier::Complex } else { Tier::Simple }, "length"))
//! };
//! let service = ServiceBuilder::new()
//!     .layer(ClassifyLayer::new(by_length))
//!     .layer(AffinityLayer::new(Memory::new(1000, Duration::from_secs(3600))))
//!     .service_fn(|_: chat::Request| async { Ok::<_, Infallible>(chat::Response::new(Reply::whole("{}"))) });
//!
//! let call = |later: &str| {
//!     let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"Split the module."}}{later}]}}"#);
//!     chat::Request::new(Prompt::parse(Dialect::ChatCompletions, Operation::Generate, body.into()).unwrap())
//! };
//! let first = service.clone().oneshot(call("")).await.unwrap();
//! assert_eq!(first.headers()["x-tierway-tier"], "complex");
//! let thanks = r#",{"role":"assistant","content":"Done."},{"role":"user","content":"thanks"}"#;
//! let second = service.oneshot(call(thanks)).await.unwrap();
//! assert_eq!(second.headers()["x-tierway-tier"], "complex");
//! assert_eq!(second.headers()["x-tierway-reason"], "length; session:kept");
//! # }
//! ```
mod decide;
pub mod economics;
mod remember;
#[cfg(feature = "redis")]
mod shared;
mod store;
mod story;
#[cfg(test)]
mod tests;

#[cfg(feature = "redis")]
pub use self::shared::Shared;
pub use self::{
    economics::Outlook,
    store::{Memory, Pin, Sessions},
};
pub use crate::detour::ResponseFuture;

use crate::classify::Decision;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tierway_services::{
    chat::{self, AffinityStatus, Journal, Notes, Operation, Session, Target, Tier},
    prices::Price,
};
use tower_layer::Layer;
use tower_service::Service;

/// The longer of the two times for which a provider keeps a prefix, in seconds.
const HOUR: u32 = 60 * 60;
/// The shorter: Anthropic's default, and about what `OpenAI` promises.
const FIVE_MINUTES: u32 = 5 * 60;
/// How a decision begins that the caller made himself.
const ASKED: &str = "asked";

type Targets = Arc<dyn Fn(Tier) -> Option<Target> + Send + Sync>;
type Prices = Arc<dyn Fn(&Target) -> Option<Price> + Send + Sync>;
type Fits = Arc<dyn Fn(&chat::Request, Tier) -> bool + Send + Sync>;

/// Applies [`Affinity`].
pub struct AffinityLayer<St> {
    store: Arc<St>,
    settings: Arc<Settings>,
}

/// Lets each conversation keep its model.
pub struct Affinity<S, St> {
    inner: S,
    store: Arc<St>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    targets: Option<Targets>,
    prices: Option<Prices>,
    fits: Option<Fits>,
    patience: Duration,
}

// === impl AffinityLayer ===

impl<St> AffinityLayer<St> {
    /// Remembers conversations in `store`. Each tier is taken for a model of its own, and no price is known, so that nothing ever goes down.
    pub fn new(store: St) -> Self {
        Self {
            store: Arc::new(store),
            settings: Arc::new(Settings {
                targets: None,
                prices: None,
                fits: None,
                patience: Duration::from_millis(50),
            }),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// Which model each tier means: [`Bindings::target`](crate::bind::Bindings::target), where [`Bind`](crate::bind::Bind) stands below.
    #[must_use]
    pub fn targets(self, of: impl Fn(Tier) -> Option<Target> + Send + Sync + 'static) -> Self {
        self.set(|s| s.targets = Some(Arc::new(of)))
    }

    /// What models cost: [`PriceList::price`](tierway_services::prices::PriceList::price). Where it is not known, a conversation does not go
    /// down.
    #[must_use]
    pub fn prices(self, of: impl Fn(&Target) -> Option<Price> + Send + Sync + 'static) -> Self {
        self.set(|s| s.prices = Some(Arc::new(of)))
    }

    /// Whether the model of a tier can serve a call at all: its context window, its eyes. By default every one can. A conversation whose
    /// model cannot goes where the call was decided to, even in the middle of a tool call.
    #[must_use]
    pub fn fits(self, can: impl Fn(&chat::Request, Tier) -> bool + Send + Sync + 'static) -> Self {
        self.set(|s| s.fits = Some(Arc::new(can)))
    }

    /// How long to wait for the store; 50 ms by default.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.set(|s| s.patience = patience)
    }
}

impl<S, St> Layer<S> for AffinityLayer<St> {
    type Service = Affinity<S, St>;
    fn layer(&self, inner: S) -> Self::Service {
        Affinity {
            inner,
            store: self.store.clone(),
            settings: self.settings.clone(),
        }
    }
}

// By hand, because the store stands behind an `Arc`.
impl<St> Clone for AffinityLayer<St> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<St> fmt::Debug for AffinityLayer<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AffinityLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl Affinity ===

impl<S, St> Service<chat::Request> for Affinity<S, St>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    St: Sessions + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let Some((session, decision)) = conversation(&req) else {
            return ResponseFuture::past(self.inner.call(req));
        };
        // The one that was made ready is the one that is called, once the store has answered.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let (store, settings) = (self.store.clone(), self.settings.clone());
        ResponseFuture::story(story::tell(ready, store, settings, session, decision, req))
    }
}

/// The conversation of a call and the call's own decision, where both are this layer's business.
fn conversation(req: &chat::Request) -> Option<(Session, Decision)> {
    if !req.body().facts().operation.is_conversation() {
        return None;
    }
    let tier = Tier::of(req)?;
    if Notes::of(req).aside {
        note(req, AffinityStatus::Aside);
        return None;
    }
    let decision = req.extensions().get::<Decision>().cloned();
    let decision = decision.unwrap_or_else(|| Decision::new(tier, "tier"));
    if decision.reason == ASKED {
        return None;
    }
    Some((Session::of(req)?, decision))
}

fn note(req: &chat::Request, status: AffinityStatus) {
    if req.body().facts().operation == Operation::Generate
        && let Some(journal) = Journal::of(req)
    {
        journal.write(|j| j.affinity = Some(status));
    }
}

impl<S: Clone, St> Clone for Affinity<S, St> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<S: fmt::Debug, St> fmt::Debug for Affinity<S, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Affinity")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl Settings ===

impl Settings {
    /// The model of a tier; where nobody tells, one of the tier's own.
    fn target(&self, tier: Tier) -> Target {
        let told = self.targets.as_ref().and_then(|of| of(tier));
        told.unwrap_or_else(|| Target::new("", tier.as_str()))
    }
    fn price(&self, target: &Target) -> Option<Price> {
        self.prices.as_ref().and_then(|of| of(target))
    }
    fn fits(&self, req: &chat::Request, tier: Tier) -> bool {
        self.fits.as_ref().is_none_or(|can| can(req, tier))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("targets", &self.targets.is_some())
            .field("prices", &self.prices.is_some())
            .field("fits", &self.fits.is_some())
            .field("patience", &self.patience)
            .finish()
    }
}
