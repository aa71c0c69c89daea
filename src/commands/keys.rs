//! `tierway keys`: makes, lists, changes, rotates and revokes virtual keys, beside a running gateway or without one.
use super::{WRONG, configuration};
use crate::{
    access::{self, Amendment, Pepper, Quota, Record, Store, Terms},
    blocking::wait,
    config::{Config, Strings},
    ledger::Place,
    stack,
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What lifts a limit.
const NONE: &str = "none";

/// Options of `keys`.
#[derive(Args, Clone, Debug)]
pub struct KeysArgs {
    /// What to do with them
    #[command(subcommand)]
    pub what: What,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What is done with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Make a key, and print it: it is shown this once
    Create(Box<CreateArgs>),
    /// List the keys, without their secrets
    List,
    /// Tell all about one key, but its secret
    Show {
        /// Its name, as `list` shows it
        id: String,
    },
    /// Change what a key may use; its secret stays, and what is not named
    Set(Box<SetArgs>),
    /// Exchange a key's secret for another one, and print that
    Rotate {
        /// Its name, as `list` shows it
        id: String,
        /// How long the old secret admits still
        #[arg(long, value_name = "TIME", default_value = "0s")]
        grace: humantime::Duration,
    },
    /// End a key, for ever and within a second
    Revoke {
        /// Its name, as `list` shows it
        id: String,
    },
    /// Read a password from standard input and print its hash, for `sign_in.users.NAME.password_hash`
    Password,
}

/// Options of `keys create`.
#[derive(Args, Clone, Debug)]
pub struct CreateArgs {
    /// For whom it calls
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// For people to recognise it by
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// A tier that it may use; may be given several times [otherwise: all]
    #[arg(long, value_name = "TIER")]
    pub tier: Vec<String>,
    /// A model that it may use, as provider:model with * for anything; may be given several times [otherwise: all]
    #[arg(long, value_name = "PATTERN")]
    pub model: Vec<String>,
    /// The most requests within any minute
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u64>,
    /// The most tokens within any minute
    #[arg(long, value_name = "N")]
    pub tokens_per_minute: Option<u64>,
    /// The most requests at a time
    #[arg(long, value_name = "N")]
    pub concurrent: Option<u32>,
    /// The most US dollars a day (UTC)
    #[arg(long, value_name = "USD")]
    pub usd_per_day: Option<f64>,
    /// The most a month (UTC)
    #[arg(long, value_name = "USD")]
    pub usd_per_month: Option<f64>,
    /// The most in all
    #[arg(long, value_name = "USD")]
    pub usd_total: Option<f64>,
    /// A word for the ledger, such as team:web; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub tag: Vec<String>,
    /// When it stops to admit: an age such as 90d, or a day such as 2027-01-31
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
}

/// Options of `keys set`. Each takes `none` for what is to be limited no more.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// Its name, as `list` shows it
    pub id: String,
    /// For people to recognise it by
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The tiers that it may use, with commas between, or none for all
    #[arg(long, value_name = "TIERS")]
    pub tiers: Option<String>,
    /// The models that it may use, as patterns with commas between, or none for all
    #[arg(long, value_name = "PATTERNS")]
    pub models: Option<String>,
    /// The most requests within any minute
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<String>,
    /// The most tokens within any minute
    #[arg(long, value_name = "N")]
    pub tokens_per_minute: Option<String>,
    /// The most requests at a time
    #[arg(long, value_name = "N")]
    pub concurrent: Option<String>,
    /// The most US dollars a day (UTC)
    #[arg(long, value_name = "USD")]
    pub usd_per_day: Option<String>,
    /// The most a month (UTC)
    #[arg(long, value_name = "USD")]
    pub usd_per_month: Option<String>,
    /// The most in all
    #[arg(long, value_name = "USD")]
    pub usd_total: Option<String>,
    /// Words for the ledger, with commas between
    #[arg(long, value_name = "TEXTS")]
    pub tags: Option<String>,
    /// When it stops to admit: an age such as 90d, or a day such as 2027-01-31
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
}

/// Does what is asked; keys that are not there give exit code 2.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: &KeysArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    let told = if matches!(args.what, What::Password) {
        password()
    } else {
        let config = match configuration(args.config.as_ref(), environment, &mut err)? {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        wait(&runtime, act(args, &config))
    };
    match told {
        Ok((text, note)) => {
            writeln!(out, "{}", text.trim_end())?;
            if !note.is_empty() {
                writeln!(err, "{note}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(what) => {
            writeln!(err, "tierway keys: {what}")?;
            Ok(ExitCode::from(WRONG))
        }
    }
}

/// What is printed, and what is said beside it.
type Told = Result<(String, String), String>;

async fn act(args: &KeysArgs, config: &Config) -> Told {
    let place = config.access.place(&config.ledger);
    let place = place.ok_or("there is no place for keys: no folder for them (access.file)")?;
    let away = |error: sqlx::Error| format!("the keys cannot be reached: {error}");
    if let Place::File(file) = &place
        && !matches!(args.what, What::Create(_))
        && !file.exists()
    {
        return match args.what {
            What::List => Ok((list(&[], args.json), String::new())),
            _ => Err("there are no keys yet: tierway keys create --tenant NAME".to_owned()),
        };
    }
    let store = Store::open(&place).await.map_err(away)?;
    let pepper = Pepper::new(config.access.pepper.as_ref());
    let nobody = |id: &str| format!("there is no key {id} to do this with: see tierway keys list");
    let told = match &args.what {
        What::Create(wanted) => {
            let expires = wanted.expires.as_deref().map(later).transpose()?;
            let fresh = access::create(&store, &pepper, &wanted.terms(), expires).await?;
            let record = store.get(&fresh.id).await.map_err(away)?;
            once(args, &fresh.key, record, config)
        }
        What::Rotate { id, grace } => {
            let fresh = access::rotate(&store, &pepper, id, **grace).await?;
            let fresh = fresh.ok_or_else(|| nobody(id))?;
            let record = store.get(id).await.map_err(away)?;
            once(args, &fresh.key, record, config)
        }
        What::Set(wanted) => {
            let with = wanted.amendment()?;
            if !access::amend(&store, &wanted.id, &with).await? {
                return Err(nobody(&wanted.id));
            }
            let record = store.get(&wanted.id).await.map_err(away)?;
            (pretty(&record)?, String::new())
        }
        What::Revoke { id } => {
            if !store.revoke(id).await.map_err(away)? {
                return Err(nobody(id));
            }
            (format!("{id} is revoked"), String::new())
        }
        What::List => {
            let all = store.all().await.map_err(away)?;
            return Ok((list(&all, args.json), String::new()));
        }
        What::Show { id } => {
            let record = store.get(id).await.map_err(away)?;
            let record = record.ok_or_else(|| nobody(id))?;
            return Ok((pretty(&record)?, String::new()));
        }
        What::Password => return Err("nothing to do".to_owned()),
    };
    if let Some(redis) = stack::redis(&config.redis) {
        access::tell(&redis).await;
    }
    Ok(told)
}

fn once(args: &KeysArgs, key: &str, record: Option<Record>, config: &Config) -> (String, String) {
    let mut note = "this is the only time that the key is shown".to_owned();
    if !config.is_closed() {
        note +=
            "\nnote: callers without a key are admitted too; access.required = true changes that";
    }
    if !args.json {
        return (key.to_owned(), note);
    }
    let mut value = serde_json::json!(record);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("key".to_owned(), key.into());
    }
    (value.to_string(), String::new())
}

fn pretty(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

fn list(all: &[Record], json: bool) -> String {
    if json {
        return pretty(&all).unwrap_or_default();
    }
    if all.is_empty() {
        return "no keys: tierway keys create --tenant NAME".to_owned();
    }
    let state = |record: &Record| match (record.revoked, record.expires) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) if at <= access::now() => "expired".to_owned(),
        (None, Some(at)) => format!("until {}", day(at)),
        (None, None) => "valid".to_owned(),
    };
    let row = |record: &Record| {
        let used = record.last_used.map_or_else(|| "never".to_owned(), day);
        [
            record.id.clone(),
            record.terms.tenant.clone(),
            state(record),
            day(record.created),
            used,
            record.terms.name.clone().unwrap_or_default(),
        ]
    };
    let head = ["id", "tenant", "state", "created", "last used", "name"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(all.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn day(at: i64) -> String {
    let since = Duration::from_millis(u64::try_from(at).unwrap_or_default());
    let mut text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    text.truncate(10);
    text
}

/// A moment to come, in milliseconds since 1970.
fn later(text: &str) -> Result<i64, String> {
    let at = match humantime::parse_duration(text) {
        Ok(age) => SystemTime::now().checked_add(age),
        Err(_) => humantime::parse_rfc3339_weak(text)
            .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")))
            .ok(),
    };
    let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    match ms {
        Some(ms) if ms > access::now() => Ok(ms),
        Some(_) => Err(format!("{text} is past")),
        None => Err(format!("not a time: {text}: write 90d, or 2027-01-31")),
    }
}

fn password() -> Told {
    let mut text = String::new();
    io::stdin()
        .take(1 << 12)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().count() < 8 {
        return Err("write a password of at least 8 characters to standard input".to_owned());
    }
    Ok((access::hash_password(text)?, String::new()))
}

impl CreateArgs {
    fn terms(&self) -> Terms {
        let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        Terms {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            tiers: some(&self.tier),
            models: some(&self.model),
            limits: Quota {
                requests_per_minute: self.requests_per_minute,
                tokens_per_minute: self.tokens_per_minute,
                concurrent: self.concurrent,
                usd_per_day: self.usd_per_day,
                usd_per_month: self.usd_per_month,
                usd_total: self.usd_total,
            },
            tags: self.tag.clone(),
        }
    }
}

impl SetArgs {
    fn amendment(&self) -> Result<Amendment, String> {
        let number =
            |text: &str| serde_json::from_str::<serde_json::Number>(text).map(Value::Number);
        let list = |text: &str| Value::from_iter(text.split(',').map(str::trim));
        let (mut terms, mut limits) = (Map::new(), Map::new());
        if let Some(name) = &self.name {
            terms.insert("name".to_owned(), or_none(name, |text| text.into()));
        }
        for (name, given) in [
            ("tiers", &self.tiers),
            ("models", &self.models),
            ("tags", &self.tags),
        ] {
            if let Some(given) = given {
                terms.insert(name.to_owned(), or_none(given, list));
            }
        }
        for (name, given) in [
            ("requests_per_minute", &self.requests_per_minute),
            ("tokens_per_minute", &self.tokens_per_minute),
            ("concurrent", &self.concurrent),
            ("usd_per_day", &self.usd_per_day),
            ("usd_per_month", &self.usd_per_month),
            ("usd_total", &self.usd_total),
        ] {
            let Some(given) = given else { continue };
            let value = match given.as_str() {
                NONE => Value::Null,
                text => number(text).map_err(|_| format!("{text} is no number, nor none"))?,
            };
            limits.insert(name.to_owned(), value);
        }
        if !limits.is_empty() {
            terms.insert("limits".to_owned(), limits.into());
        }
        let expires = match self.expires.as_deref() {
            None => None,
            Some(NONE) => Some(None),
            Some(text) => Some(Some(later(text)?)),
        };
        if terms.is_empty() && expires.is_none() {
            return Err("nothing to change: see tierway keys set --help".to_owned());
        }
        Ok(Amendment { terms, expires })
    }
}

fn or_none(text: &str, value: impl FnOnce(&str) -> Value) -> Value {
    match text {
        NONE => Value::Null,
        text => value(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come() {
        assert!(later("90d").unwrap() > access::now());
        assert!(later("2999-01-31").unwrap() > later("90d").unwrap());
        for wrong in ["2001-01-01", "0s", "soon", ""] {
            assert!(later(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_to_list() {
        assert!(list(&[], false).contains("keys create"));
        assert_eq!(list(&[], true), "[]");
    }
}
