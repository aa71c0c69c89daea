//! The exact prompt cache.
use std::{path::PathBuf, time::Duration};

/// The exact prompt cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Whether there is one.
    pub enabled: bool,
    /// Who keeps answers.
    pub store: CacheStore,
    /// How much memory it may fill.
    pub max_bytes: u64,
    /// How long an answer is kept.
    pub ttl: Duration,
    /// The largest answer that is kept, in bytes.
    pub max_entry: u64,
    /// Whether answers to requests with a temperature above 0 are kept too.
    pub sampled: bool,
    /// Whether answers that call tools are kept too.
    pub tool_calls: bool,
    /// Whether requests that are the same at the same time share one upstream call.
    pub coalesce: bool,
    /// The file of the store on disk; absent where there is none.
    pub file: Option<PathBuf>,
    /// How much of the disk it may fill, in bytes.
    pub max_disk_bytes: u64,
}

/// Who keeps answers. What is not in this process's memory is looked for where this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheStore {
    /// This process, as long as it runs.
    #[default]
    Memory,
    /// A file, over restarts.
    Disk,
    /// The gateways that use the same Redis.
    Redis,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            store: CacheStore::Memory,
            max_bytes: 256 << 20,
            ttl: Duration::from_secs(300),
            max_entry: 1 << 20,
            sampled: false,
            tool_calls: false,
            coalesce: true,
            file: None,
            max_disk_bytes: 1 << 30,
        }
    }
}

impl CacheStore {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Redis => "redis",
        }
    }
}
