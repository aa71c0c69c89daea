//! Completing a configuration that binds no tier: by what runs on this machine, by the keys there are, else by the demo models.
use crate::{
    config::{Candidate, Config, Found, Loaded, Plan, candidates, plan},
    demo,
};
use std::io;
use tierway_services::{chat::Usd, dispatch::probe, prices::Price, upstream::Client};

/// Binds the tiers that nobody bound. Tells how, where anything was bound.
///
/// Local servers are asked all at once and have a fraction of a second to answer.
///
/// # Errors
/// Where not even the demo models can be started.
pub async fn complete(loaded: &mut Loaded) -> io::Result<Option<Plan>> {
    if !loaded.config.tiers.is_empty() {
        return Ok(None);
    }
    let mut plan = plan(&look(&loaded.config).await);
    if plan.is_empty() {
        let address = demo::start().await?;
        plan = Plan::demo(&format!("http://{address}"), demo::SMALL, demo::BIG);
        show_everything(&mut loaded.config);
    }
    loaded.adopt(&plan);
    Ok(Some(plan))
}

/// Binds the tiers that nobody bound as `plan`, which [`complete`] has made, did before.
pub fn again(loaded: &mut Loaded, plan: &Plan) {
    if !loaded.config.tiers.is_empty() {
        return;
    }
    if plan
        .providers
        .iter()
        .any(|found| found.provider == demo::PROVIDER)
    {
        show_everything(&mut loaded.config);
    }
    loaded.adopt(plan);
}

/// Binds the tiers that nobody bound as a gateway that started now would, without starting demo models: nothing can be called there.
pub async fn foresee(loaded: &mut Loaded) {
    look_around(loaded).await;
    if loaded.config.tiers.is_empty() {
        show_everything(&mut loaded.config);
        loaded.adopt(&Plan::demo("http://127.0.0.1:0", demo::SMALL, demo::BIG));
    }
}

/// Binds the tiers that nobody bound to what is there, as [`complete`] does; where nothing is, they stay as they are.
pub async fn look_around(loaded: &mut Loaded) {
    if loaded.config.tiers.is_empty() {
        let plan = plan(&look(&loaded.config).await);
        loaded.adopt(&plan);
    }
}

/// What there is: configured providers, and local servers that answer.
pub async fn look(config: &Config) -> Found {
    let mut found = Found::of(config);
    let client = Client::new();
    let asked = candidates(config)
        .into_iter()
        .map(|server| tokio::spawn(ask(client.clone(), server)));
    for answer in asked.collect::<Vec<_>>() {
        found.servers.extend(answer.await.ok().flatten());
    }
    found
}

/// Turns on what the demo is there to show: a cascade, and prices to save on.
fn show_everything(config: &mut Config) {
    config.cascade.enabled = true;
    for (model, input, output) in demo::PRICES {
        let price = Price {
            input: Usd::per_million(input),
            output: Usd::per_million(output),
            ..Price::FREE
        };
        config
            .prices
            .entry(format!("{}:{model}", demo::PROVIDER))
            .or_insert(price);
    }
}

async fn ask(client: Client, server: Candidate) -> Option<(Candidate, Vec<String>)> {
    let models = probe(&client, server.kind, &server.base_url).await?;
    Some((server, models))
}
