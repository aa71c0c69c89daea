//! Where a call goes: [`Tier`], [`Target`]; for whom: [`Tenant`]; and in which conversation: [`Session`].
use super::Notes;
use std::{fmt, str::FromStr, sync::Arc};

/// Marks an answer that its provider keeps, so that a caller may go on from it by its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptUpstream;

/// How demanding a request is, from cheapest to dearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A greeting, a lookup, a one-line edit.
    Simple,
    /// Everyday work.
    Medium,
    /// Work that spans files, systems or many steps.
    Complex,
    /// Work that turns on long chains of inference: proofs, audits, root causes.
    Reasoning,
}

impl Tier {
    /// All tiers, cheapest first.
    pub const ALL: [Self; 4] = [Self::Simple, Self::Medium, Self::Complex, Self::Reasoning];

    /// The lower-case name: `simple`, `medium`, `complex`, `reasoning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Medium => "medium",
            Self::Complex => "complex",
            Self::Reasoning => "reasoning",
        }
    }

    /// The tier that `Classify` wrote on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<Self> {
        Notes::of(req).tier
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`Tier`].
#[derive(Debug, PartialEq, Eq)]
pub struct ParseTierError(());

impl fmt::Display for ParseTierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tier: write simple, medium, complex or reasoning")
    }
}
impl std::error::Error for ParseTierError {}

impl FromStr for Tier {
    type Err = ParseTierError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str().eq_ignore_ascii_case(s))
            .ok_or(ParseTierError(()))
    }
}

/// A model at a provider, written `provider:model` and split at the first colon, so that `ollama:qwen2.5:3b` works.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The model's name as that provider knows it.
    pub model: Arc<str>,
}

impl Target {
    /// A target from its two halves.
    pub fn new(provider: impl Into<Arc<str>>, model: impl Into<Arc<str>>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
        }
    }

    /// The target that `Bind` wrote on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<&Self> {
        Notes::of(req).target.as_ref()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.model)
    }
}

/// A text that is not `provider:model`.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseTargetError(());

impl fmt::Display for ParseTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a target: write provider:model, for example ollama:qwen2.5:3b")
    }
}
impl std::error::Error for ParseTargetError {}

impl FromStr for Target {
    type Err = ParseTargetError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once(':') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self::new(provider, model))
            }
            _ => Err(ParseTargetError(())),
        }
    }
}

/// For whom a call is made. Caches, limits and bills are kept apart by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// A tenant by name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
    /// The tenant that `Auth` wrote on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<&Self> {
        Notes::of(req).tenant.as_ref()
    }
    /// The name, to be kept.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// By which key a call came: a name that tells keys apart and nothing else about them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// A key by the name that it has among keys.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }
    /// The key that `Auth` found on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<&Self> {
        Notes::of(req).key.as_ref()
    }
    /// The name, to be kept.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which conversation a call belongs to: 128 bits that tell conversations apart and nothing else about them.
///
/// `Classify` writes it on the request; whoever keeps something for a conversation (its model, an escalation) keys it by this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session(pub [u8; 16]);

impl Session {
    /// The session that `Classify` wrote on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<Self> {
        Notes::of(req).session
    }
}

// In hexadecimal, as logs show it.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_splits_at_the_first_colon() {
        let t: Target = "ollama:qwen2.5:3b".parse().unwrap();
        assert_eq!((&*t.provider, &*t.model), ("ollama", "qwen2.5:3b"));
        assert_eq!(t.to_string(), "ollama:qwen2.5:3b");
        for bad in ["", "x", ":m", "p:"] {
            assert_eq!(bad.parse::<Target>(), Err(ParseTargetError(())), "{bad}");
        }
    }

    #[test]
    fn tiers_are_ordered_by_cost_and_named_in_any_case() {
        assert!(Tier::Simple < Tier::Medium && Tier::Complex < Tier::Reasoning);
        assert_eq!("COMPLEX".parse(), Ok(Tier::Complex));
        assert!("hard".parse::<Tier>().is_err());
    }
}
