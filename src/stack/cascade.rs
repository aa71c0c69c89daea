//! What the cascade is made of: the small arm, what judges its drafts, and what that learns from.
use super::arms::Arm;
use crate::{
    config::{Config, Uncertified, Verify},
    labels::{self, model_file},
};
use tierway_layers::{
    bind::RetargetLayer,
    cascade::{CascadeLayer, Confidence, Judge, Learned, Vetoed, Vetoes},
    shadow::ShadowLayer,
    telemetry::Meter,
};
use tierway_services::{
    Dispatch,
    chat::{self, Target, Usage, Usd},
    prices::PriceList,
    tokens,
};
use tower::ServiceBuilder;

/// Confidences so close to the threshold are compared more often.
const NEAR: f64 = 0.05;
/// So many tokens an answer has where nobody can know: with the prompt's own, enough to weigh two models' prices.
const USUAL_OUTPUT: u64 = 500;

type Small = tierway_layers::bind::Retarget<Arm>;
/// What is broken is rejected whatever has been learned.
type Predicate = Vetoed<Learned, Vetoes>;

/// What judges drafts, with what it has learned so far.
pub(super) fn learned(config: &Config) -> Learned {
    let told = &config.cascade;
    let model = told.model.as_deref().filter(|_| told.enabled);
    let model = model_file::read_or_prior(model);
    labels::announce(&model);
    again(config, &Learned::new(model))
}

/// The same, as this configuration uses it.
pub(super) fn again(config: &Config, learned: &Learned) -> Learned {
    let defers = config.cascade.uncertified == Uncertified::Defer;
    learned.clone().uncertified_defers(defers)
}

pub(super) fn shadow(
    config: &Config,
    desk: labels::Desk,
    meter: Meter,
    dispatch: &Dispatch,
    prices: &PriceList,
) -> ShadowLayer<Dispatch> {
    let told = &config.labels;
    let judge = told.judge.as_ref().map(|judge| {
        let model = ServiceBuilder::new()
            .layer(RetargetLayer::new(judge.clone()))
            .service(dispatch.clone());
        Judge::new(model)
    });
    let prices = prices.clone();
    let spawn = |comparison| {
        tokio::spawn(comparison);
    };
    ShadowLayer::new(dispatch.clone(), spawn)
        .share(told.shadow_share)
        .focus(told.shadow_focus, NEAR)
        .a_day(told.shadow_usd_per_day)
        .in_flight(told.shadow_in_flight)
        .judge(judge)
        .prices(move |target| prices.price(target))
        .on_event(move |event| desk.hear(event, &meter))
}

pub(super) fn cascade(
    config: &Config,
    learned: Learned,
    model: &Arm,
    prices: &PriceList,
) -> Option<CascadeLayer<Small, Predicate>> {
    let small = config.small().filter(|_| config.cascade.enabled)?;
    let arm = ServiceBuilder::new()
        .layer(RetargetLayer::new(small.clone()))
        .service(model.clone());
    let told = &config.cascade;
    let verify = match &told.verify {
        Verify::Nobody => None,
        Verify::Small => Some(small),
        Verify::By(target) => Some(target),
    };
    let verify = verify.map(|by| {
        let model = ServiceBuilder::new()
            .layer(RetargetLayer::new(by.clone()))
            .service(model.clone());
        Judge::new(model)
    });
    let mut layer = CascadeLayer::new(arm, learned.vetoed_by(Vetoes::default()))
        .tiers(told.tiers.iter().copied())
        .threshold(told.threshold)
        .streams(told.streams)
        .tools(told.tools)
        .max_added_latency(told.max_added_latency)
        .stay_big(told.stay_big)
        .logprobs(told.logprobs)
        .samples(told.samples)
        .verify(verify)
        .hedge(told.hedge_share, told.hedge_after, 0.5)
        // Where the tier is bound to the small model anyway, there is nothing to try first.
        .unless_bound_to(small.clone())
        // Nor where it is hardly cheaper.
        .skip_when(too_dear(
            small.clone(),
            1 + told.samples,
            told.max_price_ratio,
            prices.clone(),
        ));
    for (tier, own) in &told.tier {
        if let Some(streams) = own.streams {
            layer = layer.streams_of(*tier, streams);
        }
        if let Some(limit) = own.max_added_latency {
            layer = layer.max_added_latency_of(*tier, Some(limit).filter(|l| !l.is_zero()));
        }
    }
    Some(layer)
}

/// A draft, and the further answers that it is compared with, cost their price whether it is kept or not, so of the big model's cost it
/// saves the share of drafts that are kept, less the ratio of the prices: from `ratio` on it is not tried. Where a price is not known, or both are nothing, there is no saying.
fn too_dear(
    small: Target,
    drafts: u32,
    ratio: f64,
    prices: PriceList,
) -> impl Fn(&chat::Request) -> Option<&'static str> + Send + Sync + 'static {
    move |req| {
        let (drafting, answering) = (prices.price(&small)?, prices.price(Target::of(req)?)?);
        let usage = Usage {
            input: tokens::estimate(req.body()),
            output: USUAL_OUTPUT,
            ..Usage::default()
        };
        let (drafting, answering) = (drafting.cost(&usage), answering.cost(&usage));
        let all = drafting.as_dollars() * f64::from(drafts);
        let dear = drafting > Usd::ZERO && all >= ratio * answering.as_dollars();
        dear.then_some("price")
    }
}
