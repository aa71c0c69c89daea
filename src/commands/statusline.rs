//! `tierway statusline`: one line for the foot of Claude Code's screen.
//!
//! Whatever happens there is a line, the exit code is 0, and nothing is waited for longer than `PATIENCE`: a status line must never be
//! in anybody's way.
use super::{ledger::Source, usage::dollars};
use crate::{
    config::Strings,
    ledger::{Filter, Group, Reader, Row},
};
use bytes::Bytes;
use clap::Args;
use http::HeaderValue;
use serde::Deserialize;
use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};
use tierway_layers::classify;
use tierway_services::{
    chat::{Notes, Operation, Prompt, Request, Tenant, Usd},
    dialect::Dialect,
};

/// How long the ledger may take.
const PATIENCE: Duration = Duration::from_millis(300);
/// The most that is read of what Claude Code tells.
const MOST: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Options of `statusline`.
#[derive(Args, Clone, Debug, Default)]
pub struct StatuslineArgs {
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What Claude Code tells, as far as it is of use here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    session_id: Option<String>,
    model: Model,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Model {
    display_name: Option<String>,
}

/// What the ledger knows of it.
#[derive(Debug, Default, PartialEq)]
struct Known {
    last: Option<(String, String)>,
    session: Option<Group>,
    day: Group,
}

/// Prints the line.
///
/// # Errors
/// Never for a fault of the ledger's; only where the output cannot be written.
pub fn run(args: &StatuslineArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MOST).read_to_string(&mut text);
    let told: Told = read
        .ok()
        .and_then(|_| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let known = Source::find(args.config.as_ref(), environment)
        .ok()
        .and_then(|source| in_time(source, &told));
    // A reader that is gone is no fault either.
    let _ = writeln!(io::stdout().lock(), "{}", line(&told, known.as_ref()));
    Ok(ExitCode::SUCCESS)
}

/// The answer, if it comes in time. The thread is left behind where it does not: the process ends.
fn in_time(source: Source, told: &Told) -> Option<Known> {
    let sessions = told.session_id.as_deref().map_or_else(Vec::new, |id| {
        source
            .tenants()
            .into_iter()
            .filter_map(|tenant| session(id, tenant.as_deref()))
            .collect()
    });
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let known = source.ask(async |reader| ask(&reader, &sessions).await);
        let _ = sender.send(known.ok());
    });
    receiver.recv_timeout(PATIENCE).ok().flatten()
}

async fn ask(reader: &Reader, sessions: &[String]) -> sqlx::Result<Known> {
    let since = super::ledger::ago(DAY);
    let day = Filter {
        since,
        ..Filter::default()
    };
    let mut known = Known {
        day: reader.total(&day).await?,
        ..Known::default()
    };
    for session in sessions {
        let filter = Filter {
            session: Some(session.clone()),
            ..Filter::default()
        };
        let sums = reader.total(&filter).await?;
        if sums.calls > 0 {
            let last = reader.calls(&filter, 1, None).await?;
            known.last = last.first().map(|Row { call, .. }| {
                let model = format!("{}:{}", call.provider, call.model);
                (call.tier.to_string(), model)
            });
            known.session = Some(sums);
            break;
        }
    }
    Ok(known)
}

/// The name under which the gateway knows a session of Claude Code's.
fn session(id: &str, tenant: Option<&str>) -> Option<String> {
    let body =
        Bytes::from_static(br#"{"model":"auto","messages":[{"role":"user","content":"-"}]}"#);
    let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body).ok()?;
    let mut req = Request::new(prompt);
    let id = HeaderValue::from_str(id).ok()?;
    req.headers_mut().insert("x-claude-code-session-id", id);
    if let Some(tenant) = tenant {
        Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
    }
    Some(classify::session(&req)?.to_string())
}

fn line(told: &Told, known: Option<&Known>) -> String {
    let mut parts = Vec::new();
    match known.and_then(|known| known.last.as_ref()) {
        Some((tier, model)) => parts.push(format!("{tier} \u{2192} {model}")),
        None => parts.extend(told.model.display_name.clone()),
    }
    if let Some(sums) = known.and_then(|known| known.session.as_ref()) {
        let net = sums.net();
        let saved = match net {
            net if net > Usd::ZERO => format!(" ({} saved)", dollars(net)),
            _ => String::new(),
        };
        parts.push(format!("session {}{saved}", dollars(sums.cost)));
        let input = sums.input + sums.cache_read + sums.cache_write;
        if sums.cache_read > 0 && input > 0 {
            parts.push(format!("cached {} %", sums.cache_read * 100 / input));
        }
        if sums.unpriced_tokens > 0 {
            parts.push(format!("{} tokens unpriced", sums.unpriced_tokens));
        }
    }
    if let Some(known) = known {
        parts.push(format!("24 h {}", dollars(known.day.cost)));
    }
    // What a caller named is no control character, and no second line.
    let text = format!("tierway \u{00b7} {}", parts.join(" \u{00b7} "));
    let text = text.trim_end_matches([' ', '\u{00b7}']);
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_line() {
        let told: Told = serde_json::from_str(
            r#"{"session_id":"x","model":{"display_name":"Opus\n5"},"more":1}"#,
        )
        .unwrap();
        assert_eq!(line(&told, None), "tierway \u{00b7} Opus5");
        assert_eq!(line(&Told::default(), None), "tierway");
        let sums = Group {
            calls: 3,
            input: 100,
            cache_read: 300,
            cost: Usd::from_dollars(0.123),
            saved: [
                Usd::from_dollars(0.3),
                Usd::ZERO,
                Usd::ZERO,
                Usd::ZERO,
                Usd::ZERO,
            ],
            ..Group::default()
        };
        let known = Known {
            last: Some(("complex".into(), "cloud:big".into())),
            day: sums.clone(),
            session: Some(sums),
        };
        assert_eq!(
            line(&told, Some(&known)),
            "tierway \u{00b7} complex \u{2192} cloud:big \u{00b7} session $0.123 ($0.300 saved) \u{00b7} cached 75 % \u{00b7} 24 h $0.123"
        );
    }

    #[test]
    fn a_session_has_the_name_that_the_gateway_gives_it() {
        let (anybody, alice) = (
            session("abc", None).unwrap(),
            session("abc", Some("alice")).unwrap(),
        );
        assert_eq!(anybody.len(), 32);
        assert_ne!(anybody, alice);
        assert_eq!(session("abc", None), Some(anybody));
    }
}
