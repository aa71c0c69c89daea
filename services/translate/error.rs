//! An upstream's error, whatever it looks like, as a [`Refusal`].
use super::{
    json::{Fields, Json, elements},
    text::string,
};
use crate::{
    chat::{Kind, Refusal},
    dialect::Dialect,
};
use http::StatusCode;
use std::borrow::Cow;

/// The longest error message that is handed on.
const LONGEST: usize = 2048;

/// Reads an upstream's error body: JSON of either dialect, Ollama's `{"error":"text"}`, an array around it, plain text or an HTML page. The
/// status is kept, so are the type and code.
///
/// ```
/// use http::StatusCode;
/// use tierway_services::{chat::Kind, dialect::Dialect, translate};
/// let no = translate::error(Dialect::ChatCompletions, StatusCode::NOT_FOUND, br#"{"error":"model 'x' not found"}"#);
/// assert_eq!((no.kind(), no.message()), (Kind::NotFound, "model 'x' not found"));
/// ```
#[must_use]
pub fn error(from: Dialect, status: StatusCode, body: &[u8]) -> Refusal {
    let body = String::from_utf8_lossy(body);
    let body = body.trim();
    if let Some(told) = crate::json::from_str(body).ok().and_then(Told::read) {
        return told.refusal(from, status);
    }
    let message = if body.is_empty() {
        format!("the upstream answered {status} without a word")
    } else if body.starts_with('<') {
        match title(body) {
            Some(title) => format!("the upstream answered {status} with a web page: {title}"),
            None => format!("the upstream answered {status} with a web page"),
        }
    } else {
        body.to_owned()
    };
    Refusal::new(kind_of(status, None), bounded(message)).with_status(status)
}

/// The error inside an event or an answer that came with a good status.
pub(crate) fn inside(from: Dialect, json: Json<'_>) -> Refusal {
    match Told::read(json) {
        Some(told) => told.refusal(from, StatusCode::OK),
        None => Refusal::new(Kind::Upstream, bounded(json.get().to_owned())),
    }
}

/// Where a request holds what cannot be told to the provider: which field, and why.
pub(crate) fn refuse(param: &'static str, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Kind::InvalidRequest, format!("{param}: {why}")).with_param(param)
}

/// Where an upstream sent what its dialect does not allow.
pub(crate) fn nonsense(what: &'static str) -> Refusal {
    Refusal::new(Kind::Upstream, what)
}

/// Where an upstream calls a tool without saying which.
pub(crate) fn nameless() -> Refusal {
    nonsense("the upstream called a tool without its name")
}

/// Where an upstream sent an event that nobody can read.
pub(crate) fn garbage() -> Refusal {
    nonsense("the upstream's stream held an event that is not JSON")
}

/// Where an upstream fell silent too early.
pub(crate) fn cut() -> Refusal {
    nonsense("the upstream's stream ended before its answer did")
}

/// What an error body tells.
#[derive(Default)]
struct Told<'a> {
    message: Option<Cow<'a, str>>,
    error_type: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    param: Option<Cow<'a, str>>,
}

impl<'a> Told<'a> {
    fn read(json: Json<'a>) -> Option<Self> {
        if let Some(list) = elements(json) {
            return Self::read(list.first()?);
        }
        if let Some(message) = string(json) {
            return Some(Self {
                message: Some(message),
                ..Self::default()
            });
        }
        let fields = Fields::parse(json.get())?;
        if let Some(inner) = fields.get("error").filter(|e| !e.get().starts_with("true")) {
            return Self::read(inner);
        }
        let message = ["message", "detail", "msg", "title"]
            .iter()
            .find_map(|name| fields.string(name));
        let raw = fields
            .object("metadata")
            .and_then(|metadata| metadata.string("raw"));
        let scalar = |name| {
            let json = fields.get(name)?;
            string(json).or_else(|| {
                json.get()
                    .parse::<i64>()
                    .ok()
                    .map(|_| Cow::Borrowed(json.get()))
            })
        };
        Some(Self {
            // OpenRouter tells what its provider said beside its own, empty words.
            message: match (message, raw) {
                (Some(message), Some(raw)) => Some(format!("{message}: {raw}").into()),
                (message, raw) => message.or(raw),
            },
            error_type: scalar("type").filter(|t| t != "error"),
            code: scalar("code"),
            param: fields.string("param"),
        })
    }

    fn refusal(self, from: Dialect, status: StatusCode) -> Refusal {
        let number = self.code.as_deref().and_then(|code| code.parse().ok());
        let told_status = number
            .and_then(|n| StatusCode::from_u16(n).ok())
            .filter(|s| s.is_client_error() || s.is_server_error());
        let status = if status.is_client_error() || status.is_server_error() {
            Some(status)
        } else {
            told_status
        };
        let word = [self.error_type.as_deref(), self.code.as_deref()]
            .into_iter()
            .flatten()
            .find_map(kind_of_word);
        let kind = match status {
            Some(status) => kind_of(status, word),
            None => word.unwrap_or(Kind::Upstream),
        };
        let message = match self.message {
            Some(message) if !message.trim().is_empty() => message.into_owned(),
            _ => format!("the upstream gave no reason ({})", from.as_str()),
        };
        let mut refusal = Refusal::new(kind, bounded(message));
        if let Some(status) = status {
            refusal = refusal.with_status(status);
        }
        if let Some(error_type) = self.error_type {
            refusal = refusal.with_type(bounded(error_type.into_owned()));
        }
        if let Some(code) = self.code.filter(|_| number.is_none()) {
            refusal = refusal.with_code(bounded(code.into_owned()));
        }
        if let Some(param) = self.param {
            refusal = refusal.with_param(bounded(param.into_owned()));
        }
        refusal
    }
}

/// The status decides; only where it says no more than "ours" or "yours" does the upstream's own word.
fn kind_of(status: StatusCode, word: Option<Kind>) -> Kind {
    match (Kind::of_status(status), word) {
        (Kind::InvalidRequest | Kind::Internal, Some(word)) => word,
        (kind, _) => kind,
    }
}

fn kind_of_word(word: &str) -> Option<Kind> {
    Some(match word {
        "invalid_request_error" | "context_length_exceeded" | "exceed_context_size_error" => {
            Kind::InvalidRequest
        }
        "authentication_error" | "invalid_api_key" => Kind::Authentication,
        "permission_error" | "billing_error" => Kind::Permission,
        "not_found_error" | "model_not_found" => Kind::NotFound,
        "request_too_large" => Kind::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" => Kind::RateLimit,
        "not_supported" | "not_supported_error" => Kind::NotSupported,
        "overloaded_error" | "unavailable_error" => Kind::Overloaded,
        "timeout_error" | "timeout" => Kind::Timeout,
        "api_error" | "server_error" | "internal_server_error" => Kind::Internal,
        _ => return None,
    })
}

fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let len = lower.get(from..)?.find('<')?;
    let title = page.get(from..from + len)?.trim();
    (!title.is_empty()).then_some(title)
}

pub(super) fn bounded(mut message: String) -> String {
    if message.len() > LONGEST {
        let mut end = LONGEST - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

/// An `error` event of Responses, which tells its error in fields of its own.
pub(super) fn stated(event: &Fields<'_>) -> Refusal {
    let told = match event.get("error") {
        Some(inner) => Told::read(inner),
        None => Some(Told {
            message: event.string("message"),
            error_type: None,
            code: event.string("code"),
            param: event.string("param"),
        }),
    };
    told.unwrap_or_default()
        .refusal(Dialect::Responses, StatusCode::OK)
}

/// A dialect that cannot be translated from, or into.
pub(super) fn not_spoken(dialect: Dialect) -> Refusal {
    Refusal::new(
        Kind::NotSupported,
        format!("{} cannot be translated here", dialect.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        error(
            Dialect::ChatCompletions,
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
        )
    }

    #[test]
    fn every_shape_tells_its_message() {
        for (status, body, kind, message) in [
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
                Kind::Overloaded,
                "Overloaded",
            ),
            (
                401,
                r#"{"error":{"message":"bad key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                Kind::Authentication,
                "bad key",
            ),
            (
                404,
                r#"{"error":"model 'x' not found"}"#,
                Kind::NotFound,
                "model 'x' not found",
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"from Gemini","status":"INVALID_ARGUMENT"}}]"#,
                Kind::InvalidRequest,
                "from Gemini",
            ),
            (
                422,
                r#"{"detail":"from a Python server"}"#,
                Kind::InvalidRequest,
                "from a Python server",
            ),
            (
                429,
                r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"too fast"}}}"#,
                Kind::RateLimit,
                "Provider returned error: too fast",
            ),
            (
                500,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
                Kind::Overloaded,
                "x",
            ),
            (
                502,
                "<html><head><TITLE>502 Bad Gateway</TITLE></head></html>",
                Kind::Upstream,
                "the upstream answered 502 Bad Gateway with a web page: 502 Bad Gateway",
            ),
            (503, "  try later\n", Kind::Overloaded, "try later"),
            (
                500,
                "",
                Kind::Internal,
                "the upstream answered 500 Internal Server Error without a word",
            ),
            (
                400,
                r#"{"error":{}}"#,
                Kind::InvalidRequest,
                "the upstream gave no reason (chat)",
            ),
        ] {
            let no = read(status, body);
            assert_eq!((no.kind(), no.message()), (kind, message), "{body}");
            assert_eq!(no.status(Dialect::Messages).as_u16(), status, "{body}");
        }
    }

    #[test]
    fn type_and_code_are_kept_and_numbers_are_no_code() {
        let no = read(
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","param":"p","code":"insufficient_quota"}}"#,
        );
        assert_eq!(
            (no.error_type(), no.code(), no.param()),
            (
                Some("insufficient_quota"),
                Some("insufficient_quota"),
                Some("p")
            )
        );
        assert_eq!(
            read(500, r#"{"error":{"message":"m","code":500}}"#).code(),
            None
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let no = read(500, &"é".repeat(3000));
        assert!(no.message().len() <= LONGEST && no.message().ends_with('…'));
    }
}
