//! Counts that the dashboard shows beside the sums.
use super::{
    Filter, Reader,
    filter::{Asked, Bound},
    sums::{money, usd},
};
use serde::Serialize;
use sqlx::{Any, Row as _, any::AnyRow};
use std::{collections::BTreeMap, time::Duration};
use tierway_services::chat::Usd;

/// How finely confidence is told: tenths.
pub const BINS: usize = 10;
/// So wide is each, in millionths.
const WIDTH: i64 = 100_000;

/// What became of drafts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Drafts {
    /// How many were kept,
    pub kept: i64,
    /// and how many were not, those included that never came.
    pub deferred: i64,
    /// The mean confidence of those that were kept, from 0 to 1: the share that is expected to be good enough.
    pub expected: Option<f64>,
    /// Those that were judged, by confidence.
    pub bins: [Bin; BINS],
}

/// Drafts of like confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// The least confidence.
    pub from: f64,
    /// How many were kept.
    pub kept: i64,
    /// How many were not.
    pub deferred: i64,
}

/// How a provider did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProviderTally {
    /// Its configured name.
    pub name: String,
    /// How many upstream calls it got.
    pub calls: i64,
    /// How many of them failed, or ended in an error status.
    pub failed: i64,
    /// The time that half of the whole answers took at most, in milliseconds.
    pub p50_ms: Option<i64>,
    /// The time that 95 of 100 took at most.
    pub p95_ms: Option<i64>,
    /// What it was paid, in US dollars.
    pub cost: f64,
    /// When it was last called, in milliseconds since 1970.
    pub last: Option<i64>,
}

/// Calls of one tier within one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierCount {
    /// When it begins, in milliseconds since 1970.
    pub at: i64,
    /// The tier.
    pub tier: String,
    /// How many.
    pub calls: i64,
}

impl Reader {
    /// Calls by tier over stretches of time of this length; those without a call are left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn tiers_over_time(
        &self,
        step: Duration,
        filter: &Filter,
    ) -> sqlx::Result<Vec<TierCount>> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let asked = Asked::new(filter);
        let text = format!(
            "SELECT CAST(at / {step} AS BIGINT) AS nth, tier, CAST(COUNT(*) AS BIGINT) AS calls FROM calls {} AND kind = 'call' GROUP BY 1, 2 ORDER BY 1",
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let count = |row: &AnyRow| {
            let nth: i64 = row.try_get("nth")?;
            Ok(TierCount {
                at: nth * step,
                tier: row.try_get("tier")?,
                calls: row.try_get("calls")?,
            })
        };
        rows.await?.iter().map(count).collect()
    }

    /// Calls by what the prompt cache did.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn caches(&self, filter: &Filter) -> sqlx::Result<BTreeMap<String, i64>> {
        let asked = Asked::new(filter);
        let text = format!(
            "SELECT cache, CAST(COUNT(*) AS BIGINT) AS calls FROM calls {} AND kind = 'call' AND cache IS NOT NULL GROUP BY 1",
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let count = |row: &AnyRow| Ok((row.try_get("cache")?, row.try_get("calls")?));
        rows.await?.iter().map(count).collect()
    }

    /// What became of drafts, and how sure their judge was.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn drafts(&self, filter: &Filter) -> sqlx::Result<Drafts> {
        let asked = Asked::new(filter);
        let text = format!(
            "SELECT CAST(CASE WHEN confidence_ppm IS NULL THEN -1 ELSE confidence_ppm / {WIDTH} END AS BIGINT) AS bin, cascade, \
             CAST(COUNT(*) AS BIGINT) AS calls, CAST(SUM(COALESCE(confidence_ppm, 0)) AS BIGINT) AS sure \
             FROM calls {} AND kind = 'call' AND cascade IN ('accepted', 'deferred') GROUP BY 1, 2",
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let mut drafts = Drafts::default();
        for (bin, from) in drafts
            .bins
            .iter_mut()
            .zip([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        {
            bin.from = from;
        }
        let (mut judged, mut sure) = (0, 0);
        for row in &rows.await? {
            let (bin, calls): (i64, i64) = (row.try_get("bin")?, row.try_get("calls")?);
            let kept = row.try_get::<String, _>("cascade")? == "accepted";
            *(if kept {
                &mut drafts.kept
            } else {
                &mut drafts.deferred
            }) += calls;
            let Ok(bin) = usize::try_from(bin) else {
                continue;
            };
            if kept {
                judged += calls;
                sure += row.try_get::<i64, _>("sure")?;
            }
            // A confidence of exactly 1 belongs to the last.
            let bin = &mut drafts.bins[bin.min(BINS - 1)];
            *(if kept {
                &mut bin.kept
            } else {
                &mut bin.deferred
            }) += calls;
        }
        drafts.expected = (judged > 0).then(|| share(sure, judged) / 1e6);
        Ok(drafts)
    }

    /// How providers did from this time on (milliseconds since 1970), the most called first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn providers(&self, since: i64) -> sqlx::Result<Vec<ProviderTally>> {
        let filter = Filter {
            since: Some(since),
            ..Filter::default()
        };
        let asked = Asked::new(&filter);
        let text = format!(
            "SELECT provider, CAST(COUNT(*) AS BIGINT) AS calls, CAST(MAX(at) AS BIGINT) AS last, \
             CAST(SUM(CASE WHEN ended IN ('status', 'failed') THEN 1 ELSE 0 END) AS BIGINT) AS failed, \
             CAST(SUM(CASE WHEN ended = 'complete' THEN 1 ELSE 0 END) AS BIGINT) AS whole, {} \
             FROM attempts {} GROUP BY 1 ORDER BY 2 DESC",
            money("COALESCE(cost, 0)", "cost"),
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let mut tallies = Vec::new();
        for row in &rows.await? {
            let name: String = row.try_get("provider")?;
            let whole: i64 = row.try_get("whole")?;
            let cost: Usd = usd(row, "cost")?;
            tallies.push(ProviderTally {
                calls: row.try_get("calls")?,
                failed: row.try_get("failed")?,
                p50_ms: self.time(&filter, &name, whole, 50).await?,
                p95_ms: self.time(&filter, &name, whole, 95).await?,
                cost: cost.as_dollars(),
                last: row.try_get("last")?,
                name,
            });
        }
        Ok(tallies)
    }

    /// The time that so many of a hundred whole answers took at most.
    async fn time(
        &self,
        filter: &Filter,
        provider: &str,
        whole: i64,
        of_hundred: i64,
    ) -> sqlx::Result<Option<i64>> {
        if whole == 0 {
            return Ok(None);
        }
        let nth = (whole * of_hundred + 99) / 100 - 1;
        let mut asked = Asked::new(filter);
        asked.and("provider =", Bound::Text(provider.to_owned()));
        let text = format!(
            "SELECT total_us FROM attempts {} AND ended = 'complete' ORDER BY total_us LIMIT 1 OFFSET {nth}",
            asked.text
        );
        let row = asked
            .bind(sqlx::query::<Any>(&text))
            .fetch_optional(&self.pool);
        let micros = |row: AnyRow| row.try_get::<i64, _>("total_us");
        let micros = row.await?.map(micros).transpose()?;
        Ok(micros.map(|us| us / 1000))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people to read")]
fn share(sum: i64, of: i64) -> f64 {
    sum as f64 / of as f64
}
