//! The line of one call as JSON, written by hand: with all that happens to an event on its way through `tracing`, it would cost more than
//! most of what is done for a call.
use super::millis;
use serde::{Serialize, Serializer};
use std::{
    cell::RefCell,
    fmt::Display,
    fs::File,
    io::{self, Write},
    sync::Arc,
    time::SystemTime,
};
use tierway_layers::telemetry::CallRecord;
use tierway_services::chat::{CacheStatus, CascadeStatus, Target, Tenant, Tier};

/// Where lines go.
#[derive(Debug)]
pub(super) enum Sink {
    Terminal,
    File(Arc<File>),
}

/// What is told, in the form in which `tracing` writes events: nothing is said of what there was none of.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "shown")]
    timestamp: humantime::Rfc3339Timestamp,
    level: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    dialect: &'static str,
    tier: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "shown_if_any"
    )]
    target: Option<&'a Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed: Option<u64>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_usd: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    cascade: Option<Cascade>,
}

#[derive(Serialize)]
struct Cascade {
    cascade: &'static str,
    cascade_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade_confidence: Option<f64>,
    cascade_threshold: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade_certified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade_agreement: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade_p_true: Option<f64>,
    cascade_hedged: bool,
    small_ms: u64,
    big_ms: u64,
}

fn shown<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn shown_if_any<S: Serializer>(value: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// Writes the line of a call. Like all logging it fails silently.
pub(super) fn write(sink: &Sink, record: &CallRecord<'_>) {
    thread_local! {
        static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LINE.with_borrow_mut(|line| {
        line.clear();
        if serde_json::to_writer(&mut *line, &of(record)).is_err() {
            return;
        }
        line.push(b'\n');
        // In one piece, so that lines of several threads do not mix.
        let _ = match sink {
            Sink::Terminal => io::stderr().lock().write_all(line),
            Sink::File(file) => (&**file).write_all(line),
        };
    });
}

fn of<'a>(record: &CallRecord<'a>) -> Line<'a> {
    let cascade = record.entries.cascade.as_ref();
    Line {
        timestamp: humantime::format_rfc3339_micros(SystemTime::now()),
        level: "INFO",
        message: "call",
        request_id: record.request_id.and_then(|id| id.to_str().ok()),
        dialect: record.dialect.as_str(),
        tier: record.tier.map_or("direct", Tier::as_str),
        reason: record.entries.tier_reason.as_deref(),
        tenant: record.entries.tenant.as_ref().map(Tenant::as_str),
        target: record.target,
        cache: record.entries.cache.map(CacheStatus::as_str),
        compressed: Some(record.entries.compressed).filter(|tokens| *tokens > 0),
        outcome: record.outcome.as_str(),
        status: record.status.map(|s| s.as_u16()),
        ms: millis(record.total),
        cost_usd: record.cost.map(|c| c.as_dollars()),
        baseline_usd: record.baseline.map(|b| b.as_dollars()),
        cascade: cascade.filter(|c| !c.skipped).map(Cascade::of),
    }
}

impl Cascade {
    fn of(told: &CascadeStatus) -> Self {
        let certified = told
            .certified
            .map(|(alpha, delta)| format!("{alpha}/{delta}"));
        Self {
            cascade: told.outcome(),
            cascade_reason: told.reason,
            cascade_confidence: told.confidence,
            cascade_threshold: told.threshold,
            cascade_certified: certified,
            cascade_agreement: told.agreement,
            cascade_p_true: told.p_true,
            cascade_hedged: told.hedged,
            small_ms: millis(told.small),
            big_ms: millis(told.big),
        }
    }
}
