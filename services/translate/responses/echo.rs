//! The response object: what a caller is told about its request and its answer, in every event that begins or ends a stream and in a whole
//! answer.
use super::usage;
use crate::{
    chat::{Prompt, Refusal, StopReason, Usage},
    dialect::Dialect,
    translate::{
        ids,
        json::{Fields, Object, seconds, write_number, write_raw},
        text::Text,
    },
};
use bytes::{BufMut, BytesMut};

/// What an answer says of the request that it answers, each with what `OpenAI` says where the request is silent.
const ECHOED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("store", "true"),
    ("temperature", "1"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// What does not change in the response object of one answer.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) id: String,
    created: String,
    model: BytesMut,
    request: BytesMut,
    /// Whether the caller wants thinking that only its provider can read.
    pub(super) encrypted: bool,
}

/// How far the answer has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum State<'a> {
    InProgress,
    Ended(StopReason, Usage),
    Failed(&'a Refusal),
}

impl Echo {
    pub(super) fn new(prompt: &Prompt) -> Self {
        let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
        let fields = Fields::parse(body).unwrap_or_default();
        let mut request = BytesMut::with_capacity(512);
        for (name, default) in ECHOED {
            request.put_slice(b",\"");
            request.put_slice(name.as_bytes());
            request.put_slice(b"\":");
            write_raw(
                &mut request,
                fields.get(name).map_or(*default, |json| json.get()),
            );
        }
        let include = fields.get("include").map_or("", |json| json.get());
        Self {
            id: format!("resp_{}", ids::fresh()),
            created: ids::now().to_string(),
            model: BytesMut::new(),
            request,
            encrypted: include.contains("reasoning.encrypted_content"),
        }
    }

    /// Notes what the upstream says of its answer. The id stays ours: some servers number their answers from one, and callers come back
    /// with it.
    pub(super) fn meet(&mut self, model: Option<&Text<'_>>, created: Option<&str>) {
        self.model.clear();
        model
            .unwrap_or(&Text::plain(""))
            .write_inside(&mut self.model);
        if let Some(created) = created.and_then(seconds) {
            created.clone_into(&mut self.created);
        }
    }

    /// The id of an item of this answer.
    pub(super) fn item_id(&self, prefix: &str, index: u64) -> String {
        let bare = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{prefix}{bare}{index:02x}")
    }

    /// Writes the response object; `items` are those that are complete, with commas between.
    pub(super) fn write(&self, state: State<'_>, items: &[u8], out: &mut BytesMut) {
        let mut object = Object::new(out);
        object.str("id", &self.id);
        object.str("object", "response");
        object.raw("created_at", &self.created);
        object.str("status", status(state));
        object.bool("background", false);
        match state {
            State::Ended(..) => write_number(object.key("completed_at"), ids::now()),
            _ => object.raw("completed_at", "null"),
        }
        match state {
            State::Failed(refusal) => {
                let mut error = object.object("error");
                error.str("code", code(refusal));
                error.str("message", refusal.message());
            }
            _ => object.raw("error", "null"),
        }
        match reason(state) {
            Some(reason) => object.object("incomplete_details").str("reason", reason),
            None => object.raw("incomplete_details", "null"),
        }
        let model = object.key("model");
        model.put_u8(b'"');
        model.put_slice(&self.model);
        model.put_u8(b'"');
        let output = object.key("output");
        output.put_u8(b'[');
        output.put_slice(items);
        output.put_u8(b']');
        match state {
            State::Ended(_, told) => usage::write(&told, &mut object.object("usage")),
            _ => object.raw("usage", "null"),
        }
        drop(object);
        // The rest goes behind the last field.
        out.truncate(out.len() - 1);
        out.put_slice(&self.request);
        out.put_u8(b'}');
    }
}

/// The name of the event that tells this state.
pub(super) fn event(state: State<'_>) -> &'static str {
    match status(state) {
        "completed" => "response.completed",
        "incomplete" => "response.incomplete",
        _ => "response.failed",
    }
}

/// The `status` that says so.
pub(super) fn status(state: State<'_>) -> &'static str {
    match state {
        State::InProgress => "in_progress",
        State::Failed(_) => "failed",
        State::Ended(..) if reason(state).is_some() => "incomplete",
        State::Ended(..) => "completed",
    }
}

const fn reason(state: State<'_>) -> Option<&'static str> {
    match state {
        State::Ended(StopReason::MaxTokens | StopReason::ContextWindow, _) => {
            Some("max_output_tokens")
        }
        State::Ended(StopReason::Refusal, _) => Some("content_filter"),
        _ => None,
    }
}

/// The `error.code` that clients look at.
pub(super) fn code(refusal: &Refusal) -> &str {
    refusal
        .code()
        .unwrap_or_else(|| Dialect::Responses.error_type(refusal.kind()))
}
