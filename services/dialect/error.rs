//! How each dialect says no.
use super::Dialect;
use crate::chat::{Kind, Refusal};
use bytes::Bytes;
use serde::Serialize;

impl Dialect {
    /// The word for a kind of error in this dialect (`error.type`).
    #[must_use]
    pub const fn error_type(self, kind: Kind) -> &'static str {
        match self {
            Self::Messages => match kind {
                Kind::InvalidRequest => "invalid_request_error",
                Kind::Authentication => "authentication_error",
                Kind::Permission => "permission_error",
                Kind::NotFound => "not_found_error",
                Kind::TooLarge => "request_too_large",
                Kind::RateLimit => "rate_limit_error",
                Kind::NotSupported => "not_supported",
                Kind::Overloaded => "overloaded_error",
                Kind::Timeout => "timeout_error",
                Kind::Upstream | Kind::Internal => "api_error",
            },
            // Nobody calls in the dialects of providers alone; they are told errors as `OpenAI` tells them.
            _ => match kind {
                Kind::RateLimit => "rate_limit_error",
                Kind::Overloaded | Kind::Timeout | Kind::Upstream | Kind::Internal => {
                    "server_error"
                }
                Kind::Permission => "permission_error",
                _ => "invalid_request_error",
            },
        }
    }

    /// Whether an upstream's own word may stand in this dialect. Anthropic's words are a closed set that its SDKs know; `OpenAI`'s are open,
    /// save for those that are Anthropic's alone.
    fn has_error_type(self, word: &str) -> bool {
        let shared = matches!(
            word,
            "invalid_request_error"
                | "authentication_error"
                | "permission_error"
                | "not_found_error"
                | "rate_limit_error"
        );
        let anthropic = matches!(
            word,
            "api_error"
                | "billing_error"
                | "overloaded_error"
                | "request_too_large"
                | "timeout_error"
        );
        match self {
            Self::Messages => shared || anthropic || word == "not_supported",
            _ => shared || !anthropic,
        }
    }

    pub(crate) fn error_body(self, refusal: &Refusal) -> Bytes {
        let error_type = refusal
            .error_type()
            .filter(|word| self.has_error_type(word))
            // OpenAI says this of a wrong key and of an unknown model too, Anthropic of neither.
            .filter(|word| {
                *word != "invalid_request_error" || self.error_type(refusal.kind()) == *word
            })
            .unwrap_or_else(|| self.error_type(refusal.kind()));
        match self {
            Self::Messages => json(&Envelope {
                r#type: Some("error"),
                error: &MessagesError {
                    r#type: error_type,
                    message: refusal.message(),
                    details: refusal
                        .code()
                        .filter(|code| code.starts_with("thread_"))
                        .map(|error_code| Details { error_code }),
                },
            }),
            _ => json(&Envelope {
                r#type: None,
                error: &OpenAiError {
                    message: refusal.message(),
                    r#type: error_type,
                    param: refusal.param(),
                    code: refusal.code().or_else(|| default_code(refusal.kind())),
                },
            }),
        }
    }

    /// An `error` event of Responses, whose fields are the event's own.
    fn stated(self, refusal: &Refusal, behind: &[u8]) -> Bytes {
        let body = json(&Stated {
            r#type: "error",
            code: refusal
                .code()
                .or_else(|| default_code(refusal.kind()))
                .unwrap_or_else(|| self.error_type(refusal.kind())),
            message: refusal.message(),
            param: refusal.param(),
            sequence_number: number_behind(behind),
        });
        [b"event: error\ndata: ", &*body, b"\n\n"].concat().into()
    }

    pub(crate) fn error_event(self, refusal: &Refusal, behind: &[u8]) -> Bytes {
        let body = self.error_body(refusal);
        let name: &[u8] = match self {
            Self::Messages => b"event: error\ndata: ",
            Self::Responses => return self.stated(refusal, behind),
            _ => b"data: ",
        };
        [name, &body, b"\n\n"].concat().into()
    }
}

/// The number of an event of Responses that comes behind those in `sent`.
fn number_behind(sent: &[u8]) -> u64 {
    const KEY: &[u8] = b"\"sequence_number\":";
    let last = memchr::memmem::rfind(sent, KEY).and_then(|at| {
        let rest = sent.get(at + KEY.len()..)?.trim_ascii_start();
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        std::str::from_utf8(rest.get(..digits)?)
            .ok()?
            .parse::<u64>()
            .ok()
    });
    last.map_or(0, |last| last.saturating_add(1))
}

/// `OpenAI` SDKs tell these apart by `error.code`.
const fn default_code(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Authentication => Some("invalid_api_key"),
        Kind::NotFound => Some("not_found"),
        Kind::RateLimit => Some("rate_limit_exceeded"),
        Kind::NotSupported => Some("not_supported"),
        Kind::Timeout => Some("timeout"),
        _ => None,
    }
}

#[derive(Serialize)]
struct Envelope<'a, E> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    error: &'a E,
}
#[derive(Serialize)]
struct Stated<'a> {
    r#type: &'a str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    sequence_number: u64,
}
#[derive(Serialize)]
struct MessagesError<'a> {
    r#type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}
/// What Anthropic's SDK acts upon.
#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}
#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

fn json(value: &impl Serialize) -> Bytes {
    // Strings and options alone cannot fail to serialise.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_shape() {
        let no = Refusal::new(Kind::RateLimit, "slow \"down\"");
        assert_eq!(
            no.body(Dialect::Messages),
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow \"down\""}}"#
        );
        assert_eq!(
            no.body(Dialect::ChatCompletions),
            r#"{"error":{"message":"slow \"down\"","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#
        );
        assert!(
            no.event(Dialect::Messages)
                .starts_with(b"event: error\ndata: {\"type\":\"error\"")
        );
        assert!(no.event(Dialect::ChatCompletions).ends_with(b"}\n\n"));
    }

    #[test]
    fn an_upstreams_word_stays_in_its_dialect() {
        let no = Refusal::new(Kind::RateLimit, "x").with_type("insufficient_quota");
        assert!(
            no.body(Dialect::Messages)
                .starts_with(br#"{"type":"error","error":{"type":"rate_limit_error""#)
        );
        assert_eq!(
            no.body(Dialect::ChatCompletions),
            r#"{"error":{"message":"x","type":"insufficient_quota","param":null,"code":"rate_limit_exceeded"}}"#
        );
        let no = Refusal::new(Kind::Overloaded, "x").with_type("overloaded_error");
        assert_eq!(
            no.body(Dialect::ChatCompletions),
            r#"{"error":{"message":"x","type":"server_error","param":null,"code":null}}"#
        );
    }

    #[test]
    fn overload_is_529_for_anthropic_alone() {
        let no = Refusal::new(Kind::Overloaded, "busy");
        assert_eq!(no.status(Dialect::Messages).as_u16(), 529);
        assert_eq!(no.status(Dialect::ChatCompletions).as_u16(), 503);
        let kept = no.with_status(http::StatusCode::BAD_GATEWAY);
        assert_eq!(kept.status(Dialect::Messages).as_u16(), 502);
    }
}
