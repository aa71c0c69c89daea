//! What keys and tenants have spent, for budgets that outlive a process.
use super::{
    store::{self, Access, Place},
    sums::{money, usd},
};
use sqlx::{Any, Row as _};
use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};
use tierway_services::chat::Usd;

/// A subject of limits, such as `tenant:interns` or `key:abc`, with what it has spent this day, this month (UTC) and in all.
type Spent = HashMap<String, [Usd; 3]>;

/// What everybody has spent by the ledger there, calls that are forgotten included.
///
/// # Errors
/// Where it does not answer.
pub async fn spent(place: &Place) -> sqlx::Result<Spent> {
    let mut all = Spent::new();
    if !store::is_there(place) {
        return Ok(all);
    }
    // Sums of forgotten calls come with a change that a reader does not make.
    let pool = store::open(place, Access::Write).await?;
    let (day, month) = begins(SystemTime::now());
    for (kind, column) in [("tenant", "tenant"), ("key", "key_id")] {
        let since = |at: i64| format!("CASE WHEN at >= {at} THEN cost ELSE 0 END");
        let text = format!(
            "SELECT {column} AS who, {}, {}, {} FROM calls WHERE kind = 'call' AND {column} IS NOT NULL AND {column} <> '' GROUP BY {column}",
            money(&since(day), "day"),
            money(&since(month), "month"),
            money("cost", "total"),
        );
        for row in sqlx::query::<Any>(&text).fetch_all(&pool).await? {
            let who: String = row.try_get("who")?;
            let sums = [usd(&row, "day")?, usd(&row, "month")?, usd(&row, "total")?];
            all.insert(format!("{kind}:{who}"), sums);
        }
    }
    let text = "SELECT subject, cost FROM forgotten WHERE cost > 0";
    for row in sqlx::query::<Any>(text).fetch_all(&pool).await? {
        let cost: i64 = row.try_get("cost")?;
        let sums = all.entry(row.try_get("subject")?).or_default();
        sums[2] += Usd::from_picodollars(cost.into());
    }
    pool.close().await;
    Ok(all)
}

/// When this day and this month began (UTC), in milliseconds since 1970.
fn begins(now: SystemTime) -> (i64, i64) {
    let text = humantime::format_rfc3339_seconds(now).to_string();
    let at = |day: &str| {
        let begins = humantime::parse_rfc3339_weak(&format!("{day} 00:00:00")).unwrap_or(now);
        let since = begins.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    };
    let day = text.get(..10).unwrap_or_default();
    let month = format!("{}-01", text.get(..7).unwrap_or_default());
    (at(day), at(&month))
}

#[cfg(test)]
mod tests {
    use super::super::{Call, Row, tests::insert};
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_and_months_begin() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_798_761_599);
        let (day, month) = begins(noon);
        assert_eq!(day, 1_798_675_200_000);
        assert_eq!(month, 1_796_083_200_000);
    }

    #[tokio::test]
    async fn what_was_spent_is_known_after_calls_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("l.db"));
        assert!(spent(&place).await.unwrap().is_empty());
        let pool = store::open(&place, Access::Write).await.unwrap();
        let (day, _) = begins(SystemTime::now());
        let call = |n: i64, at: i64, key: Option<&str>, cost: i64| Row {
            call: Call {
                id: format!("{n}").into(),
                kind: "call".into(),
                at,
                tenant: "team".into(),
                key_id: key.map(|key| key.to_owned().into()),
                cost,
                ..Call::default()
            },
            attempts: vec![],
            tool_runs: vec![],
        };
        let rows = [
            call(1, 1000, Some("k"), 5),
            call(2, day + 1, Some("k"), 7),
            call(3, day + 2, None, 11),
        ];
        insert(&place, &rows).await;
        let pico = |all: &Spent, who: &str| all[who].map(Usd::picodollars);
        let all = spent(&place).await.unwrap();
        assert_eq!(pico(&all, "tenant:team"), [18, 18, 23]);
        assert_eq!(pico(&all, "key:k"), [7, 7, 12]);
        for _ in 0..2 {
            store::forget(&pool, Some(day), None).await.unwrap();
            let all = spent(&place).await.unwrap();
            assert_eq!(pico(&all, "tenant:team"), [18, 18, 23]);
            assert_eq!(pico(&all, "key:k"), [7, 7, 12]);
        }
    }
}
