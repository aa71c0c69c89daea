//! What is done when models fail, and when callers want too much.
use super::SharedBy;
use std::{collections::BTreeMap, time::Duration};
use tierway_layers::limit::Without;
use tierway_services::chat::Tier;

/// How often and when a failed call is made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// How often at most; 0 means never.
    pub max: u32,
    /// The first pause; each further one is twice as long.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// The longest wait that a provider may ask for.
    pub max_retry_after: Duration,
    /// The most retries as a share of all calls to a provider.
    pub budget: f64,
}

/// When a model that keeps failing is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// Whether it ever is.
    pub enabled: bool,
    /// After how many failures at least.
    pub failures: u32,
    /// And at which share of failures.
    pub share: f64,
    /// Within which time.
    pub window: Duration,
    /// For how long at first.
    pub open_for: Duration,
    /// For how long at most.
    pub max_open: Duration,
    /// Who is told of it.
    pub store: SharedBy,
}

/// Who keeps the limits of keys and tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Whether gateways keep them together.
    pub store: SharedBy,
    /// What becomes of rates while Redis is away.
    pub without_redis: Without,
    /// What becomes of budgets then.
    pub budgets_without_redis: Without,
}

/// How calls are spread over models that are peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The tiers whose models are.
    pub tiers: Vec<Tier>,
    /// Whether a conversation stays with one.
    pub sticky: bool,
    /// What they take beside each other, by `provider:model`; 1 where it is not said.
    pub weights: BTreeMap<String, f64>,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            tiers: Vec::new(),
            sticky: true,
            weights: BTreeMap::new(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max: 2,
            backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(5),
            budget: 0.2,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            failures: 5,
            share: 0.5,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(10),
            max_open: Duration::from_secs(120),
            store: SharedBy::Memory,
        }
    }
}
