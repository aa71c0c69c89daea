//! What each tenant may use: which tiers, which models.
//!
//! [`Ruled`](crate::classify::Ruled) keeps the routing within it, [`Bind`](crate::bind::Bind) refuses what was asked for by name. A tenant
//! that is not listed may use everything. What one of its keys may use besides lies in the call's extensions, as [`Own`]; what both allow
//! is allowed.
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};
use tierway_services::chat::{Target, Tenant, Tier, fits};

/// What each tenant may use. A clone costs one reference count.
///
/// ```
/// use tierway_layers::tenants::{Allowance, Tenants};
/// use tierway_services::chat::{Tenant, Tier};
/// let tenants = Tenants::default()
///     .with("interns", Allowance::default().tiers([Tier::Simple, Tier::Medium]).models(["ollama:*"]));
/// let (_, interns) = tenants.of(Some(&Tenant::new("interns"))).unwrap();
/// assert_eq!(interns.tier(Tier::Reasoning), Some(Tier::Medium));
/// assert!(!interns.model(&"openai:gpt-5".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tenants(Arc<BTreeMap<String, Allowance>>);

/// What one tenant may use. By default everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    tiers: [bool; 4],
    /// Patterns over `provider:model`: of each list one must fit.
    models: Vec<Arc<[String]>>,
}

/// What the key may use by which a call came, among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own(pub Arc<Allowance>);

// === impl Tenants ===

impl Tenants {
    /// With what this tenant may use.
    #[must_use]
    pub fn with(mut self, tenant: impl Into<String>, allowance: Allowance) -> Self {
        Arc::make_mut(&mut self.0).insert(tenant.into(), allowance);
        self
    }

    /// The name of this tenant, and what it may use, where that is not everything.
    #[must_use]
    pub fn of(&self, tenant: Option<&Tenant>) -> Option<(&str, &Allowance)> {
        if self.0.is_empty() {
            return None;
        }
        let (name, allowance) = self.0.get_key_value(tenant?.as_str())?;
        Some((name, allowance))
    }

    /// Who may not use everything in this call, and what: its tenant, its key, or both.
    #[must_use]
    pub fn of_call<B>(&self, req: &http::Request<B>) -> Option<(&str, Cow<'_, Allowance>)> {
        let own = req.extensions().get::<Own>();
        match (self.of(Tenant::of(req)), own) {
            (None, None) => None,
            (Some((name, allowance)), None) => Some((name, Cow::Borrowed(allowance))),
            (None, Some(Own(own))) => Some(("key", Cow::Owned((**own).clone()))),
            (Some((name, allowance)), Some(Own(own))) => {
                Some((name, Cow::Owned(allowance.and(own))))
            }
        }
    }
}

// === impl Allowance ===

impl Default for Allowance {
    fn default() -> Self {
        Self {
            tiers: [true; 4],
            models: Vec::new(),
        }
    }
}

impl Allowance {
    /// These tiers and no others.
    #[must_use]
    pub fn tiers(mut self, tiers: impl IntoIterator<Item = Tier>) -> Self {
        self.tiers = [false; 4];
        for tier in tiers {
            if let Some(slot) = self.tiers.get_mut(tier as usize) {
                *slot = true;
            }
        }
        self
    }

    /// These models, written `provider:model`, in which `*` stands for anything, and no others.
    #[must_use]
    pub fn models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        self.models = vec![models.into_iter().map(Into::into).collect()];
        self
    }

    /// What both allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (here, there) in both.tiers.iter_mut().zip(other.tiers) {
            *here &= there;
        }
        both.models.extend(other.models.iter().cloned());
        both
    }

    /// Whether this tier may be used.
    #[must_use]
    pub fn allows(&self, tier: Tier) -> bool {
        self.tiers
            .get(tier as usize)
            .is_some_and(|allowed| *allowed)
    }

    /// The tier to use for this one: itself, else the highest below it that may be used, else the lowest above it. `None` where none may.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> Option<Tier> {
        let (below, above) = Tier::ALL.split_at((tier as usize + 1).min(Tier::ALL.len()));
        let allowed = |tier: &&Tier| self.allows(**tier);
        below
            .iter()
            .rev()
            .find(allowed)
            .or_else(|| above.iter().find(allowed))
            .copied()
    }

    /// Whether this model may be used.
    #[must_use]
    pub fn model(&self, target: &Target) -> bool {
        if self.models.is_empty() {
            return true;
        }
        let name = target.to_string();
        let one_fits = |patterns: &Arc<[String]>| patterns.iter().any(|p| fits(p, &name));
        self.models.iter().all(one_fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_services::chat::Notes;

    #[test]
    fn tiers_go_down_to_what_is_allowed_then_up() {
        let some = Allowance::default().tiers([Tier::Medium, Tier::Reasoning]);
        let of = |tier| some.tier(tier);
        assert_eq!(of(Tier::Simple), Some(Tier::Medium));
        assert_eq!(of(Tier::Complex), Some(Tier::Medium));
        assert_eq!(of(Tier::Reasoning), Some(Tier::Reasoning));
        assert_eq!(Allowance::default().tiers([]).tier(Tier::Simple), None);
        assert_eq!(Allowance::default().tier(Tier::Simple), Some(Tier::Simple));
    }

    #[test]
    fn models_by_pattern() {
        let some = Allowance::default().models(["ollama:*", "cloud:*-mini", "cloud:exact"]);
        for (target, allowed) in [
            ("ollama:qwen2.5:3b", true),
            ("cloud:gpt-5-mini", true),
            ("cloud:gpt-5", false),
            ("cloud:exact", true),
            ("cloud:exactly", false),
        ] {
            assert_eq!(some.model(&target.parse().unwrap()), allowed, "{target}");
        }
        assert!(Allowance::default().model(&"a:b".parse().unwrap()));
    }

    #[test]
    fn a_key_narrows_what_its_tenant_may_use() {
        let team = Allowance::default()
            .tiers([Tier::Simple, Tier::Medium])
            .models(["a:*"]);
        let tenants = Tenants::default().with("team", team);
        let own = Allowance::default()
            .tiers([Tier::Medium, Tier::Complex])
            .models(["*:small"]);
        let mut req = http::Request::new(());
        assert!(tenants.of_call(&req).is_none());
        req.extensions_mut().insert(Own(Arc::new(own)));
        let (name, allowed) = tenants.of_call(&req).unwrap();
        assert_eq!((name, allowed.allows(Tier::Complex)), ("key", true));
        Notes::of_mut(&mut req).tenant = Some(Tenant::new("team"));
        let (name, allowed) = tenants.of_call(&req).unwrap();
        let tiers = Tier::ALL.map(|tier| allowed.allows(tier));
        assert_eq!((name, tiers), ("team", [false, true, false, false]));
        for (target, fits) in [("a:small", true), ("a:big", false), ("b:small", false)] {
            assert_eq!(allowed.model(&target.parse().unwrap()), fits, "{target}");
        }
    }

    #[test]
    fn who_is_not_listed_may_use_everything() {
        let tenants = Tenants::default().with("a", Allowance::default());
        assert!(tenants.of(None).is_none() && tenants.of(Some(&Tenant::new("b"))).is_none());
        assert!(tenants.of(Some(&Tenant::new("a"))).is_some());
    }
}
