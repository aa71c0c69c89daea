//! Whom a server trusts, and where that one is asked.
use super::{PATIENCE, challenge::Challenge};
use crate::{
    chat::Pieces,
    fetch::{get, is_private, may_ask},
    providers::Secret,
    upstream::Client,
};
use bytes::Bytes;
use http::{
    HeaderName, Request, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;

/// The shortest question that every server must answer, or refuse to.
const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"tierway","version":"0"}}}"#;

/// A server, and who gives tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server's address, as it was given.
    pub(super) url: String,
    /// The name under which tokens are asked for it.
    pub(super) resource: String,
    /// What it wants to be allowed.
    pub(super) scope: Option<String>,
    /// Who gives tokens.
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) registration_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    /// How clients may show who they are; without a word: any way.
    pub(super) ways: Option<Vec<String>>,
    /// Whether answers tell who gives them (RFC 9207).
    pub(super) tells_issuer: bool,
}

/// Asks the server at `url` whom it trusts; `None` where it lets anybody in.
///
/// # Errors
/// Why one cannot sign in there.
pub async fn discover(
    client: &Client,
    url: &str,
    headers: &[(String, Secret)],
) -> Result<Option<Target>, String> {
    if !is_private(url) {
        return Err("tokens are only sent by https, or within this machine".to_owned());
    }
    let (status, challenge) = probe(client, url, headers).await?;
    let challenge = challenge.unwrap_or_default();
    let told = match &challenge.resource_metadata {
        Some(place) if may_ask(url, place) => Some(
            get(client, place)
                .await
                .map_err(|fault| format!("it does not tell whom it trusts ({place}): {fault}"))?,
        ),
        Some(_) => return Err("its resource_metadata is not an https address".to_owned()),
        None => first(client, &well_known(url, "oauth-protected-resource")).await,
    };
    if told.is_none() && status != StatusCode::UNAUTHORIZED {
        return match status.is_success() {
            true => Ok(None),
            false => Err(format!("it answers {status}")),
        };
    }
    let told = told.unwrap_or_default();
    let resource = match text(&told, "resource") {
        Some(name) if covers(&name, url) => name,
        Some(name) => return Err(format!("its metadata is for another server: {name}")),
        None => url.to_owned(),
    };
    let trusted = told.get("authorization_servers").and_then(Value::as_array);
    let trusted = trusted.and_then(|all| all.first()?.as_str());
    // The first editions of the specification knew of none but the server itself.
    let issuer = trusted.map_or_else(|| origin(url), |issuer| Some(issuer.to_owned()));
    let issuer = issuer.ok_or("its address has no host")?;
    if !may_ask(url, &issuer) {
        return Err(format!("it trusts {issuer}, which is not an https address"));
    }
    let scope = challenge.scope.or_else(|| scopes(&told));
    endpoints(client, url, resource, scope, &issuer)
        .await
        .map(Some)
}

/// How the server answers somebody whom it does not know.
async fn probe(
    client: &Client,
    url: &str,
    headers: &[(String, Secret)],
) -> Result<(StatusCode, Option<Challenge>), String> {
    let mut req = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(Pieces::from(Bytes::from_static(HELLO.as_bytes())))
        .map_err(|error| error.to_string())?;
    for (name, value) in headers {
        let (Ok(name), Some(value)) = (name.parse::<HeaderName>(), value.header("")) else {
            return Err(format!("the header {name} cannot be sent"));
        };
        req.headers_mut().insert(name, value);
    }
    let res = tokio::time::timeout(PATIENCE, client.request(req)).await;
    let res = res.map_err(|_| "it does not answer in time".to_owned())?;
    let res = res.map_err(|error| format!("it cannot be reached: {error}"))?;
    Ok((res.status(), Challenge::read(res.headers())))
}

async fn endpoints(
    client: &Client,
    url: &str,
    resource: String,
    scope: Option<String>,
    issuer: &str,
) -> Result<Target, String> {
    let mut places = well_known(issuer, "oauth-authorization-server");
    places.truncate(1);
    places.extend(
        well_known(issuer, "openid-configuration")
            .into_iter()
            .take(1),
    );
    let base = issuer.trim_end_matches('/');
    places.push(format!("{base}/.well-known/openid-configuration"));
    places.dedup();
    let told = first(client, &places).await;
    let told =
        told.ok_or_else(|| format!("{issuer}, which it trusts, does not tell its endpoints"))?;
    let named = text(&told, "issuer").unwrap_or_default();
    if named.trim_end_matches('/') != base {
        return Err(format!("{issuer}, which it trusts, calls itself {named}"));
    }
    let all = |name: &str| strings(&told, name);
    if !all("code_challenge_methods_supported").is_some_and(|all| all.iter().any(|m| m == "S256")) {
        return Err(format!(
            "{issuer}, which it trusts, does not know PKCE (S256)"
        ));
    }
    let endpoint = |name: &str| text(&told, name).filter(|there| may_ask(issuer, there));
    let needed = |name: &str| {
        endpoint(name).ok_or_else(|| format!("{issuer}, which it trusts, has no https {name}"))
    };
    // Where one must ask for it to stay signed in.
    let scope = match all("scopes_supported") {
        Some(known) if known.iter().any(|scope| scope == "offline_access") => {
            let mut asked = scope.unwrap_or_default();
            if !asked.split(' ').any(|scope| scope == "offline_access") {
                asked.push_str(" offline_access");
            }
            Some(asked.trim_start().to_owned())
        }
        _ => scope,
    };
    Ok(Target {
        url: url.to_owned(),
        resource,
        scope,
        authorization_endpoint: needed("authorization_endpoint")?,
        token_endpoint: needed("token_endpoint")?,
        registration_endpoint: endpoint("registration_endpoint"),
        revocation_endpoint: endpoint("revocation_endpoint"),
        ways: all("token_endpoint_auth_methods_supported"),
        tells_issuer: told.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        issuer: named,
    })
}

/// The first of these that tells something.
async fn first(client: &Client, places: &[String]) -> Option<Value> {
    for place in places {
        if let Ok(told @ Value::Object(_)) = get(client, place).await {
            return Some(told);
        }
    }
    None
}

fn text(told: &Value, name: &str) -> Option<String> {
    told.get(name)?.as_str().map(str::to_owned)
}

fn strings(told: &Value, name: &str) -> Option<Vec<String>> {
    let all = told.get(name)?.as_array()?.iter();
    Some(all.filter_map(|v| v.as_str().map(str::to_owned)).collect())
}

fn scopes(told: &Value) -> Option<String> {
    strings(told, "scopes_supported")
        .filter(|all| !all.is_empty())
        .map(|all| all.join(" "))
}

fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// Where `name` is for `url` (RFC 8615): for its path, and for the whole host.
fn well_known(url: &str, name: &str) -> Vec<String> {
    let Some(origin) = origin(url) else {
        return Vec::new();
    };
    let whole = format!("{origin}/.well-known/{name}");
    let path = url.parse::<Uri>().map(|uri| uri.path().to_owned());
    match path.unwrap_or_default().trim_end_matches('/') {
        "" => vec![whole],
        path => vec![format!("{whole}{path}"), whole],
    }
}

/// Whether what is for `resource` is for `url`: the same host, and the same path or one above.
fn covers(resource: &str, url: &str) -> bool {
    let (Ok(one), Ok(other)) = (resource.parse::<Uri>(), url.parse::<Uri>()) else {
        return false;
    };
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let port = |uri: &Uri| {
        let usual = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        uri.port_u16().unwrap_or(usual)
    };
    if host(&one).is_none()
        || (one.scheme(), host(&one), port(&one)) != (other.scheme(), host(&other), port(&other))
    {
        return false;
    }
    let above = one.path().trim_end_matches('/');
    let rest = other.path().strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_covers() {
        for (resource, url, does) in [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://A.example:443/", "https://a.example/mcp", true),
            ("https://a.example/mcp/", "https://a.example/mcp/x", true),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://a.example/mcp/x", "https://a.example/mcp", false),
            ("http://a.example/mcp", "https://a.example/mcp", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example:444/", "https://a.example/mcp", false),
            ("/mcp", "/mcp", false),
        ] {
            assert_eq!(covers(resource, url), does, "{resource} {url}");
        }
    }

    #[test]
    fn well_known_places() {
        assert_eq!(
            well_known("https://a.example/x/mcp/", "n"),
            [
                "https://a.example/.well-known/n/x/mcp",
                "https://a.example/.well-known/n"
            ]
        );
        assert_eq!(
            well_known("https://a.example", "n"),
            ["https://a.example/.well-known/n"]
        );
    }

    #[tokio::test]
    async fn nothing_is_asked_in_the_clear() {
        let asked = discover(&Client::new(), "http://a.example/mcp", &[]).await;
        assert!(asked.unwrap_err().contains("https"));
    }
}
