//! Where a provider listens.
use super::provider::Provider;
use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// A provider's address, in the one form: scheme, authority, and the path up to and including the API's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    scheme: Scheme,
    authority: Authority,
    /// The `host` header of a plain connection, which is always HTTP/1.1; in HTTP/2 there is none, and which it is TLS decides.
    host: Option<HeaderValue>,
    /// No slash at its end; `/v1`, `/api/v1`, `/api/paas/v4`.
    path: Box<str>,
}

/// What users paste instead of the base: the address of one endpoint.
const ENDPOINTS: [&str; 4] = ["/chat/completions", "/messages", "/responses", "/models"];

impl Address {
    /// Reads a base URL, with or without a version at its end.
    ///
    /// # Errors
    /// What is wrong with it, never the URL itself: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let url = url.trim();
        let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS)
            .ok_or("it must begin with http:// or https://")?;
        let authority = parts.authority.ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it holds a user name or password: give the key by itself");
        }
        let path = parts
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() || url.contains('#') {
            return Err("it must end before any ? or #");
        }
        let mut base = path.path().trim_end_matches('/');
        for endpoint in ENDPOINTS {
            base = base.strip_suffix(endpoint).unwrap_or(base);
        }
        let last = base.rsplit('/').next().unwrap_or_default();
        let version = if is_version(last) { "" } else { "/v1" };
        let host = match authority.port_u16() {
            None | Some(80) => authority.host(),
            Some(_) => authority.as_str(),
        };
        Ok(Self {
            host: HeaderValue::from_str(host)
                .ok()
                .filter(|_| scheme == Scheme::HTTP),
            scheme,
            authority,
            path: format!("{base}{version}").into(),
        })
    }

    /// The URI of a path after the version. The path may bring a query of its own.
    pub(super) fn uri(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        self.build(&self.path, path, query)
    }

    /// The URI of a path that stands where the version would. What the user has pasted of that path is not written twice.
    pub(super) fn rooted(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let base = self.path.rsplit_once('/').map_or("", |(base, _)| base);
        let pasted = path
            .match_indices('/')
            .filter_map(|(at, _)| path.get(..at))
            .filter(|start| !start.is_empty() && base.ends_with(start))
            .max_by_key(|start| start.len());
        let base = pasted.and_then(|p| base.strip_suffix(p)).unwrap_or(base);
        self.build(base, path, query)
    }

    fn build(&self, base: &str, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let mark = match query {
            Some(_) if path.contains('?') => "&",
            Some(_) => "?",
            None => "",
        };
        let query = query.unwrap_or_default();
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{base}{path}{mark}{query}"))
            .build()
    }

    /// Scheme, host and port: safe to show.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

impl Provider {
    /// The `host` header of its requests where it is known before there is a connection: the client would put it together for each.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.address.as_ref()?.host.as_ref()
    }
}

/// `v1`, `v4`, `v1beta`.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && v.len() <= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_read_with_and_without_its_version() {
        for (url, expected) in [
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234/v1/models"),
            ("http://127.0.0.1:1234/", "http://127.0.0.1:1234/v1/models"),
            ("http://h/v1", "http://h/v1/models"),
            ("http://h/v1/", "http://h/v1/models"),
            (
                "https://openrouter.ai/api/v1",
                "https://openrouter.ai/api/v1/models",
            ),
            ("https://h/prefix", "https://h/prefix/v1/models"),
            ("https://h/api/paas/v4", "https://h/api/paas/v4/models"),
            ("https://h/v1/chat/completions", "https://h/v1/models"),
            (
                "https://h/api/anthropic/v1/messages",
                "https://h/api/anthropic/v1/models",
            ),
            ("http://[::1]:8080", "http://[::1]:8080/v1/models"),
            (" http://h ", "http://h/v1/models"),
        ] {
            let uri = Address::parse(url).unwrap().uri("/models", None).unwrap();
            assert_eq!(uri.to_string(), expected, "{url}");
        }
        let with_query = Address::parse("http://h")
            .unwrap()
            .uri("/messages", Some("beta=true"));
        assert_eq!(
            with_query.unwrap().to_string(),
            "http://h/v1/messages?beta=true"
        );
        let rooted = Address::parse("http://h/prefix/v1").unwrap();
        let rooted = rooted.rooted("/api/chat?a=1", Some("b=2")).unwrap();
        assert_eq!(rooted.to_string(), "http://h/prefix/api/chat?a=1&b=2");
        for pasted in ["http://h/openai", "http://h/openai/v1", "http://h"] {
            let rooted = Address::parse(pasted).unwrap();
            let rooted = rooted.rooted("/openai/v1/models", None).unwrap();
            assert_eq!(rooted.to_string(), "http://h/openai/v1/models", "{pasted}");
        }
    }

    #[test]
    fn a_plain_connection_has_its_host_ready() {
        for (url, expected) in [
            ("http://127.0.0.1:1234", Some("127.0.0.1:1234")),
            ("http://h:80/v1", Some("h")),
            ("http://h", Some("h")),
            ("http://[::1]:8080", Some("[::1]:8080")),
            ("https://h:8443", None),
        ] {
            let host = Address::parse(url).unwrap().host;
            assert_eq!(
                host.as_ref().map(HeaderValue::as_bytes),
                expected.map(str::as_bytes)
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (url, expected) in [
            ("", "not a URL"),
            ("127.0.0.1:1234", "http://"),
            ("localhost", "http://"),
            ("ftp://h", "http://"),
            ("http://user:hunter2@h", "user name or password"),
            ("http://h/?key=hunter2", "before any ?"),
            ("http://h/#x", "before any ?"),
            ("http://h h", "not a URL"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(
                error.contains(expected) && !error.contains("hunter2"),
                "{url}: {error}"
            );
        }
    }
}
