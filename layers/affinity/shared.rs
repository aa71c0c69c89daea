//! Conversations that several nodes remember together.
use super::{Memory, Pin, Sessions};
use crate::redis::Redis;
use std::time::Duration;
use tierway_services::chat::Session;

/// Remembers conversations in Redis, under `tierway:session:` and the session in hexadecimal, and beside it in this process: what this node
/// has seen it still knows while Redis is away, or has lost it.
///
/// ```
/// use std::time::Duration;
/// use tierway_layers::{affinity::{AffinityLayer, Memory, Shared}, redis::Redis};
/// let hour = Duration::from_secs(3600);
/// let redis = Redis::new("redis://127.0.0.1:6379").unwrap();
/// let layer = AffinityLayer::new(Shared::new(redis, hour, Memory::new(100_000, hour)));
/// ```
#[derive(Clone, Debug)]
pub struct Shared {
    redis: Redis,
    ttl: Duration,
    near: Memory,
}

impl Shared {
    /// Remembers conversations in `redis` for `ttl` after their last call, and in `near`.
    #[must_use]
    pub const fn new(redis: Redis, ttl: Duration, near: Memory) -> Self {
        Self { redis, ttl, near }
    }
}

fn key(session: Session) -> String {
    format!("tierway:session:{session}")
}

impl Sessions for Shared {
    async fn get(&self, session: Session) -> Option<Pin> {
        let near = self.near.get(session).await;
        let written = self.redis.get(&key(session)).await.flatten();
        let Some(pin) = written.and_then(|written| Pin::read(&written)) else {
            return near;
        };
        // What happened here while Redis was away is not in it.
        if let Some(near) = near.filter(|near| near.calls > pin.calls) {
            return Some(near);
        }
        self.near.put(session, pin.clone()).await;
        Some(pin)
    }

    async fn put(&self, session: Session, pin: Pin) {
        let written = pin.write();
        // First, since it takes no time: whoever does not wait has at least this.
        self.near.put(session, pin).await;
        self.redis
            .set(&key(session), written.as_bytes(), self.ttl)
            .await;
    }
}
