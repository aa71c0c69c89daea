//! Who knows what a credential stands for.
use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};
use tierway_services::chat::{KeyId, Tenant};

/// Knows what some kind of credential stands for: keys of a table that changes, tokens that somebody else has signed.
///
/// It is asked on every call, so it answers from memory; what it must fetch first it fetches in the future of [`Verdict::Later`]. How long
/// it takes to say no must not tell how nearly a secret was guessed.
///
/// ```
/// use std::sync::Arc;
/// use tierway_layers::auth::{Authority, AuthLayer, Caller, Verdict};
/// use tierway_services::chat::{KeyId, Tenant};
///
/// struct Badges;
/// impl Authority for Badges {
///     fn who(&self, presented: &[u8]) -> Verdict {
///         match presented.strip_prefix(b"badge-") {
///             Some(b"007") => Verdict::Known(Arc::new(Caller::new(Tenant::new("agents"), KeyId::new("007")))),
///             Some(_) => Verdict::Refused("this badge is not valid".into()),
///             None => Verdict::Unknown,
///         }
///     }
/// }
/// let layer = AuthLayer::new(["sk-alice"]).authority(Badges);
/// ```
pub trait Authority: Send + Sync {
    /// Who presents this.
    fn who(&self, presented: &[u8]) -> Verdict;
}

/// What an [`Authority`] says of a credential.
pub enum Verdict {
    /// It is this caller's.
    Known(Arc<Caller>),
    /// It is none of this authority's: others may know it.
    Unknown,
    /// It is one of this authority's, or pretends to be, and does not admit; the text tells its holder why.
    Refused(Cow<'static, str>),
    /// That has to be looked up.
    Later(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

/// For whom a call is made, and what goes with it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) tenant: Tenant,
    pub(super) id: KeyId,
    pub(super) tags: Option<Arc<str>>,
    pub(super) facts: http::Extensions,
}

// === impl Caller ===

impl Caller {
    /// Somebody of this tenant, whose credential goes by the name `id` in limits and books.
    #[must_use]
    pub fn new(tenant: Tenant, id: KeyId) -> Self {
        Self {
            tenant,
            id,
            tags: None,
            facts: http::Extensions::new(),
        }
    }
    /// Lays `fact` into the extensions of every call, for layers below: a limit of the credential's own, what it may use.
    #[must_use]
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, fact: T) -> Self {
        self.facts.insert(fact);
        self
    }
    /// Words that the books keep of every call.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<Arc<str>>) -> Self {
        self.tags = Some(tags.into());
        self
    }
    /// For whom the call is made.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }
    /// By which name limits and logs know the credential.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }
    /// A fact that was laid by [`with`](Self::with).
    #[must_use]
    pub fn fact<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.facts.get()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(caller) => f.debug_tuple("Known").field(caller).finish(),
            Self::Unknown => f.write_str("Unknown"),
            Self::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}
