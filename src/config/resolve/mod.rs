//! From what was typed to what it means: defaults filled in, secrets read, targets checked against providers.
mod access;
mod breakpoints;
mod cache;
mod cascade;
mod compress;
mod ledger;
mod mcp;
mod provider_keys;
mod providers;
mod resilience;
mod rules;
mod secrets;
mod semantic_cache;
mod server;
mod shared;
mod watching;

use super::{
    environment::Environment,
    file,
    origin::{Origin, Problem},
    settings::{Config, CountTokens, Embeddings, Key, Log, Responses, Route, Savings},
    shape::closest,
    typed::{Complaint, Named, Typed},
    values::{Dollars, Share},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tierway_services::{chat::Target, prices::Price, providers::Kind};

/// Turns a typed file into a configuration, and collects on the way what is wrong and where each value came from.
pub(super) struct Resolver<'a, 'e> {
    environment: &'a mut Environment<'e>,
    /// Paths of secret files are relative to it.
    folder: &'a Path,
    /// The names of all providers, the broken ones too: one mistake is reported once.
    providers: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) origins: BTreeMap<String, Origin>,
    /// Files that were read on the way.
    pub(super) files: Vec<PathBuf>,
}

impl<'a, 'e> Resolver<'a, 'e> {
    pub(super) fn new(environment: &'a mut Environment<'e>, folder: &'a Path) -> Self {
        Self {
            environment,
            folder,
            providers: BTreeSet::new(),
            problems: Vec::new(),
            origins: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    pub(super) fn config(&mut self, file: file::File) -> Config {
        self.providers = file.providers.keys().cloned().collect();
        let listen = file
            .server
            .listen
            .as_ref()
            .map(|typed| typed.origin.clone());
        let admin = file.server.admin.as_ref().map(|typed| typed.origin.clone());
        let keyless = file.keys.is_empty();
        let keys = self.keys(file.keys);
        // Who else may call is not known before somebody does.
        let elsewhere = file.access.required.is_some()
            || !file.oidc.is_empty()
            || file.sign_in.enabled.is_some();
        let server = self.server(file.server);
        let providers = self.all_providers(file.providers);
        let (tiers, fallbacks) = self.tiers(file.tiers);
        let mut config = Config {
            server,
            providers,
            tiers,
            fallbacks,
            models: self.models(file.models),
            embeddings: Embeddings {
                default: self.target("embeddings.default", file.embeddings.default),
            },
            count_tokens: self.count_tokens(file.count_tokens),
            tenants: self.tenants(file.tenants, &keys, elsewhere),
            rules: self.rules(file.rules, &keys, elsewhere),
            mcp: self.mcp(file.mcp, &keys),
            keys,
            access: self.access(file.admin, file.access, file.oidc, file.sign_in),
            affinity: self.affinity(file.affinity),
            breakpoints: self.breakpoints(file.breakpoints),
            compress: self.compress(file.compress),
            balance: self.balance(file.balance),
            limits: self.limits(file.limits),
            retry: self.retry(file.retry),
            breaker: self.breaker(file.breaker),
            cascade: self.cascade(file.cascade),
            labels: self.labels(file.labels),
            cache: self.cache(file.cache),
            semantic_cache: self.semantic_cache(file.semantic_cache),
            responses: self.responses(file.responses),
            redis: self.redis(file.redis),
            prices: self.prices(file.prices),
            savings: self.savings(file.savings),
            ledger: self.ledger(file.ledger),
            metrics: self.metrics(file.metrics),
            traces: self.traces(file.traces),
            log: self.log(file.log),
        };
        self.check_access(&config, keyless, listen, admin.clone());
        if config.server.listen == config.server.admin && config.server.listen.port() != 0 {
            self.refuse(
                admin.unwrap_or(Origin::Default),
                format!(
                    "`server.admin` is the same address as `server.listen`: {}",
                    config.server.admin
                ),
                "write two different ports",
            );
        }
        self.state_files(&mut config);
        self.ledger_files(&mut config);
        self.access_file(&mut config);
        self.cache_file(&mut config);
        self.check_small(&config);
        self.check_labels(&config);
        self.check_redis(&config);
        self.check_semantic_cache(&config);
        self.check_limits(&config);
        config
    }

    // === helpers ===

    fn refuse(&mut self, origin: Origin, message: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem {
            origin,
            message: message.into(),
            advice: advice.into(),
        });
    }

    /// The value of a setting, where there is one and it is right.
    fn take<T>(&mut self, path: &str, typed: Option<Typed<T>>) -> Option<T> {
        let Typed { origin, value } = typed?;
        match value {
            Ok(value) => {
                self.origins.insert(path.to_owned(), origin);
                Some(value)
            }
            Err(Complaint { fault, advice }) => {
                let subject = match &origin {
                    Origin::Environment(name) => name.clone(),
                    Origin::Flag(name) => (*name).to_owned(),
                    _ => format!("`{path}`"),
                };
                self.refuse(origin, format!("{subject} {fault}"), advice);
                None
            }
        }
    }

    /// A target whose provider exists.
    fn target(&mut self, path: &str, typed: Option<Typed<Target>>) -> Option<Target> {
        let origin = typed.as_ref().map(|typed| typed.origin.clone())?;
        let target = self.take(path, typed)?;
        self.known(path, origin, target)
    }

    fn known(&mut self, path: &str, origin: Origin, target: Target) -> Option<Target> {
        let name: &str = &target.provider;
        if self.providers.contains(name) {
            return Some(target);
        }
        let advice = match closest(name, self.providers.iter().map(String::as_str)) {
            Some(close) => format!(
                "write \"{close}:{}\", or add [providers.{name}]",
                target.model
            ),
            None => match name
                .parse()
                .ok()
                .and_then(|kind: Kind| kind.key_env().first())
            {
                Some(variable) => format!("set {variable}, or add [providers.{name}]"),
                None => format!("add [providers.{name}] with its kind and base_url"),
            },
        };
        self.refuse(
            origin,
            format!("`{path}` names the provider `{name}`, which does not exist"),
            advice,
        );
        None
    }

    // === sections ===

    fn count_tokens(&mut self, typed: file::CountTokens) -> CountTokens {
        let estimate = self.take("count_tokens.estimate", typed.estimate);
        estimate.map_or_else(CountTokens::default, |estimate| CountTokens { estimate })
    }

    fn models(&mut self, typed: BTreeMap<String, Named<Typed<Route>>>) -> BTreeMap<String, Route> {
        let mut models = BTreeMap::new();
        for (name, Named { origin, value }) in typed {
            let path = format!("models.{name}");
            if name.is_empty() || name[..name.len() - 1].contains('*') {
                self.refuse(
                    origin,
                    format!("`{name}` is not a model's name"),
                    "write a name, or its beginning and one `*` at the end",
                );
            }
            let origin = value.origin.clone();
            let route = match self.take(&path, Some(value)) {
                Some(Route::Target(target)) => self.known(&path, origin, target).map(Route::Target),
                route => route,
            };
            models.extend(route.map(|route| (name, route)));
        }
        models
    }

    fn keys(&mut self, typed: Vec<Named<file::Key>>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, Named { origin, value }) in typed.into_iter().enumerate() {
            let path = format!("keys.{index}");
            let set = value.key.is_some() || value.key_env.is_some() || value.key_file.is_some();
            let key = self.secret(
                &format!("{path}.key"),
                value.key,
                value.key_env,
                value.key_file,
            );
            let tenant = self.take(&format!("{path}.tenant"), value.tenant);
            let limits = self.quota(&path, value.limits);
            let tenant = tenant.unwrap_or_else(|| "default".to_owned());
            if !set {
                self.refuse(
                    origin,
                    format!("the key of `{tenant}` is missing"),
                    "add key_env, key_file or key",
                );
            } else if let Some(key) = key {
                if let Some(twin) = keys.iter().find(|other| other.key == key) {
                    let message =
                        format!("the key of `{tenant}` is the key of `{}` too", twin.tenant);
                    self.refuse(origin, message, "give each entry a key of its own");
                } else {
                    keys.push(Key {
                        key,
                        tenant,
                        limits,
                    });
                }
            }
        }
        keys
    }

    fn responses(&mut self, typed: file::Responses) -> Responses {
        let default = Responses::default();
        Responses {
            max_bytes: self
                .take("responses.max_bytes", typed.max_bytes)
                .map_or(default.max_bytes, |size| size.0),
            ttl: self.take("responses.ttl", typed.ttl).unwrap_or(default.ttl),
        }
    }

    fn prices(&mut self, typed: BTreeMap<String, Named<file::Price>>) -> BTreeMap<String, Price> {
        let mut prices = BTreeMap::new();
        for (name, Named { origin, value }) in typed {
            let path = format!("prices.{name}");
            let target = Typed::text(origin.clone(), &name);
            let target = self.target(&path, Some(target));
            for (key, missing) in [
                ("input", value.input.is_none()),
                ("output", value.output.is_none()),
            ] {
                if missing {
                    self.refuse(
                        origin.clone(),
                        format!("`{path}` has no {key} price"),
                        format!("add {key} = US dollars for a million tokens; 0 if it is free"),
                    );
                }
            }
            let input = self.take(&format!("{path}.input"), value.input);
            let output = self.take(&format!("{path}.output"), value.output);
            let cache_read = self.take(&format!("{path}.cache_read"), value.cache_read);
            let cache_write = self.take(&format!("{path}.cache_write"), value.cache_write);
            let hour = self.take(&format!("{path}.hour"), value.hour);
            if let (Some(input), Some(output), Some(_)) = (input, output, target) {
                let price = Price {
                    input,
                    output,
                    cache_read,
                    cache_write,
                    hour: hour.map(|Dollars(usd)| usd),
                    ..Price::FREE
                };
                prices.insert(name, price);
            }
        }
        prices
    }

    /// The baseline is only priced, never called: its provider need not be configured, but a kind's name or a provider's it must be.
    fn savings(&mut self, typed: file::Savings) -> Savings {
        let origin = typed.baseline.as_ref().map(|typed| typed.origin.clone());
        let baseline = self.take("savings.baseline", typed.baseline);
        let baseline = baseline.zip(origin).and_then(|(target, origin)| {
            if target.provider.parse::<Kind>().is_ok() {
                return Some(target);
            }
            self.known("savings.baseline", origin, target)
        });
        let holdout = self.take("savings.holdout", typed.holdout);
        Savings {
            baseline,
            holdout: holdout.map_or(0.0, |Share(share)| share),
            prices: self.file_of("savings.prices", typed.prices),
        }
    }

    fn log(&mut self, typed: file::Log) -> Log {
        let default = Log::default();
        Log {
            format: self
                .take("log.format", typed.format)
                .unwrap_or(default.format),
            level: self
                .take("log.level", typed.level)
                .map_or(default.level, |level| level.0),
        }
    }
}
