//! Answers in this process's memory.
use super::{Entry, Event, Key, Store, store::Level};
use moka::{Expiry, notification::RemovalCause};
use std::{
    fmt,
    future::{Future, ready},
    sync::Arc,
    time::{Duration, Instant},
};

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
    level: Arc<Level>,
}

/// Entries go when their time is over, whenever they came here.
struct Aged(Duration);

impl Expiry<Key, Entry> for Aged {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(self.0.saturating_sub(entry.age()))
    }
    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.0.saturating_sub(entry.age()))
    }
}

fn weight(entry: &Entry) -> u32 {
    u32::try_from(entry.weight()).unwrap_or(u32::MAX)
}

impl Memory {
    /// Keeps at most `max_bytes`, none longer than `ttl`.
    #[must_use]
    pub fn new(max_bytes: u64, ttl: Duration) -> Self {
        let level = Arc::new(Level::new("memory"));
        let watched = level.clone();
        // moka refuses, by panicking, what is over a thousand years.
        let ttl = ttl.min(Duration::from_secs(365 * 24 * 60 * 60));
        let cache = moka::sync::Cache::builder()
            .weigher(|_: &Key, entry: &Entry| weight(entry))
            .max_capacity(max_bytes)
            .time_to_live(ttl)
            .expire_after(Aged(ttl))
            .eviction_listener(move |_, entry: Entry, cause| {
                let cause = match cause {
                    RemovalCause::Size => Some("size"),
                    RemovalCause::Expired => Some("expired"),
                    RemovalCause::Replaced | RemovalCause::Explicit => None,
                };
                watched.removed(weight(&entry).into(), cause);
            })
            .build();
        Self { cache, level }
    }

    /// Calls `hear` with what happens. It must neither block nor panic.
    #[must_use]
    pub fn on_event(self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.level.on_event(Arc::new(hear));
        self
    }

    /// How many entries it holds.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.level.entries()
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.level.bytes()
    }

    /// Does at once what is done now and then: lets go of what has expired or does not fit.
    pub fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}

impl Store for Memory {
    fn get(&self, key: &Key) -> impl Future<Output = Option<Entry>> + Send {
        ready(self.cache.get(key))
    }
    fn put(&self, key: Key, entry: Entry) -> impl Future<Output = ()> + Send {
        self.level.added(weight(&entry).into());
        self.cache.insert(key, entry);
        ready(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.level, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt_cache::testing::{entry, entry_of, key};
    use std::{sync::Mutex, time::SystemTime};

    #[tokio::test]
    async fn bounded_in_bytes_and_all_is_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let ear = told.clone();
        let store = Memory::new(100_000, Duration::from_secs(60))
            .on_event(move |event| ear.lock().unwrap().push(event));
        for i in 0..100 {
            store.put(key(&i.to_string()), entry(9_000)).await;
        }
        store.tidy();
        assert!(store.bytes() <= 100_000, "{store:?}");
        assert!(store.entries() >= 5, "{store:?}");
        store.put(key("huge"), entry(200_000)).await;
        store.tidy();
        assert!(store.get(&key("huge")).await.is_none());
        assert_eq!(store.bytes(), store.cache.weighted_size());
        assert_eq!(store.entries(), store.cache.entry_count());
        let told = told.lock().unwrap();
        let count =
            |event: &dyn Fn(&Event) -> bool| told.iter().filter(|e| event(e)).count() as u64;
        let stored = count(&|e| matches!(e, Event::Stored { store: "memory" }));
        let evicted = count(&|e| matches!(e, Event::Evicted { cause: "size", .. }));
        assert_eq!((stored, stored - evicted), (101, store.entries()));
        let level = Event::Level {
            store: "memory",
            bytes: store.bytes(),
            entries: store.entries(),
        };
        assert_eq!(told.last(), Some(&level));
    }

    #[tokio::test]
    async fn nothing_outlives_its_time_and_replacing_is_no_eviction() {
        let store = Memory::new(100_000, Duration::from_nanos(1));
        store.put(key("a"), entry(1)).await;
        assert!(store.get(&key("a")).await.is_none());
        let store = Memory::new(100_000, Duration::MAX);
        store.put(key("a"), entry(1)).await;
        store.put(key("a"), entry(2)).await;
        store.tidy();
        assert!(store.get(&key("a")).await.is_some());
        assert_eq!(
            (store.entries(), store.bytes()),
            (1, entry(2).weight() as u64)
        );
    }

    #[tokio::test]
    async fn what_comes_late_goes_in_time() {
        let store = Memory::new(100_000, Duration::from_secs(60));
        store
            .put(
                key("old"),
                entry_of(1, SystemTime::now() - Duration::from_secs(61)),
            )
            .await;
        store
            .put(
                key("new"),
                entry_of(1, SystemTime::now() - Duration::from_secs(50)),
            )
            .await;
        assert!(store.get(&key("old")).await.is_none());
        assert!(store.get(&key("new")).await.is_some());
    }
}
