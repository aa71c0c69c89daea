//! What each kind of value looks like when typed, and what to write where it does not.
mod breakpoints;
mod cascade;
mod limits;
mod mcp;

pub(super) use cascade::{Dollars, Samples};

use super::{
    settings::{CacheStore, LogFormat, Route, SharedBy},
    shape::closest,
    typed::{Complaint, Read},
};
use bytesize::ByteSize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tierway_layers::cascade::StreamMode;
use tierway_layers::classify::{Class, ClientKind};
use tierway_services::{
    chat::{Target, Tier, Usd},
    providers::{AuthStyle, Kind, Secret},
    translate::{MaxTokensField, Reasoning},
};
use toml::Value;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);
/// A duration that may be none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause(pub(super) Duration);
/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(pub(super) f64);
/// A whole number above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);
/// An address of a provider, cut back to its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(pub(super) String);
/// A filter for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLevel(pub(super) String);
/// A number that is not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio(pub(super) f64);
/// One model or several, none of them twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Targets(pub(super) Vec<Target>);
/// A number of turns, which may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turns(pub(super) u32);

impl Read for String {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value {
            Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
            Value::String(_) => Err(Complaint::new("is empty", "write a text or leave it out")),
            _ => Err(Complaint::new(
                "is not a text",
                "write a text between quotes",
            )),
        }
    }
}

impl Read for PathBuf {
    fn read(value: &Value) -> Result<Self, Complaint> {
        String::read(value).map(Self::from)
    }
}

impl Read for Secret {
    fn read(value: &Value) -> Result<Self, Complaint> {
        String::read(value).map(Self::new)
    }
}

impl Read for SocketAddr {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let address = value.as_str().and_then(|text| {
            // The one name whose address needs no look-up.
            let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
            numeric.parse().ok()
        });
        address.ok_or_else(|| {
            Complaint::new(
                "is not an address with a port",
                r#"write for example "127.0.0.1:8787""#,
            )
        })
    }
}

impl Read for bool {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let complaint = || {
            Complaint::new(
                "is not true or false",
                "write true or false, without quotes",
            )
        };
        value.as_bool().ok_or_else(complaint)
    }

    fn read_text(text: &str) -> Result<Self, Complaint> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Complaint::new(
                "is not true or false",
                "write true or false",
            )),
        }
    }
}

impl Read for Size {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let size = match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::String(text) => text.parse().ok().map(|ByteSize(bytes)| bytes),
            _ => None,
        };
        match size {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(Complaint::new(
                "is not a size",
                r#"write for example "32MiB", "64KB", or a number of bytes"#,
            )),
        }
    }
}

impl Read for Duration {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let duration = value
            .as_str()
            .and_then(|text| humantime::parse_duration(text).ok());
        match duration {
            Some(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(Complaint::new(
                "is not a duration",
                r#"write a number with its unit, for example "30s", "5m" or "250ms""#,
            )),
        }
    }
}

impl Read for Pause {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let none = value
            .as_str()
            .and_then(|text| humantime::parse_duration(text).ok())
            .filter(Duration::is_zero);
        none.map_or_else(|| Duration::read(value), Ok).map(Self)
    }
}

impl Read for Count {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let count = value.as_integer().and_then(|n| usize::try_from(n).ok());
        match count {
            Some(n) if n > 0 => Ok(Self(n)),
            _ => Err(Complaint::new(
                "is not a whole number above 0",
                "write for example 1000",
            )),
        }
    }
}

impl Read for Share {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match number(value) {
            Some(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(Complaint::new(
                "is not a number from 0 to 1",
                "write for example 0.85",
            )),
        }
    }
}

impl Read for Usd {
    fn read(value: &Value) -> Result<Self, Complaint> {
        // No model costs a dollar a token; a number beyond that is a price of something else.
        match number(value) {
            Some(price) if (0.0..=1e6).contains(&price) => Ok(Self::per_million(price)),
            _ => Err(Complaint::new(
                "is not a price",
                "write US dollars for a million tokens, for example 0.15",
            )),
        }
    }
}

impl Read for Target {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let target = value.as_str().and_then(|text| text.parse().ok());
        target.ok_or_else(|| {
            Complaint::new(
                "is not a target",
                r#"write "provider:model", for example "ollama:qwen2.5:3b""#,
            )
        })
    }
}

impl Read for Targets {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value {
            Value::Array(_) => list(value, Target::read).map(Self).ok_or_else(|| {
                Complaint::new(
                    "is not a list of targets",
                    r#"write for example ["cloud:big", "other:big"], the one to ask first at the front"#,
                )
            }),
            one => Target::read(one).map(|target| Self(vec![target])),
        }
    }
}

impl Read for Tier {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let tier = value.as_str().and_then(|text| text.parse().ok());
        tier.ok_or_else(|| {
            Complaint::new(
                "is not a tier",
                r#"write "simple", "medium", "complex" or "reasoning""#,
            )
        })
    }
}

impl Read for Vec<Tier> {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let tiers: Option<Self> = value
            .as_array()
            .and_then(|list| list.iter().map(|item| Tier::read(item).ok()).collect());
        match tiers {
            Some(tiers) if !tiers.is_empty() => Ok(tiers),
            _ => Err(Complaint::new(
                "is not a list of tiers",
                r#"write for example ["medium", "complex"], out of simple, medium, complex and reasoning"#,
            )),
        }
    }
}

impl Read for Vec<String> {
    fn read(value: &Value) -> Result<Self, Complaint> {
        list(value, String::read).ok_or_else(|| {
            Complaint::new(
                "is not a list of texts",
                r#"write for example ["one", "another"], at least one and none empty"#,
            )
        })
    }
}

impl Read for Vec<ClientKind> {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let all = ClientKind::ALL.iter().map(|kind| kind.as_str());
        words(value, ClientKind::named)
            .ok_or_else(|| Complaint::new("is not a list of clients", out_of(all)))
    }
}

impl Read for Vec<Class> {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let all = Class::ALL.iter().map(|class| class.as_str());
        words(value, Class::named)
            .ok_or_else(|| Complaint::new("is not a list of classes", out_of(all)))
    }
}

impl Read for Route {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let route = value.as_str().and_then(|text| {
            if text == "auto" {
                return Some(Self::Auto);
            }
            let tier = text.parse().map(Self::Tier).ok();
            tier.or_else(|| text.parse().map(Self::Target).ok())
        });
        route.ok_or_else(|| {
            Complaint::new(
                "leads nowhere",
                r#"write "auto", a tier such as "simple", or "provider:model""#,
            )
        })
    }
}

impl Read for Kind {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let text = value.as_str().unwrap_or_default();
        text.parse().map_err(|_| {
            let all = || Self::ALL.iter().map(|kind| kind.as_str());
            let advice = match closest(text, all()) {
                Some(close) => format!("write \"{close}\""),
                None => format!("write one of {}", all().collect::<Vec<_>>().join(", ")),
            };
            Complaint::new("is not a kind of provider", advice)
        })
    }
}

impl Read for AuthStyle {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let style = value.as_str().and_then(|text| text.parse().ok());
        style.ok_or_else(|| {
            Complaint::new(
                "is not a way to send a key",
                r#"write "bearer", "api-key" or "x-api-key""#,
            )
        })
    }
}

impl Read for MaxTokensField {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let all = [Self::MaxTokens, Self::MaxCompletionTokens];
        let field = all.into_iter().find(|f| value.as_str() == Some(f.as_str()));
        field.ok_or_else(|| {
            Complaint::new(
                "is not a field for the limit on output",
                r#"write "max_tokens" or "max_completion_tokens""#,
            )
        })
    }
}

impl Read for Reasoning {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let reasoning = value.as_str().and_then(|text| text.parse().ok());
        reasoning.ok_or_else(|| {
            Complaint::new(
                "is not a way to ask for thinking",
                r#"write "none", "effort" (a word) or "budget" (a number of tokens)"#,
            )
        })
    }
}

impl Read for BaseUrl {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value {
            Value::String(text) => super::base_url::cut(text).map(Self),
            _ => Err(Complaint::new(
                "is not a URL",
                r#"write for example "http://127.0.0.1:8080""#,
            )),
        }
    }
}

impl Read for SharedBy {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("memory") => Ok(Self::Memory),
            Some("redis") => Ok(Self::Redis),
            _ => Err(Complaint::new(
                "is not a store",
                r#"write "memory" or "redis""#,
            )),
        }
    }
}

impl Read for CacheStore {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("memory") => Ok(Self::Memory),
            Some("disk") => Ok(Self::Disk),
            Some("redis") => Ok(Self::Redis),
            _ => Err(Complaint::new(
                "is not a cache's store",
                r#"write "memory", "disk" or "redis""#,
            )),
        }
    }
}

impl Read for LogFormat {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("auto") => Ok(Self::Auto),
            Some("human") => Ok(Self::Human),
            Some("json") => Ok(Self::Json),
            _ => Err(Complaint::new(
                "is not a log format",
                r#"write "auto", "human" or "json""#,
            )),
        }
    }
}

impl Read for LogLevel {
    fn read(value: &Value) -> Result<Self, Complaint> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
        // Either a level, or directives as the environment filter of the `tracing` crates reads them: `info,tierway=debug`.
        let fits = |text: &&str| {
            !text.is_empty()
                && text.split(',').all(|directive| {
                    let level = directive
                        .rsplit_once('=')
                        .map_or(directive, |(_, level)| level);
                    is_level(level.trim())
                })
        };
        value
            .as_str()
            .filter(fits)
            .map(|text| Self(text.to_owned()))
            .ok_or_else(|| {
                Complaint::new(
                    "is not a log level",
                    r#"write "error", "warn", "info", "debug" or "trace", or a list such as "info,tierway=debug""#,
                )
            })
    }
}

impl Read for StreamMode {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let mode = match value {
            Value::Boolean(on) => Some(Self::from(*on)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        mode.ok_or_else(|| {
            Complaint::new(
                "is not a mode for streams",
                r#"write "off", "buffer", "prefix" or "hedged""#,
            )
        })
    }
}

impl Read for Ratio {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match number(value) {
            Some(ratio) if ratio >= 0.0 && ratio.is_finite() => Ok(Self(ratio)),
            _ => Err(Complaint::new(
                "is not a ratio of prices",
                "write for example 0.5",
            )),
        }
    }
}

/// A list with something in it, all of which reads.
fn list<T>(value: &Value, read: impl Fn(&Value) -> Result<T, Complaint>) -> Option<Vec<T>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(|item| read(item).ok()).collect()
}

/// A list of words that are names.
fn words<T>(value: &Value, named: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let unknown = || Complaint::new("", "");
    list(value, |item| {
        item.as_str().and_then(&named).ok_or_else(unknown)
    })
}

fn out_of<'a>(all: impl Iterator<Item = &'a str>) -> String {
    format!("write a list out of {}", all.collect::<Vec<_>>().join(", "))
}

impl Read for Turns {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let turns = value.as_integer().and_then(|n| u32::try_from(n).ok());
        turns.map(Self).ok_or_else(|| {
            Complaint::new(
                "is not a number of turns",
                "write for example 3, or 0 for none",
            )
        })
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers that large are refused by every caller"
        )]
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}
