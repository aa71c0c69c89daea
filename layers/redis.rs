//! One connection to Redis for whatever several nodes share.
//!
//! Redis holds nothing here that a call cannot do without. So nothing fails because of it: an answer that does not come in time
//! ([`timeout`](Redis::timeout)), or that is an error, is no answer. After such a fault Redis is left alone for a second, so that a Redis
//! that is away costs the calls of that second nothing; then it is tried again.
//!
//! The connection is made at the first question and made again by itself; all clones of a [`Redis`] share it. `rediss://` is TLS.
//!
//! ```no_run
//! use std::time::Duration;
//! use tierway_layers::redis::Redis;
//! # async fn example() {
//! let redis = Redis::new("redis://127.0.0.1:6379").unwrap();
//! redis.set("tierway:example", b"1", Duration::from_secs(60)).await;
//! assert_eq!(redis.get("tierway:example").await, Some(Some(b"1".to_vec())));
//! # }
//! ```
use ::redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long Redis is left alone after a fault.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a connection may take to be made; nobody waits for it.
const CONNECT: Duration = Duration::from_secs(2);

/// Puts a value in the place of one of a lower revision, and gives the revision that is there then.
const PUT: &str = "
local there, new = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0'), tonumber(ARGV[1])
if new <= there then return there end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'value', ARGV[2])
return new
";

type OnFault = Arc<dyn Fn(&(dyn std::error::Error + 'static)) + Send + Sync>;

/// A Redis, connected to when it is first asked. A clone costs two reference counts.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Connection>,
    timeout: Duration,
    on_fault: Option<OnFault>,
}

struct Connection {
    client: Client,
    manager: OnceLock<Option<ConnectionManager>>,
    started: Instant,
    /// Left alone until so many milliseconds after `started`.
    away_until: AtomicU64,
    away: AtomicBool,
}

/// Whether `url` is the address of a Redis.
#[must_use]
pub fn is_url(url: &str) -> bool {
    ["redis://", "rediss://"].iter().any(|s| url.starts_with(s))
        && url.into_connection_info().is_ok()
}

/// A name for this node that no other has: by chance, and so another one after a restart.
#[cfg(any(feature = "breaker", feature = "limit"))]
pub(crate) fn node() -> Arc<str> {
    use std::{
        collections::hash_map::RandomState,
        hash::{BuildHasher, Hasher},
    };
    let node = RandomState::new().build_hasher().finish();
    format!("{node:016x}").into()
}

// === impl Redis ===
impl Redis {
    /// The Redis at `url`: `redis://user:password@host:6379/0`, or `rediss://` for TLS. Connects to nothing yet.
    ///
    /// # Errors
    /// Where this is not the address of a Redis.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Self {
            shared: Arc::new(Connection {
                client: Client::open(url)?,
                manager: OnceLock::new(),
                started: Instant::now(),
                away_until: AtomicU64::new(0),
                away: AtomicBool::new(false),
            }),
            timeout: Duration::from_millis(50),
            on_fault: None,
        })
    }

    /// How long to wait for an answer; 50 ms by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells `hear` when Redis goes away: once, until it has answered again. It must neither block nor panic.
    #[must_use]
    pub fn on_fault(
        mut self,
        hear: impl Fn(&(dyn std::error::Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.on_fault = Some(Arc::new(hear));
        self
    }

    /// What stands under `key`; within, `None` where nothing does. `None` where Redis does not tell.
    pub async fn get(&self, key: &str) -> Option<Option<Vec<u8>>> {
        let mut get = ::redis::cmd("GET");
        get.arg(key);
        self.ask(get).await
    }

    /// Puts `value` under `key` for `ttl`. `None` where Redis does not confirm it.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Option<()> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut set = ::redis::cmd("SET");
        // Redis takes no time of none, and none that overflows its clock.
        set.arg(key).arg(value).arg("PX").arg(ttl.clamp(1, 1 << 50));
        self.ask(set).await
    }

    /// What has the highest revision of all that nodes have told under `key`, if that is higher than `own`; where none is, the others are told
    /// `value`. Of two that have the same revision the first to be told is right. `None` where Redis does not tell, too.
    pub async fn newest(
        &self,
        key: &str,
        own: u64,
        value: impl FnOnce() -> String,
    ) -> Option<(u64, String)> {
        let get = |field| {
            let mut get = ::redis::cmd("HGET");
            get.arg(key).arg(field);
            get
        };
        let there: Option<u64> = self.ask(get("revision")).await?;
        let mut there = there.unwrap_or_default();
        if own > there {
            let mut put = ::redis::cmd("EVAL");
            put.arg(PUT).arg(1).arg(key).arg(own).arg(value());
            there = self.ask(put).await?;
        }
        if there <= own {
            return None;
        }
        let value: Option<String> = self.ask(get("value")).await?;
        Some((there, value?))
    }

    /// Adds one to the number that stands under `key`, from 0 on, and tells it. `None` where Redis does not.
    pub async fn bump(&self, key: &str) -> Option<i64> {
        let mut bump = ::redis::cmd("INCR");
        bump.arg(key);
        self.ask(bump).await
    }

    /// What Redis answers; `None` where it does not within the time, is at fault, or has been a moment ago.
    pub async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Option<T> {
        let connection = &*self.shared;
        // The connection lives in a task of its own.
        if connection.is_left_alone() || tokio::runtime::Handle::try_current().is_err() {
            return None;
        }
        let mut manager = connection.manager()?;
        let answer = tokio::time::timeout(self.timeout, command.query_async(&mut manager));
        match answer.await {
            Ok(Ok(answer)) => {
                connection.away.store(false, Ordering::Relaxed);
                Some(answer)
            }
            Ok(Err(error)) => self.fault(&error),
            Err(late) => self.fault(&late),
        }
    }

    fn fault<T>(&self, error: &(dyn std::error::Error + 'static)) -> Option<T> {
        let first = self.shared.leave_alone();
        if let Some(hear) = self.on_fault.as_ref().filter(|_| first) {
            hear(error);
        }
        None
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address may hold a password.
        f.debug_struct("Redis")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

// === impl Connection ===

impl Connection {
    /// The connection, which is made in the background. `None` where it cannot be.
    fn manager(&self) -> Option<ConnectionManager> {
        let make = || {
            let config = ConnectionManagerConfig::new()
                // We ask again after a pause of our own, and bound each answer ourselves.
                .set_number_of_retries(0)
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(None);
            ConnectionManager::new_lazy_with_config(self.client.clone(), config).ok()
        };
        self.manager.get_or_init(make).clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_left_alone(&self) -> bool {
        self.now() < self.away_until.load(Ordering::Relaxed)
    }

    /// Leaves it alone for a while; whether this is the first fault since it last answered.
    fn leave_alone(&self) -> bool {
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(pause);
        self.away_until.store(until, Ordering::Relaxed);
        !self.away.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::net::TcpListener;

    #[test]
    fn addresses() {
        for url in [
            "redis://h:6379",
            "redis://:pw@h/1",
            "rediss://u:p@h:6380/0",
            "redis://[::1]:6379",
        ] {
            assert!(is_url(url), "{url}");
        }
        for url in [
            "",
            "h:6379",
            "http://h",
            "redis://",
            "unix:///x",
            "redis://h/x",
        ] {
            assert!(!is_url(url), "{url}");
        }
        assert!(!format!("{:?}", Redis::new("redis://:secret@h").unwrap()).contains("secret"));
    }

    /// Somebody who listens and never speaks.
    #[tokio::test]
    async fn one_that_is_silent_is_waited_for_once_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let redis = Redis::new(&url)
            .unwrap()
            .timeout(Duration::from_millis(20))
            .on_fault(move |e| ear.lock().unwrap().push(e.to_string()));
        let started = Instant::now();
        for _ in 0..50 {
            assert_eq!(redis.get("k").await, None);
            assert_eq!(redis.set("k", b"v", Duration::from_secs(1)).await, None);
        }
        let waits = heard.lock().unwrap().len() as u64;
        assert!(
            (1..=1 + started.elapsed().as_secs()).contains(&waits),
            "{waits}"
        );
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_no_error() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", free.local_addr().unwrap());
        drop(free);
        assert_eq!(Redis::new(&url).unwrap().get("k").await, None);
    }
}
