//! What a server that refuses says about it (`WWW-Authenticate`, RFC 9110, section 11.6.1).
use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// What it says of bearer tokens (RFC 6750, section 3; RFC 9728, section 5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where its metadata is.
    pub(crate) resource_metadata: Option<String>,
    /// What a token must allow.
    pub(crate) scope: Option<String>,
    /// What is wrong with the one it was shown.
    pub(crate) error: Option<String>,
}

impl Challenge {
    /// The first challenge for a bearer token.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(WWW_AUTHENTICATE).iter();
        values.find_map(|value| Self::parse(value.to_str().ok()?))
    }

    fn parse(mut rest: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        loop {
            // `=` is left where a scheme has a credential instead of parameters.
            rest = rest.trim_start_matches([' ', '\t', ',', '=']);
            let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() {
                return found;
            }
            let Some(value) = after.trim_start().strip_prefix('=') else {
                if found.is_some() {
                    return found;
                }
                found = word.eq_ignore_ascii_case("bearer").then(Self::default);
                rest = after;
                continue;
            };
            let (value, after) = read_value(value.trim_start());
            rest = after;
            let Some(found) = &mut found else { continue };
            let field = match &*word.to_ascii_lowercase() {
                "resource_metadata" => &mut found.resource_metadata,
                "scope" => &mut found.scope,
                "error" => &mut found.error,
                _ => continue,
            };
            field.get_or_insert(value);
        }
    }

    /// The scopes, where they can be written on a command line without anybody's harm.
    pub(crate) fn plain_scope(&self) -> Option<&str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || " :/._-".contains(c);
        let scope = self.scope.as_deref()?;
        (!scope.is_empty() && scope.len() <= 512 && scope.chars().all(plain)).then_some(scope)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c)
}

/// A token or a quoted string, and what comes behind it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut all = quoted.char_indices();
    while let Some((at, c)) = all.next() {
        match c {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(all.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let full = r#"Bearer realm="a, b", error="invalid_token", resource_metadata="https://a.example/x?y=1", scope="read \"all\"""#;
        let read = Challenge::parse(full).unwrap();
        assert_eq!(
            read.resource_metadata.as_deref(),
            Some("https://a.example/x?y=1")
        );
        assert_eq!(read.scope.as_deref(), Some(r#"read "all""#));
        assert_eq!(read.error.as_deref(), Some("invalid_token"));
        assert_eq!(read.plain_scope(), None);

        let second = "Negotiate abc==, Basic realm=x, bearer scope=files:read, Digest scope=no";
        let read = Challenge::parse(second).unwrap();
        assert_eq!(read.plain_scope(), Some("files:read"));
        assert_eq!(read.resource_metadata, None);

        assert_eq!(Challenge::parse("Bearer"), Some(Challenge::default()));
        for none in ["", "Basic realm=\"Bearer\"", "\"", "Bearer2 a=b"] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }
}
