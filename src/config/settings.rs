//! What a configuration means: typed, checked, with every default filled in and every secret read.
mod access;
mod breakpoints;
mod cache;
mod cascade;
mod compress;
mod ledger;
mod mcp;
mod resilience;
mod semantic_cache;
mod server;
mod watching;

pub use access::{Access, Oidc, SignIn, User};
pub use breakpoints::Breakpoints;
pub use cache::{Cache, CacheStore};
pub use cascade::{Cascade, CascadeTier, Labels, Uncertified, Verify};
pub use compress::Compress;
pub use ledger::Ledger;
pub use mcp::{Mcp, McpServer, McpTenant};
pub use resilience::{Balance, Breaker, Limits, Retry};
pub use semantic_cache::SemanticCache;
pub use server::{Server, ServerTls};
pub use watching::{Metrics, Traces};

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf, time::Duration};
use tierway_layers::{
    classify::{Class, ClientKind, Effect},
    limit,
};
use tierway_services::{
    chat::{Target, Tier},
    prices::Price,
    providers::{
        self, Abilities, KeyCommand, Kind, ProviderError, Secret, Settings, Timeouts, Tls,
    },
};

/// A validated configuration.
///
/// The default is the gateway without any configuration: it listens on loopback, caches, and has nobody to ask yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Sockets and limits.
    pub server: Server,
    /// Whom to ask, by the names that targets use.
    pub providers: BTreeMap<String, Provider>,
    /// The model of each bound tier.
    pub tiers: BTreeMap<Tier, Target>,
    /// Who may answer in the place of a tier's model, the next one to ask first.
    pub fallbacks: BTreeMap<Tier, Vec<Target>>,
    /// Where requested model names lead: exact names, or prefixes that end in `*`.
    pub models: BTreeMap<String, Route>,
    /// Who embeds texts.
    pub embeddings: Embeddings,
    /// Who counts tokens.
    pub count_tokens: CountTokens,
    /// Who may call. Empty means everybody, and then the gateway listens on loopback only.
    pub keys: Vec<Key>,
    /// What tenants may use; one that is not here may use everything.
    pub tenants: BTreeMap<String, Tenant>,
    /// Who may call and who may look, beside those keys.
    pub access: Access,
    /// What must not be left to a score; the built-in floors are not here unless they are changed.
    pub rules: BTreeMap<String, Rule>,
    /// Whether conversations keep their models.
    pub affinity: Affinity,
    /// Whether providers are told to keep the beginning of a prompt.
    pub breakpoints: Breakpoints,
    /// How tools' results are made smaller.
    pub compress: Compress,
    /// How often a failed call is made again.
    pub retry: Retry,
    /// Who keeps the limits of keys and tenants.
    pub limits: Limits,
    /// How calls are spread over peers.
    pub balance: Balance,
    /// When a failing model is left alone.
    pub breaker: Breaker,
    /// When a small model is tried first.
    pub cascade: Cascade,
    /// What is learned about it.
    pub labels: Labels,
    /// The exact prompt cache.
    pub cache: Cache,
    /// Answers to questions that were asked before in other words.
    pub semantic_cache: SemanticCache,
    /// The answers of Responses that no provider keeps.
    pub responses: Responses,
    /// Tools that are run for callers.
    pub mcp: Mcp,
    /// The Redis that several gateways share.
    pub redis: Redis,
    /// Prices that the built-in list does not know, or knows wrongly.
    pub prices: BTreeMap<String, Price>,
    /// What savings are measured against.
    pub savings: Savings,
    /// Where it is kept what every call cost.
    pub ledger: Ledger,
    /// Which metrics are counted beside the gateway's own.
    pub metrics: Metrics,
    /// Where traces go.
    pub traces: Traces,
    /// What is logged.
    pub log: Log,
}

/// Who embeds texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embeddings {
    /// The model for callers who name none that is known.
    pub default: Option<Target>,
}

/// Who counts tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountTokens {
    /// Whether we count ourselves where a provider cannot.
    pub estimate: bool,
}

/// A provider of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The kind of server.
    pub kind: Kind,
    /// Its address, without an endpoint's path; absent means the kind's own.
    pub base_url: Option<String>,
    /// The key to send.
    pub api_key: Option<Secret>,
    /// The program that tells the key, where one does.
    pub key_command: Option<KeyCommand>,
    /// Whether callers' own credentials are sent on.
    pub pass_credentials: bool,
    /// Whether it speaks Anthropic's dialect itself; absent means: find out.
    pub native_messages: Option<bool>,
    /// Whether it speaks `OpenAI`'s Responses itself.
    pub native_responses: Option<bool>,
    /// What some kinds want to know besides.
    pub settings: Settings,
    /// Headers to send with each call.
    pub headers: Vec<(String, Secret)>,
    /// What its models can, by name or pattern.
    pub models: BTreeMap<String, Abilities>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// Whom to trust beside the system's authorities, and who we are.
    pub tls: Tls,
}

/// Where a requested model name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the tier that the request deserves.
    Auto,
    /// To this tier.
    Tier(Tier),
    /// To this model.
    Target(Target),
}

/// A caller's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub key: Secret,
    /// For whom it calls. Caches and bills are kept apart by it.
    pub tenant: String,
    /// What it may use.
    pub limits: limit::Limits,
}

/// What a tenant may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// The tiers; absent means all.
    pub tiers: Option<Vec<Tier>>,
    /// The models, as patterns over `provider:model`; absent means all.
    pub models: Option<Vec<String>>,
    /// Whether its calls have to do with the prompt cache.
    pub cache: bool,
    /// What all its keys together may use.
    pub limits: limit::Limits,
}

/// What must not be left to a score. Conditions of different kinds must all hold; of one kind, one is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether it counts; the built-in ones can be turned off.
    pub enabled: bool,
    /// What it does to the tier.
    pub effect: Effect,
    /// Words in the user's ask; a built-in rule with these reads nothing else in it.
    pub phrases: Vec<String>,
    /// Request paths, or their beginnings.
    pub paths: Vec<String>,
    /// Headers and their values, or their beginnings.
    pub headers: BTreeMap<String, String>,
    /// For whom the call is made.
    pub tenants: Vec<String>,
    /// Who calls.
    pub clients: Vec<ClientKind>,
    /// What the call is for.
    pub classes: Vec<Class>,
}

/// Whether conversations keep their models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Whether they do.
    pub enabled: bool,
    /// How long one is remembered after its last call.
    pub ttl: Duration,
    /// How many are remembered in this process.
    pub max_sessions: usize,
    /// Who remembers them.
    pub store: SharedBy,
}

/// The Redis that several gateways share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Its address, which may hold a password.
    pub url: Option<Secret>,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

/// Who shares what is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedBy {
    /// Nobody: it is kept in this process.
    #[default]
    Memory,
    /// The gateways that use the same Redis.
    Redis,
}

/// The answers of Responses that no provider keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    /// How much memory they may fill.
    pub max_bytes: u64,
    /// How long one is kept.
    pub ttl: Duration,
}

/// What savings are measured against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Savings {
    /// The model that would have answered everything; absent means the one that the caller named.
    pub baseline: Option<Target>,
    /// The share of conversations that the baseline answers all the same, for comparison.
    pub holdout: f64,
    /// A price list that is used before the built-in one.
    pub prices: Option<PathBuf>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// In which form.
    pub format: LogFormat,
    /// From which level on: a level, or directives such as `info,tierway=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, as JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

// === impl Config ===

impl Config {
    /// The model that the cascade tries first, where there is one.
    #[must_use]
    pub fn small(&self) -> Option<&Target> {
        let simple = || self.tiers.get(&Tier::Simple);
        self.cascade.small.as_ref().or_else(simple)
    }
}

// === impl Provider ===

impl Provider {
    /// A provider of this kind that is nothing but that.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            pass_credentials: false,
            native_messages: None,
            native_responses: None,
            settings: Settings::default(),
            headers: Vec::new(),
            models: BTreeMap::new(),
            key_command: None,
            timeouts: Timeouts::default(),
            tls: Tls::default(),
        }
    }

    /// Where it is: its own address, else its kind's, in its region.
    #[must_use]
    pub fn address(&self) -> Option<Cow<'_, str>> {
        let own = self.base_url.as_deref().map(Cow::Borrowed);
        let region = || {
            Some(Cow::Owned(
                self.kind.base_url_in(self.settings.region.as_deref()?)?,
            ))
        };
        let usual = || self.kind.default_base_url().map(Cow::Borrowed);
        own.or_else(region).or_else(usual)
    }

    /// The provider that can be called, under this name.
    ///
    /// # Errors
    /// Where it cannot; a validated one can.
    pub fn build(&self, name: &str) -> Result<providers::Provider, ProviderError> {
        let mut provider = providers::Provider::new(name, self.kind)
            .settings(self.settings.clone())
            .pass_credentials(self.pass_credentials)
            .native_messages(self.native_messages)
            .native_responses(self.native_responses)
            .timeouts(self.timeouts)
            .key_command(self.key_command.clone())
            .tls(self.tls.clone());
        if let Some(url) = &self.base_url {
            provider = provider.base_url(url)?;
        }
        if let Some(key) = &self.api_key {
            provider = provider.api_key(key.clone());
        }
        for (header, value) in &self.headers {
            provider = provider.header(header, value.expose())?;
        }
        for (model, abilities) in &self.models {
            provider = provider.model(model, *abilities);
        }
        provider.check()?;
        Ok(provider)
    }
}

// === defaults ===

impl Default for CountTokens {
    fn default() -> Self {
        Self { estimate: true }
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Duration::from_secs(60 * 60),
            max_sessions: 100_000,
            store: SharedBy::Memory,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_millis(50),
        }
    }
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            max_bytes: 128 << 20,
            ttl: Duration::from_secs(24 * 60 * 60),
        }
    }
}
impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".to_owned(),
        }
    }
}

// === impl Redis ===

impl Redis {
    /// Its address without user and password, for people to read.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let url = self.url.as_ref()?.expose();
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        Some(format!("{scheme}://{host}"))
    }
}

// === impl SharedBy ===

impl SharedBy {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

// === impl LogFormat ===

impl LogFormat {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Tier(tier) => tier.fmt(f),
            Self::Target(target) => target.fmt(f),
        }
    }
}
