//! Where answers are kept.
use super::Key;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::{
    fmt,
    future::{Future, ready},
    time::{Duration, SystemTime},
};
use tierway_services::chat::{Target, Usage};

/// Keeps answers.
///
/// Callers wait for it: for `get` before anything is sent, for `put` before the last frame is. So a store that lives elsewhere bounds its
/// own time, and turns failure into a miss.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use tierway_layers::prompt_cache::{Entry, Key, Store};
///
/// /// Never forgets (do not do this).
/// #[derive(Default)]
/// struct Elephant(Mutex<HashMap<Key, Entry>>);
/// impl Store for Elephant {
///     async fn get(&self, key: &Key) -> Option<Entry> {
///         self.0.lock().unwrap().get(key).cloned()
///     }
///     async fn put(&self, key: Key, entry: Entry) {
///         self.0.lock().unwrap().insert(key, entry);
///     }
/// }
/// ```
pub trait Store {
    /// The entry under `key`, if it is there and not too old.
    fn get(&self, key: &Key) -> impl Future<Output = Option<Entry>> + Send;
    /// Keeps `entry` under `key`, in place of what was there.
    fn put(&self, key: Key, entry: Entry) -> impl Future<Output = ()> + Send;
}

/// A kept answer. A clone copies no body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The headers that are replayed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, in the dialect of the call.
    pub body: Recorded,
    /// The tokens that it cost, where they are known.
    pub usage: Option<Usage>,
    /// Who answered, where that is known.
    pub target: Option<Target>,
    /// When it was kept.
    pub stored_at: SystemTime,
}

/// A kept body, as it was first sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// One JSON document.
    Whole(Bytes),
    /// An event stream from its first event to its last.
    Events(Bytes),
}

/// Keeps answers in this process: bounded in bytes and age, and what is asked often outlives what was asked once (TinyLFU).
///
/// ```
/// use std::time::Duration;
/// use tierway_layers::prompt_cache::Memory;
/// let store = Memory::new(256 * 1024 * 1024, Duration::from_secs(300));
/// assert_eq!(store.entries(), 0);
/// ```
#[derive(Clone)]
pub struct Memory {
    cache: moka::sync::Cache<Key, Entry>,
}

// === impl Entry ===

impl Entry {
    /// What it takes up, in bytes, bookkeeping included.
    #[must_use]
    pub fn weight(&self) -> usize {
        // A rough price of the key, the entry and moka's own nodes; exact enough to keep a flood of tiny answers within the bound.
        const OVERHEAD: usize = 512;
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        OVERHEAD + headers + self.body.bytes().len()
    }

    /// How long ago it was kept.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.stored_at.elapsed().unwrap_or_default()
    }
}

// === impl Recorded ===

impl Recorded {
    /// The bytes, of whichever kind.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Whole(bytes) | Self::Events(bytes) => bytes,
        }
    }
}

// === impl Memory ===

impl Memory {
    /// Keeps at most `max_bytes`, none longer than `ttl`.
    #[must_use]
    pub fn new(max_bytes: u64, ttl: Duration) -> Self {
        let cache = moka::sync::Cache::builder()
            .weigher(|_: &Key, entry: &Entry| u32::try_from(entry.weight()).unwrap_or(u32::MAX))
            .max_capacity(max_bytes)
            // moka refuses, by panicking, what is over a thousand years.
            .time_to_live(ttl.min(Duration::from_secs(365 * 24 * 60 * 60)))
            .build();
        Self { cache }
    }

    /// How many entries it holds, about.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.cache.entry_count()
    }

    /// How many bytes it holds, about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.cache.weighted_size()
    }
}

impl Store for Memory {
    fn get(&self, key: &Key) -> impl Future<Output = Option<Entry>> + Send {
        ready(self.cache.get(key))
    }
    fn put(&self, key: Key, entry: Entry) -> impl Future<Output = ()> + Send {
        self.cache.insert(key, entry);
        ready(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("entries", &self.entries())
            .field("bytes", &self.bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;

    fn entry(size: usize) -> Entry {
        Entry {
            headers: Vec::new(),
            body: Recorded::Whole(vec![b'x'; size].into()),
            usage: None,
            target: None,
            stored_at: SystemTime::now(),
        }
    }

    fn key(text: &str) -> Key {
        Key::of(&ask("m", text)).unwrap()
    }

    #[tokio::test]
    async fn bounded_in_bytes() {
        let store = Memory::new(100_000, Duration::from_secs(60));
        for i in 0..100 {
            store.put(key(&i.to_string()), entry(9_000)).await;
        }
        store.cache.run_pending_tasks();
        assert!(store.bytes() <= 100_000, "{store:?}");
        assert!(store.entries() >= 5, "{store:?}");
        store.put(key("huge"), entry(200_000)).await;
        store.cache.run_pending_tasks();
        assert!(store.get(&key("huge")).await.is_none());
    }

    #[tokio::test]
    async fn nothing_outlives_its_time() {
        let store = Memory::new(100_000, Duration::from_nanos(1));
        store.put(key("a"), entry(1)).await;
        assert!(store.get(&key("a")).await.is_none());
        let store = Memory::new(100_000, Duration::MAX);
        store.put(key("a"), entry(1)).await;
        assert!(store.get(&key("a")).await.is_some());
    }
}
