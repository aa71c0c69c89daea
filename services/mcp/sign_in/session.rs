//! A sign-in: what it is for, and its tokens.
use super::now;
use crate::providers::Secret;
use serde::{Deserialize, Serialize};

/// A sign-in to one server. Its tokens go to no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The server's address.
    pub(super) url: String,
    /// The name under which tokens are asked for it (RFC 8707).
    pub(super) resource: String,
    /// Who gives them.
    pub(super) issuer: String,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) client: Registered,
    /// What they allow.
    pub(super) scope: Option<String>,
    /// When somebody signed in, in milliseconds since 1970: another sign-in has another one.
    pub(super) since: u64,
    /// `None` when the sign-in has ended.
    #[serde(with = "shown")]
    pub(super) access_token: Option<Secret>,
    #[serde(with = "shown")]
    pub(super) refresh_token: Option<Secret>,
    /// From when on it is to be renewed, and when it ends, where that is known.
    pub(super) renew: Option<u64>,
    pub(super) expires: Option<u64>,
}

/// Who we are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) id: String,
    #[serde(with = "shown")]
    pub(super) secret: Option<Secret>,
    /// Whether the secret is sent in the form, and not in a header.
    pub(super) in_form: bool,
}

impl Session {
    /// Whether it is for the server at `url`.
    #[must_use]
    pub fn is_for(&self, url: &str) -> bool {
        self.url == url
    }
    /// Whether somebody must sign in again.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let over = self.expires.is_some_and(|at| at <= now());
        self.access_token.is_none() || (over && self.refresh_token.is_none())
    }
    /// Whether it goes on by itself when its token ends.
    #[must_use]
    pub const fn is_renewed(&self) -> bool {
        self.refresh_token.is_some()
    }
    /// When its token ends, in milliseconds since 1970, where that is known.
    #[must_use]
    pub const fn expires(&self) -> Option<u64> {
        self.expires
    }
    /// Who gave its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// What they allow, with spaces between, where that is known.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The same, over.
    pub(super) fn ended(&self) -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            renew: None,
            expires: None,
            ..self.clone()
        }
    }
}

/// A secret as it is kept. Nothing else may write one.
mod shown {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}

#[cfg(test)]
pub(super) fn example() -> Session {
    Session {
        url: "http://127.0.0.1:1/mcp".into(),
        resource: "http://127.0.0.1:1/mcp".into(),
        issuer: "http://127.0.0.1:1".into(),
        token_endpoint: "http://127.0.0.1:1/token".into(),
        revocation_endpoint: None,
        client: Registered {
            id: "c".into(),
            secret: Some(Secret::new("secret-c")),
            in_form: true,
        },
        scope: None,
        since: 1,
        access_token: Some(Secret::new("secret-a")),
        refresh_token: Some(Secret::new("secret-r")),
        renew: Some(now() + 30_000),
        expires: Some(now() + 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_and_not_printed() {
        let session = example();
        let kept = serde_json::to_string(&session).unwrap();
        assert!(kept.contains("secret-a") && kept.contains("secret-r"));
        assert_eq!(serde_json::from_str::<Session>(&kept).unwrap(), session);
        assert!(!format!("{session:?}").contains("secret-"));
    }

    #[test]
    fn ends() {
        let mut session = example();
        assert!(!session.has_ended() && session.is_renewed());
        session.expires = Some(1);
        assert!(!session.has_ended(), "it is renewed");
        session.refresh_token = None;
        assert!(session.has_ended());
        assert!(example().ended().has_ended());
    }
}
