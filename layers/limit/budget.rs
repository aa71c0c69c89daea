//! Money, where the model of a call is known.
use super::{Excess, Lookup, OnRefusal, Quotas, Subject, headers, quotas::Refused};
use crate::detour::ResponseFuture as BudgetFuture;
use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::chat::{self, Attempt, Declined, Journal, Notes, Usd, Witness};
use tower_layer::Layer;
use tower_service::Service;

type Most = Arc<dyn Fn(&chat::Request) -> Usd + Send + Sync>;
type Cost = Arc<dyn Fn(&Attempt) -> Usd + Send + Sync>;

/// Applies [`Budget`].
///
/// ```
/// use tierway_layers::limit::{BudgetLayer, Limits, Quotas, Table};
/// use tierway_services::chat::Usd;
/// let a_dollar = Limits { usd_per_day: Some(Usd::from_dollars(1.0)), ..Limits::default() };
/// let layer = BudgetLayer::new(Quotas::new(), Table::default().tenant("interns", a_dollar))
///     .at_most(|_| Usd::from_dollars(0.05))
///     .cost(|attempt| attempt.cost.unwrap_or_default());
/// ```
pub struct BudgetLayer<L> {
    shared: Arc<Shared<L>>,
}

/// Keeps callers within their budgets. See the [module](super).
pub struct Budget<S, L> {
    inner: S,
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    quotas: Quotas,
    lookup: L,
    most: Most,
    cost: Cost,
    hear: Option<OnRefusal>,
}

/// What is set aside for a call.
struct Aside {
    quotas: Quotas,
    held: Vec<Subject>,
    most: Usd,
    cost: Cost,
    journal: Journal,
    /// The upstream calls that were made before.
    before: usize,
}

// === impl BudgetLayer ===

impl<L: Lookup> BudgetLayer<L> {
    /// Keeps whom `lookup` finds within its budgets, by what `quotas` count. Without the two setters below everything is free.
    pub fn new(quotas: Quotas, lookup: L) -> Self {
        Self {
            shared: Arc::new(Shared {
                quotas,
                lookup,
                most: Arc::new(|_| Usd::ZERO),
                cost: Arc::new(|_| Usd::ZERO),
                hear: None,
            }),
        }
    }
    /// The most that a call may cost. Where this is less than it does cost, a budget may be overspent by the difference.
    #[must_use]
    pub fn at_most(self, most: impl Fn(&chat::Request) -> Usd + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.most = Arc::new(most))
    }
    /// What an upstream call has cost.
    #[must_use]
    pub fn cost(self, cost: impl Fn(&Attempt) -> Usd + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.cost = Arc::new(cost))
    }
    /// Shows whoever is refused to `hear`, with what was exceeded. It must neither block nor panic.
    #[must_use]
    pub fn on_refusal(self, hear: impl Fn(&str, Excess) + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.hear = Some(Arc::new(hear)))
    }

    /// To be called before the first clone.
    fn with(mut self, set: impl FnOnce(&mut Shared<L>)) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            set(shared);
        }
        self
    }
}

impl<S, L> Layer<S> for BudgetLayer<L> {
    type Service = Budget<S, L>;
    fn layer(&self, inner: S) -> Budget<S, L> {
        Budget {
            inner,
            shared: self.shared.clone(),
        }
    }
}

impl<L> Clone for BudgetLayer<L> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<L> fmt::Debug for BudgetLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetLayer").finish_non_exhaustive()
    }
}

// === impl Budget ===

impl<S, L> Service<chat::Request> for Budget<S, L>
where
    S: Service<chat::Request, Response = chat::Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    L: Lookup + Send + Sync + 'static,
{
    type Response = chat::Response;
    type Error = S::Error;
    type Future = BudgetFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: chat::Request) -> Self::Future {
        let mut subjects = self.shared.lookup.subjects(req.extensions());
        subjects.retain(|subject| subject.limits.has_budgets());
        if subjects.is_empty() {
            return BudgetFuture::past(self.inner.call(req));
        }
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        BudgetFuture::story(tell(ready, self.shared.clone(), subjects, req))
    }
}

impl<S: Clone, L> Clone for Budget<S, L> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S: fmt::Debug, L> fmt::Debug for Budget<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

async fn tell<S, L>(
    mut ready: S,
    shared: Arc<Shared<L>>,
    subjects: Vec<Subject>,
    mut req: chat::Request,
) -> Result<chat::Response, S::Error>
where
    S: Service<chat::Request, Response = chat::Response>,
{
    let journal = Journal::of(&req).cloned().unwrap_or_else(|| {
        let journal = Journal::default();
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        journal
    });
    let mut aside = Aside {
        quotas: shared.quotas.clone(),
        held: Vec::with_capacity(subjects.len()),
        most: (shared.most)(&req),
        cost: shared.cost.clone(),
        before: journal.read(|entries| entries.attempts.len()),
        journal,
    };
    for subject in subjects {
        match shared.quotas.reserve(&subject, aside.most).await {
            Ok(()) => aside.held.push(subject),
            Err(why) => {
                if let Some(hear) = &shared.hear {
                    hear(&why.subject, why.excess);
                }
                return Ok(refused(&why, &req));
            }
        }
    }
    // What it costs is booked when it has ended: here, or with the stream.
    let res = ready.call(req).await?;
    Ok(res.map(|reply| reply.witnessed(aside)))
}

fn refused(why: &Refused, req: &chat::Request) -> chat::Response {
    let mut res = why.refusal().into_response(req.body().facts().dialect);
    if why.excess.is_final() {
        headers::do_not_retry(res.headers_mut());
    }
    res.extensions_mut().insert(Declined);
    res
}

// === impl Aside ===

impl Witness for Aside {}

impl Drop for Aside {
    fn drop(&mut self) {
        let cost = self.journal.read(|entries| {
            let made = entries.attempts.iter().skip(self.before);
            made.map(|attempt| (self.cost)(attempt)).sum::<Usd>()
        });
        for subject in &self.held {
            self.quotas.settle(subject, self.most, cost);
        }
    }
}
