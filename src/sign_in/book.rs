//! Sign-ins that are under way and those that last, in the database of the keys: several nodes share it.
use super::passes::Who;
use crate::access::{Store, now, random};
use sqlx::{Any, Row as _, any::AnyRow};
use std::time::Duration;

/// How long a sign-in may take.
pub(super) const CODE_TTL: Duration = Duration::from_secs(10 * 60);
/// How often a client may ask whether it is done.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// Sign-ins of one person that last.
const MOST_SESSIONS: i64 = 100_000;
/// No vowels, so that no words come up, and nothing that looks like something else.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A sign-in that has begun.
pub(super) struct Begun {
    pub(super) device_code: String,
    pub(super) user_code: String,
}

/// How a sign-in stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Pending,
    TooFast,
    Denied,
    Expired,
    Approved(Who),
}

/// What is kept of a secret. It is random enough to need no more.
fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A code as people type it, in the form in which it is kept.
pub(super) fn user_code(typed: &str) -> Option<String> {
    let plain: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let fits = plain.len() == 8 && plain.bytes().all(|byte| LETTERS.contains(&byte));
    fits.then(|| format!("{}-{}", &plain[..4], &plain[4..]))
}

fn fresh_user_code() -> std::io::Result<String> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut code = String::new();
    while code.len() < 8 {
        let mut byte = [0];
        SystemRandom::new()
            .fill(&mut byte)
            .map_err(|_| std::io::Error::other("the system has no randomness"))?;
        // 240 is the last multiple of 20: every letter is as likely as any other.
        if byte[0] < 240 {
            code.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(format!("{}-{}", &code[..4], &code[4..]))
}

/// Begins one; `None` where too many are under way.
pub(super) async fn begin(store: &Store, most: usize) -> sqlx::Result<Option<Begun>> {
    let pool = store.pool();
    let old = sqlx::query::<Any>("DELETE FROM access_codes WHERE expires < $1");
    old.bind(now()).execute(pool).await?;
    let count = sqlx::query::<Any>("SELECT COUNT(*) AS n FROM access_codes")
        .fetch_one(pool)
        .await?;
    if count.try_get::<i64, _>("n")? >= i64::try_from(most).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let begun = Begun {
        // 260 bits.
        device_code: random(52).map_err(sqlx::Error::Io)?,
        user_code: fresh_user_code().map_err(sqlx::Error::Io)?,
    };
    let add = sqlx::query::<Any>(
        "INSERT INTO access_codes (device_digest, user_code, expires, polled, state) VALUES ($1, $2, $3, 0, 'pending')",
    );
    add.bind(digest(&begun.device_code))
        .bind(&begun.user_code)
        .bind(now().saturating_add(ms(CODE_TTL)))
        .execute(pool)
        .await?;
    Ok(Some(begun))
}

/// Whether a sign-in with this code waits for somebody.
pub(super) async fn waits(store: &Store, user_code: &str) -> sqlx::Result<bool> {
    let asked = sqlx::query::<Any>(
        "SELECT state FROM access_codes WHERE user_code = $1 AND expires > $2 AND state = 'pending'",
    );
    let row = asked.bind(user_code).bind(now());
    Ok(row.fetch_optional(store.pool()).await?.is_some())
}

/// Decides one, once: for `who`, or against. Whether it still waited.
pub(super) async fn decide(
    store: &Store,
    user_code: &str,
    who: Option<&Who>,
) -> sqlx::Result<bool> {
    let change = sqlx::query::<Any>(
        "UPDATE access_codes SET state = $1, subject = $2, tenant = $3, email = $4 WHERE user_code = $5 AND expires > $6 AND state = 'pending'",
    );
    let change = change
        .bind(who.map_or("denied", |_| "approved"))
        .bind(who.map(|who| who.subject.clone()))
        .bind(who.map(|who| who.tenant.clone()))
        .bind(who.and_then(|who| who.email.clone()))
        .bind(user_code)
        .bind(now());
    Ok(change.execute(store.pool()).await?.rows_affected() == 1)
}

/// How the sign-in of this device stands. One that is decided is told once.
pub(super) async fn poll(store: &Store, device_code: &str) -> sqlx::Result<Stand> {
    let (pool, name, at) = (store.pool(), digest(device_code), now());
    let asked = sqlx::query::<Any>("SELECT * FROM access_codes WHERE device_digest = $1");
    let Some(row) = asked.bind(&name).fetch_optional(pool).await? else {
        return Ok(Stand::Expired);
    };
    let (state, expires, polled): (String, i64, i64) = (
        row.try_get("state")?,
        row.try_get("expires")?,
        row.try_get("polled")?,
    );
    if at >= expires {
        return Ok(Stand::Expired);
    }
    if state == "pending" {
        let seen =
            sqlx::query::<Any>("UPDATE access_codes SET polled = $1 WHERE device_digest = $2");
        seen.bind(at).bind(&name).execute(pool).await?;
        // A second for what the network does to intervals.
        let soonest = polled.saturating_add(ms(INTERVAL) - 1000);
        return Ok(if at < soonest {
            Stand::TooFast
        } else {
            Stand::Pending
        });
    }
    let gone = sqlx::query::<Any>("DELETE FROM access_codes WHERE device_digest = $1");
    let gone = gone.bind(&name).execute(pool).await?.rows_affected();
    if gone != 1 {
        return Ok(Stand::Expired);
    }
    match who(&row)? {
        Some(who) if state == "approved" => Ok(Stand::Approved(who)),
        _ => Ok(Stand::Denied),
    }
}

fn who(row: &AnyRow) -> sqlx::Result<Option<Who>> {
    let (subject, tenant): (Option<String>, Option<String>) =
        (row.try_get("subject")?, row.try_get("tenant")?);
    let email = row.try_get("email")?;
    Ok(subject.zip(tenant).map(|(subject, tenant)| Who {
        subject,
        tenant,
        email,
    }))
}

/// Keeps a sign-in: the token that renews it, of the family of `before` or of its own.
pub(super) async fn keep(
    store: &Store,
    who: &Who,
    family: Option<String>,
    ttl: Duration,
) -> sqlx::Result<String> {
    let pool = store.pool();
    if family.is_none() {
        let old = sqlx::query::<Any>("DELETE FROM access_sessions WHERE expires < $1");
        old.bind(now()).execute(pool).await?;
        let count = sqlx::query::<Any>("SELECT COUNT(*) AS n FROM access_sessions")
            .fetch_one(pool)
            .await?;
        if count.try_get::<i64, _>("n")? >= MOST_SESSIONS {
            return Err(sqlx::Error::Protocol(
                "there are too many sign-ins".to_owned(),
            ));
        }
    }
    let token = random(52).map_err(sqlx::Error::Io)?;
    let family = match family {
        Some(family) => family,
        None => random(26).map_err(sqlx::Error::Io)?,
    };
    let add = sqlx::query::<Any>(
        "INSERT INTO access_sessions (digest, family, subject, tenant, email, expires, used) VALUES ($1, $2, $3, $4, $5, $6, 0)",
    );
    add.bind(digest(&token))
        .bind(family)
        .bind(&who.subject)
        .bind(&who.tenant)
        .bind(who.email.clone())
        .bind(now().saturating_add(ms(ttl)))
        .execute(pool)
        .await?;
    Ok(token)
}

/// Whose sign-in this token renews, and its family; the token is used up. One that was used before ends the whole family: somebody has
/// a copy.
pub(super) async fn renew(store: &Store, token: &str) -> sqlx::Result<Option<(Who, String)>> {
    let (pool, name) = (store.pool(), digest(token));
    let asked = sqlx::query::<Any>("SELECT * FROM access_sessions WHERE digest = $1");
    let Some(row) = asked.bind(&name).fetch_optional(pool).await? else {
        return Ok(None);
    };
    let family: String = row.try_get("family")?;
    let expires: i64 = row.try_get("expires")?;
    let use_up =
        sqlx::query::<Any>("UPDATE access_sessions SET used = 1 WHERE digest = $1 AND used = 0");
    let first = use_up.bind(&name).execute(pool).await?.rows_affected() == 1;
    if !first {
        tracing::warn!("a sign-in was renewed twice by one token; it is ended");
        end(store, &family).await?;
        return Ok(None);
    }
    if now() >= expires {
        return Ok(None);
    }
    Ok(who(&row)?.map(|who| (who, family)))
}

/// Ends the sign-in that this token would renew.
pub(super) async fn revoke(store: &Store, token: &str) -> sqlx::Result<()> {
    let asked = sqlx::query::<Any>("SELECT family FROM access_sessions WHERE digest = $1");
    let row = asked
        .bind(digest(token))
        .fetch_optional(store.pool())
        .await?;
    match row {
        Some(row) => end(store, &row.try_get::<String, _>("family")?).await,
        None => Ok(()),
    }
}

async fn end(store: &Store, family: &str) -> sqlx::Result<()> {
    let gone = sqlx::query::<Any>("DELETE FROM access_sessions WHERE family = $1");
    gone.bind(family).execute(store.pool()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Place;

    fn ann() -> Who {
        Who {
            subject: "user:ann".to_owned(),
            tenant: "staff".to_owned(),
            email: Some("ann@example.com".to_owned()),
        }
    }

    #[test]
    fn codes_as_people_type_them() {
        let fresh = fresh_user_code().unwrap();
        assert_eq!(
            user_code(&fresh.to_lowercase().replace('-', " ")),
            Some(fresh)
        );
        for wrong in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "<script>"] {
            assert_eq!(user_code(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_sign_in_is_told_once_and_a_token_renews_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("a.db"));
        let store = Store::open(&place).await.unwrap();
        let one = begin(&store, 2).await.unwrap().unwrap();
        let two = begin(&store, 2).await.unwrap().unwrap();
        assert!(begin(&store, 2).await.unwrap().is_none(), "bounded");
        assert_eq!(poll(&store, "nothing").await.unwrap(), Stand::Expired);
        assert_eq!(
            poll(&store, &one.device_code).await.unwrap(),
            Stand::Pending
        );
        assert_eq!(
            poll(&store, &one.device_code).await.unwrap(),
            Stand::TooFast
        );
        assert!(waits(&store, &one.user_code).await.unwrap());
        assert!(decide(&store, &one.user_code, Some(&ann())).await.unwrap());
        assert!(
            !decide(&store, &one.user_code, Some(&ann())).await.unwrap(),
            "once"
        );
        assert!(!waits(&store, &one.user_code).await.unwrap());
        assert_eq!(
            poll(&store, &one.device_code).await.unwrap(),
            Stand::Approved(ann())
        );
        assert_eq!(
            poll(&store, &one.device_code).await.unwrap(),
            Stand::Expired
        );
        decide(&store, &two.user_code, None).await.unwrap();
        assert_eq!(poll(&store, &two.device_code).await.unwrap(), Stand::Denied);

        let hour = Duration::from_secs(3600);
        let first = keep(&store, &ann(), None, hour).await.unwrap();
        let (who, family) = renew(&store, &first).await.unwrap().unwrap();
        assert_eq!(who, ann());
        let second = keep(&store, &who, Some(family), hour).await.unwrap();
        assert!(renew(&store, &first).await.unwrap().is_none(), "used twice");
        assert!(
            renew(&store, &second).await.unwrap().is_none(),
            "the family is ended"
        );
        let third = keep(&store, &ann(), None, hour).await.unwrap();
        revoke(&store, &third).await.unwrap();
        assert!(renew(&store, &third).await.unwrap().is_none());
        let over = keep(&store, &ann(), None, Duration::ZERO).await.unwrap();
        assert!(renew(&store, &over).await.unwrap().is_none());
    }
}
