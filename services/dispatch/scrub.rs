//! What of an upstream's error is nobody's business but the operator's: whose account it is.
//!
//! Providers name in their errors the account, organisation or project that a key belongs to. The caller of a gateway has no part in
//! that, so these names are masked on the way to him, and the log has the original. All else stays byte for byte.
//!
//! | what | for example | becomes |
//! |---|---|---|
//! | Amazon's resource names | `arn:aws:bedrock:us-east-1:123456789012:inference-profile/x` | `arn:***` |
//! | Amazon's account ids: twelve digits by themselves | `account 123456789012` | `account ***` |
//! | ids that say what they are | `org-AbC123xyz`, `org_...`, `proj_...`, `acct_...` | `org-***` |
//! | UUIDs after `organization`, `account`, `subscription`, `tenant`, `workspace` | `organization 0b1c...` | `organization ***` |
//! | Google's projects and service accounts, Azure's subscriptions and groups, in paths | `projects/my-project/locations/...` | `projects/***/locations/...` |
//!
//! UUIDs elsewhere stay: they are the request ids that a provider's support asks for.
use crate::providers::Provider;
use bytes::Bytes;
use std::borrow::Cow;

/// An error of this provider's as callers may see it; the log has it as it was.
pub(super) fn told(provider: &Provider, error: &Bytes) -> Bytes {
    let told = scrub(error);
    if told != *error {
        let error = String::from_utf8_lossy(error.get(..LOGGED).unwrap_or(error));
        tracing::warn!(provider = provider.name(), %error, "an upstream's error names an account");
    }
    told
}

/// `body`, an error, without the names of accounts; the very same bytes where there are none.
fn scrub(body: &Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else {
        return body.clone();
    };
    match scrubbed(text) {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(text) => text.into(),
    }
}

/// An error is logged up to this length.
const LOGGED: usize = 4096;
const MASK: &str = "***";
/// How far before a UUID the word may stand that says whose it is.
const CONTEXT: usize = 40;

fn scrubbed(text: &str) -> Cow<'_, str> {
    let start = text.trim_start();
    // Within JSON only texts are touched: a masked number would be no JSON.
    let json =
        start.starts_with(['{', '[']) || start.starts_with("data:") || start.starts_with("event:");
    let mut out = String::new();
    let (mut copied, mut at, mut quoted) = (0, 0, false);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if word == 0 {
            let mut chars = rest.chars();
            match chars.next() {
                Some('"') => quoted = !quoted,
                // What is escaped is no quote; an escaped `n` or `t` begins no word.
                Some('\\') if json => at += chars.next().map_or(0, char::len_utf8),
                _ => {}
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        if quoted || !json {
            let before = context(text, at);
            if let Some(masked) = rest.get(..word).and_then(|word| mask(word, &before)) {
                out.push_str(text.get(copied..at).unwrap_or_default());
                out.push_str(&masked);
                copied = at + word;
            }
        }
        at += word;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-:/.@=".contains(c)
}

/// What stands right before a place, in lower case.
fn context(text: &str, at: usize) -> String {
    let from = (at.saturating_sub(CONTEXT)..=at).find(|i| text.is_char_boundary(*i));
    let before = text.get(from.unwrap_or(at)..at).unwrap_or_default();
    before.to_ascii_lowercase()
}

/// The word without names of accounts; `None` where it holds none.
fn mask(word: &str, before: &str) -> Option<String> {
    if let Some(at) = word.find("arn:aws") {
        let ended = word.len() - word.trim_end_matches(['.', ':']).len();
        let (name, end) = word.split_at(word.len() - ended);
        return Some(format!("{}arn:{MASK}{end}", name.get(..at)?));
    }
    if word.contains(".gserviceaccount.com") {
        return Some(MASK.to_owned());
    }
    let mut out = String::with_capacity(word.len());
    let (mut found, mut last) = (false, "");
    for piece in word.split_inclusive(['/', ':', '=', '.', '@']) {
        let name = piece.trim_end_matches(['/', ':', '=', '.', '@']);
        let owned = matches!(
            last,
            "projects/" | "subscriptions/" | "resourceGroups/" | "organizations/"
        );
        let fraction = last.ends_with('.') && last.starts_with(|c: char| c.is_ascii_digit());
        let kept = if name.is_empty() {
            None
        } else if owned
            || (is_account(name) && !fraction)
            || (is_uuid(name) && tells_account(before))
        {
            Some("")
        } else {
            prefixed(name)
        };
        match kept {
            Some(prefix) => {
                found = true;
                out.push_str(prefix);
                out.push_str(MASK);
                out.push_str(piece.get(name.len()..).unwrap_or_default());
            }
            None => out.push_str(piece),
        }
        last = piece;
    }
    found.then_some(out)
}

fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit())
}

fn is_uuid(name: &str) -> bool {
    let mut lengths = name.split('-').map(|part| {
        part.bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then_some(part.len())
    });
    [8, 4, 4, 4, 12]
        .iter()
        .all(|n| lengths.next() == Some(Some(*n)))
        && lengths.next().is_none()
}

fn tells_account(before: &str) -> bool {
    ["organi", "account", "subscription", "tenant", "workspace"]
        .iter()
        .any(|word| before.contains(word))
}

/// What an id begins with that says itself what it is.
fn prefixed(name: &str) -> Option<&'static str> {
    ["org-", "org_", "proj-", "proj_", "acct_"]
        .into_iter()
        .find(|prefix| {
            name.strip_prefix(prefix).is_some_and(|id| {
                id.len() >= 8
                    && id.bytes().all(|b| b.is_ascii_alphanumeric())
                    && id
                        .bytes()
                        .any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_are_masked() {
        for (told, shown) in [
            (
                r#"{"message":"User: arn:aws:sts::123456789012:assumed-role/team/alice is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v1:0."}"#,
                r#"{"message":"User: arn:*** is not authorized to perform: bedrock:InvokeModel on resource: arn:***."}"#,
            ),
            (
                r#"{"error":{"message":"Rate limit reached for gpt-5 in organization org-AbC123xyz on tokens per min (TPM): Limit 30000, Used 29000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                r#"{"error":{"message":"Rate limit reached for gpt-5 in organization org-*** on tokens per min (TPM): Limit 30000, Used 29000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ),
            (
                "This request would exceed your account's rate limit (organization: 0b1c2d3e-1111-2222-3333-444455556666). Request 99999999-1111-2222-3333-444455556666",
                "This request would exceed your account's rate limit (organization: ***). Request 99999999-1111-2222-3333-444455556666",
            ),
            (
                "Permission denied on resource projects/my-project-7/locations/us-east5/publishers/anthropic/models/m for x@my-project-7.iam.gserviceaccount.com",
                "Permission denied on resource projects/***/locations/us-east5/publishers/anthropic/models/m for ***",
            ),
            (
                "/subscriptions/0b1c2d3e-1111-2222-3333-444455556666/resourceGroups/team/providers/x",
                "/subscriptions/***/resourceGroups/***/providers/x",
            ),
            (
                "account 123456789012 has no access",
                "account *** has no access",
            ),
            (
                "event: error\ndata: {\"error\":{\"message\":\"no quota in proj_Ab12Cd34Ef\"}}\n\n",
                "event: error\ndata: {\"error\":{\"message\":\"no quota in proj_***\"}}\n\n",
            ),
            (
                r#"{"m":"é \"arn:aws:x:1\" é"}"#,
                r#"{"m":"é \"arn:***\" é"}"#,
            ),
        ] {
            assert_eq!(scrubbed(told), shown);
        }
    }

    #[test]
    fn all_else_stays_the_very_same() {
        for told in [
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 128000 > 64000, request req_011CWFnpFBHEDCwkA6MKhTgS"}}"#,
            r#"{"error":{"message":"x","created":123456789012,"id":"0b1c2d3e-1111-2222-3333-444455556666"}}"#,
            "model 'hf.co/org-name/model:7b' not found",
            "waited 0.123456789012 s",
            "see https://platform.openai.com/account/rate-limits",
            r#"{"path":"c:\\new\\table","n":"\n\t"}"#,
            "",
        ] {
            let body = Bytes::copy_from_slice(told.as_bytes());
            assert_eq!(scrub(&body), told);
            assert_eq!(scrub(&body).as_ptr(), body.as_ptr(), "{told}");
        }
        let binary = Bytes::from_static(b"\xff\xfe");
        assert_eq!(scrub(&binary), binary);
    }
}
