//! A stored whole answer, told again as a stream.
use super::{completions, converse, gemini, messages, ollama, responses};
use crate::dialect::Dialect;
use bytes::Bytes;

/// A stored whole answer as the stream that would have brought it; `None` where it is no answer of this dialect. Usage is told at the end
/// of a stream of chat completions only if `include_usage`.
///
/// ```
/// use tierway_services::{dialect::Dialect, translate};
/// let whole = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
///     "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
/// let events = translate::to_stream(Dialect::ChatCompletions, whole, false).unwrap();
/// assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
/// assert_eq!(translate::to_whole(Dialect::ChatCompletions, &events).unwrap().first(), Some(&b'{'));
/// ```
#[must_use]
pub fn to_stream(dialect: Dialect, whole: &[u8], include_usage: bool) -> Option<Vec<Bytes>> {
    let whole = std::str::from_utf8(whole).ok()?;
    match dialect {
        Dialect::Messages => messages::replay::to_stream(whole),
        Dialect::ChatCompletions => completions::replay::to_stream(whole, include_usage),
        Dialect::Responses => responses::replay::to_stream(whole),
        _ => None,
    }
}

/// A recorded stream, event by event, as the whole answer that it brought; `None` where it did not end well.
#[must_use]
pub fn to_whole(dialect: Dialect, events: &[Bytes]) -> Option<Bytes> {
    match dialect {
        Dialect::Messages => messages::fold::to_whole(events),
        Dialect::ChatCompletions => completions::fold::to_whole(events),
        Dialect::Responses => responses::replay::to_whole(events),
        Dialect::Converse => converse::to_whole(events),
        Dialect::Gemini => gemini::to_whole(events),
        Dialect::Ollama => ollama::to_whole(events),
    }
}
