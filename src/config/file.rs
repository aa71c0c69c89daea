//! The configuration file as it may be typed: every key, nothing decided yet.
//!
//! The names here are the names of the keys. `reference` documents each, and a test compares the two.
mod mcp;

#[cfg(test)]
pub(super) use mcp::McpTenant;
pub(super) use mcp::{Mcp, McpServer};

use super::{
    node::{listed, named},
    settings::{CacheStore, LogFormat, Route, SharedBy, Uncertified, Verify},
    typed::{Named, Typed},
    values::{
        BaseUrl, Count, Dollars, LogLevel, Pause, Ratio, Samples, Share, Size, Targets, Turns,
    },
};
pub(super) mod access;

pub(super) use access::{Access, Admin, Oidc, SignIn};

use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use tierway_layers::breakpoints::Ttl;
use tierway_layers::cascade::StreamMode;
use tierway_layers::classify::{Class, ClientKind};
use tierway_layers::limit::Without;
use tierway_services::{
    chat::{Target, Tier, Usd},
    providers::{AuthStyle, Kind, Secret},
    translate::{MaxTokensField, Reasoning},
};

type Set<T> = Option<Typed<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) server: Server,
    #[serde(deserialize_with = "named")]
    pub(super) providers: BTreeMap<String, Named<Provider>>,
    pub(super) tiers: Tiers,
    #[serde(deserialize_with = "named")]
    pub(super) models: BTreeMap<String, Named<Typed<Route>>>,
    pub(super) embeddings: Embeddings,
    pub(super) count_tokens: CountTokens,
    #[serde(deserialize_with = "listed")]
    pub(super) keys: Vec<Named<Key>>,
    #[serde(deserialize_with = "named")]
    pub(super) tenants: BTreeMap<String, Named<Tenant>>,
    #[serde(deserialize_with = "named")]
    pub(super) rules: BTreeMap<String, Named<Rule>>,
    pub(super) admin: Admin,
    pub(super) access: Access,
    #[serde(deserialize_with = "named")]
    pub(super) oidc: BTreeMap<String, Named<Oidc>>,
    pub(super) sign_in: SignIn,
    pub(super) affinity: Affinity,
    pub(super) breakpoints: Breakpoints,
    pub(super) compress: Compress,
    pub(super) retry: Retry,
    pub(super) breaker: Breaker,
    pub(super) balance: Balance,
    pub(super) limits: Limits,
    pub(super) cascade: Cascade,
    pub(super) labels: Labels,
    pub(super) cache: Cache,
    pub(super) semantic_cache: SemanticCache,
    pub(super) responses: Responses,
    pub(super) mcp: Mcp,
    pub(super) redis: Redis,
    #[serde(deserialize_with = "named")]
    pub(super) prices: BTreeMap<String, Named<Price>>,
    pub(super) savings: Savings,
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) traces: Traces,
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    pub(super) listen: Set<SocketAddr>,
    pub(super) admin: Set<SocketAddr>,
    pub(super) max_body: Set<Size>,
    pub(super) max_connections: Set<Count>,
    pub(super) max_connections_per_ip: Set<Turns>,
    pub(super) max_in_flight: Set<Count>,
    pub(super) tls: ServerTls,
    pub(super) max_answer: Set<Size>,
    pub(super) max_event: Set<Size>,
    pub(super) max_depth: Set<Count>,
    pub(super) write_timeout: Set<Pause>,
    pub(super) max_buffered: Set<Size>,
    pub(super) max_head: Set<Size>,
    pub(super) max_messages: Set<Count>,
    pub(super) head_timeout: Set<Duration>,
    pub(super) body_timeout: Set<Duration>,
    pub(super) timeout: Set<Pause>,
    pub(super) drain_delay: Set<Pause>,
    pub(super) drain_timeout: Set<Duration>,
    pub(super) keep_alive: Set<Pause>,
    pub(super) watch: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerTls {
    pub(super) cert_file: Set<PathBuf>,
    pub(super) key_file: Set<PathBuf>,
    pub(super) client_ca_file: Set<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Embeddings {
    pub(super) default: Set<Target>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CountTokens {
    pub(super) estimate: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Provider {
    pub(super) kind: Set<Kind>,
    pub(super) base_url: Set<BaseUrl>,
    pub(super) api_key: Set<Secret>,
    pub(super) api_key_env: Set<String>,
    pub(super) api_key_file: Set<PathBuf>,
    pub(super) api_key_command: Set<Vec<String>>,
    pub(super) api_key_ttl: Set<Duration>,
    pub(super) auth: Set<AuthStyle>,
    pub(super) pass_credentials: Set<bool>,
    pub(super) native_messages: Set<bool>,
    pub(super) native_responses: Set<bool>,
    pub(super) native_chat: Set<bool>,
    pub(super) api_version: Set<String>,
    pub(super) project: Set<String>,
    pub(super) region: Set<String>,
    pub(super) client_id: Set<String>,
    pub(super) client_secret: Set<Secret>,
    pub(super) client_secret_env: Set<String>,
    pub(super) client_secret_file: Set<PathBuf>,
    pub(super) credentials_file: Set<PathBuf>,
    #[serde(deserialize_with = "named")]
    pub(super) headers: BTreeMap<String, Named<Typed<Secret>>>,
    #[serde(deserialize_with = "named")]
    pub(super) models: BTreeMap<String, Named<Abilities>>,
    pub(super) timeouts: Timeouts,
    pub(super) tls: ProviderTls,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Abilities {
    pub(super) tools: Set<bool>,
    pub(super) vision: Set<bool>,
    pub(super) documents: Set<bool>,
    pub(super) logprobs: Set<bool>,
    pub(super) parallel_tools: Set<bool>,
    pub(super) structured_output: Set<bool>,
    pub(super) streaming_usage: Set<bool>,
    pub(super) max_tokens_field: Set<MaxTokensField>,
    pub(super) max_output: Set<Count>,
    pub(super) context: Set<Count>,
    pub(super) reasoning: Set<Reasoning>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProviderTls {
    pub(super) ca_file: Set<PathBuf>,
    pub(super) cert_file: Set<PathBuf>,
    pub(super) key_file: Set<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timeouts {
    pub(super) connect: Set<Duration>,
    pub(super) first_byte: Set<Duration>,
    pub(super) idle: Set<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tiers {
    pub(super) simple: Set<Targets>,
    pub(super) medium: Set<Targets>,
    pub(super) complex: Set<Targets>,
    pub(super) reasoning: Set<Targets>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Key {
    pub(super) key: Set<Secret>,
    pub(super) key_env: Set<String>,
    pub(super) key_file: Set<PathBuf>,
    pub(super) tenant: Set<String>,
    pub(super) limits: Quota,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tenant {
    pub(super) tiers: Set<Vec<Tier>>,
    pub(super) models: Set<Vec<String>>,
    pub(super) cache: Set<bool>,
    pub(super) limits: Quota,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    pub(super) enabled: Set<bool>,
    pub(super) at_least: Set<Tier>,
    pub(super) at_most: Set<Tier>,
    pub(super) exactly: Set<Tier>,
    pub(super) phrases: Set<Vec<String>>,
    pub(super) paths: Set<Vec<String>>,
    #[serde(deserialize_with = "named")]
    pub(super) headers: BTreeMap<String, Named<Typed<String>>>,
    pub(super) tenants: Set<Vec<String>>,
    pub(super) clients: Set<Vec<ClientKind>>,
    pub(super) classes: Set<Vec<Class>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Affinity {
    pub(super) enabled: Set<bool>,
    pub(super) ttl: Set<Duration>,
    pub(super) max_sessions: Set<Count>,
    pub(super) store: Set<SharedBy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SemanticCache {
    pub(super) enabled: Set<bool>,
    pub(super) embeddings: Set<Target>,
    pub(super) local_model: Set<PathBuf>,
    pub(super) threshold: Set<Share>,
    pub(super) max_bytes: Set<Size>,
    pub(super) timeout: Set<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Breakpoints {
    pub(super) enabled: Set<bool>,
    pub(super) ttl: Set<Ttl>,
    pub(super) openai_keys: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Compress {
    pub(super) enabled: Set<bool>,
    pub(super) json: Set<bool>,
    pub(super) table: Set<bool>,
    pub(super) terminal: Set<bool>,
    pub(super) trailing: Set<bool>,
    pub(super) duplicate: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Quota {
    pub(super) requests_per_minute: Set<Count>,
    pub(super) tokens_per_minute: Set<Count>,
    pub(super) concurrent: Set<Count>,
    pub(super) usd_per_day: Set<Dollars>,
    pub(super) usd_per_month: Set<Dollars>,
    pub(super) usd_total: Set<Dollars>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) store: Set<SharedBy>,
    pub(super) without_redis: Set<Without>,
    pub(super) budgets_without_redis: Set<Without>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Balance {
    pub(super) tiers: Set<Vec<Tier>>,
    pub(super) sticky: Set<bool>,
    #[serde(deserialize_with = "named")]
    pub(super) weights: BTreeMap<String, Named<Typed<Ratio>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Retry {
    pub(super) max: Set<Turns>,
    pub(super) backoff: Set<Duration>,
    pub(super) max_backoff: Set<Duration>,
    pub(super) max_retry_after: Set<Pause>,
    pub(super) budget: Set<Share>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Breaker {
    pub(super) enabled: Set<bool>,
    pub(super) failures: Set<Count>,
    pub(super) share: Set<Share>,
    pub(super) window: Set<Duration>,
    pub(super) open_for: Set<Duration>,
    pub(super) max_open: Set<Duration>,
    pub(super) store: Set<SharedBy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Redis {
    pub(super) url: Set<Secret>,
    pub(super) url_env: Set<String>,
    pub(super) url_file: Set<PathBuf>,
    pub(super) timeout: Set<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cascade {
    pub(super) enabled: Set<bool>,
    pub(super) small: Set<Target>,
    pub(super) tiers: Set<Vec<Tier>>,
    pub(super) threshold: Set<Share>,
    pub(super) streams: Set<StreamMode>,
    pub(super) tools: Set<bool>,
    pub(super) max_added_latency: Set<Pause>,
    pub(super) max_price_ratio: Set<Ratio>,
    pub(super) stay_big: Set<Turns>,
    pub(super) logprobs: Set<bool>,
    pub(super) samples: Set<Samples>,
    pub(super) verify: Set<Verify>,
    pub(super) hedge_share: Set<Share>,
    pub(super) hedge_after: Set<Share>,
    pub(super) model: Set<PathBuf>,
    pub(super) uncertified: Set<Uncertified>,
    #[serde(deserialize_with = "named")]
    pub(super) tier: BTreeMap<String, Named<CascadeTier>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CascadeTier {
    pub(super) streams: Set<StreamMode>,
    pub(super) max_added_latency: Set<Pause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    pub(super) enabled: Set<bool>,
    pub(super) file: Set<PathBuf>,
    pub(super) tiers_model: Set<PathBuf>,
    pub(super) max_bytes: Set<Size>,
    pub(super) shadow_share: Set<Share>,
    pub(super) shadow_focus: Set<Ratio>,
    pub(super) shadow_usd_per_day: Set<Dollars>,
    pub(super) shadow_in_flight: Set<Count>,
    pub(super) judge: Set<Target>,
    pub(super) learn_every: Set<Count>,
    pub(super) alpha: Set<Share>,
    pub(super) delta: Set<Share>,
    pub(super) feedback_ttl: Set<Duration>,
    pub(super) store: Set<SharedBy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cache {
    pub(super) enabled: Set<bool>,
    pub(super) store: Set<CacheStore>,
    pub(super) max_bytes: Set<Size>,
    pub(super) ttl: Set<Duration>,
    pub(super) max_entry: Set<Size>,
    pub(super) sampled: Set<bool>,
    pub(super) tool_calls: Set<bool>,
    pub(super) coalesce: Set<bool>,
    pub(super) file: Set<PathBuf>,
    pub(super) max_disk_bytes: Set<Size>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Responses {
    pub(super) max_bytes: Set<Size>,
    pub(super) ttl: Set<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Price {
    pub(super) input: Set<Usd>,
    pub(super) output: Set<Usd>,
    pub(super) cache_read: Set<Usd>,
    pub(super) cache_write: Set<Usd>,
    pub(super) hour: Set<Dollars>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Savings {
    pub(super) baseline: Set<Target>,
    pub(super) holdout: Set<Share>,
    pub(super) prices: Set<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ledger {
    pub(super) enabled: Set<bool>,
    pub(super) file: Set<PathBuf>,
    pub(super) url: Set<Secret>,
    pub(super) url_env: Set<String>,
    pub(super) url_file: Set<PathBuf>,
    pub(super) retention: Set<Pause>,
    pub(super) spill: Set<PathBuf>,
    pub(super) max_spill: Set<Size>,
    pub(super) asks: Set<bool>,
    pub(super) asks_retention: Set<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metrics {
    pub(super) gen_ai: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Traces {
    pub(super) otlp: Set<BaseUrl>,
    pub(super) share: Set<Share>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) format: Set<LogFormat>,
    pub(super) level: Set<LogLevel>,
}

// === impl Tiers ===

impl Tiers {
    pub(super) fn get_mut(&mut self, tier: Tier) -> &mut Set<Targets> {
        match tier {
            Tier::Simple => &mut self.simple,
            Tier::Medium => &mut self.medium,
            Tier::Complex => &mut self.complex,
            Tier::Reasoning => &mut self.reasoning,
        }
    }

    /// Every target that reads as one, with its place.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&Target, &super::origin::Origin)> {
        let tiers = [&self.simple, &self.medium, &self.complex, &self.reasoning];
        tiers.into_iter().flatten().flat_map(|typed| {
            let targets = typed.value.as_ref().map(|targets| &*targets.0);
            let targets = targets.unwrap_or_default().iter();
            targets.map(|target| (target, &typed.origin))
        })
    }
}
