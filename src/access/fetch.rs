//! Asks an issuer of tokens: bounded in time and size, without following anybody elsewhere.
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::time::Duration;
use tierway_services::{chat::Pieces, providers::Secret, upstream::Client};

const PATIENCE: Duration = Duration::from_secs(5);
/// More than any issuer's keys or configuration take.
const LARGEST: usize = 256 << 10;

/// What stands at `url`, as JSON.
///
/// # Errors
/// Why it cannot be had; never what was sent.
pub(crate) async fn get(client: &Client, url: &str) -> Result<Value, String> {
    let request = Request::get(url).header(header::ACCEPT, "application/json");
    json(client, request.body(Pieces::default())).await
}

/// What `url` answers to a form, sent with a name and a password where it wants them.
///
/// # Errors
/// Why it cannot be had; never what was sent.
pub(crate) async fn post(
    client: &Client,
    url: &str,
    form: String,
    basic: Option<(&str, &Secret)>,
) -> Result<Value, String> {
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
    json(client, request.body(Pieces::from(Bytes::from(form)))).await
}

async fn json(client: &Client, request: http::Result<Request<Pieces>>) -> Result<Value, String> {
    let request = request.map_err(|error| error.to_string())?;
    let asked = async {
        let res = client.request(request).await;
        let res = res.map_err(|error| error.to_string())?;
        let status = res.status();
        let body = Limited::new(res.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        if !status.is_success() {
            return Err(format!("it answers {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(told) => told,
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

/// An address that may be asked because an issuer names it: `https`, or this machine's where the issuer is on it too.
pub(crate) fn may_ask(issuer: &str, url: &str) -> bool {
    let plain = issuer.starts_with("http://");
    let uri = url.parse::<http::Uri>().ok();
    uri.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => plain && is_loopback(host),
        _ => false,
    })
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
    }
}
