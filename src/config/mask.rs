//! Hides secrets in the lines of a configuration file, so that a message can show the line that it is about.
use std::ops::Range;
use strsim::damerau_levenshtein;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A key that contains one of these has a secret for a value, unless it only says where the secret is.
const SECRET: [&str; 8] = [
    "key", "secret", "token", "password", "pepper", "auth", "cred", "headers",
];
/// Such keys say where a secret is, which is no secret. `pass_credentials` is a switch; `max_tokens` and the like are numbers.
const HARMLESS: [&str; 6] = [
    "_env",
    "_file",
    "_ttl",
    "pass_credentials",
    "_tokens",
    "_tokens_field",
];
/// Values that begin so are secrets wherever they stand.
const PREFIXES: [&str; 5] = ["sk-", "gsk_", "xai-", "key-", "AKIA"];

/// `text` with every secret replaced by stars, byte for byte, so that positions stay what they were.
///
/// Two nets: what the parser reads as the value of a secret's key, over any number of lines; and, where it cannot read the file and in
/// comments, the rest of each line whose key looks like a secret's. Credentials inside URLs go too.
pub(super) fn mask(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut hidden = Vec::new();
    secrets(table.get_ref(), false, &mut hidden);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let doubtful = if errors.is_empty() {
            line.find('#')
        } else {
            Some(0)
        };
        if let Some(from) = doubtful
            && let Some(value) = secret_of_line(&line[from..])
        {
            hidden.push(start + from + value.start..start + from + value.end);
        }
        if let Some(value) = userinfo(line) {
            hidden.push(start + value.start..start + value.end);
        }
        start += line.len();
    }
    for range in hidden {
        for byte in bytes.get_mut(range).unwrap_or_default() {
            if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    // Whole characters were replaced, or none of their bytes: but do not rely on it for the sake of a message.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the value of `key` is to be hidden.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    if HARMLESS.iter().any(|end| key.ends_with(end)) {
        return false;
    }
    // A misspelled key is just what a message is about.
    let misspelled =
        damerau_levenshtein(&key, "api_key") <= 2 || damerau_levenshtein(&key, "key") <= 1;
    misspelled || SECRET.iter().any(|word| key.contains(word))
}

fn secrets(table: &DeTable<'_>, inside: bool, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let secret = inside || is_secret(key.get_ref());
        // The tables below `keys` say themselves what is secret in them.
        let all_below = secret && key.get_ref() != "keys";
        secrets_of_value(value, secret, all_below, hidden);
    }
}

fn secrets_of_value(
    value: &Spanned<DeValue<'_>>,
    secret: bool,
    all_below: bool,
    hidden: &mut Vec<Range<usize>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => secrets(table, all_below, hidden),
        DeValue::Array(items) => {
            for item in items.iter() {
                secrets_of_value(item, secret, all_below, hidden);
            }
        }
        DeValue::Boolean(_) => {}
        DeValue::String(text) if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) => {
            hidden.push(value.span());
        }
        _ if secret => hidden.push(value.span()),
        _ => {}
    }
}

/// The part of a line behind the first `=` whose key looks like a secret's.
fn secret_of_line(line: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(equals) = line.get(from..)?.find('=').map(|at| from + at) {
        let key = line[from..equals]
            .trim()
            .trim_matches(['"', '\''])
            .rsplit([' ', '{', ',', '.', '#'])
            .next()?;
        let value = line[equals + 1..].trim_start();
        let bare = value.trim_matches(['"', '\'', ' ']);
        if is_secret(key) || PREFIXES.iter().any(|prefix| bare.starts_with(prefix)) {
            return Some(line.len() - value.len()..line.len());
        }
        from = equals + 1;
    }
    None
}

/// The `user:password` of a URL in this line; the value of `url` is one even where its scheme is missing.
fn userinfo(line: &str) -> Option<Range<usize>> {
    let start = match line.find("://") {
        Some(scheme) => scheme + 3,
        None => {
            let (key, value) = line.split_once('=')?;
            let value = value.trim_start_matches([' ', '"', '\'']);
            (key.trim() == "url").then(|| line.len() - value.len())?
        }
    };
    let authority = line.get(start..)?;
    let end = authority
        .find(['/', '"', '\'', ' ', '\n'])
        .unwrap_or(authority.len());
    let at = authority.get(..end)?.rfind('@')?;
    Some(start..start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_stars_of_the_same_length() {
        for (line, masked) in [
            (r#"api_key = "sk-1""#, r#"api_key = "****""#),
            ("api_key = sk-1", "api_key = ****"),
            (r#"api_kye = "sk-1""#, r#"api_kye = "****""#),
            (r#"apikey = "sk-é""#, r#"apikey = "*****""#),
            (r#"api_key_env = "NAME""#, r#"api_key_env = "NAME""#),
            ("pass_credentials = true", "pass_credentials = true"),
            ("key_env = 'sk-1'", "key_env = '****'"),
            ("x = 1 # key = 'a'", "x = 1 # key = '*'"),
            ("x = = \nkey = 'a' # b", "x = = \nkey = '*'****"),
            (
                r#"headers = { x-org = "o-1", b = 'c' }"#,
                r#"headers = { x-org = "***", b = '*' }"#,
            ),
            (
                r#"base_url = "http://me:pw@host/v1""#,
                r#"base_url = "http://*****@host/v1""#,
            ),
            ("url = 'me:pw@host'", "url = '*****@host'"),
            ("url = 'redis://:pw@host'", "url = 'redis://***@host'"),
            ("[[keys]]\ntenant = \"a\"", "[[keys]]\ntenant = \"a\""),
            ("keys = 'sk-1'", "keys = '****'"),
            ("keys = [\n'a']", "keys = [\n'*']"),
            (
                "keys = [{ key = 'a', tenant = 'b' }]",
                "keys = [{ key = '*', tenant = 'b' }]",
            ),
            (
                "api_key = \"\"\"\nsk-1\nsk-2\"\"\"",
                "api_key = \"\"\"\n****\n****\"\"\"",
            ),
        ] {
            let got = mask(line);
            assert_eq!(got.len(), line.len(), "{line}");
            assert_eq!(got, masked, "{line}");
        }
    }
}
