//! How users of a client that signs in, such as Claude Code, get tokens instead of keys.
//!
//! The client asks `/.well-known/oauth-authorization-server` (RFC 8414) where to begin, begins (RFC 8628), shows its user a code and an
//! address, and asks every five seconds whether the user has approved. The user opens the page that we serve, types the code, and shows
//! who he is: with a password of the configuration, or at an OpenID Connect provider. The client then holds a token for an hour and one
//! that renews it, each once.
//!
//! | path | what |
//! |---|---|
//! | `GET /.well-known/oauth-authorization-server` | where the others are |
//! | `POST /oauth/device_authorization` | begins |
//! | `POST /oauth/token` | asks whether it is done, or renews |
//! | `POST /oauth/revoke` | signs out (RFC 7009) |
//! | `GET`, `POST /device` | the page |
//! | `GET /device/oidc/NAME`, `GET /oauth/callback` | to the provider and back |
//! | `GET /managed/settings` | the client's settings, for whoever may call |
//! | `POST /v1/metrics`, `/v1/logs`, `/v1/traces` | the client's telemetry: counted, not kept |
//!
//! What is under way is in the database of the keys ([`crate::access`]), so several nodes serve one sign-in.
mod book;
mod clients;
mod layer;
mod oauth;
mod oidc;
mod page;
mod passes;

pub(crate) use self::{
    clients::Clients,
    layer::{AnswersLayer, Desk},
    passes::Passes,
};

use crate::{
    access::{Access, Attempts, Store},
    config::{self, Config},
    server::Peer,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use oidc::Provider;
use std::{fmt, net::IpAddr, sync::Arc};
use tokio::sync::Semaphore;

/// Sign-ins that one address may begin, and wrong codes and passwords that it may send, a minute.
const BEGUN: u32 = 30;
const WRONG: u32 = 10;
/// Passwords that are looked at at a time: each takes 19 MiB and a core for some time.
const HASHES: usize = 2;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Signs users in. Clones are the same.
#[derive(Clone)]
pub(crate) struct SignIn(Arc<Inner>);

struct Inner {
    told: config::SignIn,
    access: Access,
    passes: Passes,
    providers: Vec<Provider>,
    begun: Attempts,
    wrong: Attempts,
    hashes: Semaphore,
    /// What an unknown user's password is compared with, so that time does not tell who is known.
    nobody: String,
}

impl SignIn {
    /// `None` where nobody signs in, or there is no place to keep it.
    pub(crate) fn new(config: &Config, access: Option<&Access>, passes: &Passes) -> Option<Self> {
        let told = config.access.sign_in.clone();
        let access = access.filter(|_| told.enabled)?.clone();
        let issuers = config.access.oidc.iter();
        let providers = issuers.filter_map(|(name, told)| Provider::new(name, told));
        Some(Self(Arc::new(Inner {
            told,
            access,
            passes: passes.clone(),
            providers: providers.collect(),
            begun: Attempts::new(BEGUN),
            wrong: Attempts::new(WRONG),
            hashes: Semaphore::new(HASHES),
            nobody: crate::access::hash_password("nobody's password").unwrap_or_default(),
        })))
    }

    /// Sees to it that tokens can be signed.
    async fn ready(&self, store: &Store) -> sqlx::Result<()> {
        if !self.0.passes.has_key() {
            self.0.passes.set_key(&store.secret().await?);
        }
        Ok(())
    }

    /// Where users reach us: what is configured, else what this client calls us.
    fn base(&self, head: &Parts) -> String {
        if let Some(url) = &self.0.told.public_url {
            return url.clone();
        }
        let host = head.headers.get(header::HOST).and_then(|h| h.to_str().ok());
        let host = host.or_else(|| head.uri.authority().map(|a| a.as_str()));
        let host = host.filter(|host| host.parse::<http::uri::Authority>().is_ok());
        let proto = head.headers.get("x-forwarded-proto");
        let tls = proto.is_some_and(|p| p == "https") || head.uri.scheme_str() == Some("https");
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}", host.unwrap_or("localhost"))
    }
}

impl Desk for SignIn {
    fn is_here(&self, _: &Method, path: &str) -> bool {
        matches!(
            path,
            oauth::METADATA
                | oauth::BEGIN
                | oauth::TOKEN
                | oauth::REVOKE
                | oidc::BACK
                | page::PATH
                | page::STYLE
        ) || path.starts_with(oidc::THERE)
    }

    async fn answer(&self, head: Parts, body: Bytes) -> Answer {
        match (&head.method, head.uri.path()) {
            (&Method::GET, oauth::METADATA) => oauth::metadata(&self.base(&head)),
            (&Method::POST, oauth::BEGIN) => oauth::begin(self, &head).await,
            (&Method::POST, oauth::TOKEN) => oauth::token(self, &head, &body).await,
            (&Method::POST, oauth::REVOKE) => oauth::revoke(self, &body).await,
            (&Method::GET | &Method::HEAD, page::STYLE) => page::style(),
            (&Method::GET | &Method::HEAD, page::PATH) => page::show(self, &head).await,
            (&Method::POST, page::PATH) => page::decide(self, &head, &body).await,
            (&Method::GET, oidc::BACK) => oidc::back(self, &head).await,
            (&Method::GET, path) if path.starts_with(oidc::THERE) => oidc::there(self, &head).await,
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n"),
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").finish_non_exhaustive()
    }
}

fn peer(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<Peer>().map(|peer| peer.0)
}

/// The value of a parameter of the query.
fn asked(head: &Parts, name: &str) -> Option<String> {
    crate::access::form_value(head.uri.query()?.as_bytes(), name)
}

/// Whether a page of somebody else's has sent this, as far as a browser tells.
fn is_foreign(headers: &HeaderMap, base: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin != base,
        // Not a browser's form.
        (None, None) => true,
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut res = Response::new(Full::new(body.into()));
    *res.status_mut() = status;
    let headers = res.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    res
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    answer(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    answer(status, "application/json", body.to_string())
}
