//! The public keys of an issuer: fetched when they are needed, kept, and fetched anew when a token names one that is not known.
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tierway_services::{
    fetch::{get, may_ask},
    upstream::Client,
};
use tokio::sync::Mutex;

/// How long keys are used before they are fetched again.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long they are used where they cannot be.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// An issuer is not asked again sooner, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(1);
/// No issuer has more.
const MOST: usize = 100;

/// A key, and the one signature that it is for, where it says so.
type Known = (DecodingKey, Option<Algorithm>);

/// The public keys of an issuer.
pub(super) struct Keys {
    issuer: String,
    url: Option<String>,
    client: Client,
    held: RwLock<Option<Arc<Held>>>,
    /// When the issuer was last asked; whoever holds this asks.
    asked: Mutex<Option<Instant>>,
}

struct Held {
    keys: HashMap<String, Known>,
    since: Instant,
}

/// A key, or whether it may be worth asking.
pub(super) enum Found {
    Key(DecodingKey),
    /// It is known, but its issuer should be asked again.
    Old(DecodingKey),
    Unknown,
}

impl Keys {
    pub(super) fn new(issuer: &str, url: Option<&str>, client: Client) -> Self {
        Self {
            issuer: issuer.to_owned(),
            url: url.map(str::to_owned),
            client,
            held: RwLock::new(None),
            asked: Mutex::new(None),
        }
    }

    /// The key of this name; the only one that fits, for a token without one.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref().filter(|h| h.since.elapsed() < STALE) else {
            return Found::Unknown;
        };
        let fits = |(key, only): &&Known| {
            let family = key.family().algorithms().contains(&algorithm);
            family && only.is_none_or(|only| only == algorithm)
        };
        let key = match kid {
            Some(kid) => held.keys.get(kid).filter(fits),
            None => {
                let mut fitting = held.keys.values().filter(fits);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        match key {
            Some((key, _)) if held.since.elapsed() < FRESH => Found::Key(key.clone()),
            Some((key, _)) => Found::Old(key.clone()),
            None => Found::Unknown,
        }
    }

    /// Asks the issuer, unless somebody has a moment ago.
    pub(super) async fn ask(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *asked = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let held = Held {
                    keys,
                    since: Instant::now(),
                };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(held));
            }
            Err(error) => {
                tracing::warn!(
                    issuer = self.issuer,
                    error,
                    "the issuer's keys cannot be had"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, Known>, String> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => discover(&self.client, &self.issuer)
                .await?
                .get("jwks_uri")
                .and_then(|url| url.as_str())
                .ok_or("its configuration names no jwks_uri")?
                .to_owned(),
        };
        if !may_ask(&self.issuer, &url) {
            return Err("its keys are not at an https address".to_owned());
        }
        let told = get(&self.client, &url).await?;
        let list = told.get("keys").and_then(|keys| keys.as_array());
        let list = list.ok_or("there are no keys")?;
        let mut keys = HashMap::new();
        for jwk in list.iter().take(MOST) {
            // Keys of kinds that nobody here knows are for others.
            let Ok(jwk) = serde_json::from_value::<Jwk>(jwk.clone()) else {
                continue;
            };
            if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
                continue;
            }
            let only = jwk.common.key_algorithm;
            let only = only.and_then(|only| only.to_string().parse().ok());
            if let Ok(key) = DecodingKey::from_jwk(&jwk) {
                let name = jwk.common.key_id.unwrap_or_default();
                keys.insert(name, (key, only));
            }
        }
        Ok(keys)
    }
}

/// The configuration of an issuer (OpenID Connect Discovery 1.0).
///
/// # Errors
/// Why it cannot be had.
pub(crate) async fn discover(client: &Client, issuer: &str) -> Result<serde_json::Value, String> {
    let base = issuer.trim_end_matches('/');
    let told = get(client, &format!("{base}/.well-known/openid-configuration")).await?;
    let named = told.get("issuer").and_then(|name| name.as_str());
    if named.is_none_or(|name| name.trim_end_matches('/') != base) {
        return Err("its configuration is another issuer's".to_owned());
    }
    Ok(told)
}
