//! What is done when models fail.
use super::Resolver;
use crate::config::{
    file,
    origin::Origin,
    settings::{Breaker, Retry},
};
use std::collections::BTreeMap;
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
        }
    }
}
