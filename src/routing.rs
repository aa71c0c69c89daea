//! `Config` in, policy out: what decides the tier, from the inside out.
use crate::config::{self, Config};
use std::{collections::BTreeMap, sync::Once, thread};
use tierway_layers::{
    classify::{Fit, Fits, Guarded, LearnedTiers, Risk, Rule, Ruled, SideRequests, TierClassifier},
    names::Names,
    tenants::{Allowance, Tenants},
};
use tierway_services::{
    chat::{Prompt, Target, Tier},
    prices::PriceList,
    providers::{Kind, Provider},
    tokens,
    translate::Reasoning,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// What decides the tier of each call.
pub type Routing = Guarded<Ruled<SideRequests<TierClassifier>>>;

/// The policy that `config` asks for; `providers` are the ones that it names.
#[must_use]
pub fn policy(
    config: &Config,
    names: Names,
    providers: &[Provider],
    learned: LearnedTiers,
) -> Routing {
    let tenants = tenants(config);
    // What the user asked, by its words and structure, and by what this deployment's answers have taught.
    let scored = TierClassifier::new(names).learned(learned);
    // What no user asked needs no score.
    let scored = SideRequests::new(scored);
    // What must not be left to a score.
    let ruled = Ruled::new(scored, rules(config)).tenants(tenants.clone());
    // Whatever was decided, the model must be able to take the call.
    Guarded::new(ruled, fits(config, providers))
        .tenants(tenants)
        .count(counted)
}

/// Longer prompts are left to the estimate.
const MOST_COUNTED: usize = 8 << 20;

/// How many tokens `prompt` has; `None` where it is too long, or the vocabulary is not loaded yet, which is begun then.
fn counted(prompt: &Prompt) -> Option<u64> {
    static LOADING: Once = Once::new();
    if prompt.raw().len() > MOST_COUNTED {
        return None;
    }
    if !tokens::is_loaded() {
        LOADING.call_once(|| {
            // Some tenths of a second, which no call waits for. Where there is no thread the estimate stays.
            let _ = thread::Builder::new().spawn(tokens::load);
        });
        return None;
    }
    let here = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    Some(match here {
        // Other calls go on meanwhile.
        Ok(RuntimeFlavor::MultiThread) => block_in_place(|| tokens::count(prompt)),
        _ => tokens::count(prompt),
    })
}

/// What each tenant may use: a tier that leads to a model that it may not use is not for it either.
pub(crate) fn tenants(config: &Config) -> Tenants {
    let mut tenants = Tenants::default();
    for (name, tenant) in &config.tenants {
        let told = allowance(
            &config.tiers,
            tenant.tiers.as_deref(),
            tenant.models.as_deref(),
        );
        tenants = tenants.with(name, told);
    }
    tenants
}

/// What somebody may use whose tiers and models these are, where not all.
pub(crate) fn allowance(
    bindings: &BTreeMap<Tier, Target>,
    tiers: Option<&[Tier]>,
    models: Option<&[String]>,
) -> Allowance {
    let mut allowance = Allowance::default();
    if let Some(models) = models {
        allowance = allowance.models(models.iter().cloned());
    }
    let wanted = |tier: &Tier| tiers.is_none_or(|t| t.contains(tier));
    let usable = |tier: &Tier| bound(bindings, *tier).is_none_or(|t| allowance.model(t));
    let tiers: Vec<Tier> = Tier::ALL
        .into_iter()
        .filter(|t| wanted(t) && usable(t))
        .collect();
    allowance.tiers(tiers)
}

/// The model that a tier leads to, bound or not, as [`Bindings`](tierway_layers::bind::Bindings) has it.
fn bound(bindings: &BTreeMap<Tier, Target>, tier: Tier) -> Option<&Target> {
    let (below, above) = Tier::ALL.split_at(tier as usize);
    let mut order = above.iter().chain(below.iter().rev());
    order.find_map(|tier| bindings.get(tier))
}

/// The built-in floors, as they are or as they were changed, and the rules of the file.
fn rules(config: &Config) -> Vec<Rule> {
    let built_in = Rule::built_in().filter(|rule| !config.rules.contains_key(rule.name()));
    let own = config.rules.iter().filter(|(_, rule)| rule.enabled);
    built_in
        .chain(own.map(|(name, rule)| of(name, rule)))
        .collect()
}

fn of(name: &str, rule: &config::Rule) -> Rule {
    let mut made = Rule::new(name.to_owned(), rule.effect);
    if let Some(risk) = Risk::named(name).filter(|_| rule.phrases.is_empty()) {
        made = made.risk(risk);
    }
    made = rule.phrases.iter().fold(made, |r, text| r.phrase(text));
    made = rule.paths.iter().fold(made, |r, path| r.path(path));
    made = rule.tenants.iter().fold(made, |r, name| r.tenant(name));
    made = rule.clients.iter().fold(made, |r, kind| r.client(*kind));
    made = rule.classes.iter().fold(made, |r, class| r.class(*class));
    let headers = rule.headers.iter();
    headers.fold(made, |r, (name, value)| r.header(name, value))
}

/// What the models of the bound tiers can: as configured, else as their kind is known for, else as the price list says.
fn fits(config: &Config, providers: &[Provider]) -> Fits {
    let mut listed = PriceList::embedded();
    for (name, provider) in &config.providers {
        listed = listed.with_listed_as(name, provider.kind.priced_as());
    }
    let mut fits = Fits::default();
    for (tier, target) in &config.tiers {
        if let Some(provider) = providers.iter().find(|p| *p.name() == *target.provider) {
            fits = fits.tier(*tier, fit(provider, target, &listed));
        }
    }
    fits
}

fn fit(provider: &Provider, target: &Target, listed: &PriceList) -> Fit {
    let (can, known) = (
        provider.capabilities(&target.model),
        provider.abilities(&target.model),
    );
    // Models on one's own machine are started with a window of one's own choice.
    let listed = (!provider.kind().is_local())
        .then(|| listed.price(target))
        .flatten();
    let cannot = |can: bool| (!can).then_some(false);
    Fit {
        context: known.context.or(listed.and_then(|price| price.context)),
        max_output: can.max_output.or(listed.and_then(|price| price.max_output)),
        vision: cannot(can.vision),
        documents: cannot(can.documents),
        tools: cannot(can.tools),
        structured_output: cannot(can.structured_output),
        reasoning: cannot(known.reasoning != Some(Reasoning::Unsupported)),
        // What counts is the vocabulary of OpenAI's models.
        vocabulary: matches!(provider.kind(), Kind::OpenAi | Kind::AzureOpenAi).then_some(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tierway_layers::classify::Effect;
    use tierway_services::chat::Tenant;

    fn config(toml: &str) -> Config {
        let environment = HashMap::<String, String>::new();
        let loaded = config::read("t".as_ref(), toml, &config::Flags::default(), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    const TWO: &str = "
        [providers.cloud]
        kind = 'anthropic'
        api_key = 'k'
        [providers.local]
        kind = 'ollama'
        [providers.local.models.'small*']
        context = 8192
        vision = false
        reasoning = 'none'
        [tiers]
        simple = 'local:small'
        complex = 'cloud:claude-opus-5-5'
        ";

    #[test]
    fn what_models_can_is_configured_or_listed() {
        let config = config(TWO);
        let providers = crate::stack::providers(&config).unwrap();
        let listed = PriceList::embedded();
        let of = |tier| {
            let target = &config.tiers[&tier];
            let provider = providers.iter().find(|p| *p.name() == *target.provider);
            fit(provider.unwrap(), target, &listed)
        };
        let small = of(Tier::Simple);
        assert_eq!(
            (small.context, small.vision, small.tools),
            (Some(8192), Some(false), None)
        );
        assert_eq!(small.reasoning, Some(false));
        let big = of(Tier::Complex);
        assert_eq!(
            (big.context, big.max_output),
            (Some(1_000_000), Some(128_000))
        );
        assert_eq!((big.vision, big.reasoning), (None, None));
    }

    #[test]
    fn a_tier_whose_model_a_tenant_may_not_use_is_not_for_it() {
        let config = config(&format!(
            "{TWO}[[keys]]\nkey = 'k'\ntenant = 'a'\n[tenants.a]\nmodels = ['local:*']"
        ));
        let tenants = tenants(&config);
        let (_, a) = tenants.of(Some(&Tenant::new("a"))).unwrap();
        assert_eq!(
            a.tier(Tier::Complex),
            Some(Tier::Simple),
            "medium leads to the model of complex"
        );
    }

    #[test]
    fn built_in_floors_are_on_until_they_are_changed() {
        let names = |toml: &str| -> Vec<String> {
            let rules = rules(&config(toml));
            rules.iter().map(|rule| rule.name().to_owned()).collect()
        };
        assert_eq!(
            names(""),
            ["secrets", "payments", "migrations", "production"]
        );
        let changed = "[rules.payments]\nenabled = false\n[rules.secrets]\nat_least = 'reasoning'\n[rules.mine]\nexactly = 'simple'\nphrases = ['x']";
        assert_eq!(
            names(changed),
            ["migrations", "production", "mine", "secrets"]
        );
        let made = &rules(&config(changed))[3];
        let expected = Rule::new("secrets", Effect::AtLeast(Tier::Reasoning)).risk(Risk::Secrets);
        assert_eq!(*made, expected);
    }
}
