//! `tierway ledger`: exports what the ledger holds; and how all commands find it.
use super::WRONG;
use crate::{
    blocking::wait,
    config::{Flags, Strings, load},
    ledger::{Attempt, Call, Filter, Place, Reader, Row},
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// So many calls are read at a time.
const PIECE: usize = 1000;

/// Options of `ledger`.
#[derive(Args, Clone, Debug)]
pub struct LedgerArgs {
    /// What to do with it
    #[command(subcommand)]
    pub what: What,
}

/// What is done with the ledger.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Print every call, the oldest first
    ///
    /// Money is in picodollars (10^-12 USD), `at` in milliseconds since 1970 (UTC), times taken in microseconds, shares in millionths.
    Export(ExportArgs),
}

/// Options of `ledger export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// In which form
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: Format,
    /// With `csv`: the upstream calls instead
    #[arg(long)]
    pub attempts: bool,
    /// From when on: an age such as 7d or 12h, a day such as 2026-11-25, or `all`
    #[arg(long, value_name = "WHEN", default_value = "all")]
    pub since: String,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line, the upstream calls within.
    Jsonl,
    /// Comma-separated values.
    Csv,
}

/// The ledger that a configuration names.
pub(super) struct Source {
    place: Place,
    tenants: Vec<String>,
}

impl Source {
    /// The ledger of the configuration that `serve` would use.
    pub(super) fn find(file: Option<&PathBuf>, environment: &dyn Strings) -> Result<Self, String> {
        let flags = Flags {
            config: file.cloned(),
            ..Flags::default()
        };
        let loaded = load(&flags, environment);
        let config = loaded
            .map_err(|problems| problems.render(false).to_string())?
            .config;
        let place = config
            .ledger
            .place()
            .ok_or("there is no ledger: it is turned off, or has no folder (ledger.file)")?;
        if let Place::File(file) = &place
            && !file.exists()
        {
            return Err(format!(
                "there is no ledger yet at {}: the gateway begins it with its first start",
                file.display()
            ));
        }
        let tenants = config.keys.into_iter().map(|key| key.tenant).collect();
        Ok(Self { place, tenants })
    }

    /// Those who may have called: nobody in particular, or one of those that keys tell apart.
    pub(super) fn tenants(&self) -> Vec<Option<String>> {
        let mut tenants: Vec<Option<String>> = self.tenants.iter().cloned().map(Some).collect();
        tenants.sort();
        tenants.dedup();
        tenants.push(None);
        tenants
    }

    /// Asks the ledger.
    pub(super) fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(Reader) -> sqlx::Result<T>,
    ) -> Result<T, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let answer = wait(&runtime, async {
            let reader = Reader::open(&self.place).await?;
            ask(reader).await
        });
        answer.map_err(|error| format!("the ledger does not answer: {error}"))
    }
}

/// So long ago, in milliseconds since 1970.
pub(super) fn ago(age: Duration) -> Option<i64> {
    let at = SystemTime::now().checked_sub(age)?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// A time, in milliseconds since 1970; `None` for the beginning of all.
pub(super) fn moment(text: &str) -> Result<Option<i64>, String> {
    if text == "all" {
        return Ok(None);
    }
    let at = match humantime::parse_duration(text) {
        Ok(age) => SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH),
        Err(_) => humantime::parse_rfc3339_weak(text)
            .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")))
            .map_err(|_| format!("not a time: {text}: write 7d, 12h, 2026-11-25 or all"))?,
    };
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(i64::try_from(since.as_millis()).ok())
}

/// Does what is asked; a ledger that is not there gives exit code 2.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: &LedgerArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let What::Export(args) = &args.what;
    let exported = Source::find(args.config.as_ref(), environment).and_then(|source| {
        let filter = Filter {
            since: moment(&args.since)?,
            ..Filter::default()
        };
        source.ask(async |reader| {
            let mut out = io::BufWriter::new(io::stdout().lock());
            export(&reader, args, &filter, &mut out).await
        })
    });
    match exported {
        Ok(result) => result.map(|()| ExitCode::SUCCESS),
        Err(what) => {
            writeln!(io::stderr().lock(), "tierway ledger: {what}")?;
            Ok(ExitCode::from(WRONG))
        }
    }
}

/// The inner result is that of the writing.
async fn export(
    reader: &Reader,
    args: &ExportArgs,
    filter: &Filter,
    out: &mut dyn Write,
) -> sqlx::Result<io::Result<()>> {
    let columns = if args.attempts {
        Attempt::COLUMNS
    } else {
        Call::COLUMNS
    };
    let mut written = match args.format {
        Format::Csv => writeln!(out, "{}", columns.join(",")),
        Format::Jsonl => Ok(()),
    };
    let mut after = String::new();
    while written.is_ok() {
        let rows = reader.next(filter, PIECE, &after).await?;
        let Some(last) = rows.last() else { break };
        after = last.call.id.to_string();
        written = rows.iter().try_for_each(|row| put(row, args, columns, out));
    }
    Ok(written.and_then(|()| out.flush()))
}

fn put(row: &Row, args: &ExportArgs, columns: &[&str], out: &mut dyn Write) -> io::Result<()> {
    if args.format == Format::Jsonl {
        serde_json::to_writer(&mut *out, row)?;
        return writeln!(out);
    }
    let values = if args.attempts {
        row.attempts.iter().map(serde_json::to_value).collect()
    } else {
        vec![serde_json::to_value(&row.call)]
    };
    for value in values {
        let value = value?;
        let cells = columns.iter().map(|column| match value.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => cell(text),
            Some(other) => other.to_string(),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join(","))?;
    }
    Ok(())
}

/// A cell of comma-separated values (RFC 4180). A beginning that a spreadsheet would run as a formula is made text.
pub(super) fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(moment("all"), Ok(None));
        assert_eq!(moment("1970-01-02"), Ok(Some(86_400_000)));
        let (now, ago) = (
            moment("0s").unwrap().unwrap(),
            moment("7d").unwrap().unwrap(),
        );
        assert!((now - ago - 7 * 86_400_000).abs() < 1000);
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn cells() {
        assert_eq!(cell("a"), "a");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=1+1"), "'=1+1");
    }
}
