//! The one line that each upstream call leaves in the journal, however it ends.
use crate::chat::{Attempt, AttemptEnd, Journal, Prompt, Role, Target, Usage, Usd};
use http::HeaderMap;
use tokio::time::Instant;

/// Writes an [`Attempt`] when it is dropped: cancelled, unless it was told otherwise.
#[derive(Debug)]
pub(super) struct Recorder {
    journal: Option<Journal>,
    attempt: Option<Attempt>,
    started: Instant,
    /// What a call costs at least that is hung up on before anything was counted: its arm was asked because another might not do.
    asked: Option<Prompt>,
}

impl Recorder {
    pub(super) fn start(journal: Option<Journal>, target: Target, role: Role) -> Self {
        Self {
            journal,
            attempt: Some(Attempt::new(target, role)),
            started: Instant::now(),
            asked: None,
        }
    }
    /// Of two models that are asked the same, one may be hung up on before it has said a word; what it read is billed all the same.
    pub(super) fn asked(mut self, prompt: &Prompt) -> Self {
        let role = self.attempt.as_ref().map(|a| a.role);
        self.asked = role.filter(|r| *r != Role::Only).map(|_| prompt.clone());
        self
    }
    /// The part of the call's trace that this attempt is, as the provider is told.
    pub(super) fn trace(&mut self, headers: &mut HeaderMap) {
        let call = self
            .journal
            .as_ref()
            .and_then(|journal| journal.read(|entries| entries.trace));
        if let (Some(call), Some(attempt)) = (call, &mut self.attempt) {
            let own = call.child();
            own.write(&call, headers);
            attempt.trace = Some(own);
        }
    }
    pub(super) const fn started(&self) -> Instant {
        self.started
    }
    /// The first byte of the body is here.
    pub(super) fn first_byte(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt
                .first_byte
                .get_or_insert_with(|| self.started.elapsed());
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
            if let (AttemptEnd::Cancelled, None, Some(prompt)) = (end, attempt.usage, &self.asked) {
                attempt.estimated = true;
                attempt.usage = Some(Usage {
                    input: crate::tokens::estimate(prompt),
                    ..Usage::default()
                });
            }
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
