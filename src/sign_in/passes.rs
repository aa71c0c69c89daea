//! Access tokens of those who have signed in: what they say is signed with a key that all nodes share, so that no call asks a database.
//!
//! A token is `tw-pass-`, what it says in base64url, a dot and a keyed BLAKE3 of that. It says who it is for and until when. A user of the
//! configuration who is no longer in it is not admitted, whatever the token says; others end when their token ends.
use crate::{
    access::{Allow, now},
    config::Config,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use tierway_layers::{
    auth::{Authority, Caller, Verdict},
    tenants::Own,
};
use tierway_services::chat::{KeyId, Tenant};

const PREFIX: &str = "tw-pass-";
/// No token of ours is longer.
const LONGEST: usize = 2048;

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    /// `user:NAME`, or `oidc:ISSUER:SUBJECT`.
    #[serde(rename = "s")]
    pub(crate) subject: String,
    #[serde(rename = "t")]
    pub(crate) tenant: String,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pass {
    #[serde(flatten)]
    who: Who,
    #[serde(rename = "e")]
    until: i64,
}

/// Signs and knows passes. Clones share the key.
#[derive(Clone)]
pub(crate) struct Passes(Arc<Inner>);

struct Inner {
    /// Known once the database was asked for it.
    key: OnceLock<[u8; 32]>,
    config: Config,
    allow: Allow,
}

impl Passes {
    pub(crate) fn new(config: &Config, allow: Allow) -> Self {
        Self(Arc::new(Inner {
            key: OnceLock::new(),
            config: config.clone(),
            allow,
        }))
    }

    /// The key that all nodes share.
    pub(crate) fn set_key(&self, secret: &str) {
        let key = blake3::derive_key("tierway 2026-11 passes", secret.as_bytes());
        let _ = self.0.key.set(key);
    }

    pub(crate) fn has_key(&self) -> bool {
        self.0.key.get().is_some()
    }

    /// Something signed, for `purpose` alone.
    pub(crate) fn seal(&self, purpose: &str, value: &impl Serialize) -> Option<String> {
        let text = BASE64.encode(serde_json::to_vec(value).ok()?);
        let mac = self.mac(purpose, &text)?.to_hex();
        Some(format!("{text}.{mac}"))
    }

    /// What was sealed for this purpose.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        let (text, mac) = sealed.split_once('.')?;
        let mac = blake3::Hash::from_hex(mac).ok()?;
        // `Hash` compares in constant time.
        if self.mac(purpose, text)? != mac {
            return None;
        }
        serde_json::from_slice(&BASE64.decode(text).ok()?).ok()
    }

    fn mac(&self, purpose: &str, text: &str) -> Option<blake3::Hash> {
        let key = self.0.key.get()?;
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(purpose.as_bytes()).update(b"\n");
        Some(hasher.update(text.as_bytes()).finalize())
    }

    /// A token for `who`.
    pub(crate) fn issue(&self, who: &Who) -> Option<String> {
        let ttl = self.0.config.access.sign_in.token_ttl.as_millis();
        let pass = Pass {
            who: who.clone(),
            until: now().saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)),
        };
        Some(format!("{PREFIX}{}", self.seal("pass", &pass)?))
    }

    /// Whether `subject` may still come in.
    pub(crate) fn is_welcome(&self, who: &Who) -> bool {
        let access = &self.0.config.access;
        match who.subject.split_once(':') {
            Some(("user", name)) => {
                let user = access.sign_in.users.get(name);
                user.is_some_and(|user| user.tenant == who.tenant)
            }
            Some(("oidc", rest)) => rest.split_once(':').is_some_and(|(issuer, _)| {
                let issuer = access.oidc.get(issuer);
                issuer.is_some_and(|issuer| issuer.client_id.is_some())
            }),
            _ => false,
        }
    }

    fn caller(&self, who: &Who) -> Caller {
        let id = blake3::hash(who.subject.as_bytes()).to_hex();
        let mut caller = Caller::new(Tenant::new(who.tenant.as_str()), KeyId::new(&id[..16]));
        let issuer = who.subject.strip_prefix("oidc:");
        let issuer = issuer.and_then(|rest| rest.split_once(':'));
        let issuer = issuer.and_then(|(name, _)| self.0.config.access.oidc.get(name));
        let tiers = issuer.and_then(|issuer| issuer.tiers.as_deref());
        if let Some(allowance) = (self.0.allow)(tiers, None) {
            caller = caller.with(Own(Arc::new(allowance)));
        }
        caller
    }
}

impl Authority for Passes {
    fn who(&self, presented: &[u8]) -> Verdict {
        let text = std::str::from_utf8(presented).ok();
        let Some(sealed) = text.and_then(|text| text.strip_prefix(PREFIX)) else {
            return Verdict::Unknown;
        };
        let pass = (sealed.len() <= LONGEST).then(|| self.open::<Pass>("pass", sealed));
        match pass.flatten() {
            Some(pass) if now() >= pass.until => {
                Verdict::Refused("this sign-in has to be renewed".into())
            }
            Some(pass) if self.is_welcome(&pass.who) => {
                Verdict::Known(Arc::new(self.caller(&pass.who)))
            }
            _ => Verdict::Refused("this sign-in is not known here: sign in again".into()),
        }
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::User;
    use std::time::Duration;
    use tierway_services::providers::Secret;

    fn passes(ttl: Duration) -> Passes {
        let mut config = Config::default();
        config.access.sign_in.token_ttl = ttl;
        config.access.sign_in.users.insert(
            "ann".to_owned(),
            User {
                password_hash: Secret::new("$argon2id$"),
                tenant: "staff".to_owned(),
            },
        );
        let passes = Passes::new(&config, Arc::new(|_, _| None));
        passes.set_key("secret");
        passes
    }

    fn ann() -> Who {
        Who {
            subject: "user:ann".to_owned(),
            tenant: "staff".to_owned(),
            email: None,
        }
    }

    #[test]
    fn a_pass_admits_until_its_time_is_over() {
        let passes = passes(Duration::from_secs(60));
        let token = passes.issue(&ann()).unwrap();
        let known = |token: &str| matches!(passes.who(token.as_bytes()), Verdict::Known(_));
        assert!(known(&token));
        for wrong in [
            format!("{token}0"),
            token.replace("tw-pass-e", "tw-pass-f"),
            "tw-pass-".into(),
        ] {
            assert!(!known(&wrong), "{wrong}");
        }
        // Sealed for something else.
        let other = passes.seal("proof", &ann()).unwrap();
        assert!(!known(&format!("{PREFIX}{other}")));
        let over = self::passes(Duration::ZERO).issue(&ann()).unwrap();
        assert!(!known(&over));
        assert!(matches!(passes.who(b"sk-other"), Verdict::Unknown));
    }

    #[test]
    fn who_has_left_is_not_admitted() {
        let passes = passes(Duration::from_secs(60));
        for (subject, tenant) in [
            ("user:bob", "staff"),
            ("user:ann", "other"),
            ("oidc:x:1", "x"),
            ("", ""),
        ] {
            let who = Who {
                subject: subject.to_owned(),
                tenant: tenant.to_owned(),
                email: None,
            };
            let token = passes.issue(&who).unwrap();
            assert!(matches!(passes.who(token.as_bytes()), Verdict::Refused(_)));
        }
    }
}
