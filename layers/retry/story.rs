//! The story of one call: attempts, and the pauses between them.
use super::{Retried, Shared};
use crate::attempt::{Failure, What, settle};
use std::{sync::Arc, time::Duration};
use tierway_services::{
    BoxError,
    chat::{self, Alternatives, Cause, Deadline, Notes, Operation, Prompt, Role},
    dialect::Dialect,
    translate,
};
use tokio::time::Instant;
use tower::{
    retry::{backoff::Backoff, budget::Budget},
    util::Oneshot,
};
use tower_service::Service;

/// The longest wait that a provider may ask for where another one may answer.
const SHORT: Duration = Duration::from_secs(1);

/// Whether to ask again, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Now,
    Later,
}

pub(super) async fn tell<S>(
    mut ready: S,
    shared: Arc<Shared>,
    req: chat::Request,
) -> Result<chat::Response, BoxError>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
    S::Error: Into<BoxError>,
{
    let settings = &shared.settings;
    let dialect = req.body().facts().dialect;
    if settings.most == 0 {
        let outcome = ready.call(req).await.map_err(Into::into);
        return settle(outcome, dialect).await;
    }
    let notes = Notes::of(&req);
    let target = notes.target.clone();
    let deadline = notes.deadline.map(|Deadline(until)| until);
    let budget = shared.budget(target.as_ref());
    budget.deposit();
    // What comes after the first attempt needs its own readiness.
    let next = ready.clone();
    let outcome = ready.call(req.clone()).await.map_err(Into::into);
    let mut outcome = settle(outcome, dialect).await;
    let (mut backoff, mut stale) = (None, false);
    // Where somebody else may answer, long waits are not worth it; a draft or a comparison can be done without altogether.
    let dispensable = !matches!(notes.role, Role::Only | Role::Big);
    let patience = match Alternatives::of(&req) {
        [] => settings.patience,
        _ => settings.patience.min(SHORT),
    };
    for _ in 0..settings.most {
        let Some(failure) = Failure::of(&outcome) else {
            break;
        };
        let again = again(&failure, stale, || is_idempotent(req.body()));
        let pause = match again {
            Again::No => break,
            Again::Now => {
                stale = true;
                Duration::ZERO
            }
            Again::Later if dispensable => break,
            Again::Later => {
                let asked = failure.retry_after.unwrap_or_default();
                if asked > patience {
                    break;
                }
                let Some(own) = backoff.get_or_insert_with(|| shared.backoff()) else {
                    break;
                };
                let own = own.next_backoff().deadline() - Instant::now();
                own.max(asked)
            }
        };
        let late = deadline.is_some_and(|until| (Instant::now() + pause).into_std() >= until);
        // A connection that was closed is no sign of a provider in need.
        if late || (again == Again::Later && !budget.withdraw()) {
            break;
        }
        if let Some(hear) = &settings.hear {
            hear(&Retried {
                target: target.as_ref(),
                reason: failure.reason(),
                pause,
            });
        }
        // Whoever is still reading the last answer must not hold its connection meanwhile.
        drop(outcome);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let attempt = Oneshot::new(next.clone(), req.clone());
        outcome = settle(attempt.await.map_err(Into::into), dialect).await;
    }
    outcome
}

fn again(failure: &Failure, stale: bool, idempotent: impl Fn() -> bool) -> Again {
    if let Some(false) = failure.advice {
        return Again::No;
    }
    match failure.what {
        What::Declined | What::Unknown => Again::No,
        What::Status(408 | 409 | 425 | 429 | 503 | 529) => Again::Later,
        What::Status(501 | 505) => Again::No,
        What::Status(500..) if idempotent() => Again::Later,
        What::Status(_) if failure.advice == Some(true) && idempotent() => Again::Later,
        What::Cause(Cause::Unreachable | Cause::ConnectTimeout) => Again::Later,
        What::Cause(Cause::Stale) if idempotent() => {
            if stale {
                Again::Later
            } else {
                Again::Now
            }
        }
        What::Cause(Cause::Cut) if idempotent() => Again::Later,
        What::Status(_) | What::Cause(_) => Again::No,
    }
}

/// Whether asking twice leaves no more behind than asking once. A call that nobody stores leaves nothing.
fn is_idempotent(prompt: &Prompt) -> bool {
    let facts = prompt.facts();
    if facts.operation != Operation::Generate {
        return true;
    }
    let stored = translate::switch(prompt, "store");
    match facts.dialect {
        // Stored unless it is said otherwise.
        Dialect::Responses => stored == Some(false),
        Dialect::ChatCompletions => stored != Some(true),
        _ => true,
    }
}
