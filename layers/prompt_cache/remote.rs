//! Answers that several nodes share.
use super::{Entry, Event, Key, Store, eligible::Hear};
use crate::redis::Redis;
use std::{fmt, sync::Arc, time::Duration};

/// Keeps answers in Redis (or Valkey), compressed, under `tierway:cache:` and the key in hexadecimal. Redis itself drops what is too old, and,
/// with a `maxmemory-policy` such as `allkeys-lfu`, what does not fit.
///
/// A Redis that fails or is slow is a miss: see [`redis`](crate::redis).
///
/// ```
/// use std::time::Duration;
/// use tierway_layers::{prompt_cache::{Layered, Memory, PromptCacheLayer, Remote}, redis::Redis};
/// let hour = Duration::from_secs(3600);
/// let redis = Redis::new("redis://127.0.0.1:6379").unwrap();
/// // What was found there is kept here too.
/// let store = Layered::new(Memory::new(64 << 20, hour), Remote::new(redis, hour));
/// let layer = PromptCacheLayer::new(store);
/// ```
#[derive(Clone)]
pub struct Remote {
    redis: Redis,
    ttl: Duration,
    hear: Option<Hear>,
}

impl Remote {
    /// Keeps answers in `redis` for `ttl`.
    #[must_use]
    pub const fn new(redis: Redis, ttl: Duration) -> Self {
        Self {
            redis,
            ttl,
            hear: None,
        }
    }

    /// Calls `hear` with what happens. It must neither block nor panic.
    #[must_use]
    pub fn on_event(mut self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.hear = Some(Arc::new(hear));
        self
    }
}

fn name(key: &Key) -> String {
    format!("tierway:cache:{key}")
}

impl Store for Remote {
    async fn get(&self, key: &Key) -> Option<Entry> {
        let bytes = self.redis.get(&name(key)).await??;
        let entry = Entry::from_bytes(key, &bytes)?;
        (entry.age() < self.ttl).then_some(entry)
    }

    async fn put(&self, key: Key, entry: Entry) {
        let left = self.ttl.saturating_sub(entry.age());
        let told = self
            .redis
            .set(&name(&key), &entry.to_bytes(&key), left)
            .await;
        if let Some(hear) = self.hear.as_ref().filter(|_| told.is_some()) {
            hear(Event::Stored { store: "redis" });
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("redis", &self.redis)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
