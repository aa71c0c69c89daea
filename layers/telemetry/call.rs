use super::{
    Bill, Outcome,
    money::Books,
    names,
    outcome::{self, End},
    series::{self, InFlight, Series},
};
use http::{HeaderValue, Request, StatusCode};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tierway_services::{
    chat::{Journal, JournalEntries, Operation, Target, Tier, Usd},
    dialect::Dialect,
};

/// A call that has ended, as [`TelemetryLayer::on_end`](super::TelemetryLayer::on_end) is shown it. It holds no word of prompt or answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallRecord<'a> {
    /// The `x-request-id` that the request had, where a layer above had given it one.
    pub request_id: Option<&'a HeaderValue>,
    /// The caller's dialect.
    pub dialect: Dialect,
    /// What the caller wanted.
    pub operation: Operation,
    /// The tier; `None` where the caller named a model, or the call did not come that far.
    pub tier: Option<Tier>,
    /// Who answered, or should have; `None` where the call did not come that far.
    pub target: Option<&'a Target>,
    /// What became of it.
    pub outcome: Outcome,
    /// The answer's status; `None` where there was no head yet.
    pub status: Option<StatusCode>,
    /// What the layers wrote down.
    pub entries: &'a JournalEntries,
    /// What it cost; `None` where some of its tokens have no known price.
    pub cost: Option<Usd>,
    /// What it would have cost from the model that was asked for; `None` where that cannot be told.
    pub baseline: Option<Usd>,
    /// How that was reckoned.
    pub bill: Bill,
    /// From the call to the end of its answer.
    pub total: Duration,
    /// From the call to the first piece of its answer's body.
    pub first_byte: Option<Duration>,
}

/// Is shown every call that has ended.
pub(super) type OnEnd = Arc<dyn Fn(&CallRecord<'_>) + Send + Sync>;

/// What all calls of a service share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) books: Books,
    pub(super) dialect: Option<Dialect>,
    pub(super) on_end: Option<OnEnd>,
    pub(super) series: Arc<Series>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("books", &self.books)
            .field("dialect", &self.dialect)
            .field("on_end", &self.on_end.is_some())
            .finish_non_exhaustive()
    }
}

/// A call under way. It is counted when it is dropped, in the future or in the body, whichever held it last.
#[derive(Debug)]
pub(super) struct Call {
    shared: Arc<Shared>,
    journal: Journal,
    dialect: Dialect,
    operation: Operation,
    request_id: Option<HeaderValue>,
    started: Instant,
    first_byte: Option<Duration>,
    pub(super) status: Option<StatusCode>,
    pub(super) streams: bool,
    pub(super) end: End,
    _in_flight: InFlight,
}

impl Call {
    /// Begins a call, and lays its journal into the request.
    pub(super) fn begin<B>(
        shared: &Arc<Shared>,
        dialect: Dialect,
        operation: Operation,
        req: &mut Request<B>,
    ) -> Self {
        let journal = Journal::default();
        req.extensions_mut().insert(journal.clone());
        Self {
            journal,
            dialect,
            operation,
            request_id: req.headers().get("x-request-id").cloned(),
            started: Instant::now(),
            first_byte: None,
            status: None,
            streams: false,
            end: End::default(),
            _in_flight: shared.series.enter(),
            shared: shared.clone(),
        }
    }

    /// A piece of the body has come.
    pub(super) fn seen(&mut self) {
        if self.first_byte.is_none() {
            self.first_byte = Some(self.started.elapsed());
        }
    }

    fn count(&self, entries: &JournalEntries, total: Duration) {
        let series = &self.shared.series;
        let outcome = outcome::outcome(self.end, self.status, entries);
        let target = outcome::answered_by(entries);
        series.ended(&series::Ended {
            road: crate::wire::road(self.dialect, self.operation),
            tier: names::tier_label(entries.tier, entries.target.is_some()),
            provider: target.map(|target| &target.provider),
            outcome,
            total,
            first_byte: self.first_byte.filter(|_| self.streams),
            affinity: entries.affinity,
            cache: entries.cache,
            breakpoints: entries.breakpoints,
            cascade: entries.cascade.as_ref(),
        });
        for attempt in &entries.attempts {
            series.attempt(attempt);
        }
        let bill = self
            .shared
            .books
            .bill(entries, outcome, |attempt, usage, cost| {
                series.usage(attempt, usage, cost);
                series.provider_cache(attempt, self.shared.books.cache_effect(attempt, usage));
            });
        series.bill(&bill);
        if let Some(on_end) = &self.shared.on_end {
            on_end(&CallRecord {
                request_id: self.request_id.as_ref(),
                dialect: self.dialect,
                operation: self.operation,
                tier: entries.tier,
                target,
                outcome,
                status: self.status,
                entries,
                cost: bill.is_priced().then_some(bill.cost()),
                baseline: bill.baseline(),
                bill,
                total,
                first_byte: self.first_byte,
            });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        // Nobody else writes any more, and the record is shown under the lock so that it need not be copied.
        self.journal.read(|entries| self.count(entries, total));
    }
}
