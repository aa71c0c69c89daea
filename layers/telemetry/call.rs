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
    chat::{Journal, JournalEntries, Target},
    dialect::Dialect,
};

/// A call that has ended, as [`TelemetryLayer::on_end`](super::TelemetryLayer::on_end) is shown it. It holds no word of prompt or answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallRecord {
    /// The `x-request-id` that the request had, where a layer above had given it one.
    pub request_id: Option<HeaderValue>,
    /// The caller's dialect.
    pub dialect: Dialect,
    /// What became of it.
    pub outcome: Outcome,
    /// The answer's status; `None` where there was no head yet.
    pub status: Option<StatusCode>,
    /// Who answered, or should have; `None` where the call did not come that far.
    pub answered_by: Option<Target>,
    /// What the layers wrote down.
    pub entries: JournalEntries,
    /// What it cost, and what it would have cost.
    pub bill: Bill,
    /// From the call to the end of its answer.
    pub latency: Duration,
    /// From the call to the first piece of its answer's body.
    pub first_byte: Option<Duration>,
}

impl CallRecord {
    /// The tier as metrics name it: `simple` and so on, `direct` where the caller named a model, `none` where it did not come that far.
    #[must_use]
    pub const fn tier(&self) -> &'static str {
        names::tier_label(self.entries.tier, self.entries.target.is_some())
    }
}

/// Is shown every call that has ended.
pub(super) type OnEnd = Arc<dyn Fn(&CallRecord) + Send + Sync>;

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
    pub(super) fn begin<B>(shared: &Arc<Shared>, dialect: Dialect, req: &mut Request<B>) -> Self {
        let journal = Journal::default();
        req.extensions_mut().insert(journal.clone());
        Self {
            journal,
            dialect,
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

    fn count(&self, entries: &JournalEntries, latency: Duration) -> (Outcome, Bill) {
        let series = &self.shared.series;
        let outcome = outcome::outcome(self.end, self.status, entries);
        let answered_by = outcome::answered_by(entries);
        series.ended(&series::Ended {
            dialect: self.dialect,
            tier: names::tier_label(entries.tier, entries.target.is_some()),
            provider: answered_by.map(|target| &target.provider),
            outcome,
            took: latency,
            first_byte: self.first_byte.filter(|_| self.streams),
            cache: entries.cache,
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
            });
        series.bill(&bill);
        (outcome, bill)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let latency = self.started.elapsed();
        let (outcome, bill) = self.journal.read(|entries| self.count(entries, latency));
        if let Some(on_end) = &self.shared.on_end {
            // A copy, because the lock must not be held while somebody else's code runs.
            let entries = self.journal.read(Clone::clone);
            on_end(&CallRecord {
                request_id: self.request_id.take(),
                dialect: self.dialect,
                outcome,
                status: self.status,
                answered_by: outcome::answered_by(&entries).cloned(),
                entries,
                bill,
                latency,
                first_byte: self.first_byte,
            });
        }
    }
}
