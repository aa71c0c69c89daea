//! Who may call and who may look.
use super::{Config, Ledger};
use crate::ledger::Place;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tierway_services::{chat::Tier, providers::Secret};

/// Who may call and who may look, beside the keys of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What opens the admin port; absent means that it is open, and then it is on loopback only.
    pub admin_token: Option<Secret>,
    /// Whether metrics are shown without it.
    pub open_metrics: bool,
    /// Whether the admin port speaks TLS, with the certificate that callers are shown.
    pub admin_tls: bool,
    /// Whether nobody may call without a key even where the file has none.
    pub required: bool,
    /// The file that holds virtual keys and sign-ins; absent means that there is no folder for it.
    pub file: Option<PathBuf>,
    /// What is mixed into the digests of keys.
    pub pepper: Option<Secret>,
    /// Whose signed tokens admit.
    pub oidc: BTreeMap<String, Oidc>,
    /// How users of a client that signs in get tokens.
    pub sign_in: SignIn,
}

/// Somebody whose signed tokens admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// What tokens must name as `iss`, and where its configuration is found.
    pub issuer: String,
    /// What tokens must name as `aud`: one of these. Empty means that they do not admit, and that this is for the sign-in page alone.
    pub audience: Vec<String>,
    /// Where its public keys are; absent means: its configuration tells.
    pub jwks_url: Option<String>,
    /// The signatures that are accepted.
    pub algorithms: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// For whom callers call of whom no claim tells.
    pub tenant: String,
    /// The claim that tells.
    pub tenant_claim: Option<String>,
    /// The tiers that they may use; absent means all.
    pub tiers: Option<Vec<Tier>>,
    /// The claim that lists the models.
    pub models_claim: Option<String>,
    /// The claim that lists words for the books.
    pub tags_claim: Option<String>,
    /// As whom the sign-in page introduces itself; absent means that it does not offer this issuer.
    pub client_id: Option<String>,
    /// What it shows for that; absent means: a public client.
    pub client_secret: Option<Secret>,
}

/// How users of a client that signs in get tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Whether they do.
    pub enabled: bool,
    /// Where callers reach the gateway, without a slash at its end.
    pub public_url: Option<String>,
    /// The file of settings that clients are told.
    pub settings: Option<PathBuf>,
    /// How long a token admits.
    pub token_ttl: Duration,
    /// How long a sign-in lasts without use.
    pub refresh_ttl: Duration,
    /// How many sign-ins may be under way.
    pub max_pending: usize,
    /// Who may sign in with a password.
    pub users: BTreeMap<String, User>,
}

/// Who may sign in with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Argon2id's word for the password.
    pub password_hash: Secret,
    /// For whom it calls.
    pub tenant: String,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            enabled: false,
            public_url: None,
            settings: None,
            token_ttl: Duration::from_secs(60 * 60),
            refresh_ttl: Duration::from_secs(30 * 24 * 60 * 60),
            max_pending: 1000,
            users: BTreeMap::new(),
        }
    }
}

impl Access {
    /// Where virtual keys and sign-ins are kept: with the ledger where that is a server's, in a file of their own otherwise.
    #[must_use]
    pub fn place(&self, ledger: &Ledger) -> Option<Place> {
        let server = ledger.url.clone().map(Place::Server);
        server.or_else(|| self.file.clone().map(Place::File))
    }
}

impl Config {
    /// Whether nobody may call without a key or a token.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let tokens = self.access.oidc.values().any(|o| !o.audience.is_empty());
        !self.keys.is_empty() || self.access.required || tokens || self.access.sign_in.enabled
    }
}
