//! Questions that the ledger answers.
use super::{
    filter::{Asked, Bound, Filter},
    row::{Attempt, Call, Row, ToolRun},
    store::{self, Access, Place},
    sums::{Group, MONEY, Point, day, group, money, usd},
};
use sqlx::{Any, AnyPool, Row as _, any::AnyRow};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tierway_services::chat::Usd;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// A database takes so many values in one question, at least.
const IDS: usize = 500;

/// Reads the ledger. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) pool: AnyPool,
}

/// What sums are kept apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum By {
    /// By the tier.
    Tier,
    /// By the model that was paid, as `provider:model`.
    Model,
    /// By its provider.
    Provider,
    /// By the tenant.
    Tenant,
    /// By the key.
    Key,
    /// By the kind of client.
    Client,
    /// By the conversation.
    Session,
    /// By the day (UTC).
    Day,
}

/// A conversation, or a call that belongs to none, in a hold-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Whether it was held out.
    pub held_out: bool,
    /// How many calls it has.
    pub calls: i64,
    /// What they cost.
    pub cost: Usd,
}

// === impl Reader ===

impl Reader {
    /// Opens the ledger there, which must exist.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn open(place: &Place) -> sqlx::Result<Self> {
        let pool = store::open(place, Access::Read).await?;
        Ok(Self { pool })
    }

    /// Sums over the calls, one for each value that they have, the dearest first; days in their order.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn usage(&self, by: By, filter: &Filter) -> sqlx::Result<Vec<Group>> {
        let mut groups: HashMap<String, Group> = HashMap::new();
        let key = match by {
            By::Tier => "tier",
            By::Tenant => "tenant",
            By::Key => "COALESCE(key_id, '')",
            By::Client => "COALESCE(client, '')",
            By::Session => "COALESCE(session, '')",
            By::Day => "CAST(at / 86400000 AS TEXT)",
            By::Model => "CASE WHEN model = '' THEN '' ELSE provider || ':' || model END",
            By::Provider => "provider",
        };
        for mut group in self.sums(key, filter).await? {
            if by == By::Day {
                group.key = day(group.key.parse().unwrap_or_default());
            }
            groups.insert(group.key.clone(), group);
        }
        if matches!(by, By::Model | By::Provider) {
            for group in groups.values_mut() {
                *group = Group {
                    cost: Usd::ZERO,
                    input: 0,
                    output: 0,
                    reasoning: 0,
                    cache_read: 0,
                    cache_write: 0,
                    unpriced_tokens: 0,
                    ..group.clone()
                };
            }
            self.spent(by, filter, &mut groups).await?;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        if by == By::Day {
            groups.sort_by(|a, b| a.key.cmp(&b.key));
        } else {
            groups.sort_by(|a, b| (b.cost, b.calls, &a.key).cmp(&(a.cost, a.calls, &b.key)));
        }
        Ok(groups)
    }

    /// Sums over all the calls.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn total(&self, filter: &Filter) -> sqlx::Result<Group> {
        let mut all = self.sums("''", filter).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Sums over stretches of time of this length, in their order; those without a call are left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn series(&self, step: Duration, filter: &Filter) -> sqlx::Result<Vec<Point>> {
        let step = i64::try_from(step.as_millis()).unwrap_or(DAY).max(1);
        let key = format!("CAST(at / {step} AS TEXT)");
        let points = self.sums(&key, filter).await?.into_iter().map(|sums| {
            let nth: i64 = sums.key.parse().unwrap_or_default();
            let key = String::new();
            Point {
                at: nth * step,
                sums: Group { key, ..sums },
            }
        });
        let mut points: Vec<Point> = points.collect();
        points.sort_by_key(|point| point.at);
        Ok(points)
    }

    /// The newest calls, the newest first, with their upstream calls. `before` is the id of the last one that was seen.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn calls(
        &self,
        filter: &Filter,
        most: usize,
        before: Option<&str>,
    ) -> sqlx::Result<Vec<Row>> {
        let mut asked = Asked::new(filter);
        if let Some(id) = before {
            asked.and("id <", Bound::Text(id.to_owned()));
        }
        // Ids begin with the time, so their order is that of the calls.
        self.rows(asked, "ORDER BY id DESC", most).await
    }

    /// The oldest calls after `after`, the oldest first: for reading all of them piece by piece.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn next(&self, filter: &Filter, most: usize, after: &str) -> sqlx::Result<Vec<Row>> {
        let mut asked = Asked::new(filter);
        asked.and("id >", Bound::Text(after.to_owned()));
        self.rows(asked, "ORDER BY id", most).await
    }

    /// The sides of the hold-out, conversation by conversation; calls whose price is not known are left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn units(&self, filter: &Filter) -> sqlx::Result<Vec<Unit>> {
        let asked = Asked::new(filter);
        let text = format!(
            "SELECT holdout, CAST(COUNT(*) AS BIGINT) AS calls, {} FROM calls {} AND holdout IS NOT NULL AND priced = 1 \
             GROUP BY COALESCE(session, id), holdout",
            money("cost", "cost"),
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let unit = |row: &AnyRow| {
            Ok(Unit {
                held_out: row.try_get::<String, _>("holdout")? == "baseline",
                calls: row.try_get("calls")?,
                cost: usd(row, "cost")?,
            })
        };
        rows.await?.iter().map(unit).collect()
    }

    async fn rows(&self, asked: Asked, order: &str, most: usize) -> sqlx::Result<Vec<Row>> {
        let columns = Call::COLUMNS.join(", ");
        let text = format!(
            "SELECT {columns} FROM calls {} {order} LIMIT {most}",
            asked.text
        );
        let calls = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        let mut rows = Vec::new();
        for call in &calls.await? {
            rows.push(Row {
                call: Call::read(call)?,
                ..Row::default()
            });
        }
        let mut attempts: HashMap<String, BTreeMap<i64, Attempt>> = HashMap::new();
        let mut runs: HashMap<String, Vec<ToolRun>> = HashMap::new();
        for some in rows.chunks(IDS) {
            let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
            let text = format!(
                "SELECT {} FROM attempts WHERE call_id IN ({})",
                Attempt::COLUMNS.join(", "),
                places.join(", ")
            );
            let mut question = sqlx::query::<Any>(&text).persistent(false);
            for row in some {
                question = question.bind(&*row.call.id);
            }
            for row in &question.fetch_all(&self.pool).await? {
                let attempt = Attempt::read(row)?;
                let of = attempts.entry(attempt.call_id.to_string()).or_default();
                of.insert(attempt.nth, attempt);
            }
            for run in self.tool_runs(some).await? {
                runs.entry(run.call_id.to_string()).or_default().push(run);
            }
        }
        for row in &mut rows {
            let made = attempts.remove(&*row.call.id).unwrap_or_default();
            row.attempts = made.into_values().collect();
            row.tool_runs = runs.remove(&*row.call.id).unwrap_or_default();
        }
        Ok(rows)
    }

    /// The tools that were run for these.
    async fn tool_runs(&self, rows: &[Row]) -> sqlx::Result<Vec<ToolRun>> {
        let places: Vec<String> = (1..=rows.len()).map(|n| format!("${n}")).collect();
        let text = format!(
            "SELECT {} FROM tool_runs WHERE call_id IN ({}) ORDER BY nth",
            ToolRun::COLUMNS.join(", "),
            places.join(", ")
        );
        let mut question = sqlx::query::<Any>(&text).persistent(false);
        for row in rows {
            question = question.bind(&*row.call.id);
        }
        let found = question.fetch_all(&self.pool).await?;
        found.iter().map(ToolRun::read).collect()
    }

    async fn sums(&self, key: &str, filter: &Filter) -> sqlx::Result<Vec<Group>> {
        let asked = Asked::new(filter);
        let counts = [
            ("calls", "CASE WHEN kind = 'call' THEN 1 ELSE 0 END"),
            (
                "ok",
                "CASE WHEN kind = 'call' AND outcome = 'ok' THEN 1 ELSE 0 END",
            ),
            ("input", "input"),
            ("output", "output"),
            ("reasoning", "reasoning"),
            ("cache_read", "cache_read"),
            ("cache_write", "cache_write"),
            ("unpriced_tokens", "unpriced_tokens"),
            ("estimated", "estimated"),
        ]
        .map(|(name, what)| format!("CAST(SUM({what}) AS BIGINT) AS {name}"));
        let sums = MONEY.map(|column| money(column, column));
        let text = format!(
            "SELECT {key} AS key_, {}, {} FROM calls {} GROUP BY 1",
            counts.join(", "),
            sums.join(", "),
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        rows.await?.iter().map(group).collect()
    }

    /// Adds what upstream calls used and cost to the groups of whom they were made to.
    async fn spent(
        &self,
        by: By,
        filter: &Filter,
        groups: &mut HashMap<String, Group>,
    ) -> sqlx::Result<()> {
        let asked = Asked::of(filter, "calls.");
        let key = match by {
            By::Provider => "attempts.provider",
            _ => "attempts.provider || ':' || attempts.model",
        };
        let of = |names: &[&str]| {
            let sum = names.iter().map(|n| format!("attempts.{n}"));
            sum.collect::<Vec<_>>().join(" + ")
        };
        let all = of(&[
            "input",
            "output",
            "cache_read",
            "cache_write",
            "cache_write_1h",
        ]);
        let counts = [
            ("input", of(&["input"])),
            ("output", of(&["output"])),
            ("reasoning", of(&["reasoning"])),
            ("cache_read", of(&["cache_read"])),
            ("cache_write", of(&["cache_write", "cache_write_1h"])),
            (
                "unpriced_tokens",
                format!("CASE WHEN attempts.cost IS NULL THEN {all} ELSE 0 END"),
            ),
        ]
        .map(|(name, what)| format!("CAST(SUM({what}) AS BIGINT) AS {name}"));
        let text = format!(
            "SELECT {key} AS key_, {}, {} FROM attempts JOIN calls ON calls.id = attempts.call_id {} GROUP BY 1",
            counts.join(", "),
            money("COALESCE(attempts.cost, 0)", "cost"),
            asked.text
        );
        let rows = asked.bind(sqlx::query::<Any>(&text)).fetch_all(&self.pool);
        for row in &rows.await? {
            let key: String = row.try_get("key_")?;
            let group = groups.entry(key.clone()).or_default();
            *group = Group {
                key,
                input: row.try_get("input")?,
                output: row.try_get("output")?,
                reasoning: row.try_get("reasoning")?,
                cache_read: row.try_get("cache_read")?,
                cache_write: row.try_get("cache_write")?,
                unpriced_tokens: row.try_get("unpriced_tokens")?,
                cost: usd(row, "cost")?,
                ..group.clone()
            };
        }
        Ok(())
    }
}
