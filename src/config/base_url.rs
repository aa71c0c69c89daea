//! Reads the address of a provider as users know it.
use super::typed::Complaint;
use http::Uri;

/// What users paste behind the base: the gateway adds its own.
const ENDPOINTS: [&str; 12] = [
    "/chat/completions",
    "/messages/count_tokens",
    "/messages",
    "/responses",
    "/completions",
    "/embeddings",
    "/models",
    "/api/chat",
    "/api/generate",
    "/api/tags",
    "/api/embeddings",
    "/api/embed",
];

/// The base of a URL that may go all the way to an endpoint.
pub(super) fn cut(url: &str) -> Result<String, Complaint> {
    let advice = r#"write for example "http://127.0.0.1:8080" or "https://api.example.com/v1""#;
    let is_not = || Complaint::new("is not a URL", advice);
    let uri: Uri = url.trim().parse().map_err(|_| is_not())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(is_not());
    };
    if !matches!(scheme, "http" | "https") || authority.host().is_empty() {
        return Err(is_not());
    }
    if authority.as_str().contains('@') {
        return Err(Complaint::new(
            "holds a credential",
            "write it as api_key, or better in a variable that api_key_env names",
        ));
    }
    if uri.query().is_some() {
        return Err(Complaint::new("has a query", "write it without"));
    }
    let path = uri.path().trim_end_matches('/');
    let path = ENDPOINTS
        .iter()
        .find_map(|endpoint| path.strip_suffix(endpoint))
        .unwrap_or(path)
        .trim_end_matches('/');
    Ok(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_cut_back_to_their_base() {
        for (url, base) in [
            ("http://localhost:11434", "http://localhost:11434"),
            ("http://localhost:11434/", "http://localhost:11434"),
            ("http://localhost:11434/api/chat", "http://localhost:11434"),
            (
                "https://api.openai.com/v1/chat/completions",
                "https://api.openai.com/v1",
            ),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            (
                "https://api.z.ai/api/anthropic/v1/messages",
                "https://api.z.ai/api/anthropic/v1",
            ),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ] {
            assert_eq!(cut(url).as_deref(), Ok(base), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for url in [
            "",
            "localhost:8080",
            "localhost",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://host/?a=b",
            "/v1",
        ] {
            assert!(cut(url).is_err(), "{url}");
        }
    }
}
