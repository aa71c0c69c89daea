//! Sessions that stay with the big model for some turns.
use moka::sync::Cache;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tierway_services::chat::Session;

/// So many sessions are remembered; the least used are forgotten first.
const SESSIONS: u64 = 100_000;
/// A session that has been silent for so long has lost the provider's cache as well.
const SILENT: Duration = Duration::from_secs(60 * 60);

/// Which sessions stay with the big model, and for how many calls more.
///
/// A switch of models in the middle of a conversation is dear: the other model's provider has none of it cached. And where a small model
/// has just failed, its next turn is no likelier to do. Clones share the memory.
#[derive(Clone)]
pub(super) struct StayBig {
    turns: u32,
    sessions: Option<Cache<Session, Arc<AtomicU32>>>,
}

impl StayBig {
    /// For `turns` calls after an escalation; for none where that is 0.
    pub(super) fn new(turns: u32) -> Self {
        let memory = || {
            Cache::builder()
                .max_capacity(SESSIONS)
                .time_to_idle(SILENT)
                .build()
        };
        Self {
            turns,
            sessions: (turns > 0).then(memory),
        }
    }

    /// The big model has answered this session's call.
    pub(super) fn escalated(&self, session: Option<Session>) {
        if let (Some(sessions), Some(session)) = (&self.sessions, session) {
            sessions.insert(session, Arc::new(AtomicU32::new(self.turns)));
        }
    }

    /// Whether this session's call stays with the big model; then it has one turn less.
    pub(super) fn holds(&self, session: Option<Session>) -> bool {
        let (Some(sessions), Some(session)) = (&self.sessions, session) else {
            return false;
        };
        let Some(left) = sessions.get(&session) else {
            return false;
        };
        let one_less = |left: u32| left.checked_sub(1);
        let held = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok();
        if !held {
            sessions.invalidate(&session);
        }
        held
    }
}

impl fmt::Debug for StayBig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StayBig")
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_for_its_turns_and_others_are_free() {
        let stay = StayBig::new(2);
        let (a, b) = (Some(Session([1; 16])), Some(Session([2; 16])));
        assert!(!stay.holds(a));
        stay.escalated(a);
        let held: Vec<bool> = (0..4).map(|_| stay.clone().holds(a)).collect();
        assert_eq!(held, [true, true, false, false]);
        assert!(!stay.holds(b) && !stay.holds(None));
        let never = StayBig::new(0);
        never.escalated(a);
        assert!(!never.holds(a));
    }
}
