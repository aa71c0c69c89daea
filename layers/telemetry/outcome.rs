use http::StatusCode;
use tierway_services::chat::{Attempt, AttemptEnd, JournalEntries, Role, Target};

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered, to the end.
    Ok,
    /// What the caller asked for cannot be: malformed, too large, no such model.
    ClientError,
    /// We would not: no key, over a limit, overloaded.
    Refused,
    /// Who should have answered failed, or could not be reached.
    UpstreamError,
    /// A fault of our own.
    InternalError,
    /// The answer broke off on its way.
    Cut,
    /// The caller left before the end.
    Cancelled,
}

impl Outcome {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::Refused => "refused",
            Self::UpstreamError => "upstream_error",
            Self::InternalError => "internal_error",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an answer ended, as far as its body tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// Dropped before its end; so it is until something else is known.
    #[default]
    Dropped,
    /// Complete.
    Ended,
    /// In an error.
    Broken,
}

/// The upstream calls that the answer can have come from: where a cascade decided, those of the arm that it chose.
fn candidates(entries: &JournalEntries) -> impl DoubleEndedIterator<Item = &Attempt> {
    let small = entries.cascade.as_ref().map(|c| c.accepted);
    entries
        .attempts
        .iter()
        .filter(move |a| small.is_none_or(|small| small == (a.role == Role::Small)))
        // Nobody is answered by who judged an answer, by what it was judged by, or by who made vectors of questions.
        .filter(|a| !matches!(a.role, Role::Judge | Role::Sample | Role::Embedding))
}

/// The upstream call whose answer the caller got.
pub(super) fn served(entries: &JournalEntries) -> Option<&Attempt> {
    candidates(entries).rfind(|a| a.end == AttemptEnd::Complete)
}

/// The rounds of that answer: where tools were run, every upstream call that called one, and the last.
pub(super) fn rounds<'a>(entries: &'a JournalEntries, served: &'a Attempt) -> Vec<&'a Attempt> {
    if entries.tool_runs.is_empty() {
        return vec![served];
    }
    let round = |a: &&Attempt| a.end == AttemptEnd::Complete && a.role == served.role;
    candidates(entries).filter(round).collect()
}

/// Who answered, or should have.
pub(super) fn answered_by(entries: &JournalEntries) -> Option<&Target> {
    let replayed = entries.replayed.as_ref().map(|(target, _)| target);
    let attempt = served(entries).or_else(|| entries.attempts.last());
    replayed
        .or_else(|| attempt.map(|a| &a.target))
        .or(entries.target.as_ref())
}

pub(super) fn outcome(end: End, status: Option<StatusCode>, entries: &JournalEntries) -> Outcome {
    let last = candidates(entries).last().map(|a| a.end);
    let Some(status) = status else {
        return match (end, last) {
            (End::Broken, Some(_)) => Outcome::UpstreamError,
            (End::Broken, None) => Outcome::InternalError,
            _ => Outcome::Cancelled,
        };
    };
    if status.is_client_error() || status.is_server_error() {
        return match last {
            Some(AttemptEnd::Status(400 | 413 | 422)) => Outcome::ClientError,
            Some(AttemptEnd::Status(_) | AttemptEnd::Failed) => Outcome::UpstreamError,
            _ => own(status),
        };
    }
    match (end, last) {
        (End::Dropped, _) => Outcome::Cancelled,
        // `Rescue` ends a broken stream in order, and `KeepAlive` tells a refusal within one, but the upstream call's record still tells.
        // So does one that was hung up on because the caller's time was over.
        (End::Broken, _)
        | (End::Ended, Some(AttemptEnd::Failed | AttemptEnd::Status(_) | AttemptEnd::Cancelled)) => {
            Outcome::Cut
        }
        (End::Ended, _) if entries.cut => Outcome::Cut,
        (End::Ended, _) => Outcome::Ok,
    }
}

/// What an error status means that no upstream call gave.
const fn own(status: StatusCode) -> Outcome {
    match status.as_u16() {
        401 | 403 | 429 | 501 | 503 | 529 => Outcome::Refused,
        502 | 504 => Outcome::UpstreamError,
        400..=499 => Outcome::ClientError,
        _ => Outcome::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_services::chat::CascadeStatus;

    fn entries(attempts: &[(Role, AttemptEnd)], accepted: Option<bool>) -> JournalEntries {
        let mut entries = JournalEntries::default();
        for (role, end) in attempts {
            let mut attempt = Attempt::new(Target::new("p", role.as_str()), *role);
            attempt.end = *end;
            entries.attempts.push(attempt);
        }
        entries.cascade = accepted.map(|a| CascadeStatus::new(a, None, 0.85, "test"));
        entries
    }

    #[test]
    fn every_end_has_its_outcome() {
        use AttemptEnd::{Cancelled, Complete, Failed, Status};
        use End::{Broken, Dropped, Ended};
        use Role::{Big, Only, Small};
        for (end, status, attempts, accepted, expected) in [
            (Ended, 200, &[(Only, Complete)][..], None, Outcome::Ok),
            (Ended, 200, &[], None, Outcome::Ok),
            (Dropped, 200, &[(Only, Cancelled)], None, Outcome::Cancelled),
            (Dropped, 200, &[(Only, Complete)], None, Outcome::Cancelled),
            (Dropped, 0, &[], None, Outcome::Cancelled),
            (Broken, 200, &[], None, Outcome::Cut),
            (Ended, 200, &[(Only, Failed)], None, Outcome::Cut),
            (Ended, 200, &[(Only, Status(429))], None, Outcome::Cut),
            (Ended, 200, &[(Only, Cancelled)], None, Outcome::Cut),
            // A rejected draft was complete, but what came after it was not.
            (
                Ended,
                200,
                &[(Small, Complete), (Big, Failed)],
                Some(false),
                Outcome::Cut,
            ),
            (
                Ended,
                200,
                &[(Small, Failed), (Big, Complete)],
                Some(false),
                Outcome::Ok,
            ),
            (
                Ended,
                200,
                &[(Small, Complete), (Big, Cancelled)],
                Some(true),
                Outcome::Ok,
            ),
            (Ended, 400, &[], None, Outcome::ClientError),
            (Ended, 404, &[], None, Outcome::ClientError),
            (Ended, 413, &[], None, Outcome::ClientError),
            (Ended, 401, &[], None, Outcome::Refused),
            (Ended, 529, &[], None, Outcome::Refused),
            (Ended, 500, &[], None, Outcome::InternalError),
            (Ended, 502, &[(Only, Failed)], None, Outcome::UpstreamError),
            (
                Ended,
                400,
                &[(Only, Status(400))],
                None,
                Outcome::ClientError,
            ),
            (
                Ended,
                401,
                &[(Only, Status(401))],
                None,
                Outcome::UpstreamError,
            ),
            (
                Ended,
                429,
                &[(Only, Status(429))],
                None,
                Outcome::UpstreamError,
            ),
            (Broken, 0, &[], None, Outcome::InternalError),
            (Broken, 0, &[(Only, Failed)], None, Outcome::UpstreamError),
        ] {
            let entries = entries(attempts, accepted);
            let status = StatusCode::from_u16(status).ok();
            let got = outcome(end, status, &entries);
            assert_eq!(got, expected, "{end:?} {status:?} {attempts:?}");
        }
    }

    #[test]
    fn a_rejected_draft_served_nobody() {
        use AttemptEnd::{Complete, Failed};
        let kept = entries(&[(Role::Small, Complete)], Some(true));
        assert_eq!(served(&kept).map(|a| a.role), Some(Role::Small));
        let deferred = entries(&[(Role::Small, Complete), (Role::Big, Failed)], Some(false));
        assert!(served(&deferred).is_none());
        assert_eq!(answered_by(&deferred).map(|t| &*t.model), Some("big"));
    }
}
