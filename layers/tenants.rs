//! What each tenant may use: which tiers, which models.
//!
//! [`Ruled`](crate::classify::Ruled) keeps the routing within it, [`Bind`](crate::bind::Bind) refuses what was asked for by name. A tenant
//! that is not listed may use everything.
use std::{collections::BTreeMap, sync::Arc};
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
    /// Patterns over `provider:model`.
    models: Option<Vec<String>>,
}

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
}

// === impl Allowance ===

impl Default for Allowance {
    fn default() -> Self {
        Self {
            tiers: [true; 4],
            models: None,
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
        self.models = Some(models.into_iter().map(Into::into).collect());
        self
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
        let Some(models) = &self.models else {
            return true;
        };
        let name = target.to_string();
        models.iter().any(|pattern| fits(pattern, &name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn who_is_not_listed_may_use_everything() {
        let tenants = Tenants::default().with("a", Allowance::default());
        assert!(tenants.of(None).is_none() && tenants.of(Some(&Tenant::new("b"))).is_none());
        assert!(tenants.of(Some(&Tenant::new("a"))).is_some());
    }
}
