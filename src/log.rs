//! What is written while the gateway runs: a banner at the start, a line per call.
use crate::{
    config::{self, Config, LogFormat},
    discovery::Found,
};
use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
};
use tierway_layers::telemetry::CallRecord;
use tierway_services::chat::Tier;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error.
///
/// # Errors
/// Where the level is no valid filter, or logging has been started already.
pub fn init(log: &config::Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(&log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let terminal = io::stderr().is_terminal();
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto if !terminal => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Human => {
            builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).try_init()
        }
    }
}

/// One line per call: who answered, what it cost, what it saved. Never a word of the prompt, never a key.
pub fn call(record: &CallRecord<'_>) {
    tracing::info!(
        dialect = record.dialect.as_str(),
        tier = record.tier.map_or("direct", Tier::as_str),
        target = record.target.map(tracing::field::display),
        outcome = record.outcome.as_str(),
        status = record.status.map(|s| s.as_u16()),
        ms = u64::try_from(record.total.as_millis()).unwrap_or(u64::MAX),
        cost_usd = record.cost.map(|c| c.as_dollars()),
        baseline_usd = record.baseline.map(|b| b.as_dollars()),
        "call"
    );
}

/// Tells on standard output where the gateway listens, which model serves each tier, and what to set in a client.
///
/// # Errors
/// Where standard output is closed.
pub fn banner(config: &Config, found: &Found, listen: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "tierway listens on http://{listen}  (metrics and health on http://{admin})\n")?;
    for tier in Tier::ALL {
        let target = config.tiers.get(&tier).map_or_else(|| "not bound".to_owned(), ToString::to_string);
        writeln!(out, "  {:<10} {target}", tier.as_str().to_uppercase())?;
    }
    if config.keys.is_empty() {
        writeln!(out, "\n  No keys are configured, so only this machine may call. To open it, add [[keys]] to tierway.toml.")?;
    }
    if let Some(note) = found.note() {
        writeln!(out, "\n  {note}")?;
    }
    writeln!(out, "\n  Claude Code   ANTHROPIC_BASE_URL=http://{listen} claude")?;
    writeln!(out, "  OpenAI SDKs   OPENAI_BASE_URL=http://{listen}/v1")?;
    out.flush()
}
