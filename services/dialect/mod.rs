//! The dialects that callers and providers speak.
//!
//! Everything that differs between them and that a layer must know stands behind [`Dialect`]: how errors look, how a body's facts are
//! read, how an answer is read. Translation *between* dialects is the business of [`translate`](crate::translate).
mod error;
mod facts;
mod inputs;
pub(crate) mod literal;

use crate::chat::Kind;
use http::{HeaderMap, StatusCode, Uri};

/// A way of speaking to a language model over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Anthropic's Messages: `POST /v1/messages`.
    Messages,
    /// `OpenAI`'s chat completions: `POST /v1/chat/completions`.
    ChatCompletions,
    /// `OpenAI`'s Responses: `POST /v1/responses`.
    Responses,
    /// Amazon Bedrock's Converse. Providers speak it, callers do not.
    Converse,
    /// Google's `generateContent`. Providers speak it, callers do not.
    Gemini,
    /// Ollama's own `/api/chat`. Providers speak it, callers do not.
    Ollama,
}

impl Dialect {
    /// The name in metrics and settings: `messages`, `chat`, `responses`, ...
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::ChatCompletions => "chat",
            Self::Responses => "responses",
            Self::Converse => "converse",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// The dialect of whoever asks for `uri` with these headers. Known from the path alone for every route that carries a body, so that
    /// a refusal before the body is read is already in the caller's words. Where no path decides (`/v1/models`, an unknown route), an
    /// `anthropic-version` header speaks for [`Messages`](Self::Messages), and anything else for [`ChatCompletions`](Self::ChatCompletions).
    ///
    /// ```
    /// use tierway_services::dialect::Dialect;
    /// let headers = http::HeaderMap::new();
    /// assert_eq!(Dialect::of(&"/v1/messages?beta=true".parse().unwrap(), &headers), Dialect::Messages);
    /// assert_eq!(Dialect::of(&"/v1/models".parse().unwrap(), &headers), Dialect::ChatCompletions);
    /// ```
    #[must_use]
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path();
        if path == "/v1/messages" || path.starts_with("/v1/messages/") {
            Self::Messages
        } else if path == "/v1/responses" || path.starts_with("/v1/responses/") {
            Self::Responses
        } else if path.starts_with("/v1/chat/")
            || matches!(path, "/v1/embeddings" | "/v1/completions")
        {
            Self::ChatCompletions
        } else if headers.contains_key("anthropic-version") {
            Self::Messages
        } else {
            Self::ChatCompletions
        }
    }

    /// The HTTP status that a refusal of this kind has.
    #[must_use]
    pub const fn status(self, kind: Kind) -> StatusCode {
        match kind {
            Kind::InvalidRequest => StatusCode::BAD_REQUEST,
            Kind::Authentication => StatusCode::UNAUTHORIZED,
            Kind::Permission => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Kind::NotSupported => StatusCode::NOT_IMPLEMENTED,
            Kind::Overloaded => match self {
                Self::Messages => OVERLOADED,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Upstream => StatusCode::BAD_GATEWAY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// 529, Anthropic's own status for overload.
const OVERLOADED: StatusCode = match StatusCode::from_u16(529) {
    Ok(status) => status,
    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
};
