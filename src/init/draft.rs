//! A configuration in the making, and the file that comes of it.
use crate::config::{Config, Loaded, Origin, Plan, key, quote};
use std::{collections::BTreeMap, fmt::Write};
use tierway_services::{
    chat::{Target, Tier},
    providers::Kind,
};

/// A configuration in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Whom to ask.
    pub providers: BTreeMap<String, DraftProvider>,
    /// The model of each tier.
    pub tiers: BTreeMap<Tier, Target>,
    /// Other names of models.
    pub models: BTreeMap<String, Target>,
    /// Whether the small model is tried first.
    pub cascade: bool,
    /// The variables that hold the keys of callers, and whose each is. Without any, only this machine may call.
    pub keys: Vec<(String, String)>,
    /// Whether callers come over the network.
    pub network: bool,
}

/// A provider in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftProvider {
    /// The kind of server.
    pub kind: Kind,
    /// Its address, where it is not its kind's own.
    pub base_url: Option<String>,
    /// The variable that holds its key.
    pub key_env: Option<String>,
    /// What its kind wants to know besides: key and value.
    pub settings: Vec<(&'static str, String)>,
}

// === impl DraftProvider ===

impl DraftProvider {
    /// A provider of this kind at its usual place.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            base_url: None,
            key_env: None,
            settings: Vec::new(),
        }
    }
}

// === impl Draft ===

impl Draft {
    /// What `plan` binds, with the providers of `loaded` and their variables.
    #[must_use]
    pub fn of_plan(plan: &Plan, loaded: &Loaded) -> Self {
        let mut draft = Self::default();
        for (tier, target, _) in &plan.tiers {
            draft.tiers.insert(*tier, target.clone());
        }
        for server in &plan.providers {
            let usual = server.kind.default_base_url() == Some(&*server.base_url);
            let provider = DraftProvider {
                base_url: (!usual).then(|| server.base_url.clone()),
                ..DraftProvider::new(server.kind)
            };
            draft.providers.insert(server.provider.clone(), provider);
        }
        draft.take_providers(loaded);
        draft
    }

    /// What `loaded` configures.
    #[must_use]
    pub fn of_config(loaded: &Loaded) -> Self {
        let Config { tiers, cascade, .. } = &loaded.config;
        let mut draft = Self {
            tiers: tiers.clone(),
            cascade: cascade.enabled,
            ..Self::default()
        };
        draft.take_providers(loaded);
        draft
    }

    /// The configured providers that a tier names.
    fn take_providers(&mut self, loaded: &Loaded) {
        for target in self.tiers.values() {
            let name = &*target.provider;
            let Some(provider) = loaded.config.providers.get(name) else {
                continue;
            };
            let key = loaded.origin(&format!("providers.{name}.api_key"));
            let key_env = match key {
                Origin::Environment(variable) => Some(variable.clone()),
                _ => None,
            };
            let drafted = DraftProvider {
                base_url: provider.base_url.clone(),
                key_env,
                ..DraftProvider::new(provider.kind)
            };
            self.providers.entry(name.to_owned()).or_insert(drafted);
        }
    }

    /// The configuration file, with what each part is for.
    ///
    /// ```
    /// use tierway::{init::{Draft, DraftProvider}, services::{chat::{Target, Tier}, providers::Kind}};
    /// let mut draft = Draft::default();
    /// draft.providers.insert("local".into(), DraftProvider::new(Kind::Ollama));
    /// draft.tiers.insert(Tier::Simple, Target::new("local", "qwen2.5:3b"));
    /// assert!(draft.to_toml().contains("simple = \"local:qwen2.5:3b\""));
    /// ```
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(
            "# Tierway. `tierway check` tells what this means, `tierway check --reference` what else can be said,\n\
             # `tierway doctor` whether it works here and now.\n",
        );
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        // Writing to a `String` cannot fail.
        macro_rules! line { ($($arg:tt)*) => { let _ = writeln!(text, $($arg)*); } }
        if self.network {
            line!(
                "\n[server]\nlisten = \"0.0.0.0:8787\"      # put TLS in front of it where the network is not yours"
            );
        }
        line!("\n# Whom to ask. Keys stand in the environment, not here.");
        for (name, provider) in &self.providers {
            line!(
                "[providers.{}]\nkind = {}",
                key(name),
                quote(provider.kind.as_str())
            );
            if let Some(url) = &provider.base_url {
                line!("base_url = {}", quote(url));
            }
            if let Some(variable) = &provider.key_env {
                line!("api_key_env = {}", quote(variable));
            }
            for (setting, value) in &provider.settings {
                line!("{setting} = {}", quote(value));
            }
            line!("");
        }
        line!(
            "# The cheapest model that is good enough for each kind of work: provider:model.\n[tiers]"
        );
        for (tier, target) in &self.tiers {
            line!("{tier} = {}", quote(target));
        }
        if !self.models.is_empty() {
            line!("\n# Other names under which callers may ask for a model.\n[models]");
            for (name, target) in &self.models {
                line!("{} = {}", key(name), quote(target));
            }
        }
        line!(
            "\n# Ask the small model first in the middle tiers, and keep its answer only where that is good enough (docs/cascade.md).\n\
             [cascade]\nenabled = {}\n# streams = \"buffer\"              # also for streams, which coding agents send\n\
             # tools = true                    # and for requests with tools",
            self.cascade
        );
        line!(
            "\n# Answer a repeated deterministic request without a model.\n[cache]\nenabled = true"
        );
        if self.keys.is_empty() {
            line!(
                "\n# Without keys only this machine may call.\n# [[keys]]\n# key_env = \"ALICE_KEY\"\n# tenant = \"alice\""
            );
        }
        for (variable, tenant) in &self.keys {
            line!(
                "\n[[keys]]\nkey_env = {}\ntenant = {}",
                quote(variable),
                quote(tenant)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, read};
    use std::collections::HashMap;

    #[test]
    fn what_is_written_can_be_read() {
        let mut draft = Draft {
            cascade: true,
            network: true,
            ..Draft::default()
        };
        let cloud = DraftProvider {
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            key_env: Some("SOME_KEY".to_owned()),
            ..DraftProvider::new(Kind::OpenAiCompatible)
        };
        draft.providers.insert("my.cloud".to_owned(), cloud);
        let target = Target::new("my.cloud", "a \"model\"");
        draft.tiers.insert(Tier::Simple, target.clone());
        draft.tiers.insert(Tier::Complex, target.clone());
        draft.models.insert("gpt-4o*".to_owned(), target.clone());
        draft.keys.push(("ALICE".to_owned(), "alice".to_owned()));
        let environment = HashMap::from([("SOME_KEY", "s"), ("ALICE", "sk-a")]);
        let text = draft.to_toml();
        let loaded = read("t".as_ref(), &text, &Flags::default(), &environment);
        let config = loaded.unwrap_or_else(|e| panic!("{e}\n{text}")).config;
        assert_eq!(config.tiers[&Tier::Complex], target);
        assert!(config.cascade.enabled && config.keys.len() == 1);
        assert!(!config.server.listen.ip().is_loopback());
    }
}
