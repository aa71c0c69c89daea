//! Anthropic's Messages, read into the intermediate form and written from it.
pub(super) mod answer;
mod content_out;
pub(super) mod fold;
pub(super) mod replay;
pub(super) mod request_in;
pub(super) mod request_out;
pub(super) mod stream_in;
pub(super) mod stream_out;
mod usage;
mod wire;

use super::{Summary, error, json::Json, text::string};
use crate::{chat::StopReason, dialect::Dialect};
use serde_json::value::RawValue;
use wire::{Delta, Event, Head};

/// What ends a stream.
pub(super) const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// What a `stop_reason` means.
pub(super) fn stop_of(json: Json<'_>) -> StopReason {
    match json.get().trim_matches('"') {
        "end_turn" => StopReason::EndTurn,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolUse,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        "model_context_window_exceeded" => StopReason::ContextWindow,
        _ => StopReason::Other,
    }
}

/// The `stop_reason` that says so.
const fn stop_word(stop: StopReason) -> &'static str {
    match stop {
        StopReason::EndTurn | StopReason::Other => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
        StopReason::ContextWindow => "model_context_window_exceeded",
    }
}

/// What a whole answer says about itself.
pub(super) fn summary(body: &str) -> Summary {
    let Ok(head) = crate::json::from_str::<Head<'_>>(body) else {
        return Summary::default();
    };
    let is_message = head.r#type.is_some_and(|t| t.get() == "\"message\"");
    let mut summary = Summary::default();
    look_at(&head, &mut summary);
    summary.complete = is_message && summary.error.is_none();
    summary
}

fn look_at(head: &Head<'_>, summary: &mut Summary) {
    let owned = |json: Option<Json<'_>>| Some(string(json?)?.into_owned());
    summary.id = owned(head.id);
    summary.model = owned(head.model);
    summary.stop = head.stop_reason.map(stop_of);
    summary.usage = head.usage.and_then(|u| usage::read(u, None));
    summary.error = head.error.map(|e| error::inside(Dialect::Messages, e));
}

/// Looks at an event that passes, for what it says about the answer. Whether it was the last one is in [`Summary::complete`].
pub(super) fn observe(data: &str, summary: &mut Summary) {
    let Some(event) = Event::parse(data) else {
        // Some servers end every stream in chat completions' way.
        if data.trim() != "[DONE]" {
            summary.error = Some(error::garbage());
        }
        return;
    };
    match event.kind() {
        "\"message_start\"" => {
            if let Some(Ok(head)) = event.message.map(|m| crate::json::from_str(m.get())) {
                look_at(&head, summary);
            }
        }
        "\"message_delta\"" => {
            let delta = Delta::of(&event);
            summary.stop = delta.stop_reason.map(stop_of).or(summary.stop);
            if let Some(json) = event.usage {
                summary.usage = usage::read(json, summary.usage).or(summary.usage);
            }
        }
        "\"message_stop\"" => summary.complete = true,
        "\"error\"" => {
            let json = event.error.unwrap_or(RawValue::NULL);
            summary.error = Some(error::inside(Dialect::Messages, json));
        }
        _ => {}
    }
}
