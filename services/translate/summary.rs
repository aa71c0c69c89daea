//! What an answer says about itself.
use super::{completions, converse, gemini, messages, ollama, responses};
use crate::{
    chat::{Refusal, StopReason, Usage, Usd},
    dialect::Dialect,
};

/// What an answer says about itself: read from a whole one by [`summary`], gathered from a stream by
/// [`StreamTranslator`](super::StreamTranslator).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The provider's id for it.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Its tokens, where the provider counted. While a stream is under way this may be the input alone.
    pub usage: Option<Usage>,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// Whether it came to its end.
    pub complete: bool,
    /// The error that it is, or that broke it off.
    pub error: Option<Refusal>,
}

/// Reads what a whole answer says about itself, without reading its content.
///
/// ```
/// use tierway_services::{chat::StopReason, dialect::Dialect, translate};
/// let body = br#"{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},
///     "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}}"#;
/// let summary = translate::summary(Dialect::ChatCompletions, body);
/// assert_eq!(summary.stop, Some(StopReason::EndTurn));
/// let usage = summary.usage.unwrap();
/// assert_eq!((usage.input, usage.cache_read, usage.output), (5, 4, 1));
/// ```
#[must_use]
pub fn summary(dialect: Dialect, body: &[u8]) -> Summary {
    let Ok(body) = std::str::from_utf8(body) else {
        return Summary::default();
    };
    match dialect {
        Dialect::Messages => messages::summary(body),
        Dialect::ChatCompletions => completions::summary(body),
        Dialect::Responses => responses::summary(body),
        Dialect::Converse => converse::summary(body),
        Dialect::Gemini => gemini::summary(body),
        Dialect::Ollama => ollama::summary(body),
    }
}

/// What a whole answer cost in US dollars, where its provider says so (chat completions' `usage.cost`, as `OpenRouter` tells it).
///
/// ```
/// use tierway_services::{chat::Usd, dialect::Dialect, translate};
/// let body = br#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"cost":0.0001}}"#;
/// assert_eq!(translate::cost(Dialect::ChatCompletions, body), Some(Usd::from_dollars(0.0001)));
/// ```
#[must_use]
pub fn cost(dialect: Dialect, body: &[u8]) -> Option<Usd> {
    match dialect {
        Dialect::ChatCompletions => completions::cost(std::str::from_utf8(body).ok()?),
        _ => None,
    }
}
