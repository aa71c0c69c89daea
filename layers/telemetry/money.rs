use super::outcome::{self, Outcome};
use tierway_services::{
    chat::{
        Attempt, AttemptEnd, BreakpointStatus, CacheStatus, JournalEntries, Target, Tier, Usage,
        Usd,
    },
    prices::{CacheEffect, Price, PriceList},
};

/// What one call cost, and what it would have cost.
///
/// Three prices are put on the tokens of the answer that the caller got: the *baseline*, that of the model that was asked for; the
/// *plan*, that of the model that the tier is bound to; and the *cost*, of all upstream calls that were really made. From baseline to plan
/// is the tier's doing. From plan to cost is the cascade's where a small model's answer was kept, or the prompt cache's on a hit, or where
/// another call paid for the same answer; and
/// where it cost more than planned, for drafts thrown away and calls repeated, deferral's. So always, to the picodollar:
///
/// > baseline + extra costs = cost + savings
///
/// Where the gateway changed what was sent, baseline and plan are for what the caller had sent: with the tokens that compression left out,
/// and with nothing cached where it was the gateway that marked what to cache. What that saved is told at the price of the model that
/// answered. A cache that callers asked for themselves is no saving of ours.
///
/// Nothing is claimed that is not sure: for a call that was cancelled, refused or cut, or where any price is not known, the baseline is
/// the cost itself. A caller who asks for a tier by its name, or for a model at a provider, has that as the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    cost: Usd,
    baseline: Usd,
    priced: bool,
    known: bool,
    saved: [Usd; Saved::ALL.len()],
    extra: [Usd; Extra::ALL.len()],
}

/// Why a call cost less than its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Saved {
    /// Its tier is bound to a cheaper model.
    Tier,
    /// A small model's answer was kept.
    Cascade,
    /// It had been answered before, or the same call was being answered.
    PromptCache,
    /// The provider had cached what the gateway marked.
    ProviderCache,
    /// Tokens of the prompt were left out.
    Compression,
}

/// Why a call cost more than its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extra {
    /// Its tier is bound to a dearer model.
    Tier,
    /// Drafts were thrown away, or calls repeated.
    Deferral,
    /// Answers were compared with the big model's, for nobody but the cascade to learn from.
    Shadow,
    /// What the gateway marked to be cached was written, and not yet read.
    ProviderCache,
}

/// What prices a call.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) prices: PriceList,
    pub(super) baseline: Option<Target>,
}

// === impl Saved, Extra ===

impl Saved {
    /// All causes.
    pub const ALL: [Self; 5] = [
        Self::Tier,
        Self::Cascade,
        Self::PromptCache,
        Self::ProviderCache,
        Self::Compression,
    ];
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Cascade => "cascade",
            Self::PromptCache => "prompt_cache",
            Self::ProviderCache => "provider_cache",
            Self::Compression => "compression",
        }
    }
}

impl Extra {
    /// All causes.
    pub const ALL: [Self; 4] = [
        Self::Tier,
        Self::Deferral,
        Self::Shadow,
        Self::ProviderCache,
    ];
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Deferral => "deferral",
            Self::Shadow => "shadow",
            Self::ProviderCache => "provider_cache",
        }
    }
}

// === impl Bill ===

impl Bill {
    /// What all upstream calls cost whose price is known.
    #[must_use]
    pub const fn cost(&self) -> Usd {
        self.cost
    }
    /// Whether the price of every token is known, so that the cost is whole.
    #[must_use]
    pub const fn is_priced(&self) -> bool {
        self.priced
    }
    /// What it would have cost from the model that was asked for; `None` where that cannot be told.
    #[must_use]
    pub fn baseline(&self) -> Option<Usd> {
        self.known.then_some(self.baseline)
    }
    /// The baseline as it enters the sums: the cost where nothing else can be told, so that no saving is claimed.
    #[must_use]
    pub const fn baseline_or_cost(&self) -> Usd {
        self.baseline
    }
    /// What was saved for this cause.
    #[must_use]
    pub const fn saved(&self, cause: Saved) -> Usd {
        self.saved[cause as usize]
    }
    /// What was spent beyond the baseline for this cause.
    #[must_use]
    pub const fn extra(&self, cause: Extra) -> Usd {
        self.extra[cause as usize]
    }

    fn step(&mut self, from: Usd, to: Usd, saved: Saved, extra: Extra) {
        if from >= to {
            self.saved[saved as usize] += from - to;
        } else {
            self.extra[extra as usize] += to - from;
        }
    }
}

// === impl Books ===

/// The tokens that the caller got, their price as planned, and to what a saving against that is due.
struct Plan {
    usage: Usage,
    cost: Usd,
    cause: Saved,
    /// The same before the gateway changed the prompt: the tokens, and the plan's cost with only the cache undone, then with all undone.
    sent: Usage,
    uncached: Usd,
    unchanged: Usd,
}

impl Plan {
    fn new(usage: Usage, cost: Usd, cause: Saved) -> Self {
        Self {
            usage,
            cost,
            cause,
            sent: usage,
            uncached: cost,
            unchanged: cost,
        }
    }

    /// As it would have been without what the gateway did to the prompt, at the price of the model that was planned.
    fn undo(mut self, entries: &JournalEntries, price: Option<Price>) -> Self {
        let Some(price) = price else { return self };
        let listed = price.cost(&self.usage);
        let mut uncached = self.usage;
        if marked(entries) {
            uncached.input = self.usage.input_total();
            (
                uncached.cache_read,
                uncached.cache_write,
                uncached.cache_write_1h,
            ) = (0, 0, 0);
        }
        let mut whole = uncached;
        // Left-out tokens would have been cached as those around them were: no more is claimed than their share.
        let total = uncached.input_total().max(1);
        let share = |kind: u64| {
            let part = u128::from(entries.compressed) * u128::from(kind) / u128::from(total);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        whole.cache_read += share(uncached.cache_read);
        whole.cache_write += share(uncached.cache_write);
        whole.cache_write_1h += share(uncached.cache_write_1h);
        whole.input = uncached.input_total() + entries.compressed
            - (whole.cache_read + whole.cache_write + whole.cache_write_1h);
        // What a provider said that it cost stands for the list's price.
        self.uncached = self.cost + price.cost(&uncached) - listed;
        self.unchanged = self.cost + price.cost(&whole) - listed;
        self.sent = whole;
        self
    }
}

impl Books {
    /// The bill for what was done beside a call, which nobody has asked for.
    pub(super) fn beside(
        &self,
        entries: &JournalEntries,
        each: impl FnMut(&Attempt, &Usage, Option<Usd>),
    ) -> Bill {
        let mut bill = self.bill(entries, Outcome::Cancelled, each);
        bill.baseline = Usd::ZERO;
        bill.extra[Extra::Shadow as usize] = bill.cost;
        bill
    }

    /// The bill for a call. `each` is shown every upstream call that used tokens, with its cost where the price is known.
    pub(super) fn bill(
        &self,
        entries: &JournalEntries,
        outcome: Outcome,
        mut each: impl FnMut(&Attempt, &Usage, Option<Usd>),
    ) -> Bill {
        let (mut cost, mut priced) = (Usd::ZERO, true);
        for attempt in &entries.attempts {
            if let Some(usage) = &attempt.usage {
                let amount = self.cost(attempt, usage);
                each(attempt, usage, amount);
                priced &= amount.is_some();
                cost += amount.unwrap_or_default();
            } else if attempt.end == AttemptEnd::Complete {
                priced = false;
            }
        }
        let mut bill = Bill {
            cost,
            baseline: cost,
            priced,
            ..Bill::default()
        };
        if priced
            && outcome == Outcome::Ok
            && let Some(plan) = self.plan(entries)
            && let Some(price) = self.baseline(entries)
        {
            bill.known = true;
            bill.baseline = price.cost(&plan.sent);
            bill.step(bill.baseline, plan.unchanged, Saved::Tier, Extra::Tier);
            // Fewer tokens never cost more, but for a provider's own word on the cost.
            bill.step(
                plan.unchanged,
                plan.uncached,
                Saved::Compression,
                Extra::Tier,
            );
            bill.step(
                plan.uncached,
                plan.cost,
                Saved::ProviderCache,
                Extra::ProviderCache,
            );
            bill.step(plan.cost, cost, plan.cause, Extra::Deferral);
        }
        bill
    }

    /// What a call cost: what its provider says that it did, else what its tokens cost.
    fn cost(&self, attempt: &Attempt, usage: &Usage) -> Option<Usd> {
        let counted = || {
            let price = self.prices.price(&attempt.target)?;
            Some(price.cost(usage) + price.time(attempt.total))
        };
        attempt.cost.or_else(counted)
    }

    /// What the provider's cache did to the bill; nothing where the price is not known.
    pub(super) fn cache_effect(&self, attempt: &Attempt, usage: &Usage) -> CacheEffect {
        let price = self.prices.price(&attempt.target);
        price.map_or_else(CacheEffect::default, |price| price.cache_effect(usage))
    }

    fn plan(&self, entries: &JournalEntries) -> Option<Plan> {
        let planned = |usage: &Usage| {
            let price = self.prices.price(entries.target.as_ref()?)?;
            Some(price.cost(usage))
        };
        let shared = matches!(
            entries.cache,
            Some(CacheStatus::Hit | CacheStatus::Semantic | CacheStatus::Coalesced)
        );
        if let Some((_, usage)) = entries.replayed.as_ref().filter(|_| shared) {
            return Some(Plan::new(*usage, planned(usage)?, Saved::PromptCache));
        }
        let served = outcome::served(entries)?;
        // Where tools were run, the caller's answer is that of all rounds: whoever else had run them would have paid for all.
        let rounds = outcome::rounds(entries, served);
        let usage = sum(&rounds)?;
        // Where no small model's answer was kept, whoever answered is the plan, so that no saving can be due to the cascade.
        let kept = entries.cascade.as_ref().is_some_and(|c| c.accepted);
        let (cost, target) = if kept {
            (planned(&usage)?, entries.target.as_ref()?)
        } else {
            let costs = rounds.iter().map(|round| self.cost(round, &round.usage?));
            (costs.sum::<Option<Usd>>()?, &served.target)
        };
        let plan = Plan::new(usage, cost, Saved::Cascade);
        if !marked(entries) && entries.compressed == 0 {
            return Some(plan);
        }
        Some(plan.undo(entries, self.prices.price(target)))
    }

    /// The price of what was asked for.
    fn baseline(&self, entries: &JournalEntries) -> Option<Price> {
        let requested = entries.requested_model.as_deref();
        if entries.tier.is_none() || requested.is_some_and(is_tier) {
            return self.prices.price(entries.target.as_ref()?);
        }
        requested
            .and_then(|model| self.prices.price_of_model(model))
            .or_else(|| self.prices.price(self.baseline.as_ref()?))
    }
}

/// The tokens of all rounds; `None` where one was not counted.
pub(super) fn sum(rounds: &[&Attempt]) -> Option<Usage> {
    let mut sum = rounds.last()?.usage?;
    for round in rounds.split_last()?.1 {
        sum += round.usage?;
    }
    Some(sum)
}

/// Whether it was the gateway that marked what the provider is to cache.
const fn marked(entries: &JournalEntries) -> bool {
    matches!(
        entries.breakpoints,
        Some(BreakpointStatus::Placed | BreakpointStatus::PlacedForAnHour)
    )
}

/// Whether a caller who asks for `model` asks for a tier.
fn is_tier(model: &str) -> bool {
    let name = model.strip_prefix("tierway/").unwrap_or(model);
    name.parse::<Tier>().is_ok()
}

#[cfg(test)]
mod tests;
