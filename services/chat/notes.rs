//! What layers tell each other of a call.
use super::{
    Alternatives, Deadline, EarlyHead, Holdout, Journal, KeyId, Logprobs, Role, Session, Target,
    Tenant, Tier,
};
use http::{Extensions, Request};

/// What is known of a call beside its prompt, by whoever found it out: one extension of the request, because each by itself would have to be
/// found, copied for a second attempt, and dropped. Every one of them may be absent, so that no layer needs another.
///
/// ```
/// use tierway_services::chat::{Notes, Tenant, Tier};
/// let mut req = http::Request::new(());
/// assert!(Tenant::of(&req).is_none());
/// let notes = Notes::of_mut(&mut req);
/// notes.tenant = Some(Tenant::new("interns"));
/// notes.tier = Some(Tier::Medium);
/// assert_eq!(Tenant::of(&req).map(Tenant::as_str), Some("interns"));
/// assert_eq!(Notes::of(&req).tier, Some(Tier::Medium));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Notes {
    /// Where layers and the leaf write down what happened; by `Telemetry`. Without it nobody is counting.
    pub journal: Option<Journal>,
    /// For whom the call is made; by `Auth`. Without it, for the one anonymous tenant.
    pub tenant: Option<Tenant>,
    /// By whose key it came; by `Auth`.
    pub key: Option<KeyId>,
    /// Until when an answer is wanted; by `Deadlines`. Without it, it may take as long as it takes.
    pub deadline: Option<Deadline>,
    /// The tier that it is in; by `Classify` and `Affinity`. Without it the caller named a model.
    pub tier: Option<Tier>,
    /// The conversation that it is part of; by `Classify`. Without it there is none, or none that can be told from others.
    pub session: Option<Session>,
    /// Whether a client makes it beside a conversation whose name it carries (a title, a topic, a probe), so that it says nothing of what the
    /// conversation needs; by `Classify`.
    pub aside: bool,
    /// The model that is to answer; by `Bind`. Without it `Dispatch` refuses.
    pub target: Option<Target>,
    /// Who else may answer; by `Bind`.
    pub alternatives: Option<Alternatives>,
    /// On which side of the hold-out it is; by `HoldOut`.
    pub holdout: Option<Holdout>,
    /// Which of a call's attempts this one is; by `Cascade`, and whoever else asks a model of his own.
    pub role: Role,
    /// Where headers go that are certain before the answer is there; by `KeepAlive`. Without it no head is sent early.
    pub early: Option<EarlyHead>,
    /// Where log-probabilities go that others than the caller want; by `Cascade`.
    pub logprobs: Option<Logprobs>,
}

static NONE: Notes = Notes {
    journal: None,
    tenant: None,
    key: None,
    deadline: None,
    tier: None,
    session: None,
    aside: false,
    target: None,
    alternatives: None,
    holdout: None,
    role: Role::Only,
    early: None,
    logprobs: None,
};

impl Notes {
    /// What is noted of `req`.
    #[must_use]
    pub fn of<B>(req: &Request<B>) -> &Self {
        Self::among(req.extensions())
    }
    /// What is noted among the extensions of a request.
    #[must_use]
    pub fn among(extensions: &Extensions) -> &Self {
        extensions.get().unwrap_or(&NONE)
    }
    /// What is noted of `req`, to be added to.
    pub fn of_mut<B>(req: &mut Request<B>) -> &mut Self {
        req.extensions_mut().get_or_insert_default()
    }
}
