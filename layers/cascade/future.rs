//! The story of one call: the draft, the verdict, and what follows.
use super::{Confidence, Draft, Settings};
use crate::headers::header_value;
use http::{HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tierway_services::{
    chat::{self, CascadeStatus, EarlyHead, Journal, Reply, Role},
    translate,
};
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
        Off { #[pin] future: Oneshot<S, chat::Request>, word: HeaderValue },
        Story { story: Pin<Box<dyn Future<Output = Result<chat::Response, S::Error>> + Send>> },
    }
}

impl<S: Service<chat::Request>> ResponseFuture<S> {
    pub(super) fn off(big: S, req: chat::Request, reason: &'static str) -> Self {
        let word = header_value(format_args!("off; reason={reason}"));
        EarlyHead::say(&req, CASCADE, word.clone());
        Self {
            state: State::Off {
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
            StateProj::Off { future, word } => {
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

/// Why a draft did not come to a verdict.
type NoDraft = &'static str;

/// Small first; the big one where that will not do. The caller's departure drops this future, and with it whichever model is at work.
pub(super) async fn tell<S, M, C>(
    big: S,
    small: M,
    confidence: Arc<C>,
    settings: Arc<Settings>,
    req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
    M: Service<chat::Request, Response = chat::Response>,
    C: Confidence,
{
    EarlyHead::say(&req, CASCADE, HeaderValue::from_static("undecided"));
    let journal = Journal::of(&req).cloned();
    let threshold = settings.threshold;
    let start = Instant::now();
    let draft = draft(small, &req, settings.max_draft).await;
    let elapsed = start.elapsed();
    let (mut status, kept) = match draft {
        Err(reason) => (CascadeStatus::new(false, None, threshold, reason), None),
        Ok((answer, res)) => {
            let draft = Draft::new(&answer, &req, elapsed);
            let verdict = confidence.judge(&draft).await;
            let accepted = verdict.confidence >= threshold;
            let confidence = Some(verdict.confidence);
            let status = CascadeStatus::new(accepted, confidence, threshold, verdict.reason);
            (status, accepted.then_some(res))
        }
    };
    status.small = elapsed;
    let write = |status: &CascadeStatus| {
        if let Some(journal) = &journal {
            journal.write(|j| j.cascade = Some(status.clone()));
        }
    };
    // Written before the big model is asked, so that it is known of a caller who leaves while waiting.
    write(&status);
    let mut res = match kept {
        Some(res) => res,
        None => {
            let mut req = req;
            EarlyHead::say(&req, CASCADE, header(&status));
            req.extensions_mut().insert(Role::Big);
            let start = Instant::now();
            let res = Oneshot::new(big, req).await;
            status.big = start.elapsed();
            write(&status);
            res?
        }
    };
    res.headers_mut().insert(CASCADE, header(&status));
    Ok(res)
}

/// The small model's answer, both normalised and as it would be sent.
async fn draft<M>(
    small: M,
    req: &chat::Request,
    max: usize,
) -> Result<(chat::Answer, chat::Response), NoDraft>
where
    M: Service<chat::Request, Response = chat::Response>,
{
    const FAILED: NoDraft = "small_failed";
    let mut draft_req = req.clone();
    draft_req.extensions_mut().insert(Role::Small);
    let res = Oneshot::new(small, draft_req).await.map_err(|_| FAILED)?;
    if !res.status().is_success() {
        return Err(FAILED);
    }
    let (head, body) = res.into_parts();
    let collected = Limited::new(body, max).collect().await;
    let bytes = collected
        .map_err(|e| {
            if e.is::<http_body_util::LengthLimitError>() {
                "draft_too_long"
            } else {
                FAILED
            }
        })?
        .to_bytes();
    let dialect = req.body().facts().dialect;
    let streamed = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    let answer = if streamed {
        translate::read_stream_answer(dialect, &bytes)
    } else {
        translate::read_answer(dialect, &bytes)
    };
    let answer = answer.ok_or("unreadable")?;
    Ok((answer, Response::from_parts(head, Reply::whole(bytes))))
}

/// `accepted; confidence=0.97; reason=no_veto`.
fn header(status: &CascadeStatus) -> HeaderValue {
    let outcome = if status.accepted {
        "accepted"
    } else {
        "deferred"
    };
    let reason = status.reason;
    match status.confidence {
        Some(c) => header_value(format_args!(
            "{outcome}; confidence={c:.2}; reason={reason}"
        )),
        None => header_value(format_args!("{outcome}; reason={reason}")),
    }
}

/// Used by tests alone: a status without its times, which no test can know.
#[cfg(test)]
pub(super) fn timeless(status: &CascadeStatus) -> CascadeStatus {
    let mut status = status.clone();
    (status.small, status.big) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    status
}
