//! The cascade's settings, and what they need of others.
use super::{
    super::{
        file,
        origin::Origin,
        settings::{Cascade, CascadeTier, Config},
        typed::Named,
        values::{Pause, Ratio, Share, Turns},
    },
    Resolver,
};
use std::collections::BTreeMap;
use tierway_services::chat::Tier;

impl Resolver<'_, '_> {
    pub(super) fn cascade(&mut self, typed: file::Cascade) -> Cascade {
        let default = Cascade::default();
        let limit = self.take("cascade.max_added_latency", typed.max_added_latency);
        Cascade {
            enabled: self
                .take("cascade.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            small: self.target("cascade.small", typed.small),
            tiers: self
                .take("cascade.tiers", typed.tiers)
                .unwrap_or(default.tiers),
            threshold: self
                .take("cascade.threshold", typed.threshold)
                .map_or(default.threshold, |Share(share)| share),
            streams: self
                .take("cascade.streams", typed.streams)
                .unwrap_or(default.streams),
            tools: self
                .take("cascade.tools", typed.tools)
                .unwrap_or(default.tools),
            max_added_latency: limit.map(|Pause(limit)| limit).filter(|l| !l.is_zero()),
            max_price_ratio: self
                .take("cascade.max_price_ratio", typed.max_price_ratio)
                .map_or(default.max_price_ratio, |Ratio(ratio)| ratio),
            stay_big: self
                .take("cascade.stay_big", typed.stay_big)
                .map_or(default.stay_big, |Turns(turns)| turns),
            logprobs: self
                .take("cascade.logprobs", typed.logprobs)
                .unwrap_or(default.logprobs),
            hedge_share: self
                .take("cascade.hedge_share", typed.hedge_share)
                .map_or(default.hedge_share, |Share(share)| share),
            hedge_after: self
                .take("cascade.hedge_after", typed.hedge_after)
                .map_or(default.hedge_after, |Share(share)| share),
            tier: self.cascade_tiers(typed.tier),
        }
    }

    fn cascade_tiers(
        &mut self,
        typed: BTreeMap<String, Named<file::CascadeTier>>,
    ) -> BTreeMap<Tier, CascadeTier> {
        let mut tiers = BTreeMap::new();
        for (name, Named { origin, value }) in typed {
            let path = format!("cascade.tier.{name}");
            let streams = self.take(&format!("{path}.streams"), value.streams);
            let limit = self.take(
                &format!("{path}.max_added_latency"),
                value.max_added_latency,
            );
            let max_added_latency = limit.map(|Pause(limit)| limit);
            let Some(tier) = Tier::ALL.into_iter().find(|t| t.as_str() == name) else {
                self.refuse(
                    origin,
                    format!("`{path}` names no tier"),
                    "write simple, medium, complex or reasoning",
                );
                continue;
            };
            let of_tier = CascadeTier {
                streams,
                max_added_latency,
            };
            tiers.insert(tier, of_tier);
        }
        tiers
    }

    /// A cascade without a small model would do nothing and say nothing.
    pub(super) fn check_small(&mut self, config: &Config) {
        let bound = !config.tiers.is_empty();
        if config.cascade.enabled && bound && config.small().is_none() && self.problems.is_empty() {
            let origin = self.origins.get("cascade.enabled").cloned();
            self.refuse(
                origin.unwrap_or(Origin::Default),
                "`cascade` has no small model",
                "add tiers.simple or cascade.small",
            );
        }
    }
}
