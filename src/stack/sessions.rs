//! What keeps a conversation with its model, and the connection that several gateways share.
use crate::{
    config::{self, Config, SharedBy},
    log,
};
use tierway_layers::{
    affinity::{self, AffinityLayer},
    bind::Bindings,
    redis::Redis,
};
use tierway_services::prices::PriceList;
use tower::util::Either;

/// Who remembers conversations.
pub(super) type Sessions = Either<affinity::Memory, affinity::Shared>;

pub(super) fn store(config: &Config, redis: Option<&Redis>) -> Option<Sessions> {
    let settings = &config.affinity;
    if !settings.enabled {
        return None;
    }
    let near = affinity::Memory::new(settings.max_sessions as u64, settings.ttl);
    let shared = settings.store == SharedBy::Redis;
    Some(match redis.filter(|_| shared) {
        Some(redis) => Either::Right(affinity::Shared::new(redis.clone(), settings.ttl, near)),
        None => Either::Left(near),
    })
}

pub(super) fn affinity(
    config: &Config,
    bindings: &Bindings,
    prices: &PriceList,
    store: Sessions,
) -> AffinityLayer<Sessions> {
    let (bindings, prices) = (bindings.clone(), prices.clone());
    AffinityLayer::new(store)
        .targets(move |tier| bindings.target(tier).cloned())
        .prices(move |target| prices.price(target))
        // It bounds its own time, and more exactly.
        .patience(config.redis.timeout * 2)
}

/// The one connection for all that is shared; the configuration has made sure that the address is one.
pub(crate) fn redis(settings: &config::Redis) -> Option<Redis> {
    let redis = Redis::new(settings.url.as_ref()?.expose()).ok()?;
    Some(redis.timeout(settings.timeout).on_fault(log::redis))
}
