//! `tierway replay`: what the calls in the ledger would have cost under another configuration.
use super::{
    WRONG,
    ledger::Source,
    usage::{dollars, table},
};
use crate::{
    config::{Flags, Strings, load},
    ledger::{Filter, Reader, Replay, Replayed},
};
use clap::Args;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};
use tierway_services::chat::Usd;

/// So many calls are read at a time.
const PIECE: usize = 1000;

/// Options of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The other configuration [otherwise: the one that `serve` would use, at today's prices]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The configuration whose ledger is read, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// From when on: an age such as 7d or 12h, a day such as 2026-11-25, or `all`
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    pub since: String,
    /// The seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Prints what the calls would have cost; a configuration that cannot be used gives exit code 2.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: &ReplayArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let (out, err) = (&mut io::stdout().lock(), &mut io::stderr().lock());
    match replayed(args, environment) {
        Ok(replayed) if args.json => {
            let json = serde_json::to_string(&replayed)?;
            writeln!(out, "{json}")?;
        }
        Ok(replayed) => write!(out, "{}", text(&args.since, &replayed))?,
        Err(what) => {
            writeln!(err, "tierway replay: {what}")?;
            return Ok(ExitCode::from(WRONG));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn replayed(args: &ReplayArgs, environment: &dyn Strings) -> Result<Replayed, String> {
    let flags = Flags {
        config: args.config.clone(),
        ..Flags::default()
    };
    let other = load(&flags, environment)
        .map_err(|problems| problems.render(false).to_string())?
        .config;
    let source = Source::find(args.ledger.as_ref(), environment)?;
    let filter = Filter {
        since: super::ledger::moment(&args.since)?,
        ..Filter::default()
    };
    let replay = source.ask(async |reader| read(&reader, &filter, Replay::new(&other)).await)?;
    Ok(replay.finish(args.seed))
}

async fn read(reader: &Reader, filter: &Filter, mut replay: Replay) -> sqlx::Result<Replay> {
    let mut after = String::new();
    loop {
        let rows = reader.next(filter, PIECE, &after).await?;
        let Some(last) = rows.last() else {
            return Ok(replay);
        };
        after = last.call.id.to_string();
        rows.iter().for_each(|row| replay.add(row));
    }
}

fn text(since: &str, replayed: &Replayed) -> String {
    if replayed.calls == 0 {
        return format!("no calls since {since} that can be priced\n");
    }
    let mut rows = vec![
        ["tier", "calls", "cost", "would cost", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    let usd = |amount: f64| dollars(Usd::from_dollars(amount));
    for tier in &replayed.tiers {
        rows.push(vec![
            tier.tier.clone(),
            tier.calls.to_string(),
            usd(tier.was),
            usd(tier.would_be),
            tier.target.clone(),
        ]);
    }
    let (was, would_be, ratio) = (replayed.was, replayed.would_be, replayed.ratio);
    let more = if ratio.value > 1.0 { "more" } else { "less" };
    let change = |ratio: f64| (ratio - 1.0) * 100.0;
    let mut text = table(&rows);
    text += &format!(
        "\n{} instead of {}: {:.1} % {more} ({:+.1} %; 95 %: {:+.1} to {:+.1} %), from {} conversations\n",
        usd(would_be.value),
        usd(was),
        change(ratio.value).abs(),
        change(ratio.value),
        change(ratio.low),
        change(ratio.high),
        replayed.conversations,
    );
    text += "assumed: the same tiers, and answers as long as those that were given\n";
    for (count, what) in [
        (
            replayed.guessed,
            "calls get a draft whose verdict nobody has seen: kept as often as others of their tier, or with any chance where there are none",
        ),
        (
            replayed.unpriced,
            "calls are left out, because a price is not known",
        ),
        (
            replayed.left_out,
            "calls are left out that did not end well: they cost what they cost",
        ),
    ] {
        if count > 0 {
            text += &format!("{count} {what}\n");
        }
    }
    text
}
