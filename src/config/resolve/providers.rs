//! Providers: their kinds, addresses, keys and headers.
use super::Resolver;
use crate::config::{
    file,
    origin::Origin,
    settings::Provider,
    typed::{Complaint, Named, Read, Typed},
};
use std::{collections::BTreeMap, path::PathBuf};
use tierway_services::providers::{
    self, Abilities, AuthStyle, Kind, Secret, Setting, Settings, Timeouts,
};
use toml::Value;

/// A secret itself, the variable that holds it, the file that holds it.
type SecretPlaces = (
    Option<Typed<Secret>>,
    Option<Typed<String>>,
    Option<Typed<PathBuf>>,
);

/// The settings that only some kinds know, as they were typed.
struct TypedSettings {
    auth: Option<Typed<AuthStyle>>,
    native_chat: Option<Typed<bool>>,
    api_version: Option<Typed<String>>,
    project: Option<Typed<String>>,
    region: Option<Typed<String>>,
    client_id: Option<Typed<String>>,
    client_secret: SecretPlaces,
    credentials_file: Option<Typed<PathBuf>>,
}

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
        let address_of_environment = value
            .base_url
            .as_ref()
            .is_some_and(|url| matches!(url.origin, Origin::Environment(_)));
        let base_url = self.take(&format!("{path}.base_url"), value.base_url);
        let pass_credentials =
            self.take(&format!("{path}.pass_credentials"), value.pass_credentials);
        let pass_credentials = pass_credentials.unwrap_or(false);
        let keys = (value.api_key, value.api_key_env, value.api_key_file);
        let typed_key = keys.0.is_some() || keys.1.is_some() || keys.2.is_some();
        let key_command =
            self.key_command(&path, value.api_key_command, value.api_key_ttl, typed_key);
        let own_key = typed_key || key_command.is_some();
        let key_path = format!("{path}.api_key");
        let mut api_key = self.secret(&key_path, keys.0, keys.1, keys.2);
        if let Some(kind) = kind
            && kind.default_base_url().is_none()
            && !own_address
        {
            self.refuse(
                origin.clone(),
                format!("`{path}` has no address"),
                format!("add base_url: \"{kind}\" has no address of its own"),
            );
        }
        let native_messages = self.take(&format!("{path}.native_messages"), value.native_messages);
        let native_responses =
            self.take(&format!("{path}.native_responses"), value.native_responses);
        // What the environment says of a kind belongs to the kind's address, and never goes to another. Where a kind has no address of its
        // own, it belongs to the one that is written here.
        let of_kind = kind.filter(|kind| !own_address || kind.default_base_url().is_none());
        let of_kind_or_environment = of_kind.or(kind.filter(|_| address_of_environment));
        let settings = self.settings(
            &path,
            TypedSettings {
                native_chat: value.native_chat,
                auth: value.auth,
                api_version: value.api_version,
                project: value.project,
                region: value.region,
                client_id: value.client_id,
                client_secret: (
                    value.client_secret,
                    value.client_secret_env,
                    value.client_secret_file,
                ),
                credentials_file: value.credentials_file,
            },
            kind,
            of_kind_or_environment.is_some(),
        );
        if let Some(kind) = of_kind
            && !own_key
            && !pass_credentials
        {
            api_key = self.key_of_kind(kind, &path, &origin, &settings, !address_of_environment);
        }
        let models = self.abilities(&path, value.models);
        let headers = self.headers(&path, value.headers);
        let timeouts = self.timeouts(&path, value.timeouts);
        let tls = self.provider_tls(&path, value.tls);
        let provider = Provider {
            base_url: base_url.map(|url| url.0),
            api_key,
            key_command,
            tls,
            pass_credentials,
            native_messages,
            native_responses,
            settings,
            models,
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

    /// What some kinds want to know besides, what is not typed taken from where users of the kind keep it.
    fn settings(
        &mut self,
        path: &str,
        typed: TypedSettings,
        kind: Option<Kind>,
        of_kind: bool,
    ) -> Settings {
        let at = |key: &str| format!("{path}.{key}");
        let (secret, variable, file) = typed.client_secret;
        let own_secret = secret.is_some() || variable.is_some() || file.is_some();
        let own_credentials = typed.credentials_file.is_some();
        let mut settings = Settings {
            auth: self.take(&at("auth"), typed.auth),
            native_chat: self
                .take(&at("native_chat"), typed.native_chat)
                .unwrap_or(false),
            api_version: self.take(&at("api_version"), typed.api_version),
            project: self.take(&at("project"), typed.project),
            region: self.take(&at("region"), typed.region),
            client_id: self.take(&at("client_id"), typed.client_id),
            client_secret: self.secret(&at("client_secret"), secret, variable, file),
            credentials: self.secret(&at("credentials"), None, None, typed.credentials_file),
        };
        let variables = kind.map(Kind::settings_env).unwrap_or_default();
        // Where calls are signed, they are signed for a region, whatever the address; and it is no secret.
        let signs = kind.is_some_and(Kind::signs);
        let variables = variables
            .iter()
            .filter(|(setting, _)| of_kind || signs && *setting == Setting::Region);
        for (setting, names) in variables {
            let found = names
                .iter()
                .find_map(|name| Some((*name, self.environment.get(name)?)));
            let Some((name, text)) = found else { continue };
            let (key, place) = match setting {
                Setting::ApiVersion => ("api_version", &mut settings.api_version),
                Setting::Project => ("project", &mut settings.project),
                Setting::Region => ("region", &mut settings.region),
                Setting::ClientId => ("client_id", &mut settings.client_id),
                Setting::ClientSecret => {
                    if !own_secret {
                        settings.client_secret = Some(Secret::new(text));
                        self.origins
                            .insert(at("client_secret"), Origin::Environment(name.to_owned()));
                    }
                    continue;
                }
                Setting::CredentialsFile => {
                    if !own_credentials {
                        let file = Typed::text(Origin::Environment(name.to_owned()), &text);
                        settings.credentials =
                            self.secret(&at("credentials"), None, None, Some(file));
                    }
                    continue;
                }
                _ => continue,
            };
            if place.is_none() {
                *place = Some(text.trim().to_owned());
                self.origins
                    .insert(at(key), Origin::Environment(name.to_owned()));
            }
        }
        settings
    }

    /// The key that users of a kind keep in the environment.
    fn key_of_kind(
        &mut self,
        kind: Kind,
        path: &str,
        origin: &Origin,
        settings: &Settings,
        demanded: bool,
    ) -> Option<Secret> {
        let proves = settings.credentials.is_some() || settings.client_secret.is_some();
        if proves {
            return None;
        }
        for variable in kind.key_env() {
            if let Some(key) = self.environment.get(variable) {
                let origin = Origin::Environment((*variable).to_owned());
                self.origins.insert(format!("{path}.api_key"), origin);
                return Some(Secret::new(key));
            }
        }
        if demanded
            && kind.needs_key()
            && let Some(variable) = kind.key_env().first()
        {
            let mut ways = "api_key_env, api_key_file or pass_credentials = true".to_owned();
            for (setting, _) in kind.settings_env() {
                match setting {
                    Setting::ClientSecret => ways.push_str(", or client_id and client_secret_env"),
                    Setting::CredentialsFile => ways.push_str(", or credentials_file"),
                    _ => {}
                }
            }
            self.refuse(
                origin.clone(),
                format!("`{path}` has no key"),
                format!("set {variable}, or add {ways}"),
            );
        }
        None
    }

    fn abilities(
        &mut self,
        path: &str,
        typed: BTreeMap<String, Named<file::Abilities>>,
    ) -> BTreeMap<String, Abilities> {
        let mut models = BTreeMap::new();
        for (name, Named { value, .. }) in typed {
            let at = |key: &str| format!("{path}.models.{name}.{key}");
            let abilities = Abilities {
                tools: self.take(&at("tools"), value.tools),
                vision: self.take(&at("vision"), value.vision),
                documents: self.take(&at("documents"), value.documents),
                logprobs: self.take(&at("logprobs"), value.logprobs),
                parallel_tools: self.take(&at("parallel_tools"), value.parallel_tools),
                structured_output: self.take(&at("structured_output"), value.structured_output),
                streaming_usage: self.take(&at("streaming_usage"), value.streaming_usage),
                max_tokens_field: self.take(&at("max_tokens_field"), value.max_tokens_field),
                max_output: self
                    .take(&at("max_output"), value.max_output)
                    .map(|count| count.0 as u64),
                context: self
                    .take(&at("context"), value.context)
                    .map(|count| count.0 as u64),
                reasoning: self.take(&at("reasoning"), value.reasoning),
            };
            models.insert(name, abilities);
        }
        models
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
