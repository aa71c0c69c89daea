//! What nodes tell each other about failing models, through Redis.
use super::BreakerLayer;
use crate::redis::Redis;
use std::{sync::Arc, time::Duration};
use tierway_services::chat::Target;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

const SCRIPT: &str = include_str!("hints.lua");
const KEY: &str = "tierway:breakers";
/// How often the others are asked.
const EVERY: Duration = Duration::from_secs(1);
/// So many changes may wait to be told; of more the others learn by themselves.
const WAITING: usize = 256;

/// Where nodes tell each other whom they have begun to leave alone: under `tierway:breakers`, for as long as they do, by Redis's own clock.
/// While Redis is away each node learns by itself.
///
/// ```
/// use tierway_layers::{breaker::{BreakerLayer, Hints}, redis::Redis};
/// let redis = Redis::new("redis://127.0.0.1:6379").unwrap();
/// let layer = BreakerLayer::new();
/// let sharing = layer.hints(Hints::new(redis)).unwrap();
/// // To be spawned by the host; it ends when nobody uses the breakers any more.
/// # drop(sharing);
/// ```
#[derive(Clone, Debug)]
pub struct Hints {
    redis: Redis,
    node: Arc<str>,
}

// === impl Hints ===

impl Hints {
    /// Through this Redis.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            node: crate::redis::node(),
        }
    }

    /// Tells the others that this node leaves `target` alone for so long, and gives whom they do. `None` where Redis does not answer.
    pub async fn tell(&self, target: &Target, left: Duration) -> Option<Vec<(Target, Duration)>> {
        self.ask(&target.to_string(), left).await
    }

    /// Whom the others leave alone, and for how long still. `None` where Redis does not answer.
    pub async fn heard(&self) -> Option<Vec<(Target, Duration)>> {
        self.ask("", Duration::ZERO).await
    }

    async fn ask(&self, target: &str, left: Duration) -> Option<Vec<(Target, Duration)>> {
        let mut cmd = ::redis::cmd("EVAL");
        cmd.arg(SCRIPT).arg(1).arg(KEY).arg(&*self.node);
        cmd.arg(target)
            .arg(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let told: Vec<String> = self.redis.ask(cmd).await?;
        let pairs = told.chunks_exact(2);
        let read = |pair: &[String]| {
            let left = pair.last()?.parse().ok()?;
            Some((pair.first()?.parse().ok()?, Duration::from_millis(left)))
        };
        Some(pairs.filter_map(read).collect())
    }
}

// === impl BreakerLayer ===

impl BreakerLayer {
    /// Shares what these breakers learn, and those that are [continued](Self::continuing) with them. What is returned does the sharing, and is
    /// to be spawned; it ends within a second after the last user of the breakers. `None` where they are shared already.
    #[must_use]
    pub fn hints(&self, hints: Hints) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let (sender, mut opened) = mpsc::channel(WAITING);
        self.teller.set(sender).ok()?;
        let layer = self.clone();
        Some(async move {
            let mut next = Instant::now();
            // This future has one of them itself.
            while Arc::strong_count(&layer.breakers) > 1 {
                let heard = match timeout_at(next, opened.recv()).await {
                    Ok(Some(target)) => match layer.left(&target) {
                        Some(left) => hints.tell(&target, left).await,
                        None => continue,
                    },
                    Ok(None) => return,
                    Err(_) => {
                        next = Instant::now() + EVERY;
                        hints.heard().await
                    }
                };
                for (target, left) in heard.unwrap_or_default() {
                    layer.suspect(&target, left);
                }
            }
        })
    }

    fn left(&self, target: &Target) -> Option<Duration> {
        self.breaker(target)?.left()
    }
}
