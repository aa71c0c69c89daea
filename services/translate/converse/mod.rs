//! Amazon Bedrock's Converse, which providers speak and callers do not: requests are written, answers and streams read.
mod answer;
mod content_out;
mod error;
mod family;
mod request_out;
mod stream_in;
mod usage;

pub(super) use answer::read as read_answer;
use error::exception;
#[cfg(feature = "client")]
pub(crate) use error::{refusal, scrubbed};
#[cfg(feature = "client")]
pub(crate) use family::Family;
pub(super) use request_out::write as write_request;
pub(super) use stream_in::Reader;

use super::{
    Summary,
    json::{Fields, Json},
};
use crate::chat::StopReason;
use bytes::Bytes;

/// What a `stopReason` means.
fn stop_of(json: Json<'_>) -> StopReason {
    match json.get().trim_matches('"') {
        "end_turn" => StopReason::EndTurn,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "guardrail_intervened" | "content_filtered" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        _ => StopReason::Other,
    }
}

/// What a whole answer says about itself. It tells neither an id nor a model.
pub(super) fn summary(body: &str) -> Summary {
    let fields = Fields::parse(body).unwrap_or_default();
    let stop = fields.get("stopReason").map(stop_of);
    Summary {
        usage: fields.get("usage").and_then(usage::read),
        stop,
        complete: stop.is_some() && fields.get("output").is_some(),
        ..Summary::default()
    }
}

/// A recorded stream as the whole answer that it brought: nobody records streams of a dialect in which nobody calls, and a provider that was
/// asked for a whole answer sends no stream.
pub(super) const fn to_whole(_events: &[Bytes]) -> Option<Bytes> {
    None
}
