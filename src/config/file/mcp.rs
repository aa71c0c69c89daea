use super::{Named, Set, Typed, named};
use crate::config::values::{Count, Dollars, Size};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tierway_layers::mcp::Writes;
use tierway_services::providers::Secret;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Mcp {
    pub(in crate::config) serve: Set<bool>,
    pub(in crate::config) origins: Set<Vec<String>>,
    pub(in crate::config) models: Set<Vec<String>>,
    pub(in crate::config) allow: Set<Vec<String>>,
    pub(in crate::config) deny: Set<Vec<String>>,
    pub(in crate::config) writes: Set<Writes>,
    pub(in crate::config) max_rounds: Set<Count>,
    pub(in crate::config) max_calls: Set<Count>,
    pub(in crate::config) max_time: Set<Duration>,
    pub(in crate::config) max_usd: Set<Dollars>,
    pub(in crate::config) search_from: Set<Count>,
    pub(in crate::config) sign_ins: Set<PathBuf>,
    #[serde(deserialize_with = "named")]
    pub(in crate::config) tenants: BTreeMap<String, Named<McpTenant>>,
    #[serde(deserialize_with = "named")]
    pub(in crate::config) servers: BTreeMap<String, Named<McpServer>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct McpTenant {
    pub(in crate::config) always: Set<bool>,
    pub(in crate::config) allow: Set<Vec<String>>,
    pub(in crate::config) deny: Set<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct McpServer {
    pub(in crate::config) command: Set<String>,
    pub(in crate::config) args: Set<Vec<String>>,
    #[serde(deserialize_with = "named")]
    pub(in crate::config) env: BTreeMap<String, Named<Typed<Secret>>>,
    pub(in crate::config) pass_env: Set<Vec<String>>,
    pub(in crate::config) folder: Set<PathBuf>,
    pub(in crate::config) url: Set<String>,
    #[serde(deserialize_with = "named")]
    pub(in crate::config) headers: BTreeMap<String, Named<Typed<Secret>>>,
    pub(in crate::config) token: Set<Secret>,
    pub(in crate::config) token_env: Set<String>,
    pub(in crate::config) token_file: Set<PathBuf>,
    pub(in crate::config) token_url: Set<String>,
    pub(in crate::config) client_id: Set<String>,
    pub(in crate::config) client_secret: Set<Secret>,
    pub(in crate::config) client_secret_env: Set<String>,
    pub(in crate::config) client_secret_file: Set<PathBuf>,
    pub(in crate::config) scope: Set<String>,
    pub(in crate::config) writes: Set<Writes>,
    pub(in crate::config) timeout: Set<Duration>,
    pub(in crate::config) connect_timeout: Set<Duration>,
    pub(in crate::config) max_output: Set<Size>,
    pub(in crate::config) max_tools: Set<Count>,
}
