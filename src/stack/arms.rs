//! What stands between a decision and the model that it names: every call upstream goes this road, a cascade's drafts too.
use super::{carried::Carried, prefixes::Leaf};
use crate::{
    config::{Config, SharedBy},
    log,
};
use tierway_layers::{
    balance::{Balance, BalanceLayer},
    breaker::{BreakerLayer, BreakerService, Hints, State},
    fallback::{Fallback, FallbackLayer},
    redis::Redis,
    retry::{Retry, RetryLayer},
    telemetry::names,
};
use tierway_services::chat::Target;
use tower::{ServiceBuilder, util::Either};

/// A model, with what keeps its failures from the caller.
pub(super) type Arm = Balance<Fallback<Guarded>>;
/// The breakers can be turned off.
type Guarded = Either<BreakerService<Retry<Leaf>>, Retry<Leaf>>;

pub(super) fn arm(
    config: &Config,
    leaf: Leaf,
    balance: BalanceLayer,
    breaker: Option<BreakerLayer>,
) -> Arm {
    ServiceBuilder::new()
        // Who of several peers is asked first, and who then.
        .layer(balance)
        // Where one model has failed for good, the next is asked.
        .layer(FallbackLayer::new().on_fallback(|over| {
            names::fallbacks(&over.from.provider, over.reason).increment(1);
            log::fallback(over);
        }))
        // Counts a call once, however often it was tried; and lets nobody wait for a model that is down.
        .option_layer(breaker)
        // Closest to the model: most failures are over in a moment.
        .layer(retry(config))
        .service(leaf)
}

/// Counts on where the one before has counted.
pub(super) fn balance(carried: Carried<'_>, breaker: Option<BreakerLayer>) -> BalanceLayer {
    let told = &carried.now.balance;
    let mut layer = BalanceLayer::new().sticky(told.sticky);
    if let Some(before) = carried.before {
        layer = layer.continuing(&before.balance);
    }
    for (target, weight) in &told.weights {
        if let Ok(target) = target.parse() {
            layer = layer.weight(target, *weight);
        }
    }
    match breaker {
        // One that fails elsewhere is asked last, too.
        Some(breaker) => layer.avoid(move |target| {
            breaker.state(target) == State::Open || breaker.is_suspected(target)
        }),
        None => layer,
    }
}

fn retry(config: &Config) -> RetryLayer {
    let told = &config.retry;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share needs no such digits"
    )]
    let budget = told.budget as f32;
    RetryLayer::new(told.max)
        .backoff(told.backoff, told.max_backoff)
        .patience(told.max_retry_after)
        .budget(budget, 1)
        .on_retry(|retried| {
            let provider = retried.target.map(|target| &target.provider);
            names::retries(provider, retried.reason).increment(1);
            log::retry(retried);
        })
}

/// A model that failed before is still left alone.
pub(super) fn breaker(carried: Carried<'_>, redis: Option<&Redis>) -> Option<BreakerLayer> {
    let config = carried.now;
    let told = &config.breaker;
    let before = carried.unless_changed(|c| {
        let redis = (c.breaker.store == SharedBy::Redis).then_some(&c.redis);
        (&c.breaker, redis)
    });
    let before = before.and_then(|parts| parts.breaker.as_ref());
    // A caller can name any model; only those that are configured have a series of their own.
    let known = configured(config);
    let mut layer = BreakerLayer::new();
    if let Some(before) = before {
        layer = layer.continuing(before);
    }
    let layer = layer
        .failures(told.failures)
        .share(told.share)
        .window(told.window)
        .open_for(told.open_for)
        .longest(told.max_open)
        .on_change(move |target, state| {
            if known.contains(target) {
                names::breaker(target).set(state.level());
            }
            names::breaker_changes(&target.provider, state.as_str()).increment(1);
            log::breaker(target, state);
        });
    let layer = told.enabled.then_some(layer)?;
    share(config, &layer, redis);
    Some(layer)
}

/// Whom one gateway leaves alone the others suspect.
fn share(config: &Config, breaker: &BreakerLayer, redis: Option<&Redis>) {
    let redis = redis.filter(|_| config.breaker.store == SharedBy::Redis);
    // Without a runtime nobody is served either.
    let (Some(redis), Ok(runtime)) = (redis, tokio::runtime::Handle::try_current()) else {
        return;
    };
    if let Some(sharing) = breaker.hints(Hints::new(redis.clone())) {
        drop(runtime.spawn(sharing));
    }
}

/// Every model that the configuration names.
fn configured(config: &Config) -> Vec<Target> {
    let others = config.fallbacks.values().flatten();
    let tiers = config.tiers.values().chain(others);
    let mut targets: Vec<Target> = tiers
        .chain(config.cascade.small.as_ref())
        .cloned()
        .collect();
    targets.dedup();
    targets
}
