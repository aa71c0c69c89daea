//! What is done when models fail, and when callers want too much.
use super::Resolver;
use crate::config::{
    file,
    origin::Origin,
    settings::{Balance, Breaker, Config, Limits, Retry, SharedBy},
    typed::{Named, Typed},
    values::Ratio,
};
use std::collections::BTreeMap;
use tierway_layers::limit;
use tierway_services::chat::{Target, Tier};

impl Resolver<'_, '_> {
    /// The model of each tier, and those that may answer in its place.
    pub(super) fn tiers(
        &mut self,
        mut typed: file::Tiers,
    ) -> (BTreeMap<Tier, Target>, BTreeMap<Tier, Vec<Target>>) {
        let (mut tiers, mut fallbacks) = (BTreeMap::new(), BTreeMap::new());
        for tier in Tier::ALL {
            let path = format!("tiers.{tier}");
            let typed = typed.get_mut(tier).take();
            let origin = typed.as_ref().map(|typed| typed.origin.clone());
            let origin = origin.unwrap_or(Origin::Default);
            let Some(targets) = self.take(&path, typed) else {
                continue;
            };
            let mut known: Vec<Target> = Vec::new();
            for target in targets.0 {
                if known.contains(&target) {
                    let message = format!("`{path}` names {target} twice");
                    self.refuse(origin.clone(), message, "write each model once");
                } else {
                    known.extend(self.known(&path, origin.clone(), target));
                }
            }
            let mut known = known.into_iter();
            if let Some(first) = known.next() {
                tiers.insert(tier, first);
                let others: Vec<Target> = known.collect();
                if !others.is_empty() {
                    fallbacks.insert(tier, others);
                }
            }
        }
        (tiers, fallbacks)
    }

    /// What a key or a tenant may use, at `path`.
    pub(super) fn quota(&mut self, path: &str, typed: file::Quota) -> limit::Limits {
        let path = |name: &str| format!("{path}.limits.{name}");
        let requests = self.take(&path("requests_per_minute"), typed.requests_per_minute);
        let tokens = self.take(&path("tokens_per_minute"), typed.tokens_per_minute);
        let concurrent = self.take(&path("concurrent"), typed.concurrent);
        limit::Limits {
            requests_per_minute: requests.map(|count| count.0 as u64),
            tokens_per_minute: tokens.map(|count| count.0 as u64),
            concurrent: concurrent.map(|count| u32::try_from(count.0).unwrap_or(u32::MAX)),
            usd_per_day: self
                .take(&path("usd_per_day"), typed.usd_per_day)
                .map(|sum| sum.0),
            usd_per_month: self
                .take(&path("usd_per_month"), typed.usd_per_month)
                .map(|sum| sum.0),
            usd_total: self
                .take(&path("usd_total"), typed.usd_total)
                .map(|sum| sum.0),
        }
    }

    pub(super) fn limits(&mut self, typed: file::Limits) -> Limits {
        Limits {
            store: self.take("limits.store", typed.store).unwrap_or_default(),
            without_redis: self
                .take("limits.without_redis", typed.without_redis)
                .unwrap_or_default(),
            budgets_without_redis: self
                .take("limits.budgets_without_redis", typed.budgets_without_redis)
                .unwrap_or_default(),
        }
    }

    /// Limits that are to be kept together need somebody who holds them.
    pub(super) fn check_limits(&mut self, config: &Config) {
        let wanted = config.limits.store == SharedBy::Redis;
        if wanted && config.redis.url.is_none() && self.problems.is_empty() {
            let origin = self.origins.get("limits.store").cloned();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                "`limits.store` is \"redis\", and there is none",
                "add [redis] with url = \"redis://host:6379\"",
            );
        }
    }

    pub(super) fn balance(&mut self, typed: file::Balance) -> Balance {
        let default = Balance::default();
        Balance {
            tiers: self
                .take("balance.tiers", typed.tiers)
                .unwrap_or(default.tiers),
            sticky: self
                .take("balance.sticky", typed.sticky)
                .unwrap_or(default.sticky),
            weights: self.weights(typed.weights),
        }
    }

    fn weights(&mut self, typed: BTreeMap<String, Named<Typed<Ratio>>>) -> BTreeMap<String, f64> {
        let mut weights = BTreeMap::new();
        for (name, Named { origin, value }) in typed {
            let path = format!("balance.weights.{name}");
            let target = Typed::text(origin, &name);
            let known = self.target(&path, Some(target));
            let weight = self.take(&path, Some(value));
            weights.extend(known.and(weight).map(|weight| (name, weight.0)));
        }
        weights
    }

    pub(super) fn retry(&mut self, typed: file::Retry) -> Retry {
        let default = Retry::default();
        let backoff = self.take("retry.backoff", typed.backoff);
        let backoff = backoff.unwrap_or(default.backoff);
        let max_backoff = self.take("retry.max_backoff", typed.max_backoff);
        Retry {
            max: self
                .take("retry.max", typed.max)
                .map_or(default.max, |max| max.0),
            backoff,
            max_backoff: max_backoff.unwrap_or(default.max_backoff).max(backoff),
            max_retry_after: self
                .take("retry.max_retry_after", typed.max_retry_after)
                .map_or(default.max_retry_after, |pause| pause.0),
            budget: self
                .take("retry.budget", typed.budget)
                .map_or(default.budget, |share| share.0),
        }
    }

    pub(super) fn breaker(&mut self, typed: file::Breaker) -> Breaker {
        let default = Breaker::default();
        Breaker {
            enabled: self
                .take("breaker.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            failures: self
                .take("breaker.failures", typed.failures)
                .map_or(default.failures, |count| {
                    u32::try_from(count.0).unwrap_or(u32::MAX)
                }),
            share: self
                .take("breaker.share", typed.share)
                .map_or(default.share, |share| share.0),
            window: self
                .take("breaker.window", typed.window)
                .unwrap_or(default.window),
            open_for: self
                .take("breaker.open_for", typed.open_for)
                .unwrap_or(default.open_for),
            max_open: self
                .take("breaker.max_open", typed.max_open)
                .unwrap_or(default.max_open),
            store: self.take("breaker.store", typed.store).unwrap_or_default(),
        }
    }
}
