//! `tierway usage`: what was spent and saved, from the ledger.
use super::{WRONG, ledger::Source};
use crate::{
    config::Strings,
    ledger::{By, Filter, Group, Measured, Reader, measure},
};
use clap::Args;
use serde_json::json;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};
use tierway_layers::telemetry::{Extra, Saved};
use tierway_services::{chat::Usd, prices::PriceList};

/// How wide a bar is, in characters.
const BAR: usize = 24;
/// So many groups are shown to people; the others as one.
const SHOWN: usize = 20;

/// Options of `usage`.
#[derive(Args, Clone, Debug)]
pub struct UsageArgs {
    /// What sums are kept apart by
    #[arg(long, value_enum, default_value = "tier")]
    pub by: By,
    /// From when on: an age such as 7d or 12h, a day such as 2026-11-25, or `all`
    #[arg(long, value_name = "WHEN", default_value = "7d")]
    pub since: String,
    /// Until when
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only calls of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only calls of this conversation
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print a table of comma-separated values
    #[arg(long)]
    pub csv: bool,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What there is to tell.
struct Told {
    groups: Vec<Group>,
    total: Group,
    measured: Option<Measured>,
}

/// Prints what was spent and saved; a configuration that cannot be used, or one without a ledger, gives exit code 2.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: &UsageArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let (out, err) = (&mut io::stdout().lock(), &mut io::stderr().lock());
    usage(args, environment, out, err)
}

fn usage(
    args: &UsageArgs,
    environment: &dyn Strings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let told = Source::find(args.config.as_ref(), environment).and_then(|source| {
        let filter = Filter {
            since: super::ledger::moment(&args.since)?,
            until: match &args.until {
                Some(until) => super::ledger::moment(until)?,
                None => None,
            },
            tenant: args.tenant.clone(),
            session: args.session.clone(),
            ..Filter::default()
        };
        source.ask(async |reader| ask(&reader, args.by, &filter).await)
    });
    let told = match told {
        Ok(told) => told,
        Err(what) => {
            writeln!(err, "tierway usage: {what}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    if args.json {
        let object = json!({
            "by": by(args.by), "since": args.since, "until": args.until,
            "groups": told.groups, "total": told.total, "holdout": told.measured,
            "prices": PriceList::source(),
        });
        writeln!(out, "{object}")?;
    } else if args.csv {
        write!(out, "{}", csv(args.by, &told.groups))?;
    } else {
        write!(out, "{}", text(args.by, &args.since, &told))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(reader: &Reader, by: By, filter: &Filter) -> sqlx::Result<Told> {
    let units = reader.units(filter).await?;
    Ok(Told {
        groups: reader.usage(by, filter).await?,
        total: reader.total(filter).await?,
        measured: measure(&units),
    })
}

const fn by(by: By) -> &'static str {
    match by {
        By::Tier => "tier",
        By::Model => "model",
        By::Provider => "provider",
        By::Tenant => "tenant",
        By::Key => "key",
        By::Client => "client",
        By::Session => "session",
        By::Day => "day",
    }
}

fn csv(kind: By, groups: &[Group]) -> String {
    let mut head = [
        by(kind),
        "calls",
        "ok",
        "input",
        "output",
        "reasoning",
        "cache_read",
        "cache_write",
        "unpriced_tokens",
        "estimated_calls",
        "cost_usd",
        "baseline_usd",
    ]
    .join(",");
    for cause in Saved::ALL {
        head += &format!(",saved_{}_usd", cause.as_str());
    }
    for cause in Extra::ALL {
        head += &format!(",extra_{}_usd", cause.as_str());
    }
    let mut text = head + "\n";
    for group in groups {
        let mut cells = vec![super::ledger::cell(&group.key)];
        let counts = [
            group.calls,
            group.ok,
            group.input,
            group.output,
            group.reasoning,
            group.cache_read,
            group.cache_write,
            group.unpriced_tokens,
            group.estimated,
        ];
        cells.extend(counts.iter().map(ToString::to_string));
        let money = [group.cost, group.baseline].into_iter();
        let money = money.chain(group.saved).chain(group.extra);
        cells.extend(money.map(|usd| usd.to_string()));
        text += &(cells.join(",") + "\n");
    }
    text
}

// === for people ===

fn text(kind: By, since: &str, told: &Told) -> String {
    let total = &told.total;
    if total.calls == 0 && total.cost == Usd::ZERO {
        return format!("no calls since {since}\n");
    }
    let (shown, rest) = told.groups.split_at(told.groups.len().min(SHOWN));
    let mut groups = shown.to_vec();
    if let Some((first, more)) = rest.split_first() {
        let mut others = first.clone();
        more.iter().for_each(|group| others.add(group));
        others.key = format!("{} others", rest.len());
        groups.push(others);
    }
    let most = groups.iter().map(|g| g.cost.max(g.baseline)).max();
    let most = most.unwrap_or_default();
    let mut rows = vec![
        [
            by(kind),
            "calls",
            "input",
            "cached",
            "output",
            "cost",
            "baseline",
            "saved",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let row = |group: &Group, bar: bool| {
        let input = group.input + group.cache_read + group.cache_write;
        let key = if group.key.is_empty() {
            "-"
        } else {
            &group.key
        };
        vec![
            key.to_owned(),
            group.calls.to_string(),
            tokens(input),
            percent(group.cache_read, input),
            tokens(group.output),
            dollars(group.cost),
            dollars(group.baseline),
            share(group.net(), group.baseline),
            if bar {
                self::bar(group, most)
            } else {
                String::new()
            },
        ]
    };
    rows.extend(groups.iter().map(|group| row(group, true)));
    let mut all = total.clone();
    all.key = "all".to_owned();
    rows.push(row(&all, false));
    table(&rows) + &notes(told)
}

fn notes(told: &Told) -> String {
    let total = &told.total;
    let mut lines = vec![
        String::new(),
        "\u{2588} spent  \u{2591} saved".to_owned(),
        String::new(),
    ];
    let causes = |pairs: Vec<(&str, Usd)>| {
        let some = pairs.into_iter().filter(|(_, usd)| *usd > Usd::ZERO);
        let some: Vec<String> = some
            .map(|(cause, usd)| format!("{} {}", cause.replace('_', " "), dollars(usd)))
            .collect();
        some.join(", ")
    };
    let saved = causes(
        Saved::ALL
            .iter()
            .map(|c| c.as_str())
            .zip(total.saved)
            .collect(),
    );
    let extra = causes(
        Extra::ALL
            .iter()
            .map(|c| c.as_str())
            .zip(total.extra)
            .collect(),
    );
    lines.push(format!(
        "accounted: {} spent instead of {} ({})",
        dollars(total.cost),
        dollars(total.baseline),
        match share(total.net(), total.baseline) {
            none if none == "-" => "nothing to compare with".to_owned(),
            share => format!("{share} saved"),
        },
    ));
    if !saved.is_empty() {
        lines.push(format!("  saved by {saved}"));
    }
    if !extra.is_empty() {
        lines.push(format!("  spent on top: {extra}"));
    }
    lines.push(measured(told.measured.as_ref()));
    if total.unpriced_tokens > 0 {
        lines.push(format!(
            "{} tokens at prices that nobody knows, in no sum above: add them under [prices]",
            total.unpriced_tokens
        ));
    }
    if total.estimated > 0 {
        lines.push(format!(
            "{} calls whose tokens are an estimate, as the provider did not count",
            total.estimated
        ));
    }
    lines.join("\n") + "\n"
}

fn measured(measured: Option<&Measured>) -> String {
    let Some(measured) = measured else {
        return "measured: no hold-out (savings.holdout)".to_owned();
    };
    let (ours, held) = (measured.gateway, measured.held_out);
    match (measured.share, measured.saved) {
        (Some(share), Some(saved)) => format!(
            "measured: {:.1} % saved (95 %: {:.1} to {:.1}), ${:.2} (95 %: {:.2} to {:.2}), from {held} conversations held out against {ours}",
            share.value * 100.0,
            share.low * 100.0,
            share.high * 100.0,
            saved.value,
            saved.low,
            saved.high,
        ),
        _ => {
            format!("measured: too few conversations for an interval ({held} held out, {ours} not)")
        }
    }
}

/// What was spent, and after it what was saved; as long as the dearest is wide.
fn bar(group: &Group, most: Usd) -> String {
    let width = |usd: Usd| {
        if most == Usd::ZERO {
            return 0;
        }
        let share = usd.as_dollars() / most.as_dollars();
        let width = (share * BAR as f64).round();
        (0..=BAR).find(|n| *n as f64 >= width).unwrap_or(BAR)
    };
    let spent = width(group.cost);
    let saved = width(group.baseline).saturating_sub(spent);
    "\u{2588}".repeat(spent) + &"\u{2591}".repeat(saved)
}

fn tokens(count: i64) -> String {
    let count = count as f64;
    match count {
        n if n >= 1e9 => format!("{:.1}G", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// Two digits from a dollar on, and as many below as tell something.
pub(super) fn dollars(usd: Usd) -> String {
    let dollars = usd.as_dollars();
    match dollars.abs() {
        0.0 => "$0".to_owned(),
        d if d >= 1.0 => format!("${dollars:.2}"),
        d if d >= 0.01 => format!("${dollars:.3}"),
        _ => format!("${dollars:.6}"),
    }
}

fn share(part: Usd, all: Usd) -> String {
    if all == Usd::ZERO {
        return "-".to_owned();
    }
    format!("{:.1} %", part.as_dollars() / all.as_dollars() * 100.0)
}

fn percent(part: i64, all: i64) -> String {
    if all == 0 {
        return "-".to_owned();
    }
    format!("{:.0} %", part as f64 / all as f64 * 100.0)
}

/// Columns aligned: the first and the last to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(n, (cell, width))| {
                if n == 0 || n + 1 == columns {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        let cells: Vec<String> = cells.collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Estimate;

    fn group(key: &str, cost: f64, baseline: f64) -> Group {
        let saved = Usd::from_dollars((baseline - cost).max(0.0));
        let extra = Usd::from_dollars((cost - baseline).max(0.0));
        Group {
            key: key.to_owned(),
            calls: 12,
            ok: 11,
            input: 1500,
            cache_read: 4500,
            output: 34_567,
            cost: Usd::from_dollars(cost),
            baseline: Usd::from_dollars(baseline),
            saved: [saved, Usd::ZERO, Usd::ZERO, Usd::ZERO, Usd::ZERO],
            extra: [Usd::ZERO, extra, Usd::ZERO, Usd::ZERO],
            ..Group::default()
        }
    }

    fn told() -> Told {
        let groups = vec![
            group("complex", 3.0, 4.5),
            group("simple", 0.02, 2.0),
            group("", 0.0003, 0.0),
        ];
        let mut total = Group::default();
        groups.iter().for_each(|group| total.add(group));
        total.unpriced_tokens = 77;
        Told {
            groups,
            total,
            measured: None,
        }
    }

    #[test]
    fn for_people() {
        let mut told = told();
        insta::assert_snapshot!("usage", text(By::Tier, "7d", &told));
        let estimate = |value, low, high| Some(Estimate { value, low, high });
        told.measured = Some(Measured {
            gateway: 900,
            held_out: 100,
            gateway_mean: 0.4,
            held_out_mean: 1.0,
            share: estimate(0.6, 0.5, 0.68),
            saved: estimate(540.0, 400.0, 680.0),
        });
        assert!(text(By::Tier, "7d", &told).contains(
            "measured: 60.0 % saved (95 %: 50.0 to 68.0), $540.00 (95 %: 400.00 to 680.00), from 100 conversations held out against 900"
        ));
        told.total = Group::default();
        assert_eq!(text(By::Tier, "7d", &told), "no calls since 7d\n");
    }

    #[test]
    fn for_programs() {
        let csv = csv(By::Tier, &told().groups);
        let mut lines = csv.lines();
        let head: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!((head[0], head[10], head.len()), ("tier", "cost_usd", 21));
        let first: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(
            (first[0], first[10], first.len()),
            ("complex", "3.000000000000", 21)
        );
    }

    #[test]
    fn many_groups_are_cut_and_nothing_is_lost() {
        let groups: Vec<Group> = (0..50).map(|n| group(&format!("s{n}"), 1.0, 2.0)).collect();
        let mut total = Group::default();
        groups.iter().for_each(|group| total.add(group));
        let told = Told {
            groups,
            total,
            measured: None,
        };
        let text = text(By::Session, "7d", &told);
        assert!(text.contains("\n30 others "), "{text}");
    }
}
