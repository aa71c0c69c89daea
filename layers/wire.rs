//! What several layers must recognise on the wire.
#[cfg(any(feature = "decode", feature = "limit", feature = "telemetry"))]
use tierway_services::chat::Operation;
#[cfg(any(feature = "decode", feature = "telemetry"))]
use tierway_services::dialect::Dialect;

/// The dialect and the operation that `path` stands for, where it stands for a chat call.
#[cfg(any(feature = "decode", feature = "telemetry"))]
pub(crate) fn route(path: &str) -> Option<(Dialect, Operation)> {
    match path {
        "/v1/messages" => Some((Dialect::Messages, Operation::Generate)),
        "/v1/messages/count_tokens" => Some((Dialect::Messages, Operation::CountTokens)),
        "/v1/chat/completions" => Some((Dialect::ChatCompletions, Operation::Generate)),
        "/v1/embeddings" => Some((Dialect::ChatCompletions, Operation::Embed)),
        "/v1/completions" => Some((Dialect::ChatCompletions, Operation::Complete)),
        "/v1/responses" => Some((Dialect::Responses, Operation::Generate)),
        "/v1/responses/input_tokens" => Some((Dialect::Responses, Operation::CountTokens)),
        _ => None,
    }
}

/// The operation on a route of the host's own naming, whose dialect was given.
#[cfg(any(feature = "decode", feature = "limit", feature = "telemetry"))]
pub(crate) fn operation(path: &str) -> Operation {
    if path.ends_with("/count_tokens") || path.ends_with("/input_tokens") {
        Operation::CountTokens
    } else if path.ends_with("/embeddings") {
        Operation::Embed
    } else if path.ends_with("/completions") && !path.ends_with("/chat/completions") {
        Operation::Complete
    } else {
        Operation::Generate
    }
}

/// What kind of call this is, as metrics name it: the dialect, or what is asked for where that is no conversation.
#[cfg(feature = "telemetry")]
pub(crate) const fn road(dialect: Dialect, operation: Operation) -> &'static str {
    match operation {
        Operation::Embed => "embeddings",
        Operation::Complete => "completions",
        _ => dialect.as_str(),
    }
}

/// Whether an answer with these headers is a stream of server-sent events.
#[cfg(any(
    feature = "cascade",
    feature = "keep-alive",
    feature = "mcp",
    feature = "recode",
    feature = "rescue",
    feature = "responses",
    feature = "telemetry"
))]
pub(crate) fn is_event_stream(headers: &http::HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|v| v.as_bytes().get(..EVENTS.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}
