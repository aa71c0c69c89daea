//! Sums over calls, exact.
use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};
use std::time::{Duration, SystemTime};
use tierway_layers::telemetry::{Extra, Saved};
use tierway_services::chat::Usd;

/// Sums over calls. With [`By::Model`](super::By::Model) and [`By::Provider`](super::By::Provider), tokens and cost are those of the upstream calls that this model or provider
/// got, whoever gave the answer; all else is that of the calls that it answered, so `baseline + extra = cost + saved` holds over all groups
/// together, and in the others in each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common; empty where that is not known.
    pub key: String,
    /// How many calls.
    pub calls: i64,
    /// How many of them were answered, to the end.
    pub ok: i64,
    /// Tokens of all upstream calls: input that no cache served or stored,
    pub input: i64,
    /// output, reasoning included,
    pub output: i64,
    /// reasoning,
    pub reasoning: i64,
    /// input that providers' caches served,
    pub cache_read: i64,
    /// and stored.
    pub cache_write: i64,
    /// Tokens whose price is not known; they are in no sum of money.
    pub unpriced_tokens: i64,
    /// Calls some of whose tokens are an estimate.
    pub estimated: i64,
    /// What was spent.
    #[serde(serialize_with = "dollars")]
    pub cost: Usd,
    /// What the answers would have cost from the models that were asked for.
    #[serde(serialize_with = "dollars")]
    pub baseline: Usd,
    /// What was saved, by cause, in the order of [`Saved::ALL`].
    #[serde(serialize_with = "by_saved")]
    pub saved: [Usd; Saved::ALL.len()],
    /// What was spent on top, by cause, in the order of [`Extra::ALL`].
    #[serde(serialize_with = "by_extra")]
    pub extra: [Usd; Extra::ALL.len()],
}

/// Sums over one stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// When it begins, in milliseconds since 1970.
    pub at: i64,
    /// The sums.
    #[serde(flatten)]
    pub sums: Group,
}

/// The columns of money, in the order of [`Group`].
pub(super) const MONEY: [&str; 11] = [
    "cost",
    "baseline",
    "saved_tier",
    "saved_cascade",
    "saved_prompt_cache",
    "saved_provider_cache",
    "saved_compression",
    "extra_tier",
    "extra_deferral",
    "extra_shadow",
    "extra_provider_cache",
];

/// The sum of a column in two parts, millionths and the rest: a sum of picodollars would be too large for a database's integers at nine
/// million dollars.
pub(super) fn money(what: &str, name: &str) -> String {
    format!(
        "CAST(SUM(({what}) / 1000000) AS BIGINT) AS {name}_h, CAST(SUM(({what}) % 1000000) AS BIGINT) AS {name}_l"
    )
}

pub(super) fn usd(row: &AnyRow, name: &str) -> sqlx::Result<Usd> {
    let high: Option<i64> = row.try_get(&*format!("{name}_h"))?;
    let low: Option<i64> = row.try_get(&*format!("{name}_l"))?;
    let (high, low) = (high.unwrap_or_default(), low.unwrap_or_default());
    Ok(Usd::from_picodollars(
        i128::from(high) * 1_000_000 + i128::from(low),
    ))
}

pub(super) fn group(row: &AnyRow) -> sqlx::Result<Group> {
    Ok(Group {
        key: row.try_get("key_")?,
        calls: row.try_get("calls")?,
        ok: row.try_get("ok")?,
        input: row.try_get("input")?,
        output: row.try_get("output")?,
        reasoning: row.try_get("reasoning")?,
        cache_read: row.try_get("cache_read")?,
        cache_write: row.try_get("cache_write")?,
        unpriced_tokens: row.try_get("unpriced_tokens")?,
        estimated: row.try_get("estimated")?,
        cost: usd(row, "cost")?,
        baseline: usd(row, "baseline")?,
        saved: [
            usd(row, "saved_tier")?,
            usd(row, "saved_cascade")?,
            usd(row, "saved_prompt_cache")?,
            usd(row, "saved_provider_cache")?,
            usd(row, "saved_compression")?,
        ],
        extra: [
            usd(row, "extra_tier")?,
            usd(row, "extra_deferral")?,
            usd(row, "extra_shadow")?,
            usd(row, "extra_provider_cache")?,
        ],
    })
}

// === impl Group ===

impl Group {
    /// All that was saved, less all that was spent on top: baseline less cost.
    #[must_use]
    pub fn net(&self) -> Usd {
        self.saved.iter().copied().sum::<Usd>() - self.extra.iter().copied().sum()
    }

    /// Adds another group's sums; the key stays.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.ok += other.ok;
        self.input += other.input;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.unpriced_tokens += other.unpriced_tokens;
        self.estimated += other.estimated;
        self.cost += other.cost;
        self.baseline += other.baseline;
        let saved = self.saved.iter_mut().zip(other.saved);
        saved.for_each(|(sum, usd)| *sum += usd);
        let extra = self.extra.iter_mut().zip(other.extra);
        extra.for_each(|(sum, usd)| *sum += usd);
    }
}

/// In dollars, as a number.
fn dollars<S: serde::Serializer>(usd: &Usd, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(usd.as_dollars())
}

fn by_saved<S: serde::Serializer>(
    usd: &[Usd; Saved::ALL.len()],
    out: S,
) -> Result<S::Ok, S::Error> {
    let pairs = Saved::ALL.iter().zip(usd);
    out.collect_map(pairs.map(|(cause, usd)| (cause.as_str(), usd.as_dollars())))
}

fn by_extra<S: serde::Serializer>(
    usd: &[Usd; Extra::ALL.len()],
    out: S,
) -> Result<S::Ok, S::Error> {
    let pairs = Extra::ALL.iter().zip(usd);
    out.collect_map(pairs.map(|(cause, usd)| (cause.as_str(), usd.as_dollars())))
}

/// A day as people write it, from its number since 1970.
pub(super) fn day(nth: u64) -> String {
    let begins = SystemTime::UNIX_EPOCH + Duration::from_secs(nth * 86_400);
    let mut text = humantime::format_rfc3339_seconds(begins).to_string();
    text.truncate("2026-11-25".len());
    text
}
