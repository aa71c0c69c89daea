//! The one line that each upstream call leaves in the journal, however it ends.
use crate::chat::{Attempt, AttemptEnd, Journal, Role, Target, Usage, Usd};
use tokio::time::Instant;

/// Writes an [`Attempt`] when it is dropped: cancelled, unless it was told otherwise.
#[derive(Debug)]
pub(super) struct Recorder {
    journal: Option<Journal>,
    attempt: Option<Attempt>,
    started: Instant,
}

impl Recorder {
    pub(super) fn start(journal: Option<Journal>, target: Target, role: Role) -> Self {
        Self {
            journal,
            attempt: Some(Attempt::new(target, role)),
            started: Instant::now(),
        }
    }
    pub(super) const fn started(&self) -> Instant {
        self.started
    }
    /// The first byte of the body is here.
    pub(super) fn first_byte(&mut self) {
        let now = self.started.elapsed();
        if let Some(attempt) = &mut self.attempt {
            attempt.first_byte.get_or_insert(now);
        }
    }
    pub(super) const fn usage(&mut self, usage: Usage, estimated: bool) {
        if let Some(attempt) = &mut self.attempt {
            attempt.usage = Some(usage);
            attempt.estimated = estimated;
        }
    }
    /// What the call cost, as the provider has it.
    pub(super) const fn cost(&mut self, cost: Option<Usd>) {
        if let Some(attempt) = &mut self.attempt {
            attempt.cost = cost;
        }
    }
    /// The call has ended, and the line is written.
    pub(super) fn end(&mut self, end: AttemptEnd) {
        if let Some(mut attempt) = self.attempt.take() {
            attempt.end = end;
            attempt.total = self.started.elapsed();
            if let Some(journal) = &self.journal {
                journal.write(|entries| entries.attempts.push(attempt));
            }
        }
    }
    pub(super) const fn ended(&self) -> bool {
        self.attempt.is_none()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end(AttemptEnd::Cancelled);
    }
}
