//! What one gateway has learned the others use, too: the newest models, in the Redis that they share.
//!
//! A model that is learned has the next revision, and the highest revision is everybody's. Of two gateways that have learned at the same time
//! the first to tell is right, and the other goes on from there; what it had learned is still in its labels. Models are weights: no text of
//! any call is in them.
use super::{keeper, tiers};
use crate::config::{Config, SharedBy};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tierway_layers::{
    cascade::{self, Learned},
    classify::{LearnedTiers, TierModel},
    redis::Redis,
};

/// How often Redis is asked. Nobody waits for what takes labels of days.
const EVERY: Duration = Duration::from_secs(2);
const CASCADE: &str = "tierway:learned:cascade";
const TIERS: &str = "tierway:learned:tiers";
/// Shares both models through `redis`, where the configuration wants it, as long as `alive` is.
pub fn share(
    config: &Config,
    redis: Option<&Redis>,
    (cascade, routing): (&Learned, &LearnedTiers),
    alive: &Arc<()>,
) {
    let redis = redis.filter(|_| config.labels.store == SharedBy::Redis);
    // Without a runtime nobody is served either.
    let (Some(redis), Ok(runtime)) = (redis, tokio::runtime::Handle::try_current()) else {
        return;
    };
    let sharing = Sharing {
        // Weights are no small thing, and nobody waits for them.
        redis: redis.clone().timeout(EVERY),
        cascade: config.cascade.enabled.then(|| cascade.clone()),
        routing: routing.clone(),
        unreadable: 0,
    };
    drop(runtime.spawn(sharing.run(Arc::downgrade(alive))));
}

struct Sharing {
    redis: Redis,
    cascade: Option<Learned>,
    routing: LearnedTiers,
    /// The revision that another version of the gateway has written, and this one cannot read.
    unreadable: u64,
}

impl Sharing {
    async fn run(mut self, alive: Weak<()>) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while alive.strong_count() > 0 {
            tick.tick().await;
            if let Some(cascade) = self.cascade.clone() {
                let own = cascade.model();
                let text = || own.to_text();
                let newer = self.redis.newest(CASCADE, own.revision(), text).await;
                if let Some(model) = self.read(newer, cascade::Model::from_text) {
                    let revision = model.revision();
                    tracing::info!(
                        revision,
                        "drafts are judged by what another gateway has learned"
                    );
                    keeper::show(&model);
                    cascade.replace(model);
                }
            }
            let own = self.routing.model();
            let text = || own.to_text();
            let newer = self
                .redis
                .newest(TIERS, own.learning().revision, text)
                .await;
            if let Some(model) = self.read(newer, TierModel::from_text) {
                let revision = model.learning().revision;
                tracing::info!(
                    revision,
                    "tiers are chosen by what another gateway has learned"
                );
                tiers::show(&model);
                self.routing.replace(model);
            }
        }
    }

    fn read<M>(
        &mut self,
        newer: Option<(u64, String)>,
        from_text: impl FnOnce(&str) -> Option<M>,
    ) -> Option<M> {
        let (revision, text) = newer?;
        let model = from_text(&text);
        if model.is_none() && std::mem::replace(&mut self.unreadable, revision) != revision {
            tracing::warn!(
                revision,
                "what another gateway has learned cannot be read here"
            );
        }
        model
    }
}
