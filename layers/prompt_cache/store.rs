//! Where answers are kept.
use super::Key;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::{
    fmt,
    future::Future,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tierway_services::{
    chat::{Target, Usage},
    dialect::Dialect,
};
use tower::util::Either;

/// Keeps answers.
///
/// Callers wait for it: for `get` before anything is sent, for `put` before the last frame is. So a store that lives elsewhere bounds its
/// own time, and turns failure into a miss.
///
/// One that keeps each answer in a file of its own:
/// ```
/// use std::path::PathBuf;
/// use tierway_layers::prompt_cache::{Entry, Key, Store};
///
/// struct Folder(PathBuf);
/// impl Store for Folder {
///     async fn get(&self, key: &Key) -> Option<Entry> {
///         let bytes = tokio::fs::read(self.0.join(key.to_string())).await.ok()?;
///         Entry::from_bytes(key, &bytes)
///     }
///     async fn put(&self, key: Key, entry: Entry) {
///         let (new, name) = (self.0.join(format!("{key}.new")), self.0.join(key.to_string()));
///         // Nobody must see half an answer.
///         if tokio::fs::write(&new, entry.to_bytes(&key)).await.is_ok() {
///             let _ = tokio::fs::rename(new, name).await;
///         }
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
    /// The dialect of the body.
    pub dialect: Dialect,
    /// The headers that are replayed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
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

/// What happens in a cache, for whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An answer of this age was replayed.
    Served {
        /// Since it was kept.
        age: Duration,
    },
    /// An answer was kept.
    Stored {
        /// By which store: `memory`, `disk`, `redis`.
        store: &'static str,
    },
    /// An answer was dropped.
    Evicted {
        /// By which store.
        store: &'static str,
        /// Why: `size`, `expired`, or `busy` where it came faster than it could be written.
        cause: &'static str,
    },
    /// What a store holds has changed.
    Level {
        /// Which one.
        store: &'static str,
        /// What its entries take up, bookkeeping included.
        bytes: u64,
        /// How many there are.
        entries: u64,
    },
}

/// Looks into `near` first, then into `far`, and keeps there and here.
///
/// What comes from afar is kept near for the rest of its time. So a node that has an answer goes on replaying it until that is over, also
/// where another one has asked anew in the meantime.
#[derive(Clone, Debug)]
pub struct Layered<N, F> {
    near: N,
    far: F,
}

/// How much a store holds, and who wants to know of it.
pub(super) struct Level {
    name: &'static str,
    bytes: AtomicU64,
    entries: AtomicU64,
    hear: OnceLock<super::eligible::Hear>,
}

// === impl Entry ===

impl Entry {
    /// What it takes up in memory, in bytes, bookkeeping included.
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

    /// What it cost, where that is known.
    pub(super) fn cost(&self) -> Option<(Target, Usage)> {
        self.target.clone().zip(self.usage)
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

// === impl Layered ===

impl<N, F> Layered<N, F> {
    /// `near` before `far`.
    pub const fn new(near: N, far: F) -> Self {
        Self { near, far }
    }
}

impl<N: Store + Sync, F: Store + Sync> Store for Layered<N, F> {
    async fn get(&self, key: &Key) -> Option<Entry> {
        if let Some(entry) = self.near.get(key).await {
            return Some(entry);
        }
        let entry = self.far.get(key).await?;
        self.near.put(*key, entry.clone()).await;
        Some(entry)
    }
    async fn put(&self, key: Key, entry: Entry) {
        self.near.put(key, entry.clone()).await;
        self.far.put(key, entry).await;
    }
}

// === impl Either ===

impl<A: Store + Sync, B: Store + Sync> Store for Either<A, B> {
    async fn get(&self, key: &Key) -> Option<Entry> {
        match self {
            Self::Left(store) => store.get(key).await,
            Self::Right(store) => store.get(key).await,
        }
    }
    async fn put(&self, key: Key, entry: Entry) {
        match self {
            Self::Left(store) => store.put(key, entry).await,
            Self::Right(store) => store.put(key, entry).await,
        }
    }
}

// === impl Level ===

impl Level {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            hear: OnceLock::new(),
        }
    }

    pub(super) fn on_event(&self, hear: super::eligible::Hear) {
        let _ = self.hear.set(hear);
        self.tell();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn added(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.hear(Event::Stored { store: self.name });
        self.tell();
    }

    /// `cause` where it was not replaced.
    pub(super) fn removed(&self, bytes: u64, cause: Option<&'static str>) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
        if let Some(cause) = cause {
            self.refused(cause);
        }
        self.tell();
    }

    /// Something was not kept at all.
    pub(super) fn refused(&self, cause: &'static str) {
        self.hear(Event::Evicted {
            store: self.name,
            cause,
        });
    }

    /// What was there from the start.
    #[cfg(feature = "cache-disk")]
    pub(super) fn found(&self, bytes: u64, entries: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.entries.store(entries, Ordering::Relaxed);
    }

    fn tell(&self) {
        self.hear(Event::Level {
            store: self.name,
            bytes: self.bytes(),
            entries: self.entries(),
        });
    }

    fn hear(&self, event: Event) {
        if let Some(hear) = self.hear.get() {
            hear(event);
        }
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name)
            .field("entries", &self.entries())
            .field("bytes", &self.bytes())
            .finish()
    }
}
