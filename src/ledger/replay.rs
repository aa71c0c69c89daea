//! What calls would have cost under another configuration: other models behind the tiers, other prices, with or without cache and cascade.
//!
//! A row does not hold its prompt, so the tier stays what it was, and so do the tokens of the answer. A draft that was judged is judged
//! again by the other threshold. Where the other configuration would ask for a draft that nobody has made, it is kept as often as those
//! that were made in its tier; where there are none, with any chance from 0 to 1.
//!
//! The interval is that of a bootstrap over conversations (Efron 1979; whole conversations, as calls within one are not independent),
//! percentiles 2.5 and 97.5 of the ratio of the sums. The chance with which drafts are kept is drawn anew with the conversations, so the
//! interval holds that uncertainty too.
use super::{holdout::Estimate, row::Row};
use crate::{
    config::{Cascade, Config},
    eval::random::Random,
    stack,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tierway_layers::bind::Bindings;
use tierway_services::{
    chat::{Target, Tier, Usage, Usd},
    prices::PriceList,
};

/// How often the bootstrap draws.
const DRAWS: usize = 1000;

/// Prices calls under another configuration.
pub struct Replay {
    bindings: Bindings,
    prices: PriceList,
    cascade: Cascade,
    small: Option<Target>,
    cache: bool,
    units: HashMap<String, Unit>,
    tiers: BTreeMap<usize, TierSums>,
    told: Replayed,
}

/// What a conversation cost and would cost, in dollars.
#[derive(Clone, Debug, Default)]
struct Unit {
    was: f64,
    /// As far as it is certain.
    fixed: f64,
    /// What the big model would cost where a draft's verdict is not known, by tier.
    open: [f64; 4],
    /// Drafts that were made, and kept, by tier.
    drafts: [(u32, u32); 4],
}

#[derive(Clone, Debug, Default)]
struct TierSums {
    calls: u64,
    was: f64,
    fixed: f64,
    open: f64,
}

/// What a replay tells; money in dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// Calls that were priced.
    pub calls: u64,
    /// Conversations that they belong to; a call that belongs to none is one by itself.
    pub conversations: usize,
    /// What they cost.
    pub was: f64,
    /// What they would cost.
    pub would_be: Estimate,
    /// The latter over the former.
    pub ratio: Estimate,
    /// The same tier by tier.
    pub tiers: Vec<ReplayedTier>,
    /// Calls whose draft's verdict is a guess.
    pub guessed: u64,
    /// Calls left out because a price is not known.
    pub unpriced: u64,
    /// Calls left out because they did not end well.
    pub left_out: u64,
}

/// One tier of a replay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplayedTier {
    /// Its name; `direct` for calls whose model the caller chose.
    pub tier: String,
    /// Who would answer.
    pub target: String,
    /// Calls that were priced.
    pub calls: u64,
    /// What they cost.
    pub was: f64,
    /// What they would cost.
    pub would_be: f64,
}

const NOTHING: Estimate = Estimate {
    value: 0.0,
    low: 0.0,
    high: 0.0,
};
/// The place of calls that have no tier.
const DIRECT: usize = 4;

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Prices calls as `config` would.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let names = stack::names(config);
        Self {
            bindings: stack::bindings(config, &names),
            prices: stack::prices(config),
            cascade: config.cascade.clone(),
            small: config.small().cloned(),
            cache: config.cache.enabled,
            units: HashMap::new(),
            tiers: BTreeMap::new(),
            told: Replayed {
                calls: 0,
                conversations: 0,
                was: 0.0,
                would_be: NOTHING,
                ratio: NOTHING,
                tiers: Vec::new(),
                guessed: 0,
                unpriced: 0,
                left_out: 0,
            },
        }
    }

    /// Adds a call.
    pub fn add(&mut self, row: &Row) {
        let call = &row.call;
        // What was done beside calls, and what was held out, is no part of what a configuration does for its callers.
        if call.kind != "call" || call.holdout.as_deref() == Some("baseline") {
            return;
        }
        let answer = call.answer();
        if call.outcome != "ok" || answer == Usage::default() {
            self.told.left_out += 1;
            return;
        }
        let tier: Option<Tier> = call.tier.parse().ok();
        let place = tier.map_or(DIRECT, |tier| tier as usize);
        let priced = self.price(row, tier, &answer).filter(|_| call.priced == 1);
        let Some((fixed, open, draft)) = priced else {
            self.told.unpriced += 1;
            return;
        };
        let was = Usd::from_picodollars(call.cost.into()).as_dollars();
        let name = call.session.as_ref().unwrap_or(&call.id);
        let unit = self.units.entry(name.to_string()).or_default();
        unit.was += was;
        unit.fixed += fixed;
        if let Some(slot) = unit.open.get_mut(place) {
            *slot += open;
        }
        if let (Some(kept), Some((made, count))) = (draft, unit.drafts.get_mut(place)) {
            *made += 1;
            *count += u32::from(kept);
        }
        self.told.calls += 1;
        self.told.guessed += u64::from(open > 0.0);
        let sums = self.tiers.entry(place).or_default();
        sums.calls += 1;
        sums.was += was;
        sums.fixed += fixed;
        sums.open += open;
    }

    /// What a call would cost: what is certain, what comes on top unless a draft is kept whose verdict nobody knows, and the verdict on
    /// the draft that there was.
    fn price(
        &self,
        row: &Row,
        tier: Option<Tier>,
        answer: &Usage,
    ) -> Option<(f64, f64, Option<bool>)> {
        let call = &row.call;
        if self.cache && matches!(call.cache.as_deref(), Some("hit" | "coalesced")) {
            return Some((0.0, 0.0, None));
        }
        let usd = |target: &Target, usage: &Usage| {
            Some(self.prices.price(target)?.cost(usage).as_dollars())
        };
        let Some(tier) = tier else {
            let target = Target::new(&*call.provider, &*call.model);
            return Some((usd(&target, answer)?, 0.0, None));
        };
        let target = self.bindings.target(tier)?;
        let big = usd(target, answer)?;
        let small = self.small.as_ref().filter(|small| {
            self.cascade.enabled && self.cascade.tiers.contains(&tier) && *small != target
        });
        let Some(small) = small else {
            return Some((big, 0.0, None));
        };
        let draft = row
            .attempts
            .iter()
            .find(|a| a.role == "small" && a.ended == "complete");
        match (draft, call.cascade.as_deref(), call.confidence_ppm) {
            (Some(draft), Some("accepted" | "deferred"), Some(confidence)) => {
                let drafted = usd(small, &tokens(draft))?;
                let sure = confidence as f64 / 1e6;
                // What was rejected for another reason than too little confidence is rejected again.
                let vetoed = call.cascade.as_deref() == Some("deferred")
                    && call.threshold_ppm.is_some_and(|was| confidence >= was);
                let kept = sure >= self.cascade.threshold && !vetoed;
                Some((if kept { drafted } else { drafted + big }, 0.0, Some(kept)))
            }
            // Why nobody drafted is no matter of price: it would not be drafted again.
            (_, Some("skipped"), _) => Some((big, 0.0, None)),
            _ => Some((usd(small, answer)?, big, None)),
        }
    }

    /// Draws the interval, and tells.
    #[must_use]
    pub fn finish(mut self, seed: u64) -> Replayed {
        // In an order of their own, so that the seed decides.
        let mut units: Vec<(String, Unit)> = self.units.drain().collect();
        units.sort_by(|a, b| a.0.cmp(&b.0));
        let units: Vec<Unit> = units.into_iter().map(|(_, unit)| unit).collect();
        let mut random = Random::new(seed);
        let all = Sums::of(units.iter());
        // With no draft to go by, the middle.
        let chances = all.chances(|| 0.5);
        let would_be = all.would_be(&chances);
        let mut ratios: Vec<f64> = (0..DRAWS)
            .filter_map(|_| {
                let drawn = (0..units.len()).filter_map(|_| units.get(random.below(units.len())));
                let sums = Sums::of(drawn.collect::<Vec<_>>().into_iter());
                let chances = sums.chances(|| random.below(1 << 30) as f64 / f64::from(1 << 30));
                (sums.was > 0.0).then(|| sums.would_be(&chances) / sums.was)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let at = |share: usize| ratios.get(ratios.len() * share / 1000).copied();
        let value = if all.was > 0.0 {
            would_be / all.was
        } else {
            1.0
        };
        let (low, high) = (at(25).unwrap_or(value), at(975).unwrap_or(value));
        let names = Tier::ALL.map(|tier| (tier.as_str(), self.bindings.target(tier).cloned()));
        let tiers = self.tiers.iter().map(|(place, sums)| {
            let (name, target) = names.get(*place).cloned().unwrap_or(("direct", None));
            let chance = chances.get(*place).copied().unwrap_or_default();
            ReplayedTier {
                tier: name.to_owned(),
                target: target.map_or_else(|| "as the caller chose".to_owned(), |t| t.to_string()),
                calls: sums.calls,
                was: sums.was,
                would_be: sums.fixed + (1.0 - chance) * sums.open,
            }
        });
        Replayed {
            conversations: units.len(),
            was: all.was,
            would_be: Estimate {
                value: would_be,
                low: low * all.was,
                high: high * all.was,
            },
            ratio: Estimate { value, low, high },
            tiers: tiers.collect(),
            ..self.told
        }
    }
}

/// Sums over conversations.
#[derive(Default)]
struct Sums {
    was: f64,
    fixed: f64,
    open: [f64; 4],
    drafts: [(u32, u32); 4],
}

impl Sums {
    fn of<'a>(units: impl Iterator<Item = &'a Unit>) -> Self {
        let mut sums = Self::default();
        for unit in units {
            sums.was += unit.was;
            sums.fixed += unit.fixed;
            for (sum, open) in sums.open.iter_mut().zip(unit.open) {
                *sum += open;
            }
            for (sum, drafts) in sums.drafts.iter_mut().zip(unit.drafts) {
                sum.0 += drafts.0;
                sum.1 += drafts.1;
            }
        }
        sums
    }

    /// With what chance a draft is kept, by tier: as often as those that were made (Jeffreys' rule), else as often as any says.
    fn chances(&self, mut any: impl FnMut() -> f64) -> [f64; 4] {
        self.drafts.map(|(made, kept)| {
            if made == 0 {
                any()
            } else {
                (f64::from(kept) + 0.5) / (f64::from(made) + 1.0)
            }
        })
    }

    fn would_be(&self, chances: &[f64; 4]) -> f64 {
        let open = self.open.iter().zip(chances);
        self.fixed
            + open
                .map(|(open, chance)| open * (1.0 - chance))
                .sum::<f64>()
    }
}

fn tokens(attempt: &super::row::Attempt) -> Usage {
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    Usage {
        input: count(attempt.input),
        output: count(attempt.output),
        cache_read: count(attempt.cache_read),
        cache_write: count(attempt.cache_write),
        cache_write_1h: count(attempt.cache_write_1h),
        reasoning: count(attempt.reasoning),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::row::{Attempt, Call},
        *,
    };
    use crate::config;

    fn config(cascade: &str) -> Config {
        let toml = format!(
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://127.0.0.1:1'\n\
             [tiers]\nsimple = 'p:small'\ncomplex = 'p:big'\n\
             [prices.'p:small']\ninput = 1\noutput = 2\n[prices.'p:big']\ninput = 10\noutput = 20\n\
             [cascade]\n{cascade}"
        );
        let nothing = HashMap::<String, String>::new();
        config::read("t".as_ref(), &toml, &config::Flags::default(), &nothing)
            .unwrap()
            .config
    }

    /// A call of a thousand tokens in and out that cost 0.1 dollars: 0.03 at `big`, 0.003 at `small`.
    fn row(n: usize, tier: &str, cascade: Option<(&str, f64)>) -> Row {
        let small = Attempt {
            role: "small".into(),
            ended: "complete".into(),
            input: 1000,
            output: 1000,
            ..Attempt::default()
        };
        Row {
            call: Call {
                id: n.to_string().into(),
                kind: "call".into(),
                session: Some(format!("s{}", n / 4).into()),
                tier: tier.to_owned().into(),
                outcome: "ok".into(),
                answer_input: 1000,
                answer_output: 1000,
                cost: 100_000_000_000,
                priced: 1,
                cascade: cascade.map(|(what, _)| what.to_owned().into()),
                confidence_ppm: cascade.map(|(_, sure)| (sure * 1e6) as i64),
                threshold_ppm: cascade.map(|_| 800_000),
                ..Call::default()
            },
            attempts: cascade.map(|_| small).into_iter().collect(),
            ..Row::default()
        }
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn another_model_behind_a_tier() {
        let mut replay = Replay::new(&config("enabled = false"));
        (0..40).for_each(|n| replay.add(&row(n, ["simple", "complex"][n % 2], None)));
        let mut broken = row(40, "complex", None);
        broken.call.outcome = "cut".into();
        replay.add(&broken);
        let told = replay.finish(1);
        assert_eq!((told.calls, told.conversations, told.left_out), (40, 10, 1));
        near(told.was, 4.0);
        near(told.would_be.value, 20.0 * 0.003 + 20.0 * 0.03);
        // All conversations are alike, so there is no doubt.
        near(told.ratio.low, told.ratio.high);
        near(told.tiers[1].would_be, 0.6);
    }

    #[test]
    fn drafts_are_judged_again_and_vetoes_stay() {
        let replay = |threshold: &str| {
            let mut replay =
                Replay::new(&config(&format!("enabled = true\nthreshold = {threshold}")));
            replay.add(&row(0, "complex", Some(("accepted", 0.9))));
            replay.add(&row(1, "complex", Some(("deferred", 0.7))));
            replay.add(&row(2, "complex", Some(("deferred", 0.95))));
            replay.finish(1).would_be.value
        };
        near(replay("0.8"), 3.0 * 0.003 + 2.0 * 0.03);
        near(replay("0.6"), 3.0 * 0.003 + 0.03);
        near(replay("0.99"), 3.0 * 0.003 + 3.0 * 0.03);
    }

    #[test]
    fn a_draft_that_nobody_made_is_in_doubt() {
        let mut replay = Replay::new(&config("enabled = true"));
        (0..40).for_each(|n| replay.add(&row(n, "complex", None)));
        let told = replay.finish(1);
        assert_eq!(told.guessed, 40);
        let (all, none) = (0.003 / 0.1, 0.033 / 0.1);
        assert!(
            told.ratio.low < all + 0.02 && told.ratio.high > none - 0.02,
            "{told:?}"
        );

        let mut replay = Replay::new(&config("enabled = true"));
        (0..40).for_each(|n| replay.add(&row(n, "complex", None)));
        (40..80).for_each(|n| replay.add(&row(n, "complex", Some(("accepted", 0.9)))));
        let told = replay.finish(1);
        assert!(told.ratio.high < all + 0.02, "{told:?}");
    }
}
