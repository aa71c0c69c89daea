//! Which prefixes providers have, as far as we have told them to keep them, and how often calls go on from others.
use super::economics::Habit;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The name of a prefix: for whom, at which model, and all its words.
pub(super) type Prefix = [u8; 16];

/// The longest that any provider keeps a prefix.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What is known of a prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When it was last asked.
    pub(super) at: Instant,
    /// How its provider keeps it, if it was told to.
    pub(super) kept: Option<Kept>,
}

/// How a provider keeps a prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) until: Instant,
    /// Whether for an hour after each use.
    pub(super) hour: bool,
}

/// Remembers prefixes for an hour, and habits for a day; both bounded in number.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    seen: moka::sync::Cache<Prefix, Seen>,
    habits: moka::sync::Cache<Prefix, Arc<Mutex<Habit>>>,
}

impl Memory {
    pub(super) fn new(prefixes: u64) -> Self {
        Self {
            seen: moka::sync::Cache::builder()
                .max_capacity(prefixes)
                .time_to_live(HOUR)
                .build(),
            habits: moka::sync::Cache::builder()
                .max_capacity(10_000)
                .time_to_idle(24 * HOUR)
                .build(),
        }
    }

    pub(super) fn seen(&self, prefix: &Prefix) -> Option<Seen> {
        self.seen.get(prefix)
    }

    /// Remembers that `prefix` was asked, and how it is kept; where nothing new is told of that, what was told before holds.
    pub(super) fn note(&self, prefix: Prefix, now: Instant, kept: Option<Kept>) {
        let before = || self.seen.get(&prefix)?.kept;
        let kept = kept.or_else(before);
        self.seen.insert(prefix, Seen { at: now, kept });
    }

    /// Counts a call of the habit of this name; gives the habit as it was before.
    pub(super) fn count(&self, habit: Prefix, after: Option<Duration>) -> Habit {
        let shared = self.habits.get_with(habit, Arc::default);
        let mut habit = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *habit;
        habit.count(after.map(|time| time.as_secs()));
        before
    }
}

impl Seen {
    /// How its provider has it still.
    pub(super) fn kept(&self, now: Instant) -> Option<Kept> {
        self.kept.filter(|kept| now < kept.until)
    }
}
