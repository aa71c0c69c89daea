//! Asks a server of tokens or keys: bounded in time and size, without following anybody elsewhere.
use crate::{chat::Pieces, providers::Secret, upstream::Client};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::{fmt, time::Duration};

const PATIENCE: Duration = Duration::from_secs(5);
/// More than any issuer's keys or configuration take.
const LARGEST: usize = 256 << 10;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It cannot be asked, or its answer is none. Never with what was sent.
    Away(String),
    /// It refuses, with this status and perhaps the reason (`error` of RFC 6749, section 5.2), of letters, digits and `_`.
    Refused(StatusCode, Option<String>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Refused(status, None) => write!(f, "it answers {status}"),
            Self::Refused(status, Some(why)) => write!(f, "it answers {status}: {why}"),
        }
    }
}
impl std::error::Error for Fault {}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

/// What stands at `url`, as JSON, within five seconds.
///
/// # Errors
/// Why it cannot be had; never what was sent.
pub async fn get(client: &Client, url: &str) -> Result<Value, Fault> {
    let request = Request::get(url).header(header::ACCEPT, "application/json");
    ask(client, request.body(Pieces::default()), PATIENCE).await
}

/// What `url` answers to a form, within five seconds; sent with a name and a password where it wants them.
///
/// # Errors
/// Why it cannot be had; never what was sent.
pub async fn post(
    client: &Client,
    url: &str,
    form: String,
    basic: Option<(&str, &Secret)>,
) -> Result<Value, Fault> {
    ask(client, posted(url, form, basic), PATIENCE).await
}

/// The request with a form.
pub(crate) fn posted(
    url: &str,
    form: String,
    basic: Option<(&str, &Secret)>,
) -> http::Result<Request<Pieces>> {
    let mut request = Request::post(url)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some((name, secret)) = basic {
        // Each part as in a form, as RFC 6749 wants it.
        let part =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", part(name), part(secret.expose()));
        request = request.header(
            header::AUTHORIZATION,
            format!("Basic {}", BASE64_STANDARD.encode(pair)),
        );
    }
    request.body(Pieces::from(Bytes::from(form)))
}

/// What is answered to `request`, as JSON, within `patience`. An empty answer is `null`.
pub(crate) async fn ask(
    client: &Client,
    request: http::Result<Request<Pieces>>,
    patience: Duration,
) -> Result<Value, Fault> {
    let away = |error: &dyn fmt::Display| Fault::Away(error.to_string());
    let request = request.map_err(|error| away(&error))?;
    let asked = async {
        let res = client.request(request).await;
        let res = res.map_err(|error| away(&error))?;
        let status = res.status();
        let body = Limited::new(res.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| away(&error))?.to_bytes();
        if !status.is_success() {
            return Err(Fault::Refused(status, reason(&body)));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| away(&error))
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(told) => told,
        Err(_) => Err(Fault::Away("it does not answer in time".to_owned())),
    }
}

/// The code of an error, where it is one: what else is said may quote what was sent.
fn reason(body: &[u8]) -> Option<String> {
    let told: Value = serde_json::from_slice(body).ok()?;
    let code = told.get("error")?.as_str()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (code.len() <= 64 && code.chars().all(fits)).then(|| code.to_owned())
}

/// An address that may be asked because an issuer names it: `https`, or this machine's where the issuer is on it too.
#[must_use]
pub fn may_ask(issuer: &str, url: &str) -> bool {
    let plain = issuer.starts_with("http://");
    let uri = url.parse::<Uri>().ok();
    uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => plain && is_loopback(host),
        _ => false,
    })
}

/// Whether nobody else hears what is sent there.
#[must_use]
pub fn is_private(url: &str) -> bool {
    may_ask("http://", url)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_inside() {
        for (issuer, url, may) in [
            ("https://a.example", "https://keys.example/x", true),
            ("https://a.example", "http://169.254.169.254/x", false),
            ("https://a.example", "http://127.0.0.1/x", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/x", true),
            ("http://127.0.0.1:1", "http://10.0.0.1/x", false),
            ("https://a.example", "file:///etc/passwd", false),
        ] {
            assert_eq!(may_ask(issuer, url), may, "{url}");
        }
        assert!(is_private("https://a.example") && is_private("http://[::1]:1/x"));
        assert!(!is_private("http://a.example"));
    }

    #[test]
    fn of_a_refusal_only_the_code_is_told() {
        let body = br#"{"error": "invalid_grant", "error_description": "secret-1"}"#;
        assert_eq!(reason(body).as_deref(), Some("invalid_grant"));
        for body in [&b"<html>"[..], br#"{"error": "no <such> code"}"#, b"{}"] {
            assert_eq!(reason(body), None);
        }
    }
}
