//! Every metric's name, labels and meaning: the one place where metrics are made.
//!
//! All labels are closed sets of words or configured names; nothing that a caller writes becomes a label.
#![expect(
    clippy::disallowed_macros,
    reason = "here and nowhere else are metrics made"
)]
use super::{Extra, Outcome, Saved};
use metrics::{Counter, Gauge, Histogram, Unit};
use std::sync::Arc;
use tierway_services::chat::{
    AffinityStatus, BreakpointStatus, CacheStatus, Holdout, Role, Target, Tier,
};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A count that only grows.
    Counter,
    /// A sum of money that only grows. The recorder holds it as a gauge, because counters there are whole numbers; an exporter should
    /// declare it a counter.
    Money,
    /// A level.
    Gauge,
    /// Times in seconds, or counts of tokens.
    Histogram,
}

/// The label of what is not known here: whatever callers write, it makes no series of its own.
pub const OTHER: &str = "other";
/// Who answers where nobody was asked.
pub(super) const GATEWAY: &str = "tierway";

/// A metric of this layer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

impl Metric {
    /// A metric that some other part of a process emits.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
        }
    }
    /// What it is counted in, as its name tells: `s`, `USD`, `token`, `byte`, or `1` for plain counts.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let plain = self.name.strip_suffix("_total").unwrap_or(self.name);
        let units = [
            ("_seconds", "s"),
            ("_usd", "USD"),
            ("_tokens", "token"),
            ("_token_usage", "token"),
            ("_bytes", "byte"),
        ];
        let unit = units.iter().find(|(end, _)| plain.ends_with(end));
        unit.map_or("1", |(_, unit)| unit)
    }
}

macro_rules! metrics {
    ($($const:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $const: &str = $name;)*
        /// All metrics of this layer.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help }),*];
    };
}

metrics! {
    REQUESTS = "tierway_requests_total", Counter, ["dialect", "tier", "provider", "outcome"],
        "Chat calls, by outcome: ok, client_error, refused, upstream_error, internal_error, cut, cancelled.";
    IN_FLIGHT = "tierway_requests_in_flight", Gauge, [],
        "Chat calls whose answer has not ended.";
    TOKENS = "tierway_tokens_total", Counter, ["kind", "provider", "role"],
        "Tokens of upstream calls, by kind: input, output, cache_read, cache_write.";
    UNPRICED_TOKENS = "tierway_unpriced_tokens_total", Counter, ["provider"],
        "Tokens whose price is not known; they are in no sum of money.";
    COST = "tierway_cost_usd_total", Money, ["provider", "role"],
        "What upstream calls cost, rejected drafts included.";
    BASELINE = "tierway_baseline_usd_total", Money, [],
        "What the same answers would have cost from the models that were asked for; the cost itself where that cannot be told.";
    SAVED = "tierway_saved_usd_total", Money, ["cause"],
        "Savings against the baseline, by cause: tier, cascade, prompt_cache, provider_cache, compression.";
    EXTRA_COST = "tierway_extra_cost_usd_total", Money, ["cause"],
        "Costs beyond the baseline, by cause: tier, deferral, shadow, provider_cache. Baseline and extra cost are cost and savings.";
    HOLDOUT_CALLS = "tierway_holdout_calls_total", Counter, ["side"],
        "Calls that a random hold-out divides: baseline (held out, answered by the baseline model) and gateway (all others that it might have held out).";
    HOLDOUT_COST = "tierway_holdout_cost_usd_total", Money, ["side"],
        "What these calls cost. Cost a call on one side against the other is what the gateway saves, with nothing assumed.";
    LEDGER_ROWS = "tierway_ledger_rows_total", Counter, ["outcome"],
        "Rows for the ledger, by outcome: written, spilled (into a file, and written later), lost.";
    AFFINITY = "tierway_affinity_total", Counter, ["outcome"],
        "What became of conversations' models: new, same, kept, escalated, deescalated, forced, aside.";
    CACHE = "tierway_cache_total", Counter, ["status"],
        "What the prompt cache did: hit, miss, coalesced (shared the upstream call of the same request, then under way), bypass.";
    CACHE_STORED = "tierway_cache_stored_total", Counter, ["store"],
        "Answers that were kept, by store: memory, disk, redis.";
    CACHE_EVICTED = "tierway_cache_evicted_total", Counter, ["store", "cause"],
        "Kept answers that were dropped, by cause: size, expired. Redis counts its own.";
    CACHE_BYTES = "tierway_cache_bytes", Gauge, ["store"],
        "What kept answers take up, bookkeeping included, by store: memory, disk.";
    CACHE_ENTRIES = "tierway_cache_entries", Gauge, ["store"],
        "How many answers are kept, by store: memory, disk.";
    CACHE_AGE_SECONDS = "tierway_cache_age_seconds", Histogram, [],
        "How old answers were when they were replayed.";
    BREAKPOINTS = "tierway_breakpoints_total", Counter, ["outcome"],
        "Whether providers were told to keep the beginning of a prompt: placed, placed_1h, key, or why not: client, short, unpaid, nowhere.";
    COMPRESSED = "tierway_compressed_tokens_total", Counter, ["transformation"],
        "About how many tokens of tools' results were left out of calls, by how: json, table, terminal, trailing, duplicate.";
    PROVIDER_CACHE = "tierway_provider_cache_usd_total", Money, ["effect", "provider"],
        "What providers' prompt caches did to the bill, against plain input: saved by tokens read, premium for tokens written.";
    CASCADE = "tierway_cascade_total", Counter, ["outcome", "reason", "certified"],
        "What the cascade did with small models' drafts: accepted, deferred, or skipped where nobody drafted; and whether the decision is certified: yes, no.";
    CASCADE_SECONDS = "tierway_cascade_seconds", Histogram, ["part"],
        "Times of calls that got a draft: small, judging (of that), big (to its head), and total (to the answer that was chosen).";
    LABELS = "tierway_labels_total", Counter, ["source"],
        "Drafts judged to learn from, by source: agreement, overlap, judge, feedback, or unlabelled where nobody could tell.";
    LABELS_LOST = "tierway_labels_lost_total", Counter, ["reason"],
        "Labels that were not kept: full (too many were waiting), disk.";
    SHADOW_SKIPPED = "tierway_shadow_skipped_total", Counter, ["reason"],
        "Comparisons with the big model that were not made: over_budget, busy, unpriced, failed, unreadable.";
    MODEL_REVISION = "tierway_cascade_model_revision", Gauge, [],
        "How often the model that judges drafts was learned or calibrated anew.";
    MODEL_LABELS = "tierway_cascade_model_labels", Gauge, [],
        "From how many labels it was learned.";
    TIERS_REVISION = "tierway_tiers_model_revision", Gauge, [],
        "How often the weights that choose tiers were learned anew; 0: they are the shipped ones.";
    TIERS_LABELS = "tierway_tiers_model_labels", Gauge, [],
        "From how many labels they were learned.";
    CERTIFIED = "tierway_cascade_certified", Gauge, ["family"],
        "Whether a promise about kept drafts stands, by kind of task: 1 or 0.";
    TOOL_RUNS = "tierway_tool_runs_total", Counter, ["server", "outcome"],
        "Tools run for callers, by server and outcome: ok, error, unconfirmed (the user was to allow it first), abandoned (the caller left).";
    RETRIES = "tierway_retries_total", Counter, ["provider", "reason"],
        "Upstream calls made again because the last attempt failed, by why it did.";
    FALLBACKS = "tierway_fallbacks_total", Counter, ["provider", "reason"],
        "Calls that went on to the next model of their tier, by who failed and why.";
    BREAKER = "tierway_breaker_open", Gauge, ["provider", "model"],
        "Whether a configured model is left alone because it keeps failing: 1, 0.5 while it is tried, 0.";
    BREAKER_CHANGES = "tierway_breaker_changes_total", Counter, ["provider", "state"],
        "How often models' breakers changed to open, half_open, closed.";
    LIMITED = "tierway_limited_total", Counter, ["limit"],
        "Calls refused by a key's or tenant's limit: requests, tokens, concurrent, usd_per_day, usd_per_month, usd_total, budget_busy, unknown.";
    CLIENT_TELEMETRY = "tierway_client_telemetry_total", Counter, ["signal"],
        "Reports of clients that have signed in, which are counted and not kept: metrics, logs, traces.";
    SHED = "tierway_shed_total", Counter, [],
        "Calls refused because as many are under way as may be.";
    REQUEST_SECONDS = "tierway_request_seconds", Histogram, ["dialect", "tier"],
        "From a call to the end of its answer.";
    TIME_TO_FIRST_BYTE_SECONDS = "tierway_time_to_first_byte_seconds", Histogram, ["dialect", "tier"],
        "From a call to the first piece of its streamed answer.";
    ATTEMPT_SECONDS = "tierway_attempt_seconds", Histogram, ["provider", "role"],
        "From an upstream call to its end.";
    CLIENT_TOKEN_USAGE = "gen_ai_client_token_usage", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"],
        "Tokens of an upstream call (OpenTelemetry: gen_ai.client.token.usage).";
    CLIENT_OPERATION_SECONDS = "gen_ai_client_operation_duration_seconds", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
        "From an upstream call to its end (OpenTelemetry: gen_ai.client.operation.duration).";
    CLIENT_FIRST_CHUNK_SECONDS = "gen_ai_client_operation_time_to_first_chunk_seconds", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
        "From an upstream call to the first piece of its streamed answer (OpenTelemetry: gen_ai.client.operation.time_to_first_chunk).";
    SERVER_REQUEST_SECONDS = "gen_ai_server_request_duration_seconds", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
        "From a call to the end of its answer (OpenTelemetry: gen_ai.server.request.duration).";
    SERVER_FIRST_TOKEN_SECONDS = "gen_ai_server_time_to_first_token_seconds", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
        "From a call to the first piece of its streamed answer (OpenTelemetry: gen_ai.server.time_to_first_token).";
    SERVER_PER_TOKEN_SECONDS = "gen_ai_server_time_per_output_token_seconds", Histogram, ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
        "What each token of a streamed answer took after the first (OpenTelemetry: gen_ai.server.time_per_output_token).";
}

/// The names of the sums of money, which the recorder holds as gauges and an exporter should declare counters.
pub const MONEY: [&str; 6] = [
    COST,
    BASELINE,
    SAVED,
    EXTRA_COST,
    HOLDOUT_COST,
    PROVIDER_CACHE,
];

/// Tells the recorder what each metric means. Call it once, after the recorder is installed.
pub fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Money | Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram if metric.unit() == "s" => {
                metrics::describe_histogram!(metric.name, Unit::Seconds, metric.help);
            }
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// The label for a tier: its name, `direct` where the caller named a model, `none` where the call did not come that far.
pub(super) const fn tier_label(tier: Option<Tier>, directed: bool) -> &'static str {
    match tier {
        Some(tier) => tier.as_str(),
        None if directed => "direct",
        None => "none",
    }
}

/// A kind of token, as the label has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TokenKind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
}

// === handles ===

pub(super) fn requests(
    road: &'static str,
    tier: &'static str,
    provider: &Arc<str>,
    outcome: Outcome,
) -> Counter {
    metrics::counter!(REQUESTS, "dialect" => road, "tier" => tier,
        "provider" => provider.clone(), "outcome" => outcome.as_str())
}

pub(super) fn in_flight() -> Gauge {
    metrics::gauge!(IN_FLIGHT)
}

pub(super) fn tokens(kind: TokenKind, provider: &Arc<str>, role: Role) -> Counter {
    let kind = match kind {
        TokenKind::Input => "input",
        TokenKind::Output => "output",
        TokenKind::CacheRead => "cache_read",
        TokenKind::CacheWrite => "cache_write",
    };
    metrics::counter!(TOKENS, "kind" => kind, "provider" => provider.clone(), "role" => role.as_str())
}

pub(super) fn unpriced_tokens(provider: &Arc<str>) -> Counter {
    metrics::counter!(UNPRICED_TOKENS, "provider" => provider.clone())
}

pub(super) fn cost(provider: &Arc<str>, role: Role) -> Gauge {
    metrics::gauge!(COST, "provider" => provider.clone(), "role" => role.as_str())
}

pub(super) fn baseline() -> Gauge {
    metrics::gauge!(BASELINE)
}

pub(super) fn saved(cause: Saved) -> Gauge {
    metrics::gauge!(SAVED, "cause" => cause.as_str())
}

pub(super) fn extra_cost(cause: Extra) -> Gauge {
    metrics::gauge!(EXTRA_COST, "cause" => cause.as_str())
}

pub(super) fn holdout_calls(side: Holdout) -> Counter {
    metrics::counter!(HOLDOUT_CALLS, "side" => side.as_str())
}

pub(super) fn holdout_cost(side: Holdout) -> Gauge {
    metrics::gauge!(HOLDOUT_COST, "side" => side.as_str())
}

/// Counts [`LEDGER_ROWS`]; the outcome is of a closed set.
pub fn ledger_rows(outcome: &'static str) -> Counter {
    metrics::counter!(LEDGER_ROWS, "outcome" => outcome)
}

pub(super) fn affinity(status: AffinityStatus) -> Counter {
    metrics::counter!(AFFINITY, "outcome" => status.as_str())
}

pub(super) fn cache(status: CacheStatus) -> Counter {
    metrics::counter!(CACHE, "status" => status.as_str())
}

/// Counts [`CACHE_STORED`]; the store is of a closed set.
pub fn cache_stored(store: &'static str) -> Counter {
    metrics::counter!(CACHE_STORED, "store" => store)
}

/// Counts [`CACHE_EVICTED`]; store and cause are of closed sets.
pub fn cache_evicted(store: &'static str, cause: &'static str) -> Counter {
    metrics::counter!(CACHE_EVICTED, "store" => store, "cause" => cause)
}

/// Shows [`CACHE_BYTES`].
pub fn cache_bytes(store: &'static str) -> Gauge {
    metrics::gauge!(CACHE_BYTES, "store" => store)
}

/// Shows [`CACHE_ENTRIES`].
pub fn cache_entries(store: &'static str) -> Gauge {
    metrics::gauge!(CACHE_ENTRIES, "store" => store)
}

/// Records [`CACHE_AGE_SECONDS`].
pub fn cache_age_seconds() -> Histogram {
    metrics::histogram!(CACHE_AGE_SECONDS)
}

pub(super) fn tool_runs(server: &Arc<str>, outcome: &'static str) -> Counter {
    metrics::counter!(TOOL_RUNS, "server" => server.to_string(), "outcome" => outcome)
}
pub(super) fn breakpoints(status: BreakpointStatus) -> Counter {
    metrics::counter!(BREAKPOINTS, "outcome" => status.as_str())
}

/// Counts [`COMPRESSED`]; the transformation is of a closed set.
pub fn compressed(transformation: &'static str) -> Counter {
    metrics::counter!(COMPRESSED, "transformation" => transformation)
}

pub(super) fn provider_cache(effect: &'static str, provider: &Arc<str>) -> Gauge {
    metrics::gauge!(PROVIDER_CACHE, "effect" => effect, "provider" => provider.clone())
}

pub(super) fn cascade_seconds(part: &'static str) -> Histogram {
    metrics::histogram!(CASCADE_SECONDS, "part" => part)
}

pub(super) fn cascade(
    outcome: &'static str,
    reason: &'static str,
    certified: &'static str,
) -> Counter {
    metrics::counter!(CASCADE, "outcome" => outcome, "reason" => reason, "certified" => certified)
}

/// Counts [`LABELS`]; the source is of a closed set.
pub fn labels(source: &'static str) -> Counter {
    metrics::counter!(LABELS, "source" => source)
}

/// Counts [`LABELS_LOST`]; the reason is of a closed set.
pub fn labels_lost(reason: &'static str) -> Counter {
    metrics::counter!(LABELS_LOST, "reason" => reason)
}

/// Counts [`SHADOW_SKIPPED`]; the reason is of a closed set.
pub fn shadow_skipped(reason: &'static str) -> Counter {
    metrics::counter!(SHADOW_SKIPPED, "reason" => reason)
}

/// Shows [`MODEL_REVISION`].
pub fn model_revision() -> Gauge {
    metrics::gauge!(MODEL_REVISION)
}

/// Shows [`MODEL_LABELS`].
pub fn model_labels() -> Gauge {
    metrics::gauge!(MODEL_LABELS)
}

/// Shows [`TIERS_REVISION`].
pub fn tiers_revision() -> Gauge {
    metrics::gauge!(TIERS_REVISION)
}

/// Shows [`TIERS_LABELS`].
pub fn tiers_labels() -> Gauge {
    metrics::gauge!(TIERS_LABELS)
}

/// Shows [`CERTIFIED`].
pub fn certified(family: &'static str) -> Gauge {
    metrics::gauge!(CERTIFIED, "family" => family)
}

/// Counts [`RETRIES`]; the reason is of a closed set.
pub fn retries(provider: Option<&Arc<str>>, reason: &'static str) -> Counter {
    let provider = provider.map_or_else(|| "none".into(), Arc::clone);
    metrics::counter!(RETRIES, "provider" => provider, "reason" => reason)
}

/// Counts [`FALLBACKS`]; the reason is of a closed set.
pub fn fallbacks(provider: &Arc<str>, reason: &'static str) -> Counter {
    metrics::counter!(FALLBACKS, "provider" => provider.clone(), "reason" => reason)
}

/// Shows [`BREAKER`] for a model that the configuration names.
pub fn breaker(target: &Target) -> Gauge {
    let (provider, model) = (target.provider.clone(), target.model.clone());
    metrics::gauge!(BREAKER, "provider" => provider, "model" => model)
}

/// Counts [`BREAKER_CHANGES`]; the state is of a closed set.
pub fn breaker_changes(provider: &Arc<str>, state: &'static str) -> Counter {
    metrics::counter!(BREAKER_CHANGES, "provider" => provider.clone(), "state" => state)
}

/// Counts [`LIMITED`]; the limit is of a closed set.
pub fn limited(limit: &'static str) -> Counter {
    metrics::counter!(LIMITED, "limit" => limit)
}

/// Counts [`CLIENT_TELEMETRY`]; the signal is of a closed set.
pub fn client_telemetry(signal: &'static str) -> Counter {
    metrics::counter!(CLIENT_TELEMETRY, "signal" => signal)
}

/// Counts [`SHED`].
pub fn shed() -> Counter {
    metrics::counter!(SHED)
}

pub(super) fn request_seconds(road: &'static str, tier: &'static str) -> Histogram {
    metrics::histogram!(REQUEST_SECONDS, "dialect" => road, "tier" => tier)
}

pub(super) fn first_byte_seconds(road: &'static str, tier: &'static str) -> Histogram {
    metrics::histogram!(TIME_TO_FIRST_BYTE_SECONDS, "dialect" => road, "tier" => tier)
}

pub(super) fn attempt_seconds(provider: &Arc<str>, role: Role) -> Histogram {
    metrics::histogram!(ATTEMPT_SECONDS, "provider" => provider.clone(), "role" => role.as_str())
}

/// The labels of what OpenTelemetry names; `last` is the type of token or of error.
pub(super) struct GenAi {
    pub(super) operation: &'static str,
    pub(super) provider: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) last: &'static str,
}

pub(super) fn client_token_usage(of: GenAi) -> Histogram {
    metrics::histogram!(CLIENT_TOKEN_USAGE, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model, "gen_ai_token_type" => of.last)
}

pub(super) fn client_operation_seconds(of: GenAi) -> Histogram {
    metrics::histogram!(CLIENT_OPERATION_SECONDS, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model, "error_type" => of.last)
}

pub(super) fn client_first_chunk_seconds(of: GenAi) -> Histogram {
    metrics::histogram!(CLIENT_FIRST_CHUNK_SECONDS, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model)
}

pub(super) fn server_request_seconds(of: GenAi) -> Histogram {
    metrics::histogram!(SERVER_REQUEST_SECONDS, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model, "error_type" => of.last)
}

pub(super) fn server_first_token_seconds(of: GenAi) -> Histogram {
    metrics::histogram!(SERVER_FIRST_TOKEN_SECONDS, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model)
}

pub(super) fn server_per_token_seconds(of: GenAi) -> Histogram {
    metrics::histogram!(SERVER_PER_TOKEN_SECONDS, "gen_ai_operation_name" => of.operation,
        "gen_ai_provider_name" => of.provider, "gen_ai_request_model" => of.model)
}
