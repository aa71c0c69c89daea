//! Who may call and who may look.
use super::{super::values::Count, Named, Set, named};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tierway_services::{chat::Tier, providers::Secret};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Admin {
    pub(in crate::config) token: Set<Secret>,
    pub(in crate::config) token_env: Set<String>,
    pub(in crate::config) token_file: Set<PathBuf>,
    pub(in crate::config) open_metrics: Set<bool>,
    pub(in crate::config) tls: Set<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Access {
    pub(in crate::config) required: Set<bool>,
    pub(in crate::config) file: Set<PathBuf>,
    pub(in crate::config) pepper: Set<Secret>,
    pub(in crate::config) pepper_env: Set<String>,
    pub(in crate::config) pepper_file: Set<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct Oidc {
    pub(in crate::config) issuer: Set<String>,
    pub(in crate::config) audience: Set<Vec<String>>,
    pub(in crate::config) jwks_url: Set<String>,
    pub(in crate::config) algorithms: Set<Vec<String>>,
    pub(in crate::config) leeway: Set<Duration>,
    pub(in crate::config) tenant: Set<String>,
    pub(in crate::config) tenant_claim: Set<String>,
    pub(in crate::config) tiers: Set<Vec<Tier>>,
    pub(in crate::config) models_claim: Set<String>,
    pub(in crate::config) tags_claim: Set<String>,
    pub(in crate::config) client_id: Set<String>,
    pub(in crate::config) client_secret: Set<Secret>,
    pub(in crate::config) client_secret_env: Set<String>,
    pub(in crate::config) client_secret_file: Set<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct SignIn {
    pub(in crate::config) enabled: Set<bool>,
    pub(in crate::config) public_url: Set<String>,
    pub(in crate::config) settings: Set<PathBuf>,
    pub(in crate::config) token_ttl: Set<Duration>,
    pub(in crate::config) refresh_ttl: Set<Duration>,
    pub(in crate::config) max_pending: Set<Count>,
    #[serde(deserialize_with = "named")]
    pub(in crate::config) users: BTreeMap<String, Named<User>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct User {
    pub(in crate::config) password_hash: Set<Secret>,
    pub(in crate::config) tenant: Set<String>,
}
