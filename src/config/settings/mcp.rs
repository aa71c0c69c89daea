//! Tools of servers that speak the Model Context Protocol.
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tierway_layers::mcp::{Limits, Writes};
use tierway_services::{chat::Usd, mcp};

/// Tools that are run for callers.
#[derive(Clone, Debug, PartialEq)]
pub struct Mcp {
    /// Whether they are served at `/mcp` too.
    pub serve: bool,
    /// The web pages that may call `/mcp`.
    pub origins: Vec<String>,
    /// Calls that name a model which fits one of these get tools without asking.
    pub models: Vec<String>,
    /// The tools that anybody may use; `None` = all.
    pub allow: Option<Vec<String>>,
    /// The tools that nobody may.
    pub deny: Vec<String>,
    /// What becomes of calls that may change something.
    pub writes: Writes,
    /// How often a model may be asked in one call.
    pub max_rounds: usize,
    /// How many tools it may call.
    pub max_calls: usize,
    /// How long that may take.
    pub max_time: Duration,
    /// What that may cost.
    pub max_usd: Usd,
    /// From how many tools on they are looked for instead of shown.
    pub search_from: Option<usize>,
    /// The folder in which sign-ins to servers are kept.
    pub sign_ins: Option<PathBuf>,
    /// What holds for a tenant.
    pub tenants: BTreeMap<String, McpTenant>,
    /// The servers.
    pub servers: BTreeMap<String, McpServer>,
}

/// What holds for a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpTenant {
    /// Whether it gets tools without asking.
    pub always: bool,
    /// The tools that it may use, of those that anybody may; `None` = all.
    pub allow: Option<Vec<String>>,
    /// The tools that it may not.
    pub deny: Vec<String>,
}

/// A server.
#[derive(Clone, Debug, PartialEq)]
pub struct McpServer {
    /// How it is reached, and its bounds.
    pub server: mcp::Server,
    /// What of the gateway's environment it gets, by name; the values are in `server` already.
    pub pass_env: Vec<String>,
    /// What becomes of calls that may change something; `None` = as everywhere.
    pub writes: Option<Writes>,
}

impl Default for Mcp {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            serve: false,
            origins: Vec::new(),
            models: Vec::new(),
            allow: None,
            deny: Vec::new(),
            writes: Writes::default(),
            max_rounds: limits.rounds,
            max_calls: limits.calls,
            max_time: limits.time,
            max_usd: limits.cost,
            search_from: None,
            sign_ins: None,
            tenants: BTreeMap::new(),
            servers: BTreeMap::new(),
        }
    }
}
