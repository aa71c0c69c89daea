//! The line of one call as JSON, written by hand: with all that happens to an event on its way through `tracing`, it would cost more than
//! most of what is done for a call.
use super::{gather::Gather, millis};
use serde::Serialize;
use std::{
    cell::RefCell,
    fmt::Display,
    io::{self, Write},
    time::SystemTime,
};
use tierway_layers::telemetry::CallRecord;
use tierway_services::chat::{CacheStatus, CascadeStatus, Tenant, Tier};

/// A line in the making, in the form in which `tracing` writes events: nothing is said of what there was none of.
struct Line<'v>(&'v mut Vec<u8>);

impl Line<'_> {
    fn key(&mut self, key: &'static str) {
        let before: &[u8] = if self.0.is_empty() { b"{\"" } else { b",\"" };
        for bytes in [before, key.as_bytes(), b"\":"] {
            self.0.extend_from_slice(bytes);
        }
    }
    /// A word of our own, in which there is nothing to escape.
    fn word(&mut self, key: &'static str, word: &'static str) {
        self.key(key);
        for bytes in [b"\"".as_slice(), word.as_bytes(), b"\""] {
            self.0.extend_from_slice(bytes);
        }
    }
    fn value(&mut self, key: &'static str, value: Option<impl Serialize>) -> io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        self.key(key);
        Ok(serde_json::to_writer(&mut *self.0, &value)?)
    }
    /// A value whose text is made of digits and the like.
    fn plain(&mut self, key: &'static str, value: impl Display) -> io::Result<()> {
        self.key(key);
        write!(self.0, "\"{value}\"")
    }
}

/// Writes the line of a call. Like all logging it fails silently.
pub(super) fn write(lines: &Gather, record: &CallRecord<'_>) {
    thread_local! {
        static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LINE.with_borrow_mut(|line| {
        line.clear();
        if tell(&mut Line(line), record).is_ok() {
            line.extend_from_slice(b"}\n");
            lines.put(line);
        }
    });
}

fn tell(line: &mut Line<'_>, record: &CallRecord<'_>) -> io::Result<()> {
    let entries = record.entries;
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    line.plain("timestamp", now)?;
    line.word("level", "INFO");
    line.word("message", "call");
    let id = record.request_id.and_then(|id| id.to_str().ok());
    line.value("request_id", id)?;
    line.word("dialect", record.dialect.as_str());
    line.word("tier", record.tier.map_or("direct", Tier::as_str));
    line.value("reason", entries.tier_reason.as_deref())?;
    line.value("tenant", entries.tenant.as_ref().map(Tenant::as_str))?;
    let target = record.target.map(ToString::to_string);
    line.value("target", target)?;
    if let Some(cache) = entries.cache {
        line.word("cache", CacheStatus::as_str(cache));
    }
    let compressed = Some(entries.compressed).filter(|tokens| *tokens > 0);
    line.value("compressed", compressed)?;
    line.word("outcome", record.outcome.as_str());
    line.value("status", record.status.map(|s| s.as_u16()))?;
    line.value("ms", Some(millis(record.total)))?;
    line.value("cost_usd", record.cost.map(|c| c.as_dollars()))?;
    line.value("baseline_usd", record.baseline.map(|b| b.as_dollars()))?;
    match entries.cascade.as_ref().filter(|c| !c.skipped) {
        Some(told) => cascade(line, told),
        None => Ok(()),
    }
}

fn cascade(line: &mut Line<'_>, told: &CascadeStatus) -> io::Result<()> {
    line.word("cascade", told.outcome());
    line.word("cascade_reason", told.reason);
    line.value("cascade_confidence", told.confidence)?;
    line.value("cascade_threshold", Some(told.threshold))?;
    if let Some((alpha, delta)) = told.certified {
        line.plain("cascade_certified", format_args!("{alpha}/{delta}"))?;
    }
    line.value("cascade_agreement", told.agreement)?;
    line.value("cascade_p_true", told.p_true)?;
    line.value("cascade_hedged", Some(told.hedged))?;
    line.value("small_ms", Some(millis(told.small)))?;
    line.value("big_ms", Some(millis(told.big)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_line_is_one_object_and_tells_nothing_of_what_there_was_none_of() {
        let mut bytes = Vec::new();
        let mut line = Line(&mut bytes);
        line.word("level", "INFO");
        line.value("reason", Some("two\nlines, \"quoted\""))
            .unwrap();
        line.value("tenant", None::<&str>).unwrap();
        let mut told = CascadeStatus::new(true, Some(0.875), 0.85, "confident");
        told.certified = Some((0.05, 0.1));
        cascade(&mut line, &told).unwrap();
        bytes.push(b'}');
        let read: Value = serde_json::from_slice(&bytes).unwrap();
        let expected = json!({
            "level": "INFO", "reason": "two\nlines, \"quoted\"", "cascade": "accepted", "cascade_reason": "confident",
            "cascade_confidence": 0.875, "cascade_threshold": 0.85, "cascade_certified": "0.05/0.1", "cascade_hedged": false,
            "small_ms": 0, "big_ms": 0,
        });
        assert_eq!(read, expected);
        assert!(!bytes.contains(&b'\n'));
    }
}
