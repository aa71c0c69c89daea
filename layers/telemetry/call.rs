use super::{
    Bill, Outcome,
    gen_ai::{self, Vocabulary},
    money::{self, Books},
    names,
    outcome::{self, End},
    series::{self, InFlight, Series},
};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tierway_services::{
    chat::{
        Attempt, Journal, JournalEntries, Notes, Operation, Target, Tier, TraceContext, Usage, Usd,
    },
    dialect::Dialect,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    /// What each of the upstream calls cost, in the order of the entries' attempts; `None` where it used no tokens or they have no known
    /// price.
    pub costs: &'a [Option<Usd>],
    /// Which of the upstream calls gave the answer that the caller got.
    pub served: Option<usize>,
    /// When it began.
    pub began: SystemTime,
    /// From the call to the end of its answer.
    pub total: Duration,
    /// From the call to the first piece of its answer's body.
    pub first_byte: Option<Duration>,
}

impl CallRecord<'_> {
    /// The tokens of the answer that the caller got, whoever was paid for them and when.
    #[must_use]
    pub fn answer(&self) -> Option<Usage> {
        let replayed = self.entries.replayed.as_ref().map(|(_, usage)| *usage);
        replayed.or_else(|| {
            let served = self.entries.attempts.get(self.served?)?;
            money::sum(&outcome::rounds(self.entries, served))
        })
    }
}

/// Upstream calls that were made beside a caller's, as [`TelemetryLayer::on_beside`](super::TelemetryLayer::on_beside) is shown them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BesideRecord<'a> {
    /// What was written down.
    pub entries: &'a JournalEntries,
    /// What it cost.
    pub bill: Bill,
    /// What each of the upstream calls cost, as in [`CallRecord::costs`].
    pub costs: &'a [Option<Usd>],
}

/// Is shown every call that has ended.
pub(super) type OnEnd = Arc<dyn Fn(&CallRecord<'_>) + Send + Sync>;
/// Is shown what was done beside calls.
pub(super) type OnBeside = Arc<dyn Fn(&BesideRecord<'_>) + Send + Sync>;

/// What all calls of a service share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) books: Books,
    pub(super) dialect: Option<Dialect>,
    /// Which share of traces that begin here is recorded; `None` where nobody traces.
    pub(super) traces: Option<f64>,
    /// `None` where OpenTelemetry's names are not wanted.
    pub(super) gen_ai: Option<Arc<Vocabulary>>,
    pub(super) on_end: Option<OnEnd>,
    pub(super) on_beside: Option<OnBeside>,
    pub(super) series: Arc<Series>,
}

impl Shared {
    /// Counts what upstream calls used and cost, as `bill` has it; with the cost of each.
    pub(super) fn bill(
        &self,
        entries: &JournalEntries,
        bill: impl FnOnce(&Books, &mut dyn FnMut(&Attempt, &Usage, Option<Usd>)) -> Bill,
    ) -> (Bill, Vec<Option<Usd>>) {
        let mut costs = vec![None; entries.attempts.len()];
        let mut each = |attempt: &Attempt, usage: &Usage, cost| {
            self.series.usage(attempt, usage, cost);
            let effect = self.books.cache_effect(attempt, usage);
            self.series.provider_cache(attempt, effect);
            let nth = entries
                .attempts
                .iter()
                .position(|a| std::ptr::eq(a, attempt));
            if let Some(place) = nth.and_then(|nth| costs.get_mut(nth)) {
                *place = cost;
            }
        };
        let bill = bill(&self.books, &mut each);
        self.series.bill(&bill);
        (bill, costs)
    }
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
    began: SystemTime,
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
        if let Some(share) = shared.traces {
            let trace = TraceContext::enter(req.headers(), |id| is_within(id, share));
            journal.write(|entries| entries.trace = Some(trace));
        }
        Notes::of_mut(req).journal = Some(journal.clone());
        Self {
            journal,
            dialect,
            operation,
            request_id: req.headers().get(REQUEST_ID).cloned(),
            began: SystemTime::now(),
            started: Instant::now(),
            first_byte: None,
            status: None,
            streams: false,
            end: End::default(),
            _in_flight: shared.series.enter(),
            shared: shared.clone(),
        }
    }

    /// Lets go of the request, which would last as long as the answer: a header's value is a piece of the whole buffer that the server read
    /// the request into.
    pub(super) fn stand_alone(&mut self) {
        let own = self.request_id.as_ref();
        let own = own.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        self.request_id = own.or_else(|| self.request_id.take());
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
        for run in &entries.tool_runs {
            series.tool_run(run);
        }
        let (bill, costs) = self
            .shared
            .bill(entries, |books, each| books.bill(entries, outcome, each));
        series.holdout(entries.holdout, &bill);
        self.count_as_gen_ai(entries, target, outcome, total);
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
                costs: &costs,
                served: outcome::served(entries).and_then(|served| {
                    entries
                        .attempts
                        .iter()
                        .position(|a| std::ptr::eq(a, served))
                }),
                began: self.began,
                total,
                first_byte: self.first_byte,
            });
        }
    }
}

impl Call {
    fn count_as_gen_ai(
        &self,
        entries: &JournalEntries,
        target: Option<&Target>,
        outcome: Outcome,
        total: Duration,
    ) {
        let Some(words) = &self.shared.gen_ai else {
            return;
        };
        let series = &self.shared.series.gen_ai;
        for attempt in &entries.attempts {
            let priced = self.shared.books.prices.price(&attempt.target).is_some();
            series.attempt(words, self.operation, attempt, entries.stream, priced);
        }
        let served = outcome::served(entries).and_then(|attempt| attempt.usage);
        series.request(
            words,
            &gen_ai::Request {
                operation: self.operation,
                model: entries.requested_model.as_deref(),
                provider: target.map(|target| &target.provider),
                outcome,
                total,
                first_byte: self.first_byte.filter(|_| self.streams),
                output: served.map(|usage| usage.output),
            },
        );
    }
}

/// Whether a trace is of the share that is recorded: decided by its id, so that every system that knows the share decides alike.
fn is_within(trace: u128, share: f64) -> bool {
    // The 56 bits that the standard says are random; all of them fit a double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "56 bits, of which the lowest 3 do not matter"
    )]
    let place = (trace & ((1 << 56) - 1)) as f64 / (1_u64 << 56) as f64;
    place < share
}

impl Drop for Call {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        // Nobody else writes any more, and the record is shown under the lock so that it need not be copied.
        self.journal.read(|entries| self.count(entries, total));
    }
}
