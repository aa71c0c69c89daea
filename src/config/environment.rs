//! The environment laid over the file: our own variables, and those of the system that we replace.
use super::{
    file::{File, Provider},
    origin::{Origin, Problem},
    settings,
    typed::{Complaint, Named, Read, Typed},
    values::Targets,
};
use std::{collections::HashMap, fmt, net::SocketAddr};
use tierway_services::{
    chat::{Target, Tier},
    providers::Kind,
};

/// Where variables are looked up. The process has one; tests bring their own.
pub trait Strings {
    /// The value of the variable `name`, if it is set.
    ///
    /// # Errors
    /// Where the value is not Unicode.
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

/// A variable whose value is not Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnicode;

// === impl Strings ===

impl Strings for Process {
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(NotUnicode),
        }
    }
}

impl<K, V> Strings for HashMap<K, V>
where
    K: std::borrow::Borrow<str> + std::hash::Hash + Eq,
    V: AsRef<str>,
{
    fn get(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        Ok(HashMap::get(self, name).map(|value| value.as_ref().to_owned()))
    }
}

impl fmt::Display for NotUnicode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not Unicode")
    }
}
impl std::error::Error for NotUnicode {}

// === the overlay ===

/// Looks variables up and remembers what was wrong with them.
pub(super) struct Environment<'a> {
    strings: &'a dyn Strings,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(strings: &'a dyn Strings) -> Self {
        Self {
            strings,
            problems: Vec::new(),
        }
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        match self.strings.get(name) {
            Ok(value) => value.filter(|value| !value.trim().is_empty()),
            Err(NotUnicode) => {
                self.problems.push(Problem {
                    origin: Origin::Environment(name.to_owned()),
                    message: format!("{name} is not Unicode"),
                    advice: "write it in UTF-8, or unset it".to_owned(),
                });
                None
            }
        }
    }

    fn set<T: Read>(&mut self, name: &str, setting: &mut Option<Typed<T>>) {
        if let Some(text) = self.get(name) {
            let origin = Origin::Environment(name.to_owned());
            *setting = Some(Typed::text(origin, text.trim()));
        }
    }

    /// Lays the variables over `file`.
    pub(super) fn overlay(&mut self, file: &mut File) {
        self.port(file);
        self.set("TIERWAY_LISTEN", &mut file.server.listen);
        self.set("TIERWAY_ADMIN", &mut file.server.admin);
        self.set("TIERWAY_ADMIN_TOKEN", &mut file.admin.token);
        if let Some(Origin::Environment(_)) = file.admin.token.as_ref().map(|typed| &typed.origin) {
            (file.admin.token_env, file.admin.token_file) = (None, None);
        }
        self.set("TIERWAY_LOG", &mut file.log.level);
        // The more particular one last, as it wins.
        self.set("OTEL_EXPORTER_OTLP_ENDPOINT", &mut file.traces.otlp);
        self.set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &mut file.traces.otlp);
        self.set("LYNKR_CASCADE_ENABLED", &mut file.cascade.enabled);
        self.set("PROMPT_CACHE_ENABLED", &mut file.cache.enabled);
        if let Some(text) = self.get("PROMPT_CACHE_TTL_MS") {
            let origin = Origin::Environment("PROMPT_CACHE_TTL_MS".to_owned());
            let mut ttl = Typed::text(origin, &format!("{}ms", text.trim()));
            if let Err(complaint) = &mut ttl.value {
                *complaint = Complaint::new(
                    "is not a number of milliseconds",
                    "write for example 300000",
                );
            }
            file.cache.ttl = Some(ttl);
        }
        self.tiers(file);
        self.implied(file);
    }

    /// `PORT` moves the address to another port of the same host, and so opens nothing that was closed.
    fn port(&mut self, file: &mut File) {
        let Some(text) = self.get("PORT") else { return };
        let origin = Origin::Environment("PORT".to_owned());
        let listen = file.server.listen.as_ref();
        let mut address = listen
            .and_then(|typed| typed.value.clone().ok())
            .unwrap_or_else(|| settings::Server::default().listen);
        let value = match text.trim().parse() {
            Ok(port) => {
                address.set_port(port);
                Ok(address)
            }
            Err(_) => Err(Complaint::new(
                "is not a port",
                "write a number up to 65535, for example 8787",
            )),
        };
        file.server.listen = Some(Typed::<SocketAddr> { origin, value });
    }

    /// `TIER_SIMPLE` and so on: `provider:model`, or a model of `MODEL_PROVIDER`.
    fn tiers(&mut self, file: &mut File) {
        for tier in Tier::ALL {
            let name = format!("TIER_{}", tier.as_str().to_ascii_uppercase());
            let Some(text) = self.get(&name) else {
                continue;
            };
            let text = text.trim();
            let value = if text.contains(':') {
                Target::read_text(text)
            } else if let Some(provider) = self.get("MODEL_PROVIDER") {
                Ok(Target::new(provider.trim(), text))
            } else {
                Err(Complaint::new(
                    "names no provider",
                    "write provider:model, for example ollama:qwen2.5:3b, or set MODEL_PROVIDER",
                ))
            };
            let origin = Origin::Environment(name);
            let value = value.map(|target| Targets(vec![target]));
            *file.tiers.get_mut(tier) = Some(Typed { origin, value });
        }
    }

    /// Adds the providers that the file does not define and whose key or address is in the environment, or that a tier names and that
    /// need neither.
    fn implied(&mut self, file: &mut File) {
        let named = file.tiers.targets();
        let mut named: Vec<(String, Origin)> = named
            .map(|(target, origin)| (target.provider.to_string(), origin.clone()))
            .collect();
        named.extend(file.cascade.small.iter().filter_map(|typed| {
            let target = typed.value.as_ref().ok()?;
            Some((target.provider.to_string(), typed.origin.clone()))
        }));
        for kind in Kind::ALL {
            let name = kind.as_str();
            if file.providers.contains_key(name) {
                continue;
            }
            let mut provider = Provider::default();
            // The first of several that is set wins.
            for variable in kind.base_url_env().iter().rev() {
                self.set(variable, &mut provider.base_url);
            }
            for variable in kind.key_env().iter().rev() {
                self.set(variable, &mut provider.api_key);
            }
            // Laid over the provider later, where there is one; here they only tell whether it can be meant.
            let others = kind.settings_env().iter().flat_map(|(_, names)| *names);
            let others = others.filter(|name| self.get(name).is_some()).count();
            let address = provider.base_url.as_ref().map(|typed| &typed.origin);
            let key = provider.api_key.as_ref().map(|typed| &typed.origin);
            let tier = named.iter().find(|(provider, _)| provider == name);
            // A local server's key says nothing about whether the server runs; a tier that names it does.
            let tier = tier.map(|(_, origin)| origin);
            let implied = if kind.is_local() {
                address.or(tier)
            } else if kind.signs() {
                // Whether there are credentials is not known before somebody asks for them.
                address.or(key).or(tier)
            } else {
                let tier = tier.filter(|_| others > 0);
                // A key without an address to send it to says nothing either.
                let key = key.filter(|_| kind.default_base_url().is_some());
                address.or(key).or(tier)
            };
            if let Some(origin) = implied.cloned() {
                provider.kind = Some(Typed::value(origin.clone(), *kind));
                let value = Named {
                    origin,
                    value: provider,
                };
                file.providers.insert(name.to_owned(), value);
            }
        }
    }
}
