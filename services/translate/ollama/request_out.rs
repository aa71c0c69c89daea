//! An `/api/chat` request, written from the intermediate form.
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning, demands,
        error::refuse,
        form::{
            Arguments, Block, BlockKind, Form, Format, RAW_ARGUMENTS, Role, Source, ToolChoice,
            Turn,
        },
        ids,
        json::{Array, Object, write_text},
        text::Text,
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{borrow::Cow, collections::HashMap};

/// Top-level fields of other dialects that are options here.
const OPTIONS: &[&str] = &[
    "frequency_penalty",
    "min_p",
    "num_ctx",
    "presence_penalty",
    "repeat_penalty",
    "seed",
    "top_k",
];

pub(crate) fn write(form: &Form<'_>, model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    form.refuse_beyond(&[])?;
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        body.str("model", model);
        messages(form, caps, body.array("messages"))?;
        tools(form, caps, &mut body)?;
        match &form.format {
            Some(Format::Schema { schema, .. }) if caps.structured_output => {
                body.raw("format", schema.get());
            }
            Some(Format::Object) if caps.structured_output => body.str("format", "json"),
            _ => {}
        }
        options(form, caps, body.object("options"));
        if let Some(effort) = form.thinking.effort() {
            match caps.reasoning {
                // Models such as gpt-oss take a word, others a switch.
                Reasoning::Effort => body.str("think", effort.as_str()),
                Reasoning::Budget => body.bool("think", true),
                _ => {}
            }
        }
        // Ollama's own, which callers send through the escape hatches of their SDKs.
        for name in ["keep_alive", "think"] {
            if let Some(json) = form.rest.get(name) {
                body.raw(name, json.get());
            }
        }
        // It streams unless told not to.
        body.bool("stream", form.stream);
    }
    Ok(out.freeze())
}

fn options(form: &Form<'_>, caps: &Capabilities, mut options: Object<'_>) {
    if let Some(tokens) = form.max_tokens {
        let tokens = caps.max_output.map_or(tokens, |most| tokens.min(most));
        options.number("num_predict", tokens);
    }
    if let Some(json) = form.temperature {
        options.raw("temperature", json.get());
    }
    if let Some(json) = form.top_p {
        options.raw("top_p", json.get());
    }
    if !form.stop.is_empty() {
        let mut stop = options.array("stop");
        for text in &form.stop {
            write_text(stop.element(), text);
        }
    }
    for name in OPTIONS {
        if let Some(json) = form.rest.get(name) {
            options.raw(name, json.get());
        }
    }
    // The caller's own `options` say what no other field can.
    for (name, json) in form.rest.object("options").unwrap_or_default().0 {
        options.raw(&name, json.get());
    }
}

// === tools ===

fn tools(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) -> Result<(), Refusal> {
    if form.tools.is_empty() || matches!(form.tool_choice, Some(ToolChoice::None)) {
        return Ok(());
    }
    if !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    let mut list = body.array("tools");
    for tool in &form.tools {
        if let Some(kind) = &tool.vendor {
            let why = format!(
                "`{kind}` is a tool of its vendor's own, which the model behind this name does not have"
            );
            return Err(refuse("tools", why));
        }
        // No choice can be demanded here; whoever is offered one tool alone can take no other.
        if let Some(ToolChoice::Tool(name)) = &form.tool_choice
            && name.decode() != tool.name.decode()
        {
            continue;
        }
        let mut object = list.object();
        object.str("type", "function");
        let mut function = object.object("function");
        function.str("name", &ids::tool_name(&tool.name));
        if let Some(description) = &tool.description {
            function.text("description", description);
        }
        match tool.schema {
            Some(schema) => function.raw("parameters", schema.get()),
            None => function.raw("parameters", r#"{"type":"object","properties":{}}"#),
        }
    }
    Ok(())
}

/// A demand that a tool be called, in words: there is no field for it.
fn demanded(form: &Form<'_>) -> Option<Text<'static>> {
    if form.tools.is_empty() {
        return None;
    }
    match &form.tool_choice {
        Some(ToolChoice::Any) => Some(Text::plain("Answer by calling one of the tools.")),
        Some(ToolChoice::Tool(name)) => Some(Text::Plain(Cow::Owned(format!(
            "Answer by calling the tool {}.",
            ids::tool_name(name)
        )))),
        _ => None,
    }
}

// === messages ===

fn messages(form: &Form<'_>, caps: &Capabilities, mut list: Array<'_>) -> Result<(), Refusal> {
    let mut demands = demands::of(form, caps);
    demands.extend(demanded(form));
    let system: Vec<&Text<'_>> = texts(&form.system).chain(&demands).collect();
    if !system.is_empty() {
        said("system", &system, &mut list.object());
    }
    let names = names(&form.turns);
    for turn in &form.turns {
        match turn.role {
            Role::System => {
                let system: Vec<_> = texts(&turn.blocks).collect();
                if !system.is_empty() {
                    said("system", &system, &mut list.object());
                }
            }
            Role::Assistant => assistant(turn, &mut list),
            Role::User => user(turn, &names, caps, &mut list)?,
        }
    }
    Ok(())
}

fn texts<'b, 'a>(blocks: &'b [Block<'a>]) -> impl Iterator<Item = &'b Text<'a>> {
    blocks.iter().filter_map(|block| match &block.kind {
        BlockKind::Text(text) => Some(text),
        _ => None,
    })
}

/// Role and content, which is one string here.
fn said(role: &str, texts: &[&Text<'_>], message: &mut Object<'_>) {
    message.str("role", role);
    joined(message.key("content"), texts);
}

fn joined(out: &mut BytesMut, texts: &[&Text<'_>]) {
    out.put_u8(b'"');
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.put_slice(b"\\n\\n");
        }
        text.write_inside(out);
    }
    out.put_u8(b'"');
}

/// The name of each call by its id: here an answer names the tool, not the call.
fn names<'b>(turns: &'b [Turn<'_>]) -> HashMap<Cow<'b, str>, Cow<'b, str>> {
    let blocks = turns.iter().flat_map(|turn| &turn.blocks);
    let calls = blocks.filter_map(|block| match &block.kind {
        BlockKind::ToolUse { id, name, .. } => Some((id.decode(), ids::tool_name(name))),
        _ => None,
    });
    calls.collect()
}

fn assistant(turn: &Turn<'_>, list: &mut Array<'_>) {
    let spoken: Vec<_> = texts(&turn.blocks).collect();
    let calls: Vec<_> = turn
        .blocks
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::ToolUse {
                name, arguments, ..
            } => Some((name, arguments)),
            _ => None,
        })
        .collect();
    if spoken.is_empty() && calls.is_empty() {
        return;
    }
    let mut message = list.object();
    said("assistant", &spoken, &mut message);
    if calls.is_empty() {
        return;
    }
    let mut tool_calls = message.array("tool_calls");
    for (name, arguments) in calls {
        let mut call = tool_calls.object();
        let mut function = call.object("function");
        function.str("name", &ids::tool_name(name));
        match arguments {
            Arguments::Object(json) => function.raw("arguments", json),
            Arguments::Text(text) => function.object("arguments").text(RAW_ARGUMENTS, text),
        }
    }
}

/// A user's turn: first a message for each tool result, then what else there is. Images that a tool returned follow there.
fn user(
    turn: &Turn<'_>,
    names: &HashMap<Cow<'_, str>, Cow<'_, str>>,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    let mut rest = Rest::default();
    for block in &turn.blocks {
        if let BlockKind::ToolResult {
            id,
            content,
            is_error,
        } = &block.kind
        {
            let error = Text::plain("Error:");
            let spoken: Vec<_> = is_error
                .then_some(&error)
                .into_iter()
                .chain(texts(content))
                .collect();
            let mut message = list.object();
            said("tool", &spoken, &mut message);
            if let Some(name) = names.get(&id.decode()) {
                message.str("tool_name", name);
            }
            for block in content {
                if !matches!(block.kind, BlockKind::Text(_)) {
                    rest.take(&block.kind, caps)?;
                }
            }
        } else {
            rest.take(&block.kind, caps)?;
        }
    }
    if rest.texts.is_empty() && rest.images.is_empty() {
        return Ok(());
    }
    let mut message = list.object();
    said("user", &rest.texts, &mut message);
    if !rest.images.is_empty() {
        let mut images = message.array("images");
        for data in rest.images {
            write_text(images.element(), data);
        }
    }
    Ok(())
}

/// What of a user's turn is no tool result.
#[derive(Default)]
struct Rest<'b, 'a> {
    texts: Vec<&'b Text<'a>>,
    images: Vec<&'b Text<'a>>,
}

impl<'b, 'a> Rest<'b, 'a> {
    fn take(&mut self, kind: &'b BlockKind<'a>, caps: &Capabilities) -> Result<(), Refusal> {
        let why = match kind {
            BlockKind::Text(text) => {
                self.texts.push(text);
                return Ok(());
            }
            BlockKind::Thinking { .. } | BlockKind::Redacted => return Ok(()),
            BlockKind::Image(_) if !caps.vision => {
                Cow::Borrowed("the model behind this name sees no images")
            }
            BlockKind::Image(Source::Base64 { data, .. }) => {
                self.images.push(data);
                return Ok(());
            }
            BlockKind::Image(_) => Cow::Borrowed(
                "an image must be sent along: the model behind this name fetches none",
            ),
            BlockKind::Document {
                source: Source::Text(text),
                name,
            } => {
                self.texts.extend(name);
                self.texts.push(text);
                return Ok(());
            }
            BlockKind::Document {
                source: Source::Blocks(blocks),
                name,
            } => {
                self.texts.extend(name);
                return blocks
                    .iter()
                    .try_for_each(|block| self.take(&block.kind, caps));
            }
            BlockKind::Document { .. } => {
                Cow::Borrowed("the model behind this name reads no documents")
            }
            BlockKind::Other { kind } => {
                format!("a `{kind}` block cannot be shown to the model behind this name").into()
            }
            BlockKind::ToolUse { .. } | BlockKind::ToolResult { .. } => {
                Cow::Borrowed("a tool call or result stands where none can")
            }
        };
        Err(refuse("messages", why))
    }
}
