//! Binds a call to the model that is to answer it.
//!
//! [`BindLayer`] reads what the caller named and the [`Tier`] that [`Classify`](crate::classify) wrote, and writes the [`Target`] that the
//! leaf calls. A name that nobody here knows is refused with 404, in words that say what can be asked; a model that the caller's tenant may
//! not use, with 403; a wish in [`TIER_HEADER`] that is no tier, with 400. [`RetargetLayer`] overrules the target for one arm, such as a
//! cascade's small model.
//!
//! # Example
//! ```
//! use std::convert::Infallible;
//! use tierway_layers::{bind::{BindLayer, Bindings}, names::Names};
//! use tierway_services::{chat::{self, Operation, Prompt, Reply, Target, Tier}, dialect::Dialect};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let bindings = Bindings::new(Names::new(["local", "cloud"]))
//!     .tier(Tier::Simple, Target::new("local", "qwen"))
//!     .tier(Tier::Reasoning, Target::new("cloud", "big"));
//! let service = ServiceBuilder::new()
//!     .layer(BindLayer::new(bindings))
//!     .service_fn(|req: chat::Request| async move {
//!         let target = Target::of(&req).map(ToString::to_string).unwrap_or_default();
//!         Ok::<_, Infallible>(chat::Response::new(Reply::whole(target)))
//!     });
//!
//! let body = r#"{"model":"tierway/medium","messages":[]}"#;
//! let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
//! let res = service.oneshot(chat::Request::new(prompt)).await.unwrap();
//! # use http_body_util::BodyExt;
//! assert_eq!(res.into_body().collect().await.unwrap().to_bytes(), "cloud:big"); // the next tier up that is bound
//! # }
//! ```
mod retarget;

pub use retarget::{Retarget, RetargetLayer};

use crate::{
    names::{Names, TIER_HEADER, Wish, wished},
    tenants::Tenants,
};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::chat::{
    self, Alternatives, Journal, Kind, Notes, Operation, Refusal, Target, Tier,
};
use tower_layer::Layer;
use tower_service::Service;

/// Which model stands behind which tier. A clone costs a reference count or two.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    names: Names,
    tiers: Arc<[Option<Target>; 4]>,
    others: Arc<[Alternatives; 4]>,
    embeddings: Option<Target>,
    tenants: Tenants,
}

/// Applies [`Bind`].
#[derive(Clone, Debug)]
pub struct BindLayer {
    bindings: Bindings,
}

/// Binds each call to a model.
#[derive(Clone, Debug)]
pub struct Bind<S> {
    inner: S,
    bindings: Bindings,
}

pin_project! {
    /// Response future of [`Bind`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> { #[pin] state: State<F> }
}
pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Refused { res: Option<chat::Response> },
        Bound { #[pin] future: F },
    }
}

// === impl Bindings ===

impl Bindings {
    /// Binds no tier yet; `names` tells what callers mean.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            tiers: Arc::default(),
            others: Arc::default(),
            embeddings: None,
            tenants: Tenants::default(),
        }
    }

    /// Puts `target` behind `tier`.
    #[must_use]
    pub fn tier(mut self, tier: Tier, target: Target) -> Self {
        if let Some(slot) = Arc::make_mut(&mut self.tiers).get_mut(tier as usize) {
            *slot = Some(target);
        }
        self
    }

    /// Who may answer in the place of `tier`'s model, in this order.
    #[must_use]
    pub fn others(mut self, tier: Tier, targets: impl IntoIterator<Item = Target>) -> Self {
        if let Some(slot) = Arc::make_mut(&mut self.others).get_mut(tier as usize) {
            *slot = Alternatives::new(targets);
        }
        self
    }

    /// Makes the others of `tier` peers of its model, which share its calls, rather than its stand-ins.
    #[must_use]
    pub fn balanced(mut self, tier: Tier) -> Self {
        if let Some(slot) = Arc::make_mut(&mut self.others).get_mut(tier as usize) {
            *slot = slot.clone().balanced();
        }
        self
    }

    /// The model for embeddings whose caller names none that is known here. Without it such calls are refused: no tier stands for them,
    /// since vectors of different models cannot be compared.
    #[must_use]
    pub fn embeddings(mut self, target: Target) -> Self {
        self.embeddings = Some(target);
        self
    }

    /// Refuses each tenant the models that it may not use.
    #[must_use]
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.tenants = tenants;
        self
    }

    /// The model for `tier`: its own, else the next higher tier's (good enough at a higher price), else the next lower one's.
    #[must_use]
    pub fn target(&self, tier: Tier) -> Option<&Target> {
        let (below, above) = self.tiers.split_at(tier as usize);
        above.iter().chain(below.iter().rev()).flatten().next()
    }

    /// What callers mean by the names of models.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// The model for this call.
    ///
    /// # Errors
    /// A [`Refusal`]: [`NotFound`](Kind::NotFound) that says what can be asked, [`Permission`](Kind::Permission) where the tenant may
    /// not, [`InvalidRequest`](Kind::InvalidRequest) where the wish in [`TIER_HEADER`] is none.
    pub fn resolve(&self, req: &chat::Request) -> Result<Target, Refusal> {
        if let Some(Err(no)) = wished(req.headers()) {
            return Err(Refusal::new(
                Kind::InvalidRequest,
                format!("{TIER_HEADER}: {no}, or auto"),
            )
            .with_code("invalid_tier"));
        }
        let target = self.find(req)?;
        match self.tenants.of_call(req) {
            Some((name, allowance)) if !allowance.model(&target) => Err(Refusal::new(
                Kind::Permission,
                format!(
                    "the model \"{}\" is not allowed for {name}",
                    shown(&target.to_string())
                ),
            )
            .with_code("model_not_allowed")
            .with_param("model")),
            _ => Ok(target),
        }
    }

    /// Who may answer in the place of `target`: where a tier has led to it, that tier's others that the tenant may use.
    fn instead(&self, req: &chat::Request, target: &Target) -> Option<Alternatives> {
        let mut slots = self.tiers.iter().zip(self.others.iter());
        let (_, others) = slots.find(|(bound, others)| {
            bound.as_ref() == Some(target) && !others.targets().is_empty()
        })?;
        let named = self.names.resolve(&req.body().facts().model);
        if matches!(named, Some(Wish::Target(_))) {
            return None;
        }
        match self.tenants.of_call(req) {
            None => Some(others.clone()),
            Some((_, allowance)) => {
                let all = others.targets().iter();
                let allowed = Alternatives::new(all.filter(|t| allowance.model(t)).cloned());
                Some(match others.is_balanced() {
                    true => allowed.balanced(),
                    false => allowed,
                })
            }
        }
    }

    fn find(&self, req: &chat::Request) -> Result<Target, Refusal> {
        let facts = req.body().facts();
        let wish = self.names.resolve(&facts.model);
        if facts.operation == Operation::Embed {
            return match (wish, &self.embeddings) {
                (Some(Wish::Target(target)), _) => Ok(target),
                (_, Some(default)) => Ok(default.clone()),
                (_, None) => Err(self.no_embeddings(&facts.model)),
            };
        }
        let tier = match wish {
            Some(Wish::Target(target)) => return Ok(target),
            Some(Wish::Tier(tier)) => Tier::of(req).unwrap_or(tier),
            // Nobody classified: the everyday tier.
            Some(Wish::Auto) => Tier::of(req).unwrap_or(Tier::Medium),
            None => return Err(self.unknown(&req.body().facts().model)),
        };
        self.target(tier).cloned().ok_or_else(|| {
            Refusal::new(
                Kind::NotFound,
                "no tier is bound to a model here; ask for one as provider:model",
            )
            .with_param("model")
        })
    }

    fn unknown(&self, model: &str) -> Refusal {
        let mut message = format!(
            "unknown model \"{}\": ask for auto, simple, medium, complex or reasoning",
            shown(model)
        );
        let mut providers = self.names.providers();
        if let Some(first) = providers.next() {
            message.push_str(", or for provider:model with one of the providers ");
            message.push_str(first);
            for provider in providers {
                message.push_str(", ");
                message.push_str(provider);
            }
        }
        not_found(message)
    }

    fn no_embeddings(&self, model: &str) -> Refusal {
        not_found(format!(
            "no embeddings under the name \"{}\": ask for provider:model, or let the operator set embeddings.default or map the name",
            shown(model)
        ))
    }
}

/// A name is the caller's text: shown, but not at any length.
fn shown(model: &str) -> String {
    model.chars().take(80).collect()
}

fn not_found(message: String) -> Refusal {
    Refusal::new(Kind::NotFound, message)
        .with_code("model_not_found")
        .with_param("model")
}

// === impl BindLayer ===

impl BindLayer {
    /// Binds calls as `bindings` say.
    #[must_use]
    pub const fn new(bindings: Bindings) -> Self {
        Self { bindings }
    }
}

impl<S> Layer<S> for BindLayer {
    type Service = Bind<S>;
    fn layer(&self, inner: S) -> Bind<S> {
        Bind {
            inner,
            bindings: self.bindings.clone(),
        }
    }
}

// === impl Bind ===

impl<S> Service<chat::Request> for Bind<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: chat::Request) -> Self::Future {
        let state = match self.bindings.resolve(&req) {
            Ok(target) => {
                if let Some(journal) = Journal::of(&req) {
                    journal.write(|j| j.target = Some(target.clone()));
                }
                if let Some(others) = self.bindings.instead(&req, &target) {
                    Notes::of_mut(&mut req).alternatives = Some(others);
                }
                Notes::of_mut(&mut req).target = Some(target);
                State::Bound {
                    future: self.inner.call(req),
                }
            }
            Err(no) => State::Refused {
                res: Some(no.into_response(req.body().facts().dialect)),
            },
        };
        ResponseFuture { state }
    }
}

// === impl ResponseFuture ===

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<chat::Response, E>>,
{
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Bound { future } => future.poll(cx),
            StateProj::Refused { res } => Poll::Ready(Ok(res.take().unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, body, chat_request, reply};
    use tierway_services::chat::Tenant;
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower_test::mock;

    fn bindings() -> Bindings {
        Bindings::new(Names::new(["a", "b"]))
            .tier(Tier::Medium, Target::new("a", "m"))
            .tier(Tier::Complex, Target::new("b", "c"))
    }

    #[test]
    fn an_unbound_tier_goes_up_then_down() {
        let b = bindings();
        let bound = |tier| b.target(tier).map(ToString::to_string);
        assert_eq!(bound(Tier::Simple).as_deref(), Some("a:m"));
        assert_eq!(bound(Tier::Medium).as_deref(), Some("a:m"));
        assert_eq!(bound(Tier::Complex).as_deref(), Some("b:c"));
        assert_eq!(bound(Tier::Reasoning).as_deref(), Some("b:c"));
        assert_eq!(Bindings::default().target(Tier::Simple), None);
    }

    #[test]
    fn a_named_model_beats_the_tier_and_a_written_tier_beats_the_name() {
        let mut named = ask("b:x", "hi");
        Notes::of_mut(&mut named).tier = Some(Tier::Simple);
        assert_eq!(bindings().resolve(&named), Ok(Target::new("b", "x")));
        let mut raised = ask("tierway/medium", "hi");
        Notes::of_mut(&mut raised).tier = Some(Tier::Complex);
        assert_eq!(bindings().resolve(&raised), Ok(Target::new("b", "c")));
        assert_eq!(
            bindings().resolve(&ask("auto", "hi")),
            Ok(Target::new("a", "m"))
        );
    }

    #[tokio::test]
    async fn passes_through_with_the_target() {
        let (mut svc, mut handle) = mock::spawn_layer(BindLayer::new(bindings()));
        assert_ready_ok!(svc.poll_ready());
        let journal = Journal::default();
        let mut req = ask("complex", "hi");
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        let mut fut = task::spawn(svc.call(req));
        assert_pending!(fut.poll());
        let (req, send) = handle.next_request().await.unwrap();
        assert_eq!(Target::of(&req), Some(&Target::new("b", "c")));
        assert_eq!(
            journal.read(|j| j.target.clone()),
            Target::of(&req).cloned()
        );
        send.send_response(reply("yes"));
        assert_eq!(body(assert_ready_ok!(fut.poll())).await, "yes");
    }

    #[tokio::test]
    async fn an_unknown_model_is_refused_without_a_call() {
        let (mut svc, mut handle) = mock::spawn_layer(BindLayer::new(bindings()));
        assert_ready_ok!(svc.poll_ready());
        let req = chat_request(
            r#"{"model":"who \"is\" that","messages":[{"role":"user","content":"hi"}]}"#,
        );
        let mut fut = task::spawn(svc.call(req));
        let res = assert_ready_ok!(fut.poll());
        assert_eq!(res.status(), 404);
        let text = body(res).await;
        assert!(
            text.contains("model_not_found") && text.contains("providers a, b"),
            "{text}"
        );
        assert_pending!(handle.poll_request());
    }

    #[test]
    fn a_tenant_may_not_use_every_model_and_a_wish_is_a_tier() {
        let local = crate::tenants::Allowance::default().models(["a:*"]);
        let b = bindings().tenants(Tenants::default().with("interns", local));
        let as_intern = |model: &str| {
            let mut req = ask(model, "hi");
            Notes::of_mut(&mut req).tenant = Some(Tenant::new("interns"));
            b.resolve(&req).map_err(|no| no.kind())
        };
        assert_eq!(as_intern("a:x"), Ok(Target::new("a", "x")));
        assert_eq!(as_intern("b:x"), Err(Kind::Permission));
        assert_eq!(as_intern("tierway/complex"), Err(Kind::Permission));
        assert_eq!(b.resolve(&ask("b:x", "hi")), Ok(Target::new("b", "x")));
        let mut wishes = ask("auto", "hi");
        wishes
            .headers_mut()
            .insert(TIER_HEADER, http::HeaderValue::from_static("huge"));
        let no = b.resolve(&wishes).unwrap_err();
        assert_eq!(no.kind(), Kind::InvalidRequest);
        assert!(no.message().contains("x-tierway-tier") && no.message().contains("complex"));
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_is_not() {
        let (mut svc, mut handle) =
            mock::spawn_layer::<chat::Request, chat::Response, _>(BindLayer::new(bindings()));
        handle.allow(0);
        assert_pending!(svc.poll_ready());
        handle.allow(1);
        assert_ready_ok!(svc.poll_ready());
    }

    #[tokio::test]
    async fn retarget_overrules() {
        let small = Target::new("a", "small");
        let (mut svc, mut handle) = mock::spawn_layer::<chat::Request, chat::Response, _>(
            RetargetLayer::new(small.clone()),
        );
        assert_ready_ok!(svc.poll_ready());
        let mut req = ask("auto", "hi");
        Notes::of_mut(&mut req).target = Some(Target::new("b", "big"));
        let _fut = svc.call(req);
        let (req, _) = handle.next_request().await.unwrap();
        assert_eq!(Target::of(&req), Some(&small));
    }
}
