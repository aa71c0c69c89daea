//! Tokens that somebody else has signed (JWT, RFC 7519): an OpenID Connect provider, or whoever publishes keys.
//!
//! A token admits where its signature is by a key that its issuer publishes, with an algorithm that is on the list, and it names the issuer
//! and an audience of ours and a time that is not over. The key's kind decides which algorithms can be meant, so that no public key is
//! ever used as a shared secret; unsigned tokens are not even read. Keys are kept, and fetched anew when a token names one that is not
//! known, once a second at most.
mod crypto;
mod keys;

pub(crate) use keys::discover;

use super::ring::Allow;
use crate::config::Oidc;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keys::{Found, Keys};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};
use tierway_layers::{
    auth::{Authority, Caller, Verdict},
    tenants::Own,
};
use tierway_services::{
    chat::{KeyId, Tenant},
    upstream::Client,
};

/// No token is longer.
const LONGEST: usize = 16 << 10;
/// No name is longer.
const NAME: usize = 128;

/// Reads what a provider says of who has signed in there.
pub(crate) struct IdTokens(Issuer);

/// Who has signed in.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) sub: String,
    pub(crate) tenant: String,
    pub(crate) email: Option<String>,
    pub(crate) nonce: Option<String>,
}

/// Knows the tokens of some issuers. Clones share their keys.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<[Issuer]>);

struct Issuer {
    told: Oidc,
    algorithms: Vec<Algorithm>,
    keys: Keys,
    allow: Allow,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Named {
    iss: String,
}

impl Tokens {
    /// Those of these issuers that name an audience.
    pub(crate) fn new(issuers: &BTreeMap<String, Oidc>, allow: &Allow) -> Option<Self> {
        crypto::install();
        let admitting = issuers.values().filter(|told| !told.audience.is_empty());
        let issuers: Arc<[Issuer]> = admitting.map(|told| Issuer::new(told, allow)).collect();
        (!issuers.is_empty()).then_some(Self(issuers))
    }
}

impl IdTokens {
    /// Those that are for `client_id`.
    pub(crate) fn new(told: &Oidc, client_id: &str) -> Self {
        crypto::install();
        let told = Oidc {
            audience: vec![client_id.to_owned()],
            ..told.clone()
        };
        let nobody: Allow = Arc::new(|_, _| None);
        Self(Issuer::new(&told, &nobody))
    }

    /// Who the token says has signed in; `None` where it is not valid.
    pub(crate) async fn read(&self, token: &str) -> Option<Identity> {
        let (issuer, token) = (&self.0, token.as_bytes());
        let header = decode_header(token).ok()?;
        if token.len() > LONGEST || !issuer.algorithms.contains(&header.alg) {
            return None;
        }
        let find = || match issuer.keys.find(header.kid.as_deref(), header.alg) {
            Found::Key(key) | Found::Old(key) => Some(key),
            Found::Unknown => None,
        };
        let key = match find() {
            Some(key) => key,
            None => {
                issuer.keys.ask().await;
                find()?
            }
        };
        let claims = issuer.claims(token, &key, header.alg).ok()?;
        let text = |name: &str| {
            let text = claims.rest.get(name)?.as_str()?;
            is_name(text).then(|| text.to_owned())
        };
        if !is_name(&claims.sub) {
            return None;
        }
        Some(Identity {
            tenant: issuer.tenant(&claims)?.to_owned(),
            email: text("email").or_else(|| text("preferred_username")),
            nonce: text("nonce"),
            sub: claims.sub.clone(),
        })
    }
}

impl Authority for Tokens {
    fn who(&self, presented: &[u8]) -> Verdict {
        if !presented.starts_with(b"eyJ") || presented.len() > LONGEST {
            return Verdict::Unknown;
        }
        let Ok(Named { iss }) = jsonwebtoken::dangerous::insecure_decode_claims(presented) else {
            return Verdict::Unknown;
        };
        let Some(place) = self.0.iter().position(|issuer| issuer.told.issuer == iss) else {
            return Verdict::Unknown;
        };
        let issuer = &self.0[place];
        // Reads what a token says of itself, and fails on algorithms that nobody knows, `none` among them.
        let Ok(header) = decode_header(presented) else {
            return Verdict::Refused("this token is not one that can be checked".into());
        };
        if !issuer.algorithms.contains(&header.alg) {
            return Verdict::Refused("this token is signed in a way that is not accepted".into());
        }
        let key = match issuer.keys.find(header.kid.as_deref(), header.alg) {
            Found::Key(key) => return issuer.check(presented, &key, header.alg),
            Found::Old(key) => Some(key),
            Found::Unknown => None,
        };
        let (all, token) = (self.clone(), presented.to_vec());
        Verdict::Later(Box::pin(async move {
            let Some(issuer) = all.0.get(place) else {
                return Verdict::Unknown;
            };
            issuer.keys.ask().await;
            match issuer.keys.find(header.kid.as_deref(), header.alg) {
                Found::Key(key) | Found::Old(key) => issuer.check(&token, &key, header.alg),
                Found::Unknown => match key {
                    Some(key) => issuer.check(&token, &key, header.alg),
                    None => {
                        Verdict::Refused("this token is signed with a key that is not known".into())
                    }
                },
            }
        }))
    }
}

impl Issuer {
    fn new(told: &Oidc, allow: &Allow) -> Self {
        let algorithms = told.algorithms.iter();
        Self {
            algorithms: algorithms.filter_map(|name| name.parse().ok()).collect(),
            keys: Keys::new(&told.issuer, told.jwks_url.as_deref(), Client::new()),
            told: told.clone(),
            allow: allow.clone(),
        }
    }

    fn check(&self, token: &[u8], key: &DecodingKey, algorithm: Algorithm) -> Verdict {
        match self.claims(token, key, algorithm) {
            Ok(claims) => self.caller(&claims),
            Err(why) => Verdict::Refused(why.into()),
        }
    }

    fn claims(
        &self,
        token: &[u8],
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Claims, &'static str> {
        if !key.family().algorithms().contains(&algorithm) {
            return Err("this token's key is not for its signature");
        }
        let mut rules = Validation::new(algorithm);
        rules.set_issuer(&[&self.told.issuer]);
        rules.set_audience(&self.told.audience);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.validate_nbf = true;
        rules.leeway = self.told.leeway.as_secs();
        match decode::<Claims>(token, key, &rules) {
            Ok(read) => Ok(read.claims),
            Err(error) => {
                use jsonwebtoken::errors::ErrorKind;
                let why = match error.kind() {
                    ErrorKind::ExpiredSignature => "this token has expired",
                    ErrorKind::ImmatureSignature => "this token is not valid yet",
                    ErrorKind::InvalidAudience => "this token is for somebody else",
                    ErrorKind::MissingRequiredClaim(_) => {
                        "this token lacks one of exp, iss and aud"
                    }
                    _ => "this token is not valid",
                };
                Err(why)
            }
        }
    }

    /// For whom the holder calls; `None` where the claim is no name.
    fn tenant<'a>(&'a self, claims: &'a Claims) -> Option<&'a str> {
        let claim = self.told.tenant_claim.as_deref();
        match claim.and_then(|name| claims.rest.get(name)) {
            None => Some(&self.told.tenant),
            Some(claim) => claim.as_str().filter(|name| is_name(name)),
        }
    }

    fn caller(&self, claims: &Claims) -> Verdict {
        let claim = |name: &Option<String>| claims.rest.get(name.as_deref()?);
        let Some(tenant) = self.tenant(claims) else {
            return Verdict::Refused("this token's claim of a tenant is no name".into());
        };
        let models = match claim(&self.told.models_claim).map(words) {
            None => None,
            Some(Some(models)) => Some(models),
            Some(None) => {
                return Verdict::Refused("this token's claim of models is no list of names".into());
            }
        };
        // Who it is is the issuer's business; that it is the same one is ours.
        let id = blake3::hash(format!("{}\n{}", claims.iss, claims.sub).as_bytes());
        let id = KeyId::new(&id.to_hex()[..16]);
        let mut caller = Caller::new(Tenant::new(tenant), id);
        if let Some(allowance) = (self.allow)(self.told.tiers.as_deref(), models.as_deref()) {
            caller = caller.with(Own(Arc::new(allowance)));
        }
        if let Some(tags) = claim(&self.told.tags_claim).and_then(words) {
            caller = caller.tags(tags.join(","));
        }
        Verdict::Known(Arc::new(caller))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME && !name.chars().any(char::is_control)
}

/// One name, or a list of them.
fn words(claim: &Value) -> Option<Vec<String>> {
    let word = |value: &Value| {
        let name = value.as_str()?;
        (is_name(name) && !name.contains(',')).then(|| name.to_owned())
    };
    match claim {
        Value::String(_) => Some(vec![word(claim)?]),
        Value::Array(list) if list.len() <= 64 => list.iter().map(word).collect(),
        _ => None,
    }
}
