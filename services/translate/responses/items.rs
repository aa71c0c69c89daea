//! The items of an answer.
use super::{
    custom,
    echo::Echo,
    encrypted,
    tools::{Known, Names},
};
use crate::translate::{
    form::{Arguments, Block, BlockKind},
    json::Object,
    text::Text,
};
use bytes::BytesMut;

/// A call of a tool, in its caller's own terms.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) custom: bool,
}

impl Call {
    pub(super) fn new(names: &Names, id: &Text<'_>, name: &Text<'_>) -> Self {
        let name = name.decode();
        let known = names.find(&name);
        Self {
            id: id.decode().into_owned(),
            namespace: known.and_then(|k| k.namespace.clone()),
            name: known.map_or(name.into_owned(), |k: &Known| k.name.clone()),
            custom: known.is_some_and(|k| k.custom),
        }
    }
    pub(super) const fn prefix(&self) -> &'static str {
        if self.custom { "ctc_" } else { "fc_" }
    }
    /// Writes the fields of the item. `given`: its arguments, or its input.
    pub(super) fn write(&self, id: &str, status: &str, given: &Text<'_>, item: &mut Object<'_>) {
        item.str("id", id);
        item.str(
            "type",
            if self.custom {
                "custom_tool_call"
            } else {
                "function_call"
            },
        );
        item.str("status", status);
        item.str("call_id", &self.id);
        item.str("name", &self.name);
        if let Some(namespace) = &self.namespace {
            item.str("namespace", namespace);
        }
        item.text(if self.custom { "input" } else { "arguments" }, given);
    }
}

/// Writes the fields of a message; without a text, it is only beginning.
pub(super) fn message(id: &str, status: &str, text: Option<&Text<'_>>, item: &mut Object<'_>) {
    item.str("id", id);
    item.str("type", "message");
    item.str("status", status);
    item.str("role", "assistant");
    let mut content = item.array("content");
    if let Some(text) = text {
        output_text(text, &mut content.object());
    }
}

/// Writes the fields of a part of text.
pub(super) fn output_text(text: &Text<'_>, part: &mut Object<'_>) {
    part.str("type", "output_text");
    part.raw("annotations", "[]");
    part.raw("logprobs", "[]");
    part.text("text", text);
}

/// Writes the fields of an item of reasoning. A signature is told to callers who ask for what only the provider can read.
pub(super) fn reasoning(
    id: &str,
    text: Option<&Text<'_>>,
    signature: Option<&str>,
    item: &mut Object<'_>,
) {
    item.str("id", id);
    item.str("type", "reasoning");
    {
        let mut summary = item.array("summary");
        if let Some(text) = text {
            summary_text(text, &mut summary.object());
        }
    }
    if let Some(signature) = signature.filter(|s| !s.is_empty()) {
        item.text("encrypted_content", &Text::Escaped(encrypted(signature)));
    }
}

/// Writes the fields of a part of a summary.
pub(super) fn summary_text(text: &Text<'_>, part: &mut Object<'_>) {
    part.str("type", "summary_text");
    part.text("text", text);
}

/// Writes a block as an item; tells whether there was one to write.
pub(super) fn block(
    block: &Block<'_>,
    index: u64,
    status: &str,
    (echo, names): (&Echo, &Names),
    out: &mut BytesMut,
) -> bool {
    let id = |prefix| echo.item_id(prefix, index);
    match &block.kind {
        BlockKind::Text(text) => message(&id("msg_"), status, Some(text), &mut Object::new(out)),
        BlockKind::Thinking { text, signature } => {
            let told = (!text.is_blank()).then_some(text);
            let mut inside = BytesMut::new();
            if let Some(signature) = signature.as_ref().filter(|_| echo.encrypted) {
                signature.write_inside(&mut inside);
            }
            let signature = std::str::from_utf8(&inside).unwrap_or_default();
            if told.is_none() && signature.is_empty() {
                return false;
            }
            reasoning(&id("rs_"), told, Some(signature), &mut Object::new(out));
        }
        BlockKind::ToolUse {
            id: call_id,
            name,
            arguments,
        } => {
            let mut call = Call::new(names, call_id, name);
            if call.id.is_empty() {
                call.id = id("call_");
            }
            // Callers run what they are told, and free text shows no sign of being cut off.
            if call.custom && status != "completed" && matches!(arguments, Arguments::Text(_)) {
                return false;
            }
            let given = match arguments {
                _ if call.custom => custom::of(arguments),
                Arguments::Object(json) => Text::plain(json),
                Arguments::Text(text) => text.clone(),
            };
            call.write(&id(call.prefix()), status, &given, &mut Object::new(out));
        }
        _ => return false,
    }
    true
}
