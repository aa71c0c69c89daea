//! What is logged: one line per call, for people on a terminal and as JSON otherwise.
mod gather;
mod line;

use crate::{
    config::{self, LogFormat},
    reload::Outcome,
};
use gather::{Gather, Out};
use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal},
    panic,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tierway_layers::{
    breaker::State, fallback::FailedOver, limit::Excess, retry::Retried, telemetry::CallRecord,
};
use tierway_services::{
    BoxError,
    chat::{CacheStatus, CascadeStatus, Target, Tenant, Tier},
};
use tracing_subscriber::EnvFilter;

/// Where lines of calls go, where they are JSON.
static JSON: OnceLock<Arc<Gather>> = OnceLock::new();

/// Starts logging to standard error.
///
/// # Errors
/// Where the level is no valid filter, or logging has been started already.
pub fn init(log: &config::Log) -> Result<(), BoxError> {
    let terminal = io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
    };
    if json {
        // On a terminal somebody waits for each line.
        return init_json(log, Out::Stderr, !terminal);
    }
    let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(color)
        .try_init()
}

/// Starts logging as JSON to the end of `file`: for whoever leaves the terminal to another program.
///
/// # Errors
/// As [`init`], and where the file cannot be written.
pub fn init_file(log: &config::Log, file: &Path) -> Result<(), BoxError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(file)?;
    init_json(log, Out::File(Arc::new(file)), true)
}

fn init_json(log: &config::Log, out: Out, gathered: bool) -> Result<(), BoxError> {
    let lines = Gather::new(out.clone(), gathered);
    let before = lines.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_target(false)
        // Other events are rare. Each is written at once, and what came before it stands before it.
        .with_writer(move || {
            before.flush();
            out.clone()
        })
        .json()
        .flatten_event(true)
        .try_init()?;
    let _ = JSON.set(lines.clone());
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        lines.try_flush();
        hook(panic);
    }));
    Ok(())
}

/// Writes the lines that wait for others; from now on none does. To be called before the process ends.
pub fn close() {
    if let Some(lines) = JSON.get() {
        lines.close();
    }
}

/// `RUST_LOG`, where it says something; else the configured level.
fn filter(log: &config::Log) -> Result<EnvFilter, BoxError> {
    let told = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    if told.trim().is_empty() {
        return Ok(EnvFilter::try_new(&log.level)?);
    }
    EnvFilter::try_new(&told).map_err(|error| format!("RUST_LOG is no filter: {error}").into())
}

/// One line per call: who answered, what it cost, what it saved. Never a word of the prompt, never a key.
pub fn call(record: &CallRecord<'_>) {
    if let Some(lines) = JSON.get() {
        if tracing::enabled!(tracing::Level::INFO) {
            line::write(lines, record);
        }
        return;
    }
    let cascade = record.entries.cascade.as_ref().filter(|c| !c.skipped);
    tracing::info!(
        request_id = record.request_id.and_then(|id| id.to_str().ok()),
        dialect = record.dialect.as_str(),
        tier = record.tier.map_or("direct", Tier::as_str),
        reason = record.entries.tier_reason.as_deref(),
        tenant = record.entries.tenant.as_ref().map(Tenant::as_str),
        target = record.target.map(tracing::field::display),
        cache = record.entries.cache.map(CacheStatus::as_str),
        compressed = Some(record.entries.compressed).filter(|tokens| *tokens > 0),
        outcome = record.outcome.as_str(),
        status = record.status.map(|s| s.as_u16()),
        ms = millis(record.total),
        cost_usd = record.cost.map(|c| c.as_dollars()),
        baseline_usd = record.baseline.map(|b| b.as_dollars()),
        cascade = cascade.map(CascadeStatus::outcome),
        cascade_reason = cascade.map(|c| c.reason),
        cascade_confidence = cascade.and_then(|c| c.confidence),
        cascade_threshold = cascade.map(|c| c.threshold),
        cascade_certified = cascade
            .and_then(|c| c.certified)
            .map(|(alpha, delta)| format!("{alpha}/{delta}")),
        cascade_agreement = cascade.and_then(|c| c.agreement),
        cascade_p_true = cascade.and_then(|c| c.p_true),
        cascade_hedged = cascade.map(|c| c.hedged),
        small_ms = cascade.map(|c| millis(c.small)),
        big_ms = cascade.map(|c| millis(c.big)),
        "call"
    );
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An error that became an answer, or broke a stream: for the operator, with its causes. The caller has been told in his own dialect.
pub fn error(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(%error, "call failed");
}

/// A call is made again.
pub fn retry(retried: &Retried<'_>) {
    let target = retried.target.map(tracing::field::display);
    tracing::debug!(
        target,
        reason = retried.reason,
        ms = millis(retried.pause),
        "retry"
    );
}

/// A call goes on to the next model of its tier.
pub fn fallback(over: &FailedOver<'_>) {
    tracing::warn!(from = %over.from, to = %over.to, reason = over.reason, "fallback");
}

/// A model is left alone, tried, or trusted again.
pub fn breaker(target: &Target, state: State) {
    tracing::warn!(%target, state = state.as_str(), "breaker");
}

/// The cache's file cannot be had: answers are kept in memory alone.
pub fn cache_file(file: &std::path::Path, error: &std::io::Error) {
    tracing::warn!(file = %file.display(), %error, "the cache's file cannot be opened; answers are kept in memory alone");
}

/// The cache's file has failed: what it would have known is not known.
pub fn disk(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(%error, "the cache's file fails; going on without it");
}

/// A configuration was read anew.
pub fn reload(why: &str, outcome: Outcome, problems: &str, restart: &[String]) {
    let restart = restart.join(", ");
    let restart = (!restart.is_empty()).then_some(&*restart);
    match outcome {
        Outcome::Refused => tracing::error!(
            why,
            problems,
            "the configuration cannot be used; the one before goes on"
        ),
        Outcome::Applied => tracing::info!(why, "the configuration was read anew and is at work"),
        Outcome::Unchanged => {
            tracing::info!(why, "the configuration was read anew and is the same");
        }
    }
    if let Some(settings) = restart {
        tracing::warn!(
            settings,
            "changed in the configuration, and not at work before a restart"
        );
    }
}

/// Somebody has used up what he may use.
pub fn limited(subject: &str, excess: Excess) {
    tracing::debug!(subject, limit = excess.as_str(), "limited");
}

/// Redis has gone away: calls go on without what it knows.
pub fn redis(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(%error, "redis does not answer; going on without it");
}
