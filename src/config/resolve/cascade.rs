//! The cascade's settings, and what they need of others.
use super::{
    super::{
        file,
        locate::state_folder,
        origin::Origin,
        settings::{Cascade, CascadeTier, Config, Labels, Verify},
        typed::{Named, Typed},
        values::{Dollars, Pause, Ratio, Samples, Share, Size, Turns},
    },
    Resolver,
};
use std::{collections::BTreeMap, path::PathBuf};
use tierway_layers::cascade::Promise;
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
            samples: self
                .take("cascade.samples", typed.samples)
                .map_or(default.samples, |Samples(samples)| samples),
            verify: self.verify(typed.verify),
            hedge_share: self
                .take("cascade.hedge_share", typed.hedge_share)
                .map_or(default.hedge_share, |Share(share)| share),
            hedge_after: self
                .take("cascade.hedge_after", typed.hedge_after)
                .map_or(default.hedge_after, |Share(share)| share),
            model: self.file_of("cascade.model", typed.model),
            uncertified: self
                .take("cascade.uncertified", typed.uncertified)
                .unwrap_or(default.uncertified),
            tier: self.cascade_tiers(typed.tier),
        }
    }

    fn verify(&mut self, typed: Option<Typed<Verify>>) -> Verify {
        let origin = typed.as_ref().map(|typed| typed.origin.clone());
        match (self.take("cascade.verify", typed), origin) {
            (Some(Verify::By(target)), Some(origin)) => {
                let known = self.known("cascade.verify", origin, target);
                known.map_or(Verify::Nobody, Verify::By)
            }
            (verify, _) => verify.unwrap_or_default(),
        }
    }

    pub(super) fn labels(&mut self, typed: file::Labels) -> Labels {
        let default = Labels::default();
        let mut share = |path: &str, typed, default| {
            let share = self.take(path, typed);
            share.map_or(default, |Share(share)| share)
        };
        let (alpha, delta, shadow_share) = (
            share("labels.alpha", typed.alpha, default.alpha),
            share("labels.delta", typed.delta, default.delta),
            share(
                "labels.shadow_share",
                typed.shadow_share,
                default.shadow_share,
            ),
        );
        Labels {
            enabled: self
                .take("labels.enabled", typed.enabled)
                .unwrap_or(default.enabled),
            file: self.file_of("labels.file", typed.file),
            tiers_model: self.file_of("labels.tiers_model", typed.tiers_model),
            max_bytes: self
                .take("labels.max_bytes", typed.max_bytes)
                .map_or(default.max_bytes, |Size(bytes)| bytes),
            shadow_share,
            shadow_focus: self
                .take("labels.shadow_focus", typed.shadow_focus)
                .map_or(default.shadow_focus, |Ratio(times)| times),
            shadow_usd_per_day: self
                .take("labels.shadow_usd_per_day", typed.shadow_usd_per_day)
                .map_or(default.shadow_usd_per_day, |Dollars(sum)| sum),
            shadow_in_flight: self
                .take("labels.shadow_in_flight", typed.shadow_in_flight)
                .map_or(default.shadow_in_flight, |count| count.0),
            judge: self.target("labels.judge", typed.judge),
            learn_every: self
                .take("labels.learn_every", typed.learn_every)
                .map_or(default.learn_every, |count| count.0),
            alpha,
            delta,
            feedback_ttl: self
                .take("labels.feedback_ttl", typed.feedback_ttl)
                .unwrap_or(default.feedback_ttl),
            store: self.take("labels.store", typed.store).unwrap_or_default(),
        }
    }

    /// A file, from the configuration file's folder.
    pub(super) fn file_of(&mut self, path: &str, typed: Option<Typed<PathBuf>>) -> Option<PathBuf> {
        Some(self.folder.join(self.take(path, typed)?))
    }

    /// Where files are where nobody says: the state folder of the XDG base directories.
    pub(super) fn state_folder(&mut self) -> Option<PathBuf> {
        state_folder(|name| self.environment.get(name))
    }

    /// Where model and labels are where nobody says. It is looked up for those alone who have a cascade.
    pub(super) fn state_files(&mut self, config: &mut Config) {
        if !config.cascade.enabled {
            return;
        }
        let Some(folder) = self.state_folder() else {
            return;
        };
        let usual = |file: &mut Option<PathBuf>, name: &str| {
            if file.is_none() {
                *file = Some(folder.join(name));
            }
        };
        usual(&mut config.cascade.model, "cascade.model");
        usual(&mut config.labels.tiers_model, "tiers.model");
        if config.labels.enabled {
            usual(&mut config.labels.file, "labels.jsonl");
        }
    }

    /// Labels without a file would be lost, and a promise needs numbers between 0 and 1.
    pub(super) fn check_labels(&mut self, config: &Config) {
        let labels = &config.labels;
        let at = |resolver: &Self, path: &str| {
            let origin = resolver.origins.get(path).cloned();
            origin.unwrap_or(Origin::Default)
        };
        if labels.enabled && config.cascade.enabled && labels.file.is_none() {
            self.refuse(
                at(self, "labels.enabled"),
                "`labels.file` is not set, and neither HOME nor XDG_STATE_HOME tells a folder for it",
                "add labels.file = \"path\"",
            );
        }
        for (path, share) in [
            ("labels.alpha", labels.alpha),
            ("labels.delta", labels.delta),
        ] {
            if Promise::new(share, share).is_none() {
                self.refuse(
                    at(self, path),
                    format!("`{path}` promises nothing: {share}"),
                    "write a number above 0 and below 1, for example 0.05",
                );
            }
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
