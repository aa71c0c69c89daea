//! Blacks out of a user's words what looks like a secret or names a person's address.
use std::borrow::Cow;

/// What stands for it.
const BLACK: &str = "[redacted]";
/// No more than so many characters are kept of an ask.
const MOST: usize = 2000;
/// What keys and tokens begin with.
const BEGINNINGS: [&str; 16] = [
    "sk-",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xox",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "hf_",
    "npm_",
];
/// A word after one of these is what it says.
const NAMES: [&str; 8] = [
    "password", "passwd", "pwd", "secret", "token", "api_key", "apikey", "bearer",
];
/// A word of letters and digits this long is no word.
const LONG: usize = 24;

/// `text`, with what looks like a secret blacked out, and cut to a bounded length. It errs on the side of black; it is no proof that nothing
/// is left.
#[must_use]
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::new();
    let (mut named, mut key_block) = (false, false);
    let cut: String = text.chars().take(MOST).collect();
    for piece in cut.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        let space = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            out.push_str(space);
            continue;
        }
        key_block |= word.contains("-----BEGIN");
        let ends = word.contains("-----END");
        let shown = if key_block || named {
            Cow::Borrowed(BLACK)
        } else {
            seen(word)
        };
        if ends {
            key_block = false;
        }
        named = says_secret(word);
        out.push_str(&shown);
        out.push_str(space);
    }
    out
}

/// Whether the next word is a secret, by this one.
fn says_secret(word: &str) -> bool {
    let name = word
        .trim_end_matches([':', '='])
        .trim_start_matches(['"', '\'', '-']);
    let name = name.trim_end_matches(['"', '\'']).to_ascii_lowercase();
    let told = word.ends_with([':', '=']) || name == "bearer";
    told && NAMES.iter().any(|secret| name.ends_with(secret))
}

/// A word, or what of it may be seen.
fn seen(word: &str) -> Cow<'_, str> {
    // `name=value`, `name:value`: the name may be seen.
    if let Some(at) = word.find(['=', ':']) {
        let (name, value) = word.split_at(at + 1);
        let value = value.trim_start_matches(['"', '\'']);
        let lower = name.to_ascii_lowercase();
        let lower = lower.trim_end_matches(['=', ':', '"', '\'']);
        let secret = NAMES.iter().any(|secret| lower.ends_with(secret));
        if !value.is_empty() && (secret || is_secret(value)) {
            return Cow::Owned(format!("{name}{BLACK}"));
        }
        // A URL with a password in it.
        if let Some((scheme, rest)) = word.split_once("://")
            && let Some((who, host)) = rest.split_once('@')
            && who.contains(':')
        {
            return Cow::Owned(format!("{scheme}://{BLACK}@{host}"));
        }
    }
    if is_secret(word) {
        Cow::Borrowed(BLACK)
    } else {
        Cow::Borrowed(word)
    }
}

fn is_secret(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let address = word.split_once('@').is_some_and(|(who, host)| {
        !who.is_empty() && host.contains('.') && !host.contains('/') && !who.contains('/')
    });
    let known = BEGINNINGS
        .iter()
        .any(|b| word.len() > b.len() + 8 && word.starts_with(b));
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let number = digits >= 12
        && word
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-'));
    // Of a random text of this length some characters are digits; paths and identifiers have separators.
    let random = word.len() >= LONG
        && digits >= 3
        && word.chars().any(|c| c.is_ascii_alphabetic())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_' | '-'));
    address || known || number || random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, expected) in [
            (
                "fix the typo in README.md, line 40",
                "fix the typo in README.md, line 40",
            ),
            ("use sk-ant-REDACTED please", "use [redacted] please"),
            (
                "password: hunter2 and more",
                "password: [redacted] and more",
            ),
            ("PASSWORD=hunter2", "PASSWORD=[redacted]"),
            (
                "Authorization: Bearer abc",
                "Authorization: Bearer [redacted]",
            ),
            ("mail me@example.com!", "mail [redacted]"),
            ("card 4111-1111-1111-1111", "card [redacted]"),
            (
                "db postgres://me:pw@host/x",
                "db postgres://[redacted]@host/x",
            ),
            ("key 9f86d081884c7d659a2feaa0c55ad015", "key [redacted]"),
            (
                "see src/ledger/redact.rs and the_long_name_of_a_function",
                "see src/ledger/redact.rs and the_long_name_of_a_function",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok",
                "[redacted] [redacted] [redacted] [redacted]\n[redacted]\n[redacted] RSA PRIVATE KEY-----\nok",
            ),
        ] {
            assert_eq!(redacted(text), expected);
        }
        assert_eq!(redacted(&"a ".repeat(3000)).len(), MOST);
    }
}
