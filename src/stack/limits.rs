//! What keys and tenants may use, and who counts it.
use crate::{
    access::Access,
    config::{Config, SharedBy},
    log,
};
use tierway_layers::{
    auth,
    limit::{BudgetLayer, LimitLayer, Quotas, Table},
    redis::Redis,
    telemetry::names,
};
use tierway_services::{
    chat::{self, Target, Usage, Usd},
    prices::PriceList,
    tokens,
};

/// So many tokens an answer has at most where nobody can know.
const LONG_OUTPUT: u64 = 32_000;

pub(super) struct Limits {
    quotas: Quotas,
    table: Table,
    /// Whether there may be limits that are not known yet.
    others: bool,
}

/// Who counts.
pub(super) fn quotas(config: &Config, redis: Option<Redis>) -> Quotas {
    let told = &config.limits;
    match redis.filter(|_| told.store == SharedBy::Redis) {
        Some(redis) => Quotas::shared(redis, told.without_redis, told.budgets_without_redis),
        None => Quotas::new(),
    }
}

impl Limits {
    pub(super) fn new(config: &Config, quotas: Quotas, access: Option<&Access>) -> Self {
        let limited =
            |limits: &tierway_layers::limit::Limits| limits.has_rates() || limits.has_budgets();
        let mut table = Table::default();
        for (tenant, told) in &config.tenants {
            if limited(&told.limits) {
                table = table.tenant(tenant, told.limits);
            }
        }
        for told in config.keys.iter().filter(|key| limited(&key.limits)) {
            let key = auth::Key::new(told.key.expose(), told.tenant.as_str());
            table = table.key(key.id().as_str(), told.limits);
        }
        Self {
            quotas,
            table,
            others: access.is_some(),
        }
    }

    /// Budgets go on where they were.
    pub(super) fn remember(&self, config: &Config, access: Option<&Access>) {
        super::access::remember(config, &self.quotas, &self.table, access);
    }

    pub(super) fn rates(&self) -> LimitLayer<Table> {
        LimitLayer::new(self.quotas.clone(), self.table.clone()).on_refusal(refused)
    }

    pub(super) fn budgets(
        &self,
        config: &Config,
        prices: &PriceList,
    ) -> Option<BudgetLayer<Table>> {
        let small = config.small().filter(|_| config.cascade.enabled).cloned();
        let (list, own) = (prices.clone(), prices.clone());
        let layer = BudgetLayer::new(self.quotas.clone(), self.table.clone())
            .at_most(move |req| most(&list, small.as_ref(), req))
            .cost(move |attempt| {
                let counted = || Some(own.price(&attempt.target)?.cost(&attempt.usage?));
                attempt.cost.or_else(counted).unwrap_or_default()
            })
            .on_refusal(refused);
        let budgets = |subject: &tierway_layers::limit::Subject| subject.limits.has_budgets();
        (self.others || self.table.all().any(budgets)).then_some(layer)
    }
}

fn refused(subject: &str, excess: tierway_layers::limit::Excess) {
    names::limited(excess.as_str()).increment(1);
    log::limited(subject, excess);
}

/// The most that a call can cost: its prompt and as much answer as it allows, from its model and from the one that drafts. What has no
/// price costs nothing that anybody could know.
fn most(prices: &PriceList, small: Option<&Target>, req: &chat::Request) -> Usd {
    let asked = req.body().facts().max_tokens;
    // An estimate, with room for its error.
    let input = tokens::estimate(req.body()) * 3 / 2;
    let cost = |target: &Target| {
        let price = prices.price(target)?;
        let output = asked.or(price.max_output).unwrap_or(LONG_OUTPUT);
        let usage = Usage {
            input,
            output,
            ..Usage::default()
        };
        Some(price.cost(&usage))
    };
    let targets = Target::of(req).into_iter().chain(small);
    targets.filter_map(cost).sum()
}
