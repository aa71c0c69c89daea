//! What the dashboard shows: questions to the ledger, and what the metrics alone know.
use super::dashboard::{No, bytes};
use crate::{
    ledger::{By, Drafts, Filter, Place, ProviderTally, Reader},
    metrics::Metrics,
};
use bytes::Bytes;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::OnceCell;

/// The ranges of the page, with how long the stretches are that their curves are made of.
const RANGES: [(&str, u64, u64); 4] = [
    ("1h", 3_600, 60),
    ("24h", 86_400, 1_800),
    ("7d", 7 * 86_400, 4 * 3_600),
    ("30d", 30 * 86_400, 86_400),
];
/// The most calls that one answer has.
const MOST: usize = 500;
/// Figures are asked for anew after this, or after so many times the time that they took: a large ledger is not read without end.
const FRESH: Duration = Duration::from_secs(1);
const TIMES: u32 = 10;

/// Answers the dashboard's questions. Clones are the same.
#[derive(Clone, Debug)]
pub struct Figures {
    metrics: Metrics,
    place: Option<Place>,
    providers: Arc<[String]>,
    reader: Arc<OnceCell<Reader>>,
    told: Arc<Mutex<HashMap<&'static str, Told>>>,
}

#[derive(Clone, Debug)]
struct Told {
    until: Instant,
    figures: Bytes,
}

impl Figures {
    /// Reads the ledger there, if there is one; `providers` are the configured ones, in the order in which they are shown.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        place: Option<Place>,
        providers: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            metrics,
            place,
            providers: providers.into_iter().collect(),
            reader: Arc::default(),
            told: Arc::default(),
        }
    }

    /// The ledger is opened at the first question, when its writer has made it.
    async fn reader(&self) -> Result<Option<&Reader>, No> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let reader = self.reader.get_or_try_init(|| Reader::open(place)).await;
        Ok(Some(reader?))
    }

    /// All that the page shows but the calls.
    pub(super) async fn page(&self, query: &str) -> Result<Bytes, No> {
        let asked = asked(query, "range").unwrap_or("24h");
        let range = RANGES.iter().find(|(name, ..)| *name == asked);
        let Some(&(name, seconds, step)) = range else {
            return Err(No::asked("range is one of 1h, 24h, 7d and 30d"));
        };
        let began = Instant::now();
        let known = {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.get(name).cloned()
        };
        if let Some(known) = known.filter(|known| known.until > began) {
            return Ok(known.figures);
        }
        let figures = bytes(&self.figures(seconds, Duration::from_secs(step)).await?);
        let until = Instant::now() + FRESH.max(began.elapsed() * TIMES);
        let told = Told {
            until,
            figures: figures.clone(),
        };
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, told);
        Ok(figures)
    }

    async fn figures(&self, seconds: u64, step: Duration) -> Result<Value, No> {
        let now = millis();
        let since = now - i64::try_from(seconds * 1000).unwrap_or(i64::MAX);
        let filter = Filter {
            since: Some(since),
            ..Filter::default()
        };
        let reader = self.reader().await?;
        let (total, series, tiers, drafts, caches, providers) = match reader {
            Some(reader) => (
                reader.total(&filter).await?,
                series(reader, step, &filter).await?,
                reader.usage(By::Tier, &filter).await?,
                reader.drafts(&filter).await?,
                reader.caches(&filter).await?,
                reader.providers(since).await?,
            ),
            None => Default::default(),
        };
        let cache = |what: &str| caches.get(what).copied().unwrap_or_default();
        Ok(json!({
            "now": now,
            "version": env!("CARGO_PKG_VERSION"),
            "ledger": reader.is_some(),
            "since": since,
            "step_ms": i64::try_from(step.as_millis()).unwrap_or_default(),
            "total": total,
            "series": series,
            "tiers": tiers,
            "cascade": self.cascade(&drafts),
            "cache": {
                "hit": cache("hit"),
                "semantic": cache("semantic"),
                "coalesced": cache("coalesced"),
                "miss": cache("miss"),
                "bypass": cache("bypass"),
            },
            "providers": self.all_providers(providers),
        }))
    }

    /// With what has been learned, which the metrics tell.
    fn cascade(&self, drafts: &Drafts) -> Value {
        let text = self.metrics.render();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<f64>().ok())
        };
        let families = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("tierway_cascade_certified{family=\"")?;
            let (name, value) = rest.split_once("\"} ")?;
            Some(json!({"name": name, "certified": value == "1"}))
        });
        let mut told = json!(drafts);
        told["families"] = families.collect();
        told["labels"] = json!(value("tierway_cascade_model_labels "));
        told["revision"] = json!(value("tierway_cascade_model_revision "));
        told
    }

    /// The configured ones, whether they were called or not, and then those that were once.
    fn all_providers(&self, mut tallies: Vec<ProviderTally>) -> Vec<ProviderTally> {
        for name in self.providers.iter() {
            if !tallies.iter().any(|tally| tally.name == *name) {
                tallies.push(ProviderTally {
                    name: name.clone(),
                    ..ProviderTally::default()
                });
            }
        }
        tallies
    }

    /// The newest calls.
    pub(super) async fn calls(&self, query: &str) -> Result<Bytes, No> {
        let most = match asked(query, "most").map(str::parse::<usize>) {
            None => 50,
            Some(Ok(most)) if (1..=MOST).contains(&most) => most,
            Some(_) => return Err(No::asked(format!("most is a number from 1 to {MOST}"))),
        };
        let (before, session) = (plain(query, "before")?, plain(query, "session")?);
        let filter = Filter {
            session: session.map(str::to_owned),
            ..Filter::default()
        };
        let calls = match self.reader().await? {
            Some(reader) => reader.calls(&filter, most, before).await?,
            None => Vec::new(),
        };
        Ok(bytes(&json!({"calls": calls})))
    }

    /// Sums by something.
    pub(super) async fn usage(&self, query: &str) -> Result<Bytes, No> {
        let by = By::from_str(asked(query, "by").unwrap_or("tier"), false);
        let by = by.map_err(|_| {
            No::asked("by is one of tier, model, provider, tenant, client, session and day")
        })?;
        let since = asked(query, "since").unwrap_or("7d");
        let since = humantime::parse_duration(since)
            .ok()
            .and_then(|past| i64::try_from(past.as_millis()).ok())
            .ok_or_else(|| No::asked("since is a duration such as 24h or 7d"))?;
        let filter = Filter {
            since: Some(millis().saturating_sub(since)),
            ..Filter::default()
        };
        let (total, groups) = match self.reader().await? {
            Some(reader) => (
                reader.total(&filter).await?,
                reader.usage(by, &filter).await?,
            ),
            None => Default::default(),
        };
        Ok(bytes(&json!({"total": total, "groups": groups})))
    }
}

/// Sums over time, with the tiers of each stretch.
async fn series(reader: &Reader, step: Duration, filter: &Filter) -> Result<Vec<Value>, No> {
    let points = reader.series(step, filter).await?;
    let mut tiers: HashMap<i64, serde_json::Map<String, Value>> = HashMap::new();
    for count in reader.tiers_over_time(step, filter).await? {
        let of = tiers.entry(count.at).or_default();
        of.insert(count.tier, json!(count.calls));
    }
    let told = points.iter().map(|point| {
        let mut value = json!(point);
        value["tiers"] = tiers.remove(&point.at).map_or(Value::Null, Value::Object);
        value
    });
    Ok(told.collect())
}

fn millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// The value of `name` in a query, if it is not empty.
fn asked<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value).filter(|value| !value.is_empty())
}

/// An id, which needs no escapes.
fn plain<'q>(query: &'q str, name: &str) -> Result<Option<&'q str>, No> {
    let value = asked(query, name);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if value.is_some_and(|value| !value.bytes().all(is_plain)) {
        return Err(No::asked(format!("{name} is no id")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        assert_eq!(asked("range=7d&x=1", "range"), Some("7d"));
        assert_eq!(asked("range=", "range"), None);
        assert_eq!(plain("session=0a-1b", "session").unwrap(), Some("0a-1b"));
        assert!(plain("session=%27", "session").is_err());
        assert_eq!(plain("", "session").unwrap(), None);
    }
}
