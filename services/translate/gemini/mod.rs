//! Google's Gemini (`generateContent`): requests are written from the intermediate form, answers and streams are read into it.
//!
//! Nobody calls the gateway in this dialect, so there is no reader of requests and no writer of answers.
//!
//! # Thought signatures
//! Gemini's newer models refuse a history whose function calls lack the signature that they came with. A signature leaves here as that of
//! a thinking block before the call, marked as Gemini's own; a caller of Messages sends it back, and it returns to the call that stands
//! behind it. Where no signature came back (callers of chat completions cannot keep one, and another model may have made the call) the
//! value that Google's documentation names for such histories stands in its place.
mod answer;
mod content_out;
mod request_out;
mod stream_in;
mod usage;
mod wire;

pub(super) use answer::read as read_answer;
pub(super) use request_out::write as write_request;
pub(super) use stream_in::Reader;

use super::{Summary, error, text::string};
use crate::{chat::StopReason, dialect::Dialect, sse};
use bytes::Bytes;
use serde_json::Value;
use wire::Response;

/// What marks a signature as Gemini's. No other vendor's begins so: the rest of each is base64.
const MARK: &str = "gemini:";
/// What Google's validator takes where the signature of a call is lost.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What a `finishReason` means.
fn stop_of(reason: &str) -> StopReason {
    match reason {
        "STOP" => StopReason::EndTurn,
        "MAX_TOKENS" => StopReason::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => StopReason::Refusal,
        _ => StopReason::Other,
    }
}

/// Whether the model tried to call a function and failed: there is no answer then, and only another try can help.
fn is_botched_call(reason: &str) -> bool {
    matches!(
        reason,
        "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE"
    )
}

/// What a whole answer says about itself.
pub(super) fn summary(body: &str) -> Summary {
    let mut summary = Summary::default();
    let Some(response) = Response::parse(body) else {
        return summary;
    };
    let owned = |json: Option<_>| string(json?).map(std::borrow::Cow::into_owned);
    summary.id = owned(response.response_id);
    summary.model = owned(response.model_version);
    summary.usage = response.usage.and_then(usage::read);
    if let Some(json) = response.error {
        summary.error = Some(error::inside(Dialect::Gemini, json));
        return summary;
    }
    if let Some(refusal) = response.botched() {
        summary.error = Some(refusal);
        return summary;
    }
    summary.stop = if response.blocked().is_some() {
        Some(StopReason::Refusal)
    } else {
        let reason = response.candidate().and_then(|c| c.reason());
        reason.map(|reason| stop_of(&reason))
    };
    summary.complete = response.blocked().is_some() || response.candidate().is_some();
    summary
}

/// A recorded stream as the whole answer that it brought; `None` where it did not end well.
pub(super) fn to_whole(events: &[Bytes]) -> Option<Bytes> {
    let mut whole: Option<Value> = None;
    for event in events {
        let Some(event) = sse::Event::parse(event) else {
            continue;
        };
        let chunk: Value = serde_json::from_str(event.data).ok()?;
        if chunk.get("error").is_some() {
            return None;
        }
        match &mut whole {
            None => whole = Some(chunk),
            Some(whole) => add(whole, chunk),
        }
    }
    let whole = whole?;
    let body = whole.to_string();
    summary(&body).stop.map(|_| body.into())
}

/// Adds a chunk to what the chunks before it came to: parts follow parts, whatever else there is replaces what was.
fn add(whole: &mut Value, mut chunk: Value) {
    let parts = chunk
        .pointer_mut("/candidates/0/content/parts")
        .map(Value::take);
    if let Some(Value::Array(more)) = parts {
        match whole.pointer_mut("/candidates/0/content/parts") {
            Some(Value::Array(parts)) => parts.extend(more),
            _ => {
                if let Some(candidate) = whole.pointer_mut("/candidates/0") {
                    candidate["content"] = serde_json::json!({ "parts": more });
                }
            }
        }
    }
    for (pointer, name) in [
        ("/candidates/0", "finishReason"),
        ("/candidates/0", "finishMessage"),
        ("", "usageMetadata"),
        ("", "promptFeedback"),
    ] {
        let told = chunk.pointer_mut(&format!("{pointer}/{name}"));
        if let Some(told) = told.map(Value::take)
            && let Some(Value::Object(place)) = whole.pointer_mut(pointer)
        {
            place.insert(name.to_owned(), told);
        }
    }
}
