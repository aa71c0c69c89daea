//! The story of one call: the draft, the verdict, and what follows.
use super::{
    Asked, Confidence, Draft, Shared, StreamMode, Verdict,
    checks::Checks,
    draft_arm::{DraftArm, Drafted},
    hedge::Meanwhile,
};
use crate::headers::header_value;
use http::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use std::{
    fmt::{self, Write},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tierway_services::chat::{self, CascadeStatus, EarlyHead, Journal, Notes, Session, Tier};
use tower::util::Oneshot;
use tower_service::Service;

pub(super) const CASCADE: HeaderName = HeaderName::from_static("x-tierway-cascade");

pin_project! {
    /// Response future of [`Cascade`](super::Cascade).
    pub struct ResponseFuture<S: Service<chat::Request>> { #[pin] state: State<S> }
}
pin_project! {
    #[project = StateProj]
    enum State<S: Service<chat::Request>> {
        // Not for a draft: the big model's own future, and a word in the head.
        Skipped { #[pin] future: Oneshot<S, chat::Request>, word: HeaderValue },
        Story { story: Pin<Box<dyn Future<Output = Result<chat::Response, S::Error>> + Send>> },
    }
}

impl<S: Service<chat::Request>> ResponseFuture<S> {
    pub(super) fn skipped(big: S, req: chat::Request, reason: &'static str) -> Self {
        let word = header_value(format_args!("skipped; reason={reason}"));
        EarlyHead::say(&req, CASCADE, word.clone());
        Self {
            state: State::Skipped {
                future: Oneshot::new(big, req),
                word,
            },
        }
    }
    pub(super) fn story(
        story: impl Future<Output = Result<chat::Response, S::Error>> + Send + 'static,
    ) -> Self {
        Self {
            state: State::Story {
                story: Box::pin(story),
            },
        }
    }
}

impl<S> Future for ResponseFuture<S>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    type Output = Result<chat::Response, S::Error>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Skipped { future, word } => {
                let mut res = ready!(future.poll(cx))?;
                res.headers_mut().insert(CASCADE, word.clone());
                Poll::Ready(Ok(res))
            }
            StateProj::Story { story } => story.as_mut().poll(cx),
        }
    }
}

impl<S: Service<chat::Request>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Small first; the big one where that will not do. The caller's departure drops this future, and with it whichever models are at work.
pub(super) async fn tell<S, M, C>(
    big: S,
    small: M,
    shared: Shared<C>,
    req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response> + Clone,
    M: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    M::Future: Send,
    M::Error: Send,
    C: Confidence + Send + Sync + 'static,
{
    let settings = &*shared.settings;
    EarlyHead::say(&req, CASCADE, HeaderValue::from_static("pending"));
    let journal = Journal::of(&req).cloned();
    let pace = settings.pace(Tier::of(&req));
    let start = Instant::now();
    let mut meanwhile = Meanwhile::new(big, pace.max_added_latency);
    if pace.streams == StreamMode::Hedged && req.body().facts().stream {
        let share = |limit: std::time::Duration| limit.mul_f64(settings.hedge_after);
        let after = pace.max_added_latency.map(share);
        shared.budget.earn();
        let mut beside = req.clone();
        // It may yet lose, so it has nothing to say for the head.
        Notes::of_mut(&mut beside).early = None;
        meanwhile.may_hedge(beside, shared.budget.clone(), after);
    }
    let (mut status, kept) = {
        let early = pace.streams >= StreamMode::Prefix && req.body().facts().stream;
        let asked = Asked::new(&req)
            .judged_by(settings.judge.as_ref())
            .early(early);
        let (samples, verify, most) = (
            settings.samples,
            settings.verify.clone(),
            settings.max_draft,
        );
        let checks = Checks::new(&small, &req, samples, verify, most);
        let checks = Arc::new(checks);
        meanwhile.beside(checks.clone());
        let asked = asked.checked_by(checks.clone());
        let arm = DraftArm {
            confidence: &shared.confidence,
            settings,
            mode: pace.streams,
            asked: &asked,
            req: &req,
            start,
        };
        let mut drafted = arm.draft(small, &mut meanwhile).await;
        let (mut verdict, drafted_at) = (None, start.elapsed());
        if let Drafted::Whole(answer, _) = &drafted {
            let draft = Draft::new(answer, &req, start.elapsed()).with(&asked);
            match meanwhile.wait(shared.confidence.judge(&draft)).await {
                Ok(judged) => verdict = Some(judged),
                Err(late) => drafted = late.into(),
            }
        }
        // Whatever of it is still under way is hung up on.
        meanwhile.unchecked();
        let (mut status, kept) = decide(drafted, verdict, settings.threshold);
        let told = checks.found();
        (status.agreement, status.p_true) = (told.agreement, told.p_true);
        status.judging = start.elapsed() - drafted_at;
        (status, kept)
    };
    status.small = start.elapsed();
    status.hedged = meanwhile.asked_at.is_some();
    let write = |status: &CascadeStatus| {
        if let Some(journal) = &journal {
            journal.write(|j| j.cascade = Some(status.clone()));
        }
    };
    // Known before the big model is asked, of a caller too who leaves while waiting for it.
    status.total = status.small;
    write(&status);
    let mut res = match kept {
        // Whatever else is at work is hung up on as it is dropped here.
        Some(res) => res,
        None => {
            EarlyHead::say(&req, CASCADE, header(&status));
            shared.stay.escalated(Session::of(&req));
            let asked_at = meanwhile.asked_at.unwrap_or_else(Instant::now);
            let res = meanwhile.answer(req).await;
            status.big = asked_at.elapsed();
            status.total = start.elapsed();
            write(&status);
            res?
        }
    };
    res.headers_mut().insert(CASCADE, header(&status));
    Ok(res)
}

/// What is to be said of a draft, and the draft where it is kept.
fn decide(
    drafted: Drafted,
    verdict: Option<Verdict>,
    threshold: f64,
) -> (CascadeStatus, Option<chat::Response>) {
    let (verdict, res) = match drafted {
        Drafted::None(reason) => {
            return (CascadeStatus::new(false, None, threshold, reason), None);
        }
        Drafted::Rejected(verdict) => (verdict, None),
        Drafted::Committed(verdict, res) => (verdict, Some(res)),
        Drafted::Whole(_, res) => match verdict {
            Some(verdict) => (verdict, Some(res)),
            None => return (CascadeStatus::new(false, None, threshold, "unjudged"), None),
        },
    };
    let enough = verdict.threshold.unwrap_or(threshold);
    let accepted = verdict.confidence >= enough && res.is_some();
    let mut status = CascadeStatus::new(accepted, Some(verdict.confidence), enough, verdict.reason);
    status.certified = verdict.certified.map(|c| (c.alpha, c.delta));
    (status, res.filter(|_| accepted))
}

/// `accepted; confidence=0.97; threshold=0.85; reason=no_veto; certified=no`, and what was found out by asking further.
fn header(status: &CascadeStatus) -> HeaderValue {
    let mut value = status.outcome().to_owned();
    // Writing to a `String` cannot fail.
    if let Some(confidence) = status.confidence {
        let _ = write!(value, "; confidence={confidence:.2}");
        let _ = write!(value, "; threshold={:.2}", status.threshold);
    }
    let _ = write!(value, "; reason={}", status.reason);
    if status.confidence.is_some() {
        let _ = match status.certified {
            Some((alpha, delta)) => write!(value, "; certified={alpha}/{delta}"),
            None => write!(value, "; certified=no"),
        };
    }
    for (name, told) in [("agreement", status.agreement), ("p_true", status.p_true)] {
        if let Some(told) = told {
            let _ = write!(value, "; {name}={told:.2}");
        }
    }
    header_value(format_args!("{value}"))
}

/// Used by tests alone: a status without its times, which no test can know.
#[cfg(test)]
pub(super) fn timeless(status: &CascadeStatus) -> CascadeStatus {
    let mut status = status.clone();
    let none = std::time::Duration::ZERO;
    (status.small, status.judging, status.big, status.total) = (none, none, none, none);
    status
}
