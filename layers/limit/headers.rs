//! How callers learn what is left, in the words of their dialect.
use super::{Limits, quotas::Standing};
use crate::headers::header_value;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierway_services::dialect::Dialect;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// A provider's own tell of limits that are nobody's here.
const FOREIGN: [&str; 3] = ["anthropic-ratelimit-", "x-ratelimit-", "ratelimit-"];

/// Asking again is of no use.
pub(super) fn do_not_retry(headers: &mut HeaderMap) {
    headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// Tells what is left of `limits`, in the place of what the provider tells of its own.
pub(super) fn tell(
    dialect: Dialect,
    limits: &Limits,
    standing: &Standing,
    headers: &mut HeaderMap,
) {
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            FOREIGN
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in foreign {
        headers.remove(name);
    }
    for (what, limit, used) in [
        ("requests", limits.requests_per_minute, standing.requests),
        ("tokens", limits.tokens_per_minute, standing.tokens),
    ] {
        let Some(limit) = limit else { continue };
        let left = limit.saturating_sub(used);
        let anthropic = dialect == Dialect::Messages;
        let name = |part: &str| {
            let name = if anthropic {
                format!("anthropic-ratelimit-{what}-{part}")
            } else {
                format!("x-ratelimit-{part}-{what}")
            };
            HeaderName::try_from(name)
        };
        let reset = if anthropic {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            rfc3339(since.unwrap_or_default() + standing.reset)
        } else {
            format!("{}ms", standing.reset.as_millis())
        };
        for (part, value) in [
            ("limit", header_value(format_args!("{limit}"))),
            ("remaining", header_value(format_args!("{left}"))),
            ("reset", header_value(format_args!("{reset}"))),
        ] {
            if let Ok(name) = name(part) {
                headers.insert(name, value);
            }
        }
    }
}

/// A time since 1970 as `2026-01-31T23:59:59Z`, after Hinnant's `civil_from_days`.
fn rfc3339(since: Duration) -> String {
    let seconds = since.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn each_dialect_has_its_words() {
        let limits = Limits {
            requests_per_minute: Some(10),
            tokens_per_minute: Some(1000),
            ..Limits::default()
        };
        let standing = Standing {
            requests: 4,
            tokens: 1200,
            reset: Duration::from_millis(1500),
            ..Standing::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining-requests", 9999.into());
        tell(Dialect::ChatCompletions, &limits, &standing, &mut headers);
        assert_eq!(headers["x-ratelimit-remaining-requests"], "6");
        assert_eq!(headers["x-ratelimit-limit-tokens"], "1000");
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "0");
        assert_eq!(headers["x-ratelimit-reset-requests"], "1500ms");
        tell(Dialect::Messages, &limits, &standing, &mut headers);
        assert!(!headers.contains_key("x-ratelimit-remaining-requests"));
        assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "6");
        let reset = headers["anthropic-ratelimit-tokens-reset"]
            .to_str()
            .unwrap();
        assert!(reset.ends_with('Z') && reset.len() == 20);
    }
}
