//! Providers: their kinds, addresses, keys and headers.
use super::Resolver;
use crate::config::{
    file,
    origin::Origin,
    settings::Provider,
    typed::{Complaint, Named, Read, Typed},
};
use std::collections::BTreeMap;
use tierway_services::providers::{self, Kind, Secret, Timeouts};
use toml::Value;

impl Resolver<'_, '_> {
    pub(super) fn all_providers(
        &mut self,
        typed: BTreeMap<String, Named<file::Provider>>,
    ) -> BTreeMap<String, Provider> {
        let providers = typed.into_iter().filter_map(|(name, typed)| {
            let provider = self.provider(&name, typed)?;
            Some((name, provider))
        });
        providers.collect()
    }

    fn provider(
        &mut self,
        name: &str,
        Named { origin, value }: Named<file::Provider>,
    ) -> Option<Provider> {
        let before = self.problems.len();
        let path = format!("providers.{name}");
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            self.refuse(
                origin.clone(),
                format!("`{name}` cannot be a provider's name"),
                "write letters, digits, `-`, `_` and `.`: a target is split at its first colon",
            );
        }
        let kind = self.kind(name, &origin, value.kind);
        let own_address = value.base_url.is_some();
        let base_url = self.take(&format!("{path}.base_url"), value.base_url);
        let region = self.take(&format!("{path}.region"), value.region);
        let region = region.or_else(|| self.region_of_kind(kind?, &path));
        let pass_credentials =
            self.take(&format!("{path}.pass_credentials"), value.pass_credentials);
        let pass_credentials = pass_credentials.unwrap_or(false);
        let keys = (value.api_key, value.api_key_env, value.api_key_file);
        let own_key = keys.0.is_some() || keys.1.is_some() || keys.2.is_some();
        let key_path = format!("{path}.api_key");
        let mut api_key = self.secret(&key_path, keys.0, keys.1, keys.2);
        if let Some(kind) = kind {
            if kind.default_base_url().is_none() && !own_address {
                self.refuse(
                    origin.clone(),
                    format!("`{path}` has no address"),
                    format!("add base_url: \"{kind}\" has no address of its own"),
                );
            }
            // A key out of the environment goes to the address that it belongs to, never to another.
            if !own_key && !own_address && !pass_credentials {
                api_key = self.key_of_kind(kind, &path, &origin);
            }
        }
        let native_messages = self.take(&format!("{path}.native_messages"), value.native_messages);
        let native_responses =
            self.take(&format!("{path}.native_responses"), value.native_responses);
        let headers = self.headers(&path, value.headers);
        let timeouts = self.timeouts(&path, value.timeouts);
        let provider = Provider {
            base_url: base_url.map(|url| url.0),
            region,
            api_key,
            pass_credentials,
            native_messages,
            native_responses,
            headers,
            timeouts,
            ..Provider::new(kind?)
        };
        // What only the provider itself can know, once nothing else is wrong with it.
        if self.problems.len() == before
            && let Err(error) = provider.build(name)
        {
            self.refuse(
                origin,
                format!("`{path}` cannot be called"),
                error.what().to_owned(),
            );
        }
        Some(provider)
    }

    fn kind(&mut self, name: &str, origin: &Origin, typed: Option<Typed<Kind>>) -> Option<Kind> {
        if typed.is_some() {
            return self.take(&format!("providers.{name}.kind"), typed);
        }
        match Kind::read(&Value::String(name.to_owned())) {
            Ok(kind) => Some(kind),
            Err(Complaint { advice, .. }) => {
                let advice = advice.replacen("write", "add kind =", 1);
                self.refuse(
                    origin.clone(),
                    format!("`providers.{name}` has no kind"),
                    advice,
                );
                None
            }
        }
    }

    /// The region that users of a kind name in the environment.
    fn region_of_kind(&mut self, kind: Kind, path: &str) -> Option<String> {
        kind.region_envs().iter().find_map(|name| {
            let region = self.environment.get(name)?.trim().to_owned();
            let origin = Origin::Environment((*name).to_owned());
            self.origins.insert(format!("{path}.region"), origin);
            Some(region)
        })
    }

    /// The key that users of a kind keep in the environment.
    fn key_of_kind(&mut self, kind: Kind, path: &str, origin: &Origin) -> Option<Secret> {
        let variable = kind.key_env()?;
        for name in std::iter::once(&variable).chain(kind.other_key_envs()) {
            if let Some(key) = self.environment.get(name) {
                let origin = Origin::Environment((*name).to_owned());
                self.origins.insert(format!("{path}.api_key"), origin);
                return Some(Secret::new(key));
            }
        }
        if kind.needs_key() {
            self.refuse(
                origin.clone(),
                format!("`{path}` has no key"),
                format!(
                    "set {variable}, or add api_key_env, api_key_file or pass_credentials = true"
                ),
            );
        }
        None
    }

    fn headers(
        &mut self,
        path: &str,
        typed: BTreeMap<String, Named<Typed<Secret>>>,
    ) -> Vec<(String, Secret)> {
        let mut headers = Vec::new();
        for (name, Named { origin, value }) in typed {
            let path = format!("{path}.headers.{name}");
            let Some(value) = self.take(&path, Some(value)) else {
                continue;
            };
            // The provider's own rules: some headers are the connection's.
            let trial = providers::Provider::new(path.as_str(), Kind::OpenAiCompatible);
            match trial.header(&name, value.expose()) {
                Ok(_) => headers.push((name, value)),
                Err(error) => {
                    let why = error.what().split_once(": ").map_or("", |(_, why)| why);
                    self.refuse(origin, format!("`{path}` cannot be sent"), why.to_owned());
                }
            }
        }
        headers
    }

    fn timeouts(&mut self, path: &str, typed: file::Timeouts) -> Timeouts {
        let default = Timeouts::default();
        let mut take = |key: &str, typed| self.take(&format!("{path}.timeouts.{key}"), typed);
        Timeouts {
            connect: take("connect", typed.connect).unwrap_or(default.connect),
            first_byte: take("first_byte", typed.first_byte).unwrap_or(default.first_byte),
            idle: take("idle", typed.idle).unwrap_or(default.idle),
        }
    }
}
