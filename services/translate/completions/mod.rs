//! OpenAI's chat completions, read into the intermediate form and written from it.
pub(super) mod answer;
mod calls;
mod content_out;
pub(super) mod fold;
pub(super) mod replay;
pub(super) mod request_in;
pub(super) mod request_out;
pub(super) mod stream_in;
pub(super) mod stream_out;
pub(super) mod usage;
pub(super) mod wire;

use super::{Summary, error, json::Json, text::string};
use crate::{
    chat::{Service, StopReason, Usd},
    dialect::Dialect,
};
use wire::Chunk;

/// What ends a stream.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// What a `finish_reason` means.
pub(super) fn stop_of(json: Json<'_>) -> StopReason {
    match json.get().trim_matches('"') {
        "stop" => StopReason::EndTurn,
        "length" => StopReason::MaxTokens,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "content_filter" => StopReason::Refusal,
        _ => StopReason::Other,
    }
}

/// The `finish_reason` that says so, to a caller of the deprecated `functions` in the deprecated way.
const fn stop_word(stop: StopReason, legacy: bool) -> &'static str {
    match stop {
        StopReason::MaxTokens | StopReason::ContextWindow => "length",
        StopReason::ToolUse if legacy => "function_call",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal => "content_filter",
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Pause | StopReason::Other => {
            "stop"
        }
    }
}

/// What a whole answer says about itself.
pub(super) fn summary(body: &str) -> Summary {
    let mut summary = Summary::default();
    if let Some(chunk) = Chunk::parse(body) {
        look_at(&chunk, &mut summary);
        summary.complete = summary.error.is_none() && chunk.choice().is_some();
    }
    summary
}

/// What an answer, or a stream up to this chunk, cost.
pub(super) fn cost(body: &str) -> Option<Usd> {
    memchr::memmem::find(body.as_bytes(), b"\"cost\"")?;
    usage::cost(Chunk::parse(body)?.usage?)
}

fn look_at(chunk: &Chunk<'_>, summary: &mut Summary) {
    let owned = |json: Option<Json<'_>>| {
        let text = string(json?)?;
        (!text.is_empty()).then(|| text.into_owned())
    };
    if summary.id.is_none() {
        summary.id = owned(chunk.id);
    }
    if summary.model.is_none() {
        summary.model = owned(chunk.model);
    }
    if let Some(json) = chunk.usage {
        summary.usage = usage::read(json).or(summary.usage);
        if let (Some(usage), Some(tier)) = (&mut summary.usage, chunk.service_tier.and_then(string))
        {
            usage.service = Service::named(&tier);
        }
    }
    if let Some(reason) = chunk.choice().and_then(|c| c.finish_reason) {
        summary.stop = Some(stop_of(reason));
    }
    if let Some(json) = chunk.error {
        summary.error = Some(error::inside(Dialect::ChatCompletions, json));
    }
}

/// Looks at a chunk that passes, for what it says about the answer, and tells whether it brings nothing but usage.
pub(super) fn observe(data: &str, summary: &mut Summary) -> bool {
    if data.trim() == "[DONE]" {
        // An end without any answer before it is none.
        let begun = summary.id.is_some() || summary.model.is_some() || summary.stop.is_some();
        summary.complete = begun && summary.error.is_none();
        return false;
    }
    let Some(chunk) = Chunk::parse(data) else {
        summary.error = Some(error::garbage());
        return false;
    };
    look_at(&chunk, summary);
    chunk.usage.is_some() && chunk.choices.as_ref().is_some_and(|c| c.0.is_none())
}
