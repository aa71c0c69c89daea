//! Where conversations are remembered.
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    future::{Future, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tierway_services::chat::{Session, Target, Tier};
use tower::util::Either;

/// Remembers conversations. Callers wait for it, but not for long: see [`AffinityLayer::patience`](super::AffinityLayer::patience).
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use tierway_layers::affinity::{Pin, Sessions};
/// use tierway_services::chat::Session;
///
/// /// Never forgets (do not do this).
/// #[derive(Default)]
/// struct Elephant(Mutex<HashMap<Session, Pin>>);
/// impl Sessions for Elephant {
///     async fn get(&self, session: Session) -> Option<Pin> {
///         self.0.lock().unwrap().get(&session).cloned()
///     }
///     async fn put(&self, session: Session, pin: Pin) {
///         self.0.lock().unwrap().insert(session, pin);
///     }
/// }
/// ```
pub trait Sessions {
    /// What is known of `session`, if it is there and not too old. A store that fails knows nothing.
    fn get(&self, session: Session) -> impl Future<Output = Option<Pin>> + Send;
    /// Remembers `pin` for `session`, in place of what was there.
    fn put(&self, session: Session, pin: Pin) -> impl Future<Output = ()> + Send;
}

/// What is remembered of a conversation: its model, and what its prefix is worth there. None of its words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// The tier that it is in.
    pub tier: Tier,
    /// The model that this meant.
    pub target: Target,
    /// When this model last answered, in seconds since 1970; 0 where it never did.
    pub answered_at: u64,
    /// How long its provider keeps the prefix of a prompt, in seconds.
    pub keeps: u32,
    /// Tokens of the last prompt that the provider read from its cache or wrote to it.
    pub cached: u64,
    /// All tokens of the last prompt; 0 where nobody counted them.
    pub input: u64,
    /// Tokens of all answers.
    pub output: u64,
    /// Calls, tool results included.
    pub calls: u32,
    /// Calls that brought something new from the user.
    pub asks: u32,
    /// How many asks in a row would have done with a lower tier.
    pub easy: u32,
    /// Turns of the last prompt.
    pub turns: u32,
    /// Whether tools were offered.
    pub tools: bool,
}

/// Remembers conversations in this process, bounded in number and age.
///
/// ```
/// use std::time::Duration;
/// use tierway_layers::affinity::Memory;
/// let store = Memory::new(100_000, Duration::from_secs(3600));
/// assert_eq!(store.sessions(), 0);
/// ```
#[derive(Clone)]
pub struct Memory {
    cache: moka::sync::Cache<Session, Pin>,
}

// === impl Pin ===

/// How a pin is written: a JSON array, the version first. It is read by other nodes, which may be of another version.
#[derive(Deserialize, Serialize)]
struct Written(
    u8,
    u8,
    String,
    String,
    u64,
    u32,
    u64,
    u64,
    u64,
    u32,
    u32,
    u32,
    u32,
    bool,
);
const VERSION: u8 = 1;

impl Pin {
    /// A conversation of which nothing is known but where it is.
    #[must_use]
    pub const fn new(tier: Tier, target: Target) -> Self {
        Self {
            tier,
            target,
            answered_at: 0,
            keeps: 0,
            cached: 0,
            input: 0,
            output: 0,
            calls: 0,
            asks: 0,
            easy: 0,
            turns: 0,
            tools: false,
        }
    }

    /// In about a hundred bytes, for a store elsewhere.
    #[must_use]
    pub fn write(&self) -> String {
        let written = Written(
            VERSION,
            self.tier as u8,
            self.target.provider.to_string(),
            self.target.model.to_string(),
            self.answered_at,
            self.keeps,
            self.cached,
            self.input,
            self.output,
            self.calls,
            self.asks,
            self.easy,
            self.turns,
            self.tools,
        );
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// What [`write`](Self::write) wrote; `None` where it did not.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let w: Written = serde_json::from_slice(written).ok()?;
        let tier = Tier::ALL.get(usize::from(w.1)).copied()?;
        (w.0 == VERSION).then(|| Self {
            tier,
            target: Target::new(w.2, w.3),
            answered_at: w.4,
            keeps: w.5,
            cached: w.6,
            input: w.7,
            output: w.8,
            calls: w.9,
            asks: w.10,
            easy: w.11,
            turns: w.12,
            tools: w.13,
        })
    }

    /// Whether the provider still has the prefix at `now`.
    pub(super) fn is_warm(&self, now: u64) -> bool {
        self.answered_at > 0 && now < self.answered_at.saturating_add(u64::from(self.keeps))
    }
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

// === impl Memory ===

impl Memory {
    /// Remembers at most `max_sessions`, none longer than `ttl` after its last call.
    #[must_use]
    pub fn new(max_sessions: u64, ttl: Duration) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(max_sessions)
            // What spoke last speaks next; how often it did says little.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            // moka refuses, by panicking, what is over a thousand years.
            .time_to_live(ttl.min(Duration::from_secs(365 * 24 * 60 * 60)))
            .build();
        Self { cache }
    }
    /// How many it remembers, about.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.cache.entry_count()
    }
}

impl Sessions for Memory {
    fn get(&self, session: Session) -> impl Future<Output = Option<Pin>> + Send {
        ready(self.cache.get(&session))
    }
    fn put(&self, session: Session, pin: Pin) -> impl Future<Output = ()> + Send {
        self.cache.insert(session, pin);
        ready(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("sessions", &self.sessions())
            .finish()
    }
}

// One of two stores, chosen at run time.
impl<A: Sessions + Sync, B: Sessions + Sync> Sessions for Either<A, B> {
    async fn get(&self, session: Session) -> Option<Pin> {
        match self {
            Self::Left(store) => store.get(session).await,
            Self::Right(store) => store.get(session).await,
        }
    }
    async fn put(&self, session: Session, pin: Pin) {
        match self {
            Self::Left(store) => store.put(session, pin).await,
            Self::Right(store) => store.put(session, pin).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin {
            answered_at: 1_700_000_000,
            keeps: 300,
            cached: 1,
            input: 2,
            output: 3,
            calls: 4,
            asks: 5,
            easy: 6,
            turns: 7,
            tools: true,
            ..Pin::new(Tier::Complex, Target::new("cloud", "big:\"x\""))
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Pin::read(pin().write().as_bytes()), Some(pin()));
        assert!(pin().write().len() < 100, "{}", pin().write());
        for bad in [
            "",
            "[]",
            "[1,9]",
            "{}",
            &pin().write().replacen('1', "2", 1),
        ] {
            assert_eq!(Pin::read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn warm_as_long_as_the_provider_keeps_it() {
        assert!(pin().is_warm(1_700_000_299) && !pin().is_warm(1_700_000_300));
        assert!(!Pin::new(Tier::Simple, Target::new("a", "b")).is_warm(0));
    }

    #[tokio::test]
    async fn bounded_in_number_and_age() {
        let session = |i: u8| Session([i; 16]);
        let store = Memory::new(10, Duration::from_secs(60));
        for i in 0..100 {
            store.put(session(i), pin()).await;
        }
        store.cache.run_pending_tasks();
        assert_eq!(store.sessions(), 10);
        assert!(store.get(session(99)).await.is_some() && store.get(session(0)).await.is_none());
        let store = Memory::new(10, Duration::from_nanos(1));
        store.put(session(1), pin()).await;
        assert_eq!(store.get(session(1)).await, None);
    }
}
