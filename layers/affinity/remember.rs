//! What a conversation is remembered by, once its answer has ended.
use super::{
    FIVE_MINUTES, HOUR,
    decide::{Seen, Verdict},
    store::{Pin, Sessions, now},
};
use crate::commit::{Commit, Tap};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tierway_services::chat::{
    AffinityStatus, Attempt, AttemptEnd, Journal, JournalEntries, Role, Session, Tier,
};

/// All that is needed to remember one call.
pub(super) struct Remembering<St> {
    pub(super) store: Arc<St>,
    pub(super) session: Session,
    pub(super) pin: Pin,
    pub(super) journal: Journal,
    pub(super) patience: Duration,
}

/// A streaming answer is remembered *before* its last frame is handed on: whoever has it may ask again at once.
pub(super) struct Recording<St: Sessions + Send + Sync + 'static>(Option<Remembering<St>>);

/// What `future` gives, unless it takes longer than `patience`. One that is ready at once needs no timer.
pub(super) async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let now = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match now {
        Poll::Ready(value) => Some(value),
        Poll::Pending => tokio::time::timeout(patience, future).await.ok(),
    }
}

// === impl Pin ===

impl Pin {
    /// Goes on from what was `known`, with a call that wanted the tier `wanted` and got that of `verdict`.
    pub(super) fn follow(
        &mut self,
        known: Option<&Self>,
        verdict: &Verdict,
        wanted: Tier,
        seen: &Seen,
    ) {
        let known = known.filter(|_| verdict.status != AffinityStatus::New);
        if let Some(known) = known {
            (self.calls, self.asks, self.output) = (known.calls, known.asks, known.output);
            if known.target == self.target {
                self.answered_at = known.answered_at;
                self.keeps = known.keeps;
                self.cached = known.cached;
                self.input = known.input;
                self.easy = known.easy;
            }
        }
        self.calls = self.calls.saturating_add(1);
        if !seen.pending {
            self.asks = self.asks.saturating_add(1);
            self.easy = if wanted < self.tier {
                self.easy.saturating_add(1)
            } else {
                0
            };
        }
        self.turns = seen.turns;
        self.tools = seen.tools;
    }

    /// Takes in what the answer cost in tokens, at `now`.
    pub(super) fn count(&mut self, entries: &JournalEntries, now: u64) {
        let Some(attempt) = served(entries) else {
            return;
        };
        let usage = attempt.usage.unwrap_or_default();
        self.input = usage.input_total();
        self.output = self.output.saturating_add(usage.output);
        // A cascade's draft leaves nothing in the cache of the model that it stood in for.
        if attempt.target != self.target {
            return;
        }
        self.answered_at = now;
        self.cached = usage.cache_read + usage.cache_write + usage.cache_write_1h;
        let hour = usage.cache_write_1h > 0 || self.keeps == HOUR && usage.cache_write == 0;
        self.keeps = if hour { HOUR } else { FIVE_MINUTES };
    }
}

/// The upstream call whose answer the caller got.
fn served(entries: &JournalEntries) -> Option<&Attempt> {
    let small = entries.cascade.as_ref().is_some_and(|c| c.accepted);
    let mut attempts = entries.attempts.iter().rev();
    attempts.find(|a| a.end == AttemptEnd::Complete && small == (a.role == Role::Small))
}

// === impl Remembering ===

impl<St: Sessions + Send + Sync + 'static> Remembering<St> {
    /// Remembers where the conversation is, before its answer has been counted.
    pub(super) async fn announce(&self) {
        let put = self.store.put(self.session, self.pin.clone());
        within(self.patience, put).await;
    }

    /// Remembers it with what its answer cost.
    pub(super) async fn put(mut self) {
        self.count();
        within(self.patience, self.store.put(self.session, self.pin)).await;
    }

    fn count(&mut self) {
        let pin = &mut self.pin;
        self.journal.read(|entries| pin.count(entries, now()));
    }
}

// === impl Recording ===

impl<St: Sessions + Send + Sync + 'static> Recording<St> {
    pub(super) const fn new(remembering: Remembering<St>) -> Self {
        Self(Some(remembering))
    }
}

impl<St: Sessions + Send + Sync + 'static> Tap for Recording<St> {
    fn end(&mut self) -> Option<Commit> {
        let remembering = self.0.take()?;
        Some(Box::pin(remembering.put()))
    }
}

// A caller who leaves, often right after the last event. What is remembered at once is; nobody waits for more. The leaf has written its line
// down by then, for the body is dropped before.
impl<St: Sessions + Send + Sync + 'static> Drop for Recording<St> {
    fn drop(&mut self) {
        // A store elsewhere may want a timer.
        let in_runtime = tokio::runtime::Handle::try_current().is_ok();
        if let Some(mut remembering) = self.0.take().filter(|_| in_runtime) {
            remembering.count();
            let Remembering {
                store,
                session,
                pin,
                ..
            } = remembering;
            let put = pin!(store.put(session, pin));
            let _ = put.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}
