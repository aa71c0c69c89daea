//! Requests, tokens and concurrency, before anything is spent on a call.
use super::{
    Excess, Lookup, OnRefusal, Quotas, Subject, headers,
    quotas::{Refused, Standing},
};
use crate::{Holding, RefusalBody, wire};
use http::{Method, Request, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::{
    chat::{Journal, Notes, Operation},
    dialect::Dialect,
};
use tower_layer::Layer;
use tower_service::Service;

/// So many bytes of a body count as a token until it is known better.
const BYTES_A_TOKEN: u64 = 4;

/// Applies [`Limit`].
pub struct LimitLayer<L> {
    shared: Arc<Shared<L>>,
}

/// Keeps callers within their rates. See the [module](super).
pub struct Limit<S, L> {
    inner: S,
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    quotas: Quotas,
    lookup: L,
    hear: Option<OnRefusal>,
}

pin_project! {
    /// Response future of [`Limit`].
    pub struct ResponseFuture<F, B, E> { #[pin] state: State<F, B, E> }
}
pin_project! {
    #[project = StateProj]
    enum State<F, B, E> {
        // Nobody is limited.
        Free { #[pin] future: F },
        Story { story: Pin<Box<dyn Future<Output = Outcome<B, E>> + Send>> },
    }
}

type Outcome<B, E> = Result<Response<ResponseBody<B>>, E>;

/// Response body of [`Limit`]: the places that the call holds are given back when it is dropped.
pub type ResponseBody<B> = Holding<RefusalBody<B>, Option<Permits>>;

/// The places that a call holds.
pub struct Permits {
    quotas: Quotas,
    held: Vec<(Subject, Standing)>,
    taken: u64,
    journal: Journal,
}

// === impl LimitLayer ===

impl<L: Lookup> LimitLayer<L> {
    /// Keeps whom `lookup` finds within its limits, by what `quotas` count.
    pub fn new(quotas: Quotas, lookup: L) -> Self {
        Self {
            shared: Arc::new(Shared {
                quotas,
                lookup,
                hear: None,
            }),
        }
    }
    /// Shows whoever is refused to `hear`, with what was exceeded. It must neither block nor panic. To be called before the first clone.
    #[must_use]
    pub fn on_refusal(mut self, hear: impl Fn(&str, Excess) + Send + Sync + 'static) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.hear = Some(Arc::new(hear));
        }
        self
    }
}

impl<S, L> Layer<S> for LimitLayer<L> {
    type Service = Limit<S, L>;
    fn layer(&self, inner: S) -> Limit<S, L> {
        Limit {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<L> Clone for LimitLayer<L> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<L> fmt::Debug for LimitLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitLayer")
            .field("quotas", &self.shared.quotas)
            .finish_non_exhaustive()
    }
}

// === impl Limit ===

impl<S, L, ReqB, ResB> Service<Request<ReqB>> for Limit<S, L>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    L: Lookup + Send + Sync + 'static,
    ReqB: Body + Send + 'static,
    ResB: Send + 'static,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResB, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<ReqB>) -> Self::Future {
        let free = *req.method() != Method::POST
            || wire::operation(req.uri().path()) == Operation::CountTokens;
        let mut subjects = Vec::new();
        if !free {
            subjects = self.shared.lookup.subjects(req.extensions());
            subjects.retain(|subject| subject.limits.has_rates());
        }
        let state = if subjects.is_empty() {
            State::Free {
                future: self.inner.call(req),
            }
        } else {
            let clone = self.inner.clone();
            let ready = mem::replace(&mut self.inner, clone);
            State::Story {
                story: Box::pin(tell(ready, self.shared.clone(), subjects, req)),
            }
        };
        ResponseFuture { state }
    }
}

impl<S: Clone, L> Clone for Limit<S, L> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug, L> fmt::Debug for Limit<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

async fn tell<S, L, ReqB, ResB>(
    mut ready: S,
    shared: Arc<Shared<L>>,
    subjects: Vec<Subject>,
    mut req: Request<ReqB>,
) -> Outcome<ResB, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: Body,
{
    let dialect = Dialect::of(req.uri(), req.headers());
    let length = req.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let length = length
        .unwrap_or_default()
        .max(req.body().size_hint().lower());
    let taken = length.div_ceil(BYTES_A_TOKEN);
    let journal = Journal::of(&req).cloned().unwrap_or_else(|| {
        // Nobody else counts: the leaf writes into ours what was used.
        let journal = Journal::default();
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        journal
    });
    let mut permits = Permits {
        quotas: shared.quotas.clone(),
        held: Vec::with_capacity(subjects.len()),
        taken,
        journal,
    };
    for subject in subjects {
        match shared.quotas.admit(&subject, taken).await {
            Ok(standing) => permits.held.push((subject, standing)),
            Err(why) => {
                if let Some(hear) = &shared.hear {
                    hear(&why.subject, why.excess);
                }
                permits.undo();
                return Ok(refused(&why, &subject, dialect));
            }
        }
    }
    let res = ready.call(req).await?;
    let (mut head, body) = res.into_parts();
    if let Some((subject, standing)) = permits.tightest() {
        headers::tell(dialect, &subject.limits, standing, &mut head.headers);
    }
    let body = Holding::new(RefusalBody::inner(body), Some(permits));
    Ok(Response::from_parts(head, body))
}

fn refused<B>(why: &Refused, subject: &Subject, dialect: Dialect) -> Response<ResponseBody<B>> {
    let mut res: Response<RefusalBody<B>> = why.refusal().into_http(dialect);
    let used_up = Standing {
        requests: u64::MAX,
        tokens: u64::MAX,
        reset: why.retry_after.unwrap_or_default(),
        ..Standing::default()
    };
    let mut limits = subject.limits;
    // Of the others it is not known what is left.
    if why.excess != Excess::Requests {
        limits.requests_per_minute = None;
    }
    if why.excess != Excess::Tokens {
        limits.tokens_per_minute = None;
    }
    headers::tell(dialect, &limits, &used_up, res.headers_mut());
    res.map(|inner| Holding::new(inner, None))
}

// === impl Permits ===

impl Permits {
    /// The subject that has the least left of its requests.
    fn tightest(&self) -> Option<&(Subject, Standing)> {
        let left = |(subject, standing): &&(Subject, Standing)| {
            let limit = subject.limits.requests_per_minute;
            limit.map_or(u64::MAX, |limit| limit.saturating_sub(standing.requests))
        };
        self.held.iter().min_by_key(left)
    }

    /// The call is not made.
    fn undo(mut self) {
        for (subject, standing) in mem::take(&mut self.held) {
            self.quotas.undo(&subject, &standing, self.taken);
        }
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        let used = self.journal.read(|entries| {
            let usages = entries.attempts.iter().filter_map(|attempt| attempt.usage);
            usages
                .map(|usage| usage.input_total() + usage.output)
                .sum::<u64>()
        });
        for (subject, standing) in &self.held {
            self.quotas.leave(subject, standing, self.taken, used);
        }
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Outcome<B, E>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Free { future } => {
                let res = ready!(future.poll(cx))?;
                Poll::Ready(Ok(
                    res.map(|body| Holding::new(RefusalBody::inner(body), None))
                ))
            }
            StateProj::Story { story } => story.as_mut().poll(cx),
        }
    }
}

impl<F, B, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
