//! What callers have not seen, until they come back.
use moka::sync::Cache;
use std::{sync::Arc, time::Duration};
use tierway_services::{
    chat::{Prompt, Tenant},
    translate::rounds::{Digest, Hidden, Round, Shown},
};

/// How long it is remembered.
const HOUR: Duration = Duration::from_secs(3600);

type Key = [u8; 32];

#[derive(Clone, Debug)]
pub(super) struct Memory(Cache<Key, Arc<Hidden>>);

/// A conversation's name, in the making.
struct Name(blake3::Hasher);

impl Digest for Name {
    fn update(&mut self, more: &[u8]) {
        self.0.update(more);
    }
    fn now(&self) -> [u8; 16] {
        let mut name = [0; 16];
        self.0.finalize_xof().fill(&mut name);
        name
    }
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let weight =
            |_: &Key, hidden: &Arc<Hidden>| u32::try_from(hidden.size() + 256).unwrap_or(u32::MAX);
        Self(
            Cache::builder()
                .max_capacity(bytes)
                .weigher(weight)
                .time_to_live(HOUR)
                .build(),
        )
    }

    /// What the caller has not seen of this conversation, and where it belongs.
    pub(super) fn find(
        &self,
        prompt: &Prompt,
        tenant: Option<&Tenant>,
    ) -> Vec<(Shown, Arc<Hidden>)> {
        // A look at the whole conversation, which is not needed where nothing is remembered of any.
        if self.0.entry_count() == 0 {
            self.0.run_pending_tasks();
            if self.0.entry_count() == 0 {
                return Vec::new();
            }
        }
        let shown = tierway_services::translate::rounds::shown(prompt, &mut name());
        let known = shown.into_iter().filter_map(|shown| {
            let hidden = self.0.get(&key(tenant, &shown.calls, shown.digest))?;
            Some((shown, hidden))
        });
        known.collect()
    }

    /// Remembers it for when the caller comes back with `answer` behind `prompt`.
    pub(super) fn keep(
        &self,
        prompt: &Prompt,
        tenant: Option<&Tenant>,
        answer: &Round,
        hidden: Hidden,
    ) {
        let mut name = name();
        tierway_services::translate::rounds::shown(prompt, &mut name);
        let (calls, digest) = answer.shown(&mut name);
        self.0.insert(key(tenant, &calls, digest), Arc::new(hidden));
    }
}

fn name() -> Name {
    Name(blake3::Hasher::new())
}

/// Ids of calls are made by chance, and so are enough; words are not, so there the whole conversation counts.
fn key(tenant: Option<&Tenant>, calls: &[String], digest: [u8; 16]) -> Key {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(tenant.map_or("", Tenant::as_str));
    for id in calls {
        add(id);
    }
    if calls.is_empty() {
        hasher.update(&digest);
    }
    *hasher.finalize().as_bytes()
}
