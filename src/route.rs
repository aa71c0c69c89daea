//! Where a call would go and what it would cost, without making it: behind `tierway route` and the admin port's `/v1/route`.
mod asked;
mod told;

pub use asked::request;

use crate::{
    config::Config,
    labels::tiers,
    routing::{self, Routing},
    stack,
};
use std::{collections::BTreeMap, sync::Arc};
use tierway_layers::{
    bind::Bindings,
    classify::{Client, Explanation, LearnedTiers, Policy},
};
use tierway_services::{
    chat::{self, Notes, Operation, Refusal, Target, Tier, Usage, Usd},
    prices::PriceList,
    providers::Provider,
    tokens,
};

/// Tokens that an answer is taken to have where nobody knows.
const ANSWER: u64 = 1000;

/// Tells where calls would go. A clone costs a few reference counts.
#[derive(Clone, Debug)]
pub struct Router {
    policy: Routing,
    learned: LearnedTiers,
    bindings: Bindings,
    prices: PriceList,
    tiers: Arc<BTreeMap<Tier, Target>>,
}

/// Where one call would go, and why.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who calls, and for what.
    pub client: Client,
    /// The decision and what it was made from.
    pub explained: Explanation,
    /// Who would answer, or why nobody would.
    pub target: Result<Target, Refusal>,
    /// Tokens of the prompt, counted here.
    pub prompt_tokens: u64,
    /// Tokens of the answer that the prices are for.
    pub output_tokens: u64,
    /// The limit on them that the caller sets.
    pub max_tokens: Option<u64>,
    /// Each bound tier, who serves it, and what this call would cost there.
    pub tiers: Vec<Offer>,
}

/// What a call would cost in one tier; `None` where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The tier.
    pub tier: Tier,
    /// Its model.
    pub target: Target,
    /// The price with the answer that is expected.
    pub price: Option<Usd>,
    /// The price with the longest answer that the caller accepts.
    pub most: Option<Usd>,
}

// === impl Router ===

impl Router {
    /// Routes as `config` says; `providers` are the ones that it names.
    #[must_use]
    pub fn new(config: &Config, providers: &[Provider]) -> Self {
        let weights = tiers::read_or_shipped(config.labels.tiers_model.as_deref());
        Self::learned_so_far(config, providers, LearnedTiers::new(weights))
    }

    /// The same, with what is known about tiers by now.
    #[must_use]
    pub fn learned_so_far(config: &Config, providers: &[Provider], learned: LearnedTiers) -> Self {
        let names = stack::names(config);
        Self {
            bindings: stack::bindings(config, &names),
            policy: routing::policy(config, names, providers, learned.clone()),
            learned,
            prices: stack::prices(config),
            tiers: Arc::new(config.tiers.clone()),
        }
    }

    /// What decides the tier.
    #[must_use]
    pub const fn policy(&self) -> &Routing {
        &self.policy
    }

    /// The weights that decide it, which may be replaced.
    #[must_use]
    pub const fn learned(&self) -> &LearnedTiers {
        &self.learned
    }

    /// Where `req` would go.
    #[must_use]
    pub fn route(&self, mut req: chat::Request) -> Route {
        // Also loads the vocabulary that the guards count by close to a limit.
        let prompt_tokens = tokens::count(req.body());
        let client = Client::of(&req);
        let explained = self.policy.explain(&req);
        if let Some(decision) = &explained.decision {
            Notes::of_mut(&mut req).tier = Some(decision.tier);
        }
        let facts = req.body().facts();
        let max_tokens = facts.max_tokens;
        let output_tokens = match facts.operation {
            Operation::CountTokens | Operation::Embed => 0,
            _ => max_tokens.map_or(ANSWER, |most| most.min(ANSWER)),
        };
        let offer = |(tier, target): (&Tier, &Target)| {
            let price = self.prices.price(target);
            let cost = |output| {
                let usage = Usage {
                    input: prompt_tokens,
                    output,
                    ..Usage::default()
                };
                price.map(|price| price.cost(&usage))
            };
            let longest = price.and_then(|price| price.max_output).unwrap_or(u64::MAX);
            Offer {
                tier: *tier,
                target: target.clone(),
                price: cost(output_tokens),
                most: max_tokens.and_then(|most| cost(most.min(longest).max(output_tokens))),
            }
        };
        let tiers = self.tiers.iter().map(offer).collect();
        Route {
            client,
            explained,
            target: self.bindings.resolve(&req),
            prompt_tokens,
            output_tokens,
            max_tokens,
            tiers,
        }
    }
}

#[cfg(test)]
mod tests;
