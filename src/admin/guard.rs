//! Who may look at the admin port.
//!
//! With a credential (`admin.token`) everything but the probes needs it: as `Authorization: Bearer`, as the password of `Basic`, or as the
//! cookie that the login page gives, which is HttpOnly and SameSite=Strict and says nothing but until when it holds. Without one the port
//! is on loopback only, and answers only to names of this machine, so that no web page that a browser shows here can ask it by another
//! name. Whatever changes something must come from a page of its own or from no page at all.
use super::{login, respond};
use crate::{access::now, config, server::Peer};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts,
    uri::Authority,
};
use http_body_util::Full;
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};
use tierway_services::providers::Secret;

/// The cookie's name.
const COOKIE: &str = "tierway_admin";
/// How long it holds, in seconds.
const HOLDS: i64 = 12 * 60 * 60;
/// So many wrong credentials a minute.
const TRIES: u32 = 20;

type Answer = Response<Full<Bytes>>;

/// Who may look. Clones are the same.
#[derive(Clone)]
pub(super) struct Guard(Arc<Inner>);

/// What becomes of a credential that is tried.
pub(super) enum Tried {
    Right,
    Wrong,
    TooOften(Duration),
}

struct Inner {
    token: Option<blake3::Hash>,
    open_metrics: bool,
    tls: bool,
    /// Of this process alone: who has a cookie logs in again after a restart.
    key: [u8; 32],
    attempts: crate::access::Attempts,
}

impl Guard {
    pub(super) fn new(access: &config::Access) -> Self {
        let token = access.admin_token.as_ref();
        let chance = crate::access::random(52).unwrap_or_default();
        let material = format!("{chance}{}", token.map_or("", Secret::expose));
        Self(Arc::new(Inner {
            token: token.map(|token| blake3::hash(token.expose().as_bytes())),
            open_metrics: access.open_metrics,
            tls: access.admin_tls,
            key: blake3::derive_key("tierway 2026-11 admin cookie", material.as_bytes()),
            attempts: crate::access::Attempts::new(TRIES),
        }))
    }

    /// Whether there is a credential.
    pub(super) fn is_closed(&self) -> bool {
        self.0.token.is_some()
    }

    /// Nothing for whoever may pass; what others are told.
    pub(super) fn refuses<B>(&self, req: &Request<B>) -> Option<Answer> {
        let path = req.uri().path();
        if matches!(path, "/healthz" | "/readyz") {
            return None;
        }
        if is_foreign(req) {
            let told = "this must come from a page of this port, or from none\n";
            return Some(respond(StatusCode::FORBIDDEN, login::TEXT, told));
        }
        if self.0.token.is_none() {
            return match is_own_name(req) {
                true => None,
                false => {
                    let told = "ask for 127.0.0.1 or localhost: without admin.token this port answers to no other name\n";
                    Some(respond(StatusCode::MISDIRECTED_REQUEST, login::TEXT, told))
                }
            };
        }
        let free = matches!(path, login::PATH | login::STYLE);
        if free || (path == "/metrics" && self.0.open_metrics) {
            return None;
        }
        if self.cookie_holds(req.headers()) {
            return None;
        }
        let peer = peer(req.extensions());
        match presented(req.headers()) {
            Some(token) => match self.try_token(&token, peer) {
                Tried::Right => None,
                Tried::Wrong => Some(denied("this credential is not valid\n")),
                Tried::TooOften(wait) => Some(later(wait)),
            },
            None if wants_page(req) => Some(login::redirect(login::PATH)),
            None => Some(denied(
                "send the credential of admin.token as `Authorization: Bearer`\n",
            )),
        }
    }

    /// Whether this is the credential.
    pub(super) fn try_token(&self, token: &[u8], peer: Option<IpAddr>) -> Tried {
        if let Err(wait) = self.0.attempts.may(peer) {
            return Tried::TooOften(wait);
        }
        // `Hash` compares in constant time.
        if self.0.token == Some(blake3::hash(token)) {
            return Tried::Right;
        }
        self.0.attempts.failed(peer);
        Tried::Wrong
    }

    /// A cookie that holds from now on.
    pub(super) fn cookie(&self, secure: bool) -> String {
        let until = now() / 1000 + HOLDS;
        let mac = self.mac(until).to_hex();
        let secure = if secure { "; Secure" } else { "" };
        format!(
            "{COOKIE}={until}.{mac}; Path=/; Max-Age={HOLDS}; HttpOnly; SameSite=Strict{secure}"
        )
    }

    /// Whether the browser's connection is TLS, ours or that of a proxy which tells.
    pub(super) fn is_secure(&self, head: &Parts) -> bool {
        let told = head.headers.get("x-forwarded-proto");
        self.0.tls || told.is_some_and(|proto| proto == "https")
    }

    /// A cookie that takes the other one away.
    pub(super) fn no_cookie() -> String {
        format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
    }

    fn mac(&self, until: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.0.key, &until.to_be_bytes())
    }

    fn cookie_holds(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let Some((_, value)) = pairs.find(|(name, _)| *name == COOKIE) else {
            return false;
        };
        let Some((until, mac)) = value.split_once('.') else {
            return false;
        };
        let (Ok(until), Ok(mac)) = (until.parse::<i64>(), blake3::Hash::from_hex(mac)) else {
            return false;
        };
        (self.mac(until) == mac) & (now() / 1000 < until)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

pub(super) fn peer(extensions: &http::Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|peer| peer.0)
}

/// What is presented: a bearer token, or the password of `Basic`.
fn presented(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD.decode(rest).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        return pair.get(colon + 1..).map(<[u8]>::to_vec);
    }
    None
}

fn wants_page<B>(req: &Request<B>) -> bool {
    let accept = req.headers().get(header::ACCEPT);
    let html = accept.is_some_and(|a| a.to_str().is_ok_and(|a| a.contains("text/html")));
    html && matches!(*req.method(), Method::GET | Method::HEAD)
}

fn later(wait: Duration) -> Answer {
    let told = "too many wrong credentials: wait a minute\n";
    let mut res = respond(StatusCode::TOO_MANY_REQUESTS, login::TEXT, told);
    let after = HeaderValue::from(wait.as_secs() + 1);
    res.headers_mut().insert(header::RETRY_AFTER, after);
    res
}

fn denied(why: &'static str) -> Answer {
    let mut res = respond(StatusCode::UNAUTHORIZED, login::TEXT, why);
    let scheme = HeaderValue::from_static("Bearer realm=\"tierway admin\"");
    res.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    res
}

/// Whether a page of somebody else's wants something changed here.
fn is_foreign<B>(req: &Request<B>) -> bool {
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        return false;
    }
    let text = |name: &str| req.headers().get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    // HTTP/2 has no `host`.
    let authority = req.uri().authority().map(Authority::as_str);
    match (text("origin"), authority.or_else(|| text("host"))) {
        (None, _) => false,
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, o)| o != host),
        (Some(_), None) => true,
    }
}

/// Whether the caller calls us by an address, or by this machine's own name.
fn is_own_name<B>(req: &Request<B>) -> bool {
    let told = req.headers().get(header::HOST).map(|host| host.to_str());
    let host = match (req.uri().host(), told) {
        (Some(host), _) => host,
        (None, Some(Ok(host))) => host,
        (None, Some(Err(_))) => return false,
        (None, None) => return true,
    };
    let name = host.parse::<http::uri::Authority>();
    let name = name.as_ref().map_or(host, |authority| authority.host());
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(token: Option<&str>) -> Guard {
        Guard::new(&config::Access {
            admin_token: token.map(Secret::new),
            ..config::Access::default()
        })
    }

    fn ask(guard: &Guard, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut req = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            req = req.header(*name, *value);
        }
        let refused = guard.refuses(&req.body(()).unwrap());
        refused.map_or(200, |res| res.status().as_u16())
    }

    #[test]
    fn the_credential_opens() {
        let guard = guard(Some(TOKEN));
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("me:{TOKEN}")));
        let bearer = format!("Bearer {TOKEN}");
        let cookie = guard.cookie(false);
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let forged = cookie.replace(".", "9.");
        for (headers, status) in [
            (vec![], 401),
            (vec![("accept", "text/html")], 303),
            (vec![("authorization", bearer.as_str())], 200),
            (vec![("authorization", basic.as_str())], 200),
            (vec![("authorization", "Bearer 0123456789abcdeX")], 401),
            (vec![("cookie", cookie.as_str())], 200),
            (vec![("cookie", forged.as_str())], 401),
            (vec![("cookie", "tierway_admin=1.x")], 401),
        ] {
            assert_eq!(
                ask(&guard, "GET", "/metrics", &headers),
                status,
                "{headers:?}"
            );
        }
        assert_eq!(ask(&guard, "GET", "/healthz", &[]), 200);
        assert_eq!(ask(&guard, "GET", "/login", &[]), 200);
        let foreign = [
            ("cookie", cookie.as_str()),
            ("host", "gw:9787"),
            ("origin", "https://evil.example"),
        ];
        assert_eq!(ask(&guard, "POST", "/v1/keys", &foreign), 403);
        let own = [
            ("cookie", cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(ask(&guard, "POST", "/v1/keys", &own), 200);
    }

    #[test]
    fn guessing_ends_soon() {
        let guard = guard(Some(TOKEN));
        let wrong = [("authorization", "Bearer wrong")];
        for _ in 0..TRIES {
            assert_eq!(ask(&guard, "GET", "/metrics", &wrong), 401);
        }
        assert_eq!(ask(&guard, "GET", "/metrics", &wrong), 429);
    }

    #[test]
    fn without_a_credential_it_answers_to_this_machines_names_alone() {
        let guard = guard(None);
        for (host, status) in [
            ("127.0.0.1:9787", 200),
            ("localhost:9787", 200),
            ("[::1]:9787", 200),
            ("evil.example:9787", 421),
            ("localhost.evil.example", 421),
        ] {
            assert_eq!(
                ask(&guard, "GET", "/metrics", &[("host", host)]),
                status,
                "{host}"
            );
        }
        let page = [("host", "127.0.0.1:9787"), ("sec-fetch-site", "cross-site")];
        assert_eq!(ask(&guard, "POST", "/v1/route", &page), 403);
    }
}
