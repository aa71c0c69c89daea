//! What savings are measured against, and the conversations that are held out to measure them.
use crate::{config::Config, routing};
use tierway_layers::{holdout::HoldoutLayer, names::Names};
use tierway_services::chat::{Target, Tenant, Tier};

/// What a caller who let the gateway choose would have used without it: the model of the most demanding bound tier.
fn flagship(config: &Config) -> Option<&Target> {
    [Tier::Complex, Tier::Reasoning, Tier::Medium, Tier::Simple]
        .iter()
        .find_map(|t| config.tiers.get(t))
}

/// What a call is compared with that names no model of its own.
pub(super) fn baseline(config: &Config) -> Option<&Target> {
    let told = config.savings.baseline.as_ref();
    told.or_else(|| flagship(config))
}

/// The share of conversations that the baseline answers. One whose provider is only priced here cannot: then it is the flagship.
pub(super) fn holdout(config: &Config, names: &Names) -> Option<HoldoutLayer> {
    let share = config.savings.holdout;
    if share <= 0.0 {
        return None;
    }
    let told = config.savings.baseline.as_ref();
    let callable = told.filter(|t| config.providers.contains_key(&*t.provider));
    let baseline = callable.or_else(|| flagship(config))?.clone();
    let (tenants, target) = (routing::tenants(config), baseline.clone());
    let layer = HoldoutLayer::new(share, baseline, names.clone());
    Some(layer.only(move |req| {
        let allowance = tenants.of(Tenant::of(req));
        allowance.is_none_or(|(_, allowance)| allowance.model(&target))
    }))
}
