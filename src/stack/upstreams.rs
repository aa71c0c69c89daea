//! Whom the gateway can ask, by which names, and at what prices.
use crate::{
    config::{Config, Route},
    routing,
};
use tierway_layers::{
    bind::Bindings,
    names::{Names, Wish},
};
use tierway_services::{
    prices::PriceList,
    providers::{Provider, ProviderError},
};

pub(crate) fn providers(config: &Config) -> Result<Vec<Provider>, ProviderError> {
    config
        .providers
        .iter()
        .map(|(name, provider)| provider.build(name))
        .collect()
}

pub(crate) fn names(config: &Config) -> Names {
    let mut names = Names::new(config.providers.keys().cloned());
    for (name, route) in &config.models {
        names = names.map(
            name,
            match route {
                Route::Auto => Wish::Auto,
                Route::Tier(tier) => Wish::Tier(*tier),
                Route::Target(target) => Wish::Target(target.clone()),
            },
        );
    }
    let others = config.fallbacks.values().flatten();
    for target in config.tiers.values().chain(others) {
        names = names.serves(&target.model, target.clone());
    }
    names
}

pub(crate) fn bindings(config: &Config, names: &Names) -> Bindings {
    let mut bindings = Bindings::new(names.clone()).tenants(routing::tenants(config));
    for (tier, target) in &config.tiers {
        bindings = bindings.tier(*tier, target.clone());
    }
    for (tier, others) in &config.fallbacks {
        bindings = bindings.others(*tier, others.iter().cloned());
    }
    for tier in &config.balance.tiers {
        bindings = bindings.balanced(*tier);
    }
    match &config.embeddings.default {
        Some(target) => bindings.embeddings(target.clone()),
        None => bindings,
    }
}

/// The built-in prices, and before them those of the operator's own list. One that cannot be read stops nothing.
fn own_list(config: &Config) -> PriceList {
    let Some(path) = &config.savings.prices else {
        return PriceList::embedded();
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let (list, count) = PriceList::embedded().with_list(&text);
            tracing::debug!(count, path = %path.display(), "prices of one's own");
            list
        }
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(%error, path = %path.display(), "the price list cannot be read; the built-in one is used");
            }
            PriceList::embedded()
        }
    }
}

pub(crate) fn prices(config: &Config) -> PriceList {
    let mut list = own_list(config);
    for (name, provider) in &config.providers {
        if provider.kind.is_local() {
            list = list.with_free_provider(name);
        }
        list = list.with_listed_as(name, provider.kind.priced_as());
    }
    for (target, price) in &config.prices {
        list = list.with_override(target, *price);
    }
    list
}
