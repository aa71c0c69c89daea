//! Which calls may be answered from the cache.
use super::{Event, Key};
use http::{HeaderName, header::CACHE_CONTROL};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};
use tierway_services::{
    chat::{self, Operation, Target, Tenant},
    dialect::Dialect,
};

pub(super) const CACHE: HeaderName = HeaderName::from_static("x-tierway-cache");

/// Hears what happens in a cache. It must neither block nor panic.
pub(super) type Hear = Arc<dyn Fn(Event) + Send + Sync>;

/// What the operator decides.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) sampled: bool,
    pub(super) tool_calls: bool,
    pub(super) coalesce: bool,
    pub(super) max_entry: usize,
    pub(super) max_request: usize,
    pub(super) opted_out: HashSet<String>,
    pub(super) identities: HashMap<String, String>,
    pub(super) hear: Option<Hear>,
}

/// What a caller decides about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Whatever is not older than this.
    Any { max_age: Option<Duration> },
    /// A new answer, which may be kept.
    Refresh,
    /// Nothing to do with the cache.
    Off,
}

/// The form in which a caller wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) dialect: Dialect,
    pub(super) stream: bool,
    /// Whether a stream of chat completions is to tell its usage.
    pub(super) usage: bool,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            sampled: false,
            tool_calls: false,
            coalesce: true,
            max_entry: 1024 * 1024,
            max_request: 4 * 1024 * 1024,
            opted_out: HashSet::new(),
            identities: HashMap::new(),
            hear: None,
        }
    }
}

impl Settings {
    /// The key of `req`, where an answer to it may be had from the cache.
    pub(super) fn key(&self, req: &chat::Request) -> Option<Key> {
        if !self.allows(req) {
            return None;
        }
        let key = Key::of(req)?;
        let identity = Target::of(req).and_then(|t| self.identities.get(&*t.provider));
        Some(identity.map_or(key, |identity| key.within(identity.as_bytes())))
    }

    fn allows(&self, req: &chat::Request) -> bool {
        let facts = req.body().facts();
        let opted_out = || Tenant::of(req).is_some_and(|t| self.opted_out.contains(t.as_str()));
        facts.operation == Operation::Generate
            && facts.choices == 1
            && (self.sampled || facts.temperature == Some(0.0))
            && req.body().raw().len() <= self.max_request
            && !opted_out()
    }

    /// Whether `req` may share the upstream call of another one that is under way. One that offers tools does not, for what is called in
    /// its answer would be done once for each caller.
    pub(super) fn may_share(&self, req: &chat::Request) -> bool {
        self.coalesce && (self.tool_calls || req.body().facts().tool_count == 0)
    }

    pub(super) fn tell(&self, event: Event) {
        if let Some(hear) = &self.hear {
            hear(event);
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("sampled", &self.sampled)
            .field("tool_calls", &self.tool_calls)
            .field("coalesce", &self.coalesce)
            .field("max_entry", &self.max_entry)
            .field("max_request", &self.max_request)
            .finish_non_exhaustive()
    }
}

// === impl Wish ===

impl Wish {
    pub(super) fn of(req: &chat::Request) -> Self {
        let words = |name: HeaderName| {
            let values = req.headers().get_all(name).into_iter();
            values
                .filter_map(|v| v.to_str().ok())
                .flat_map(|v| v.split(','))
                .map(str::trim)
        };
        let says = |name: HeaderName, word: &str| words(name).any(|w| w.eq_ignore_ascii_case(word));
        let max_age = || {
            words(CACHE_CONTROL).find_map(|word| {
                let (name, seconds) = word.split_once('=')?;
                let named = name.trim().eq_ignore_ascii_case("max-age");
                named.then(|| seconds.trim().parse().ok()).flatten()
            })
        };
        if says(CACHE_CONTROL, "no-store") || says(CACHE, "off") {
            Self::Off
        } else if says(CACHE_CONTROL, "no-cache") || says(CACHE, "refresh") {
            Self::Refresh
        } else {
            match max_age() {
                Some(0) => Self::Refresh,
                seconds => Self::Any {
                    max_age: seconds.map(Duration::from_secs),
                },
            }
        }
    }
}

// === impl Form ===

impl Form {
    pub(super) fn of(req: &chat::Request) -> Self {
        let facts = req.body().facts();
        let usage = facts.stream_options.as_ref().is_some_and(|(_, asks)| *asks);
        Self {
            dialect: facts.dialect,
            stream: facts.stream,
            usage: facts.stream && usage,
        }
    }
}
