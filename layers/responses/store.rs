//! Where answers are kept.
use super::inside;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    future::{Future, ready},
    time::Duration,
};
use tierway_services::chat::Tenant;

/// Keeps answers. Callers wait for it, so a store that lives elsewhere bounds its own time.
pub trait Store {
    /// What is kept under `key`, if it is there and not too old.
    fn get(&self, key: &Key) -> impl Future<Output = Option<Kept>> + Send;
    /// Keeps `kept` under `key`, in place of what was there.
    fn put(&self, key: Key, kept: Kept) -> impl Future<Output = ()> + Send;
    /// Forgets what is kept under `key`.
    fn remove(&self, key: &Key) -> impl Future<Output = ()> + Send;
}

/// The longest id of an item that can be referred to; `OpenAI`'s own are far shorter.
const LONGEST_ID: usize = 256;

/// Whose answer, and its id; or whose item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    tenant: String,
    id: String,
    item: bool,
}

/// An answer that is kept, or, under the key of an item, where that item stands. A clone copies nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kept {
    /// The response object; under the key of an item, the id of the answer that it is part of.
    pub response: Bytes,
    /// The items of the conversation that it answers, with commas between; none under the key of an item.
    pub input: Bytes,
}

/// Keeps answers in this process, bounded in bytes and age.
///
/// ```
/// use std::time::Duration;
/// use tierway_layers::responses::Memory;
/// let store = Memory::new(128 * 1024 * 1024, Duration::from_secs(24 * 60 * 60));
/// assert_eq!(store.entries(), 0);
/// ```
#[derive(Clone)]
pub struct Memory {
    cache: moka::sync::Cache<Key, Kept>,
}

// === impl Key ===

impl Key {
    /// The answer of this id, of this tenant; of the anonymous one where none is named.
    #[must_use]
    pub fn new(tenant: Option<&Tenant>, id: &str) -> Self {
        Self {
            tenant: tenant.map_or("", Tenant::as_str).to_owned(),
            id: id.to_owned(),
            item: false,
        }
    }
    /// The item of this id, which is part of an answer or of what it answers.
    #[must_use]
    pub fn item(tenant: Option<&Tenant>, id: &str) -> Self {
        Self {
            item: true,
            ..Self::new(tenant, id)
        }
    }
}

// === impl Kept ===

impl Kept {
    /// The conversation with the answer at its end: items with commas between.
    #[must_use]
    pub fn items(&self) -> String {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            output: Option<&'a RawValue>,
        }
        let answer = serde_json::from_slice::<Answer<'_>>(&self.response).ok();
        let output = answer.and_then(|a| a.output).map_or("", RawValue::get);
        let mut items = String::from_utf8_lossy(&self.input).into_owned();
        let said = inside(output);
        if !items.is_empty() && !said.is_empty() {
            items.push(',');
        }
        items.push_str(said);
        items
    }

    /// The items of the conversation and of the answer that have ids, by these.
    pub(super) fn named(&self) -> HashMap<String, Bytes> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            output: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Item<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
            #[serde(borrow)]
            r#type: Option<Cow<'a, str>>,
        }
        let input = Bytes::from([b"[", &self.input[..], b"]"].concat());
        let asked: Vec<&RawValue> = serde_json::from_slice(&input).unwrap_or_default();
        let answer = serde_json::from_slice::<Answer<'_>>(&self.response);
        let said = answer.map_or_else(|_| Vec::new(), |a| a.output);
        let asked = asked.into_iter().map(|item| (&input, item));
        let all = asked.chain(said.into_iter().map(|item| (&self.response, item)));
        all.filter_map(|(whole, json)| {
            let item: Item<'_> = serde_json::from_str(json.get()).ok()?;
            let fits = (1..=LONGEST_ID).contains(&item.id.len());
            (fits && item.r#type.as_deref() != Some("item_reference")).then(|| {
                let json = whole.slice_ref(json.get().as_bytes());
                (item.id.into_owned(), json)
            })
        })
        .collect()
    }
}

// === impl Memory ===

impl Memory {
    /// Keeps at most `max_bytes`, none longer than `ttl`.
    #[must_use]
    pub fn new(max_bytes: u64, ttl: Duration) -> Self {
        // A rough price of the key, the entry and moka's own nodes.
        const OVERHEAD: usize = 512;
        let cache = moka::sync::Cache::builder()
            .weigher(|_: &Key, kept: &Kept| {
                let bytes = OVERHEAD + kept.response.len() + kept.input.len();
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .max_capacity(max_bytes)
            // What was kept last is what is gone on from; how often it was asked for says little.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            // moka refuses, by panicking, what is over a thousand years.
            .time_to_live(ttl.min(Duration::from_secs(365 * 24 * 60 * 60)))
            .build();
        Self { cache }
    }
    /// How many answers it holds, about.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.cache.entry_count()
    }
}

impl Store for Memory {
    fn get(&self, key: &Key) -> impl Future<Output = Option<Kept>> + Send {
        ready(self.cache.get(key))
    }
    fn put(&self, key: Key, kept: Kept) -> impl Future<Output = ()> + Send {
        self.cache.insert(key, kept);
        ready(())
    }
    fn remove(&self, key: &Key) -> impl Future<Output = ()> + Send {
        self.cache.invalidate(key);
        ready(())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("entries", &self.entries())
            .finish()
    }
}
