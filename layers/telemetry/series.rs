//! Handles of metrics, made on first use and kept, so that counting a call formats and allocates nothing.
//!
//! They are not made earlier because a handle that is made before the recorder is installed stays silent for ever.
use super::{
    Bill, Extra, Outcome, Saved,
    gen_ai::GenAi,
    names::{self, TokenKind},
};
use foldhash::fast::RandomState;
use metrics::{Counter, Gauge, Histogram};
use std::{
    borrow::Borrow,
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};
use tierway_services::{
    chat::{
        AffinityStatus, Attempt, BreakpointStatus, CacheStatus, CascadeStatus, Holdout, Role,
        ToolRun, Usage, Usd,
    },
    prices::CacheEffect,
};

/// More providers or reasons than anybody configures. What comes beyond is counted as `other`, so that no mistake below can make series
/// without end.
const MOST: usize = 256;

/// All series of one [`TelemetryLayer`](super::TelemetryLayer) and its clones.
pub(super) struct Series {
    in_flight: OnceLock<Gauge>,
    providers: Cached<Arc<str>, Arc<Provider>>,
    baseline: OnceLock<Money>,
    /// In the order of [`Saved::ALL`],
    saved: [OnceLock<Money>; Saved::ALL.len()],
    /// and of [`Extra::ALL`].
    extra: [OnceLock<Money>; Extra::ALL.len()],
    affinity: Cached<AffinityStatus, Counter>,
    cache: Cached<CacheStatus, Counter>,
    breakpoints: Cached<BreakpointStatus, Counter>,
    tool_runs: Cached<(Arc<str>, &'static str), Counter>,
    cascade: Cached<(&'static str, &'static str, &'static str), Counter>,
    cascade_seconds: Cached<&'static str, Histogram>,
    holdout: Cached<Holdout, (Counter, Arc<Money>)>,
    request_seconds: Cached<(&'static str, &'static str), Histogram>,
    first_byte_seconds: Cached<(&'static str, &'static str), Histogram>,
    pub(super) gen_ai: GenAi,
    none: Arc<str>,
    other: Arc<str>,
}

/// The series of one provider.
struct Provider {
    name: Arc<str>,
    requests: Cached<(&'static str, &'static str, Outcome), Counter>,
    tokens: Cached<(TokenKind, Role), Counter>,
    unpriced: OnceLock<Counter>,
    cost: Cached<Role, Arc<Money>>,
    cache: Cached<&'static str, Arc<Money>>,
    attempt_seconds: Cached<Role, Histogram>,
}

/// A sum of money, exact here and rounded only where it is shown.
struct Money {
    sum: Mutex<Usd>,
    gauge: Gauge,
}

/// Values made once for each key. Keys are few and bounded in number, so that nobody gains by making them collide.
pub(super) struct Cached<K, V>(RwLock<HashMap<K, V, RandomState>>);

/// Holds the number of calls in flight up by one.
pub(super) struct InFlight(Gauge);

/// A call, as it is counted once it has ended.
pub(super) struct Ended<'a> {
    /// The dialect, or the operation where that has none.
    pub(super) road: &'static str,
    pub(super) tier: &'static str,
    pub(super) provider: Option<&'a Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) total: Duration,
    /// Of streams only.
    pub(super) first_byte: Option<Duration>,
    pub(super) affinity: Option<AffinityStatus>,
    pub(super) cache: Option<CacheStatus>,
    pub(super) breakpoints: Option<BreakpointStatus>,
    pub(super) cascade: Option<&'a CascadeStatus>,
}

// === impl Series ===

impl Default for Series {
    fn default() -> Self {
        Self {
            in_flight: OnceLock::new(),
            providers: Cached::default(),
            baseline: OnceLock::new(),
            saved: Default::default(),
            extra: Default::default(),
            affinity: Cached::default(),
            cache: Cached::default(),
            breakpoints: Cached::default(),
            tool_runs: Cached::default(),
            cascade: Cached::default(),
            cascade_seconds: Cached::default(),
            holdout: Cached::default(),
            request_seconds: Cached::default(),
            first_byte_seconds: Cached::default(),
            gen_ai: GenAi::default(),
            none: "none".into(),
            other: names::OTHER.into(),
        }
    }
}

impl Series {
    pub(super) fn enter(&self) -> InFlight {
        let gauge = self.in_flight.get_or_init(names::in_flight).clone();
        gauge.increment(1);
        InFlight(gauge)
    }

    /// A tool was run.
    pub(super) fn tool_run(&self, run: &ToolRun) {
        let (key, other) = (
            (run.server.clone(), run.outcome),
            (self.other.clone(), run.outcome),
        );
        self.tool_runs
            .get_or(key, other, |(server, outcome)| {
                names::tool_runs(server, outcome)
            })
            .increment(1);
    }

    pub(super) fn ended(&self, call: &Ended<'_>) {
        let &Ended {
            road,
            tier,
            outcome,
            ..
        } = call;
        let provider = self.provider(call.provider.unwrap_or(&self.none));
        provider
            .requests
            .get((road, tier, outcome), |_| {
                names::requests(road, tier, &provider.name, outcome)
            })
            .increment(1);
        self.request_seconds
            .get((road, tier), |_| names::request_seconds(road, tier))
            .record(call.total);
        if let Some(first_byte) = call.first_byte {
            self.first_byte_seconds
                .get((road, tier), |_| names::first_byte_seconds(road, tier))
                .record(first_byte);
        }
        if let Some(status) = call.affinity {
            self.affinity
                .get(status, |s| names::affinity(*s))
                .increment(1);
        }
        if let Some(status) = call.cache {
            self.cache.get(status, |s| names::cache(*s)).increment(1);
        }
        if let Some(status) = call.breakpoints {
            self.breakpoints
                .get(status, |s| names::breakpoints(*s))
                .increment(1);
        }
        if let Some(cascade) = call.cascade {
            let (outcome, reason) = (cascade.outcome(), cascade.reason);
            let certified = if cascade.certified.is_some() {
                "yes"
            } else {
                "no"
            };
            let (key, other) = ((outcome, reason, certified), (outcome, "other", certified));
            self.cascade
                .get_or(key, other, |(o, r, c)| names::cascade(o, r, c))
                .increment(1);
            for (part, time) in [
                ("small", cascade.small),
                ("judging", cascade.judging),
                ("big", cascade.big),
                ("total", cascade.total),
            ] {
                if !time.is_zero() {
                    self.cascade_seconds
                        .get(part, |part| names::cascade_seconds(part))
                        .record(time);
                }
            }
        }
    }

    pub(super) fn attempt(&self, attempt: &Attempt) {
        let provider = self.provider(&attempt.target.provider);
        provider
            .attempt_seconds
            .get(attempt.role, |role| {
                names::attempt_seconds(&provider.name, *role)
            })
            .record(attempt.total);
    }

    pub(super) fn usage(&self, attempt: &Attempt, usage: &Usage, cost: Option<Usd>) {
        let provider = self.provider(&attempt.target.provider);
        let role = attempt.role;
        for (kind, count) in [
            (TokenKind::Input, usage.input),
            (TokenKind::Output, usage.output),
            (TokenKind::CacheRead, usage.cache_read),
            (
                TokenKind::CacheWrite,
                usage.cache_write + usage.cache_write_1h,
            ),
        ] {
            if count > 0 {
                provider
                    .tokens
                    .get((kind, role), |_| names::tokens(kind, &provider.name, role))
                    .increment(count);
            }
        }
        match cost {
            Some(cost) => provider
                .cost
                .get(role, |role| {
                    Arc::new(Money::new(names::cost(&provider.name, *role)))
                })
                .add(cost),
            None => provider
                .unpriced
                .get_or_init(|| names::unpriced_tokens(&provider.name))
                .increment(usage.input_total() + usage.output),
        }
    }

    /// What the provider's cache did to the bill of an attempt.
    pub(super) fn provider_cache(&self, attempt: &Attempt, effect: CacheEffect) {
        let provider = self.provider(&attempt.target.provider);
        for (name, amount) in [("saved", effect.saved), ("premium", effect.premium)] {
            if amount != Usd::ZERO {
                provider
                    .cache
                    .get(name, |name| {
                        Arc::new(Money::new(names::provider_cache(name, &provider.name)))
                    })
                    .add(amount);
            }
        }
    }

    /// Nothing is added where nothing was saved; but then the series is there, at zero, for whoever draws it.
    pub(super) fn bill(&self, bill: &Bill) {
        self.baseline
            .get_or_init(|| Money::new(names::baseline()))
            .add(bill.baseline_or_cost());
        for (cause, sum) in Saved::ALL.into_iter().zip(&self.saved) {
            sum.get_or_init(|| Money::new(names::saved(cause)))
                .add(bill.saved(cause));
        }
        for (cause, sum) in Extra::ALL.into_iter().zip(&self.extra) {
            sum.get_or_init(|| Money::new(names::extra_cost(cause)))
                .add(bill.extra(cause));
        }
    }

    /// A call on one side of a hold-out. One whose cost is not whole would spoil the comparison.
    pub(super) fn holdout(&self, side: Option<Holdout>, bill: &Bill) {
        if let Some(side) = side.filter(|_| bill.is_priced()) {
            let make = |side: &Holdout| {
                let cost = Arc::new(Money::new(names::holdout_cost(*side)));
                (names::holdout_calls(*side), cost)
            };
            let (calls, cost) = self.holdout.get(side, make);
            calls.increment(1);
            cost.add(bill.cost());
        }
    }

    /// Makes the sums of money there from the start, at zero.
    pub(super) fn announce(&self, providers: impl IntoIterator<Item = Arc<str>>) {
        self.bill(&Bill::default());
        for name in providers {
            let provider = self.provider(&name);
            let role = Role::default();
            provider
                .cost
                .get(role, |role| Arc::new(Money::new(names::cost(&name, *role))));
            provider
                .unpriced
                .get_or_init(|| names::unpriced_tokens(&name));
        }
    }

    fn provider(&self, name: &Arc<str>) -> Arc<Provider> {
        self.providers
            .get_or(name.clone(), self.other.clone(), |name| {
                Arc::new(Provider {
                    name: name.clone(),
                    requests: Cached::default(),
                    tokens: Cached::default(),
                    unpriced: OnceLock::new(),
                    cost: Cached::default(),
                    cache: Cached::default(),
                    attempt_seconds: Cached::default(),
                })
            })
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").finish_non_exhaustive()
    }
}

// === impl Money ===

impl Money {
    fn new(gauge: Gauge) -> Self {
        Self {
            sum: Mutex::new(Usd::ZERO),
            gauge,
        }
    }
    fn add(&self, amount: Usd) {
        if amount == Usd::ZERO {
            return;
        }
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        *sum += amount;
        // Under the lock, lest an older sum overwrite a newer one.
        self.gauge.set(sum.as_dollars());
    }
}

// === impl Cached ===

impl<K, V> Default for Cached<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cached<K, V> {
    /// The value for one of a closed set of keys.
    pub(super) fn get(&self, key: K, make: impl FnOnce(&K) -> V) -> V {
        if let Some(value) = self.find(&key) {
            return value;
        }
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let value = make(&key);
        map.entry(key).or_insert(value).clone()
    }
    /// The value for `key`, or that for `other` where there are too many keys already.
    pub(super) fn get_or(&self, key: K, other: K, make: impl FnOnce(&K) -> V) -> V {
        if let Some(value) = self.find(&key) {
            return value;
        }
        let full = self.0.read().unwrap_or_else(PoisonError::into_inner).len() >= MOST;
        self.get(if full { other } else { key }, make)
    }
    pub(super) fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.get(key).cloned()
    }
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}
