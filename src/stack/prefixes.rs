//! What tells providers to keep the beginning of a prompt; it stands right above each leaf.
use crate::config::Config;
use tierway_layers::breakpoints::{CacheBreakpoint, CacheBreakpointLayer};
use tierway_services::{Dispatch, chat::Target, prices::PriceList};
use tower::{Layer, util::Either};

/// The leaf, and what stands right above it.
pub(super) type Leaf = Either<CacheBreakpoint<Dispatch>, Dispatch>;

pub(super) fn leaf(config: &Config, dispatch: &Dispatch, prices: &PriceList) -> Leaf {
    let settings = config.breakpoints;
    if !settings.enabled && !settings.openai_keys {
        return Either::Right(dispatch.clone());
    }
    let (leaf, prices) = (dispatch.clone(), prices.clone());
    let layer = CacheBreakpointLayer::new(move |target: &Target| {
        let kind = leaf.provider(&target.provider)?.kind();
        kind.prefix_cache(&target.model)
    })
    .prices(move |target| prices.price(target))
    .ttl(settings.ttl)
    .marks(settings.enabled)
    .keys(settings.openai_keys);
    Either::Left(layer.layer(dispatch.clone()))
}
