//! What to do without configured tiers: binds them to what was found.
//!
//! Pure: whoever looks around (sockets, time limits) fills in a [`Found`]; [`plan`] only decides.
use super::{Config, Loaded, Origin, Provider};
use std::{fmt::Write, net::SocketAddr};
use tierway_services::{
    chat::{Target, Tier},
    providers::Kind,
};

/// A server that may be there, to be asked for its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's name.
    pub provider: String,
    /// Its kind.
    pub kind: Kind,
    /// Where to ask.
    pub base_url: String,
}

/// What there is to work with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Servers that answered, and the models that they list.
    pub servers: Vec<(Candidate, Vec<String>)>,
    /// Configured providers of the well-known kinds, whose models need no asking: name and kind.
    pub clouds: Vec<(String, Kind)>,
}

/// Which providers to add and how to bind the tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The servers that a tier uses.
    pub providers: Vec<Candidate>,
    /// Each tier's model, and why this one.
    pub tiers: Vec<(Tier, Target, &'static str)>,
}

/// The models of a well-known provider, for simple, medium and harder work; providers in the order of preference.
///
/// OpenRouter's are those of another vendor under that vendor's name, so that the price list knows them.
const CLOUDS: [(Kind, [&str; 3]); 4] = [
    (
        Kind::Anthropic,
        ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"],
    ),
    (
        Kind::OpenAi,
        ["gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.6-sol"],
    ),
    (
        Kind::OpenRouter,
        [
            "openai/gpt-5.6-luna",
            "openai/gpt-5.6-terra",
            "openai/gpt-5.6-sol",
        ],
    ),
    (
        Kind::Gemini,
        [
            "gemini-3.5-flash-lite",
            "gemini-3.8-flash",
            "gemini-3.1-pro-preview",
        ],
    ),
];

/// Words in the names of models that do not chat.
const NO_CHAT: [&str; 7] = [
    "embed", "rerank", "whisper", "minilm", "bge-", "clip", "tts",
];

// === impl Found ===

impl Found {
    /// What `config` alone tells: the well-known providers that it can call.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let clouds = config
            .providers
            .iter()
            .filter(|(_, provider)| is_cloud(provider.kind))
            .map(|(name, provider)| (name.clone(), provider.kind));
        Self {
            servers: Vec::new(),
            clouds: clouds.collect(),
        }
    }
}

fn is_cloud(kind: Kind) -> bool {
    CLOUDS.iter().any(|(cloud, _)| *cloud == kind)
}

/// The servers worth asking: configured ones whose models nobody knows beforehand, and local ones at their usual addresses.
#[must_use]
pub fn candidates(config: &Config) -> Vec<Candidate> {
    let configured = config.providers.iter().filter_map(|(provider, settings)| {
        let base_url = settings.address()?.into_owned();
        (!is_cloud(settings.kind)).then(|| Candidate {
            provider: provider.clone(),
            kind: settings.kind,
            base_url,
        })
    });
    let mut all: Vec<Candidate> = configured.collect();
    for kind in Kind::ALL.iter().filter(|kind| kind.is_local()) {
        let Some(url) = kind.default_base_url() else {
            continue;
        };
        let asked = all.iter().any(|other| other.base_url == url);
        if !asked && !config.providers.contains_key(kind.as_str()) {
            all.push(Candidate {
                provider: kind.to_string(),
                kind: *kind,
                base_url: url.to_owned(),
            });
        }
    }
    all
}

/// Binds the tiers to what was found: the smallest local model to the simple tier, a well-known provider's models to the harder ones,
/// and either to all where the other is missing. Empty where nothing was found.
///
/// ```
/// use tierway::config::{Found, plan};
/// use tierway::services::providers::Kind;
/// let found = Found { clouds: vec![("claude".into(), Kind::Anthropic)], ..Found::default() };
/// assert!(plan(&found).table().contains("claude:claude-sonnet"));
/// ```
#[must_use]
pub fn plan(found: &Found) -> Plan {
    let mut local: Vec<(Option<u64>, Target)> = Vec::new();
    for (server, models) in &found.servers {
        let models = models.iter().filter(|name| chats(name));
        local.extend(models.map(|name| {
            let target = Target::new(&*server.provider, name.as_str());
            (millions(name), target)
        }));
    }
    // Models of unknown size come last and keep the order of their list: they are neither the smallest nor the largest.
    local.sort_by_key(|(size, _)| size.unwrap_or(u64::MAX));
    let small = local.first();
    let big = local.iter().rev().find(|(size, _)| size.is_some());
    let big = big.or(local.last());
    let cloud = CLOUDS.iter().find_map(|(kind, models)| {
        let (name, _) = found.clouds.iter().find(|(_, found)| found == kind)?;
        Some((name, models))
    });
    let mut plan = Plan::default();
    for tier in Tier::ALL {
        let of_cloud = cloud.map(|(name, [small, medium, big])| {
            let (model, why) = match tier {
                Tier::Simple => (small, "the provider's small model"),
                Tier::Medium => (medium, "the provider's middle model"),
                Tier::Complex | Tier::Reasoning => (big, "the provider's large model"),
            };
            (Target::new(name.as_str(), *model), why)
        });
        let of_local = |model: Option<&(Option<u64>, Target)>, why| {
            model.map(|(_, target)| (target.clone(), why))
        };
        let choice = match tier {
            Tier::Simple => of_local(small, "the smallest local model").or(of_cloud),
            _ => of_cloud.or_else(|| of_local(big, "the largest local model")),
        };
        plan.tiers
            .extend(choice.map(|(target, why)| (tier, target, why)));
    }
    let used = |server: &&Candidate| {
        let mut targets = plan.tiers.iter().map(|(_, target, _)| &target.provider);
        targets.any(|provider| **provider == *server.provider)
    };
    let servers = found.servers.iter().map(|(server, _)| server);
    plan.providers = servers.filter(used).cloned().collect();
    plan
}

// === impl Plan ===

impl Plan {
    /// A plan of two built-in models that speak chat completions at `base_url`.
    #[must_use]
    pub fn demo(base_url: &str, small: &str, big: &str) -> Self {
        let provider = crate::demo::PROVIDER.to_owned();
        let target = |model: &str| Target::new(&*provider, model);
        let why = "a built-in demo: nothing else was found";
        Self {
            tiers: vec![
                (Tier::Simple, target(small), why),
                (Tier::Medium, target(big), why),
                (Tier::Complex, target(big), why),
                (Tier::Reasoning, target(big), why),
            ],
            providers: vec![Candidate {
                kind: Kind::OpenAiCompatible,
                base_url: base_url.to_owned(),
                provider,
            }],
        }
    }

    /// Whether nothing was found to bind a tier to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The tiers as a small table for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self
            .tiers
            .iter()
            .map(|(_, target, _)| target.to_string().chars().count())
            .max();
        let width = width.unwrap_or_default().max("model".len());
        let mut table = format!("{:<9}  {:<width$}  why\n", "tier", "model");
        for (tier, target, why) in &self.tiers {
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                table,
                "{:<9}  {:<width$}  {why}",
                tier.as_str(),
                target.to_string()
            );
        }
        table
    }

    /// What to set so that clients come to the gateway at `listen`.
    #[must_use]
    pub fn next_steps(listen: SocketAddr) -> String {
        format!(
            "Claude Code  ANTHROPIC_BASE_URL=http://{listen} claude\n\
             OpenAI SDKs  OPENAI_BASE_URL=http://{listen}/v1\n\
             model        auto, tierway/simple .. tierway/reasoning, or provider:model\n"
        )
    }
}

impl Loaded {
    /// Adds what `plan` binds; what is configured stays.
    pub fn adopt(&mut self, plan: &Plan) {
        for Candidate {
            provider,
            kind,
            base_url,
        } in &plan.providers
        {
            self.config
                .providers
                .entry(provider.clone())
                .or_insert_with(|| {
                    for key in ["kind", "base_url"] {
                        self.origins
                            .insert(format!("providers.{provider}.{key}"), Origin::Found);
                    }
                    Provider {
                        base_url: Some(base_url.clone()),
                        ..Provider::new(*kind)
                    }
                });
        }
        for (tier, target, _) in &plan.tiers {
            self.config.tiers.entry(*tier).or_insert_with(|| {
                self.origins.insert(format!("tiers.{tier}"), Origin::Found);
                target.clone()
            });
        }
    }
}

// === models ===

fn chats(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !NO_CHAT.iter().any(|word| name.contains(word))
}

/// The parameters that a name such as `qwen2.5:3b`, `SmolLM2-135M` or `Mixtral-8x7B` tells, in millions.
fn millions(name: &str) -> Option<u64> {
    let name = name.to_ascii_lowercase();
    let words = name.split(['-', ':', '_', '/', ' ', '@']);
    words.rev().find_map(|word| {
        let word = word.strip_suffix(".gguf").unwrap_or(word);
        let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
        let unit = match unit {
            "b" => 1000.0,
            "m" => 1.0,
            _ => return None,
        };
        let (times, number) = number.split_once('x').unwrap_or(("1", number));
        let product = times.parse::<f64>().ok()? * number.parse::<f64>().ok()? * unit;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in range"
        )]
        (1.0..1e9).contains(&product).then_some(product as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: Kind, models: &[&str]) -> (Candidate, Vec<String>) {
        let server = Candidate {
            provider: kind.to_string(),
            kind,
            base_url: kind.default_base_url().unwrap().to_owned(),
        };
        (
            server,
            models.iter().map(|name| (*name).to_owned()).collect(),
        )
    }

    fn tiers(found: &Found) -> Vec<String> {
        plan(found)
            .tiers
            .iter()
            .map(|(_, target, _)| target.to_string())
            .collect()
    }

    #[test]
    fn sizes_are_read_from_names() {
        for (name, size) in [
            ("qwen2.5:3b", Some(3000)),
            ("qwen2.5-coder:0.5b-instruct-q4_K_M", Some(500)),
            ("SmolLM2-135M-Instruct-Q4_K_M.gguf", Some(135)),
            ("mixtral-8x7B", Some(56000)),
            ("llama3.2:latest", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(millions(name), size, "{name}");
        }
    }

    #[test]
    fn local_models_alone_serve_all_tiers() {
        let found = Found {
            servers: vec![
                server(
                    Kind::Ollama,
                    &["qwen2.5:7b", "nomic-embed-text", "mystery", "qwen2.5:0.5b"],
                ),
                server(Kind::LlamaCpp, &["SmolLM2-135M"]),
            ],
            clouds: vec![],
        };
        let big = "ollama:qwen2.5:7b";
        assert_eq!(tiers(&found), ["llamacpp:SmolLM2-135M", big, big, big]);
        let used: Vec<String> = plan(&found)
            .providers
            .into_iter()
            .map(|server| server.provider)
            .collect();
        assert_eq!(used, ["ollama", "llamacpp"]);
    }

    #[test]
    fn a_cloud_takes_the_harder_tiers() {
        let found = Found {
            servers: vec![server(Kind::Ollama, &["qwen2.5:7b"])],
            clouds: vec![
                ("openai".into(), Kind::OpenAi),
                ("claude".into(), Kind::Anthropic),
            ],
        };
        let got = tiers(&found);
        assert_eq!(got[0], "ollama:qwen2.5:7b");
        assert!(
            got[1..]
                .iter()
                .all(|target| target.starts_with("claude:claude-")),
            "{got:?}"
        );
    }

    #[test]
    fn nothing_found_is_nothing_planned() {
        let found = Found {
            servers: vec![server(Kind::Ollama, &["bge-m3"])],
            clouds: vec![],
        };
        assert!(plan(&found).is_empty() && plan(&found).providers.is_empty());
    }

    #[test]
    fn configured_servers_are_asked_at_their_own_address() {
        let environment =
            std::collections::HashMap::from([("OLLAMA_ENDPOINT", "http://10.0.0.1:11434")]);
        let loaded =
            super::super::read("t".as_ref(), "", &Default::default(), &environment).unwrap();
        let urls: Vec<String> = candidates(&loaded.config)
            .into_iter()
            .map(|c| c.base_url)
            .collect();
        assert_eq!(
            urls,
            [
                "http://10.0.0.1:11434",
                "http://127.0.0.1:8080",
                "http://127.0.0.1:1234",
                "http://127.0.0.1:8000"
            ]
        );
    }

    #[test]
    fn every_model_of_a_plan_has_a_price() {
        let prices = tierway_services::prices::PriceList::embedded();
        for (kind, models) in CLOUDS {
            for model in models {
                let target = Target::new(kind.as_str(), model);
                assert!(prices.price(&target).is_some(), "{target}");
            }
        }
    }

    #[test]
    fn the_table() {
        let found = Found {
            servers: vec![server(Kind::Ollama, &["qwen2.5:3b"])],
            clouds: vec![("anthropic".into(), Kind::Anthropic)],
        };
        insta::assert_snapshot!(plan(&found).table());
    }
}
