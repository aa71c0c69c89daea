//! `OpenAI`'s Responses, read into the intermediate form and written from it.
pub(super) mod answer;
mod custom;
mod echo;
mod items;
pub(super) mod replay;
pub(super) mod request_in;
pub(super) mod request_out;
pub(super) mod stream_in;
pub(super) mod stream_out;
mod tools;
mod usage;

use super::{
    Summary, error,
    json::{Fields, Json},
    text::Text,
};
use crate::{
    chat::{Prompt, Service, StopReason},
    dialect::Dialect,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

// === thinking ===

/// Begins the `encrypted_content` of a reasoning item that holds the signature of a thinking block.
const SIGNED: &str = "signature.";
/// Begins the signature of a thinking block that holds the `encrypted_content` of a reasoning item.
pub(super) const ENCRYPTED: &str = "encrypted.";

/// A signature as the `encrypted_content` of a reasoning item; what came out of one goes back as it was. Insides of JSON strings.
fn encrypted(signature: &str) -> Cow<'_, str> {
    match signature.strip_prefix(ENCRYPTED) {
        Some(own) => Cow::Borrowed(own),
        None => Cow::Owned(format!("{SIGNED}{signature}")),
    }
}

/// The `encrypted_content` of a reasoning item as a signature. Insides of JSON strings.
fn signature(encrypted: &str) -> Cow<'_, str> {
    match encrypted.strip_prefix(SIGNED) {
        Some(own) => Cow::Borrowed(own),
        None => Cow::Owned(format!("{ENCRYPTED}{encrypted}")),
    }
}

/// Whether a signature is of a kind that an upstream of Messages may have given.
pub(super) fn is_signature(text: &Text<'_>) -> bool {
    let text = text.decode();
    !text.is_empty() && !text.starts_with(ENCRYPTED)
}

// === what an answer says about itself ===

/// Why an answer of this `status` ended.
fn stop_of(response: &Fields<'_>, calls: bool) -> Option<StopReason> {
    match response.string("status").as_deref() {
        Some("incomplete") => {
            let details = response.object("incomplete_details");
            Some(match details.and_then(|d| d.string("reason")).as_deref() {
                Some("content_filter") => StopReason::Refusal,
                _ => StopReason::MaxTokens,
            })
        }
        Some("completed") if calls => Some(StopReason::ToolUse),
        Some("completed") => Some(StopReason::EndTurn),
        _ => None,
    }
}

/// What a whole answer says about itself.
pub(super) fn summary(body: &str) -> Summary {
    let mut summary = Summary::default();
    if let Some(response) = Fields::parse(body) {
        look_at(&response, &mut summary);
        let answers = response.get("output").is_some() && summary.stop.is_some();
        summary.complete = answers && summary.error.is_none();
    }
    summary
}

fn look_at(response: &Fields<'_>, summary: &mut Summary) {
    let owned = |name| response.string(name).map(Cow::into_owned);
    summary.id = owned("id").or(summary.id.take());
    summary.model = owned("model").or(summary.model.take());
    if let Some(json) = response.get("usage") {
        summary.usage = usage::read(json).or(summary.usage);
        if let (Some(usage), Some(tier)) = (&mut summary.usage, response.string("service_tier")) {
            usage.service = Service::named(&tier);
        }
    }
    let calls = response.get("output").is_some_and(holds_call);
    summary.stop = stop_of(response, calls).or(summary.stop);
    let failed = response.string("status").as_deref() == Some("failed");
    if let Some(json) = response.get("error") {
        summary.error = Some(error::inside(Dialect::Responses, json));
    } else if failed {
        summary.error = Some(error::inside(Dialect::Responses, RawValue::NULL));
    }
}

/// Whether a list of items holds a call of one of the caller's tools. The words cannot stand inside text, where their quotes would be
/// escaped.
fn holds_call(output: Json<'_>) -> bool {
    ["\"function_call\"", "\"custom_tool_call\""]
        .iter()
        .any(|word| memchr::memmem::find(output.get().as_bytes(), word.as_bytes()).is_some())
}

/// Looks at an event that passes, for what it says about the answer.
pub(super) fn observe(data: &str, summary: &mut Summary) {
    let Some(event) = Fields::parse(data) else {
        // Some servers end every stream in chat completions' way.
        if data.trim() != "[DONE]" {
            summary.error = Some(error::garbage());
        }
        return;
    };
    let kind = event.string("type").unwrap_or_default();
    match &*kind {
        "response.created"
        | "response.in_progress"
        | "response.completed"
        | "response.incomplete"
        | "response.failed" => {
            if let Some(response) = event.object("response") {
                look_at(&response, summary);
            }
            match &*kind {
                "response.completed" | "response.incomplete" => summary.complete = true,
                "response.failed" if summary.error.is_none() => {
                    summary.error = Some(error::inside(Dialect::Responses, RawValue::NULL));
                }
                _ => {}
            }
        }
        "error" => summary.error = Some(error::stated(&event)),
        _ => {}
    }
}

/// What of a request is left out where it is translated, and may be: the model can answer without.
pub(super) fn dropped(prompt: &Prompt) -> Vec<&'static str> {
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let offers = Fields::parse(body).map(|fields| tools::offers(&fields));
    let searches = offers
        .unwrap_or_default()
        .iter()
        .any(|offer| matches!(&offer.kind, tools::Kind::Vendor(kind) if tools::may_drop(kind)));
    if searches {
        vec!["web_search"]
    } else {
        Vec::new()
    }
}

/// Whether only `OpenAI` itself understands all of a request: it offers tools that are no functions, or shows items of such.
pub(super) fn is_particular(prompt: &Prompt) -> bool {
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let Some(fields) = Fields::parse(body) else {
        return false;
    };
    tools::offers(&fields)
        .iter()
        .any(|offer| offer.namespace.is_some() || !matches!(offer.kind, tools::Kind::Function))
        || fields.get("input").is_some_and(|i| {
            memchr::memmem::find(i.get().as_bytes(), b"\"custom_tool_call").is_some()
        })
}
