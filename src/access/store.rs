//! The tables of virtual keys.
use super::{secret::Pepper, terms::Terms};
use crate::ledger::{Place, connect_and_migrate, is_there};
use serde::Serialize;
use sqlx::{Any, AnyPool, Row as _, any::AnyRow};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many keys there may be: all of them are in memory.
pub(crate) const MOST: i64 = 100_000;

const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1001, "access", include_str!("migrations/1001_access.sql"))];

/// A key as it is kept, without its digests: what may be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Its public name.
    pub id: String,
    /// What it begins with, to recognise it by.
    pub prefix: String,
    /// Whose it is and what it may use.
    #[serde(flatten)]
    pub terms: Terms,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// When it stops to admit.
    pub expires: Option<i64>,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// When it was last exchanged for another secret.
    pub rotated: Option<i64>,
    /// When a call last came by it, to the half minute.
    pub last_used: Option<i64>,
    #[serde(skip)]
    pub(super) digest: Option<blake3::Hash>,
    #[serde(skip)]
    pub(super) previous: Option<(blake3::Hash, i64)>,
}

/// Where keys are kept.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: AnyPool,
}

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

impl Store {
    /// Opens it, and makes it where it is not there.
    pub(crate) async fn open(place: &Place) -> sqlx::Result<Self> {
        let mut tries = 0;
        loop {
            match connect_and_migrate(place, MIGRATIONS).await {
                Ok(pool) => return Ok(Self { pool }),
                // Somebody else may be making the same tables.
                Err(_) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    /// The same, but `None` where there is no file yet.
    pub(crate) async fn find(place: &Place) -> sqlx::Result<Option<Self>> {
        match is_there(place) {
            true => Self::open(place).await.map(Some),
            false => Ok(None),
        }
    }

    pub(crate) const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// A secret that all nodes share, made by whoever asks first.
    pub(crate) async fn secret(&self) -> sqlx::Result<String> {
        let fresh = super::secret::random(52).map_err(sqlx::Error::Io)?;
        let make =
            "INSERT INTO access_secrets (name, value) VALUES ('passes', $1) ON CONFLICT DO NOTHING";
        let make = sqlx::query::<Any>(make).bind(fresh);
        make.execute(&self.pool).await?;
        let asked = "SELECT value FROM access_secrets WHERE name = 'passes'";
        let row = sqlx::query::<Any>(asked).fetch_one(&self.pool).await?;
        row.try_get("value")
    }

    /// Grows with every change.
    pub(crate) async fn version(&self) -> sqlx::Result<i64> {
        let asked = "SELECT value FROM access_state WHERE name = 'version'";
        let row = sqlx::query::<Any>(asked).fetch_one(&self.pool).await?;
        row.try_get("value")
    }

    /// Every key, the oldest first.
    pub(crate) async fn all(&self) -> sqlx::Result<Vec<Record>> {
        let asked = "SELECT * FROM access_keys ORDER BY created, id";
        let rows = sqlx::query::<Any>(asked).fetch_all(&self.pool).await?;
        rows.iter().map(record).collect()
    }

    pub(crate) async fn get(&self, id: &str) -> sqlx::Result<Option<Record>> {
        let asked = sqlx::query::<Any>("SELECT * FROM access_keys WHERE id = $1").bind(id);
        let row = asked.fetch_optional(&self.pool).await?;
        row.as_ref().map(record).transpose()
    }

    /// Keeps a new key; `false` where there are too many.
    pub(crate) async fn add(
        &self,
        id: &str,
        digest: blake3::Hash,
        terms: &Terms,
        expires: Option<i64>,
    ) -> sqlx::Result<bool> {
        let row = sqlx::query::<Any>("SELECT COUNT(*) AS n FROM access_keys")
            .fetch_one(&self.pool)
            .await?;
        if row.try_get::<i64, _>("n")? >= MOST {
            return Ok(false);
        }
        let told = serde_json::to_string(terms).map_err(|e| sqlx::Error::Encode(e.into()))?;
        let add = sqlx::query::<Any>(
            "INSERT INTO access_keys (id, digest, terms, created, expires) VALUES ($1, $2, $3, $4, $5)",
        );
        let add = add
            .bind(id)
            .bind(digest.to_hex().to_string())
            .bind(told)
            .bind(now())
            .bind(expires);
        self.change(add).await?;
        Ok(true)
    }

    /// Gives a key another secret; the one before admits until `until`. `false` where there is no such key, or it was revoked.
    pub(crate) async fn rotate(
        &self,
        id: &str,
        digest: blake3::Hash,
        until: i64,
    ) -> sqlx::Result<bool> {
        let change = sqlx::query::<Any>(
            "UPDATE access_keys SET previous = digest, previous_until = $1, digest = $2, rotated = $3 WHERE id = $4 AND revoked IS NULL",
        );
        let change = change
            .bind(until)
            .bind(digest.to_hex().to_string())
            .bind(now())
            .bind(id);
        self.change(change).await
    }

    /// Exchanges a key's terms, unless they are no longer `before` or it was revoked; whether they were.
    pub(super) async fn amend(
        &self,
        id: &str,
        before: &Terms,
        terms: &Terms,
        expires: Option<i64>,
    ) -> sqlx::Result<bool> {
        let text = |terms| serde_json::to_string(terms).map_err(|e| sqlx::Error::Encode(e.into()));
        let change = sqlx::query::<Any>(
            "UPDATE access_keys SET terms = $1, expires = $2 WHERE id = $3 AND revoked IS NULL AND terms = $4",
        );
        let change = change
            .bind(text(terms)?)
            .bind(expires)
            .bind(id)
            .bind(text(before)?);
        self.change(change).await
    }

    /// Ends a key for ever. `false` where there is no such key; one that was revoked stays as it was.
    pub(crate) async fn revoke(&self, id: &str) -> sqlx::Result<bool> {
        let change = sqlx::query::<Any>(
            "UPDATE access_keys SET revoked = COALESCE(revoked, $1), previous = NULL WHERE id = $2",
        );
        self.change(change.bind(now()).bind(id)).await
    }

    /// Writes down when keys were last used. Nobody needs to hear of it.
    pub(crate) async fn used(&self, last: &[(String, i64)]) -> sqlx::Result<()> {
        for (id, at) in last {
            let change = "UPDATE access_keys SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $3)";
            let change = sqlx::query::<Any>(change);
            change
                .bind(*at)
                .bind(id)
                .bind(*at)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// A change of which every node is to hear; whether it changed anything.
    async fn change<'q>(
        &self,
        change: sqlx::query::Query<'q, Any, sqlx::any::AnyArguments<'q>>,
    ) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let heard = "UPDATE access_state SET value = value + 1 WHERE name = 'version'";
        sqlx::query::<Any>(heard).execute(&mut *transaction).await?;
        let changed = change.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(changed > 0)
    }
}

fn record(row: &AnyRow) -> sqlx::Result<Record> {
    let id: String = row.try_get("id")?;
    let told: String = row.try_get("terms")?;
    // What a newer version has written is not guessed at.
    let terms = serde_json::from_str(&told).map_err(|e| sqlx::Error::Decode(e.into()))?;
    let digest: String = row.try_get("digest")?;
    let previous: Option<String> = row.try_get("previous")?;
    let until: Option<i64> = row.try_get("previous_until")?;
    let hash = |hex: String| blake3::Hash::from_hex(hex).ok();
    Ok(Record {
        prefix: format!("{}{id}", super::secret::PREFIX),
        terms,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        revoked: row.try_get("revoked")?,
        rotated: row.try_get("rotated")?,
        last_used: row.try_get("last_used")?,
        digest: hash(digest),
        previous: previous.and_then(hash).zip(until),
        id,
    })
}

/// Makes a key, and keeps what may be kept of it.
///
/// # Errors
/// What is wrong, for whoever asked.
pub(crate) async fn create(
    store: &Store,
    pepper: &Pepper,
    terms: &Terms,
    expires: Option<i64>,
) -> Result<super::secret::Fresh, String> {
    terms.check()?;
    let fresh = super::secret::Fresh::new(None).map_err(|e| e.to_string())?;
    let digest = pepper.digest(fresh.key.as_bytes());
    match store.add(&fresh.id, digest, terms, expires).await {
        Ok(true) => Ok(fresh),
        Ok(false) => Err(format!("there are {MOST} keys already")),
        Err(error) => Err(format!("the key cannot be kept: {error}")),
    }
}

/// Exchanges the secret of a key. `None` where there is none to exchange.
///
/// # Errors
/// What is wrong, for whoever asked.
pub(crate) async fn rotate(
    store: &Store,
    pepper: &Pepper,
    id: &str,
    grace: std::time::Duration,
) -> Result<Option<super::secret::Fresh>, String> {
    let fresh = super::secret::Fresh::new(Some(id)).map_err(|e| e.to_string())?;
    let digest = pepper.digest(fresh.key.as_bytes());
    let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let done = store.rotate(id, digest, now().saturating_add(grace)).await;
    done.map(|done| done.then_some(fresh))
        .map_err(|error| format!("the key cannot be kept: {error}"))
}
