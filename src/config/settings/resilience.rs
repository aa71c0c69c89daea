//! What is done when models fail.
use std::time::Duration;

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
        }
    }
}
