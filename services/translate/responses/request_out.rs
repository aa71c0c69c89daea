//! A Responses request, written from the intermediate form.
use super::{ENCRYPTED, encrypted};
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning,
        completions::request_out::tool_choice,
        error::refuse,
        form::{Arguments, Block, BlockKind, Form, Format, Role, Source, Tool},
        ids,
        json::{Array, Object, write_raw},
        schema,
        text::Text,
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

/// Top-level fields that mean in Responses what they say, whoever's request they stand in.
const PASSED: &[&str] = &["prompt_cache_key", "safety_identifier"];
/// `OpenAI` takes no lower limit on output.
const LEAST_OUTPUT: u64 = 16;

pub(crate) fn write(form: &Form<'_>, model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    if !form.stop.is_empty() {
        return Err(refuse(
            "stop",
            "the model behind this name knows no stop sequences",
        ));
    }
    match form.rest.get("n").map(RawValue::get) {
        None | Some("1") => {}
        Some(_) => {
            return Err(refuse(
                "n",
                "the model behind this name gives one answer at a time",
            ));
        }
    }
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        body.str("model", model);
        instructions(form, &mut body);
        {
            let mut input = body.array("input");
            for turn in &form.turns {
                write_turn(turn.role, &turn.blocks, caps, &mut input)?;
            }
        }
        // Nobody here comes back for it, and thinking travels with the conversation instead.
        body.bool("store", false);
        if let Some(tokens) = form.max_tokens {
            let tokens = caps.max_output.map_or(tokens, |most| tokens.min(most));
            body.number("max_output_tokens", tokens.max(LEAST_OUTPUT));
        }
        if let Some(json) = form.temperature {
            body.raw("temperature", json.get());
        }
        if let Some(json) = form.top_p {
            body.raw("top_p", json.get());
        }
        if form.stream {
            body.bool("stream", true);
        }
        tools(form, caps, &mut body)?;
        text_format(form, caps, &mut body);
        if caps.reasoning != Reasoning::Unsupported
            && let Some(effort) = form.thinking.effort()
        {
            let mut reasoning = body.object("reasoning");
            reasoning.str("effort", effort.as_str());
            reasoning.str("summary", "auto");
            drop(reasoning);
            body.raw("include", "[\"reasoning.encrypted_content\"]");
        }
        for (name, json) in &form.rest.0 {
            if PASSED.contains(&&**name) {
                body.raw(name, json.get());
            }
        }
    }
    Ok(out.freeze())
}

fn instructions(form: &Form<'_>, body: &mut Object<'_>) {
    let texts: Vec<&Text<'_>> = form
        .system
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::Text(text) if !text.is_blank() => Some(text),
            _ => None,
        })
        .collect();
    if texts.is_empty() {
        return;
    }
    let out = body.key("instructions");
    out.put_u8(b'"');
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.put_slice(b"\\n\\n");
        }
        text.write_inside(out);
    }
    out.put_u8(b'"');
}

// === the conversation ===

/// Writes a turn: what is said together is a message, all else is an item of its own.
fn write_turn(
    role: Role,
    blocks: &[Block<'_>],
    caps: &Capabilities,
    input: &mut Array<'_>,
) -> Result<(), Refusal> {
    let mut parts = BytesMut::new();
    for block in blocks {
        match &block.kind {
            BlockKind::ToolUse { .. }
            | BlockKind::ToolResult { .. }
            | BlockKind::Thinking { .. }
            | BlockKind::Redacted => {
                flush(role, &mut parts, input);
                write_item(&block.kind, caps, input)?;
            }
            // As parts, the schema wants what only OpenAI's own answers have: ids, annotations, log-probabilities.
            BlockKind::Text(text) if role == Role::Assistant => {
                flush(role, &mut parts, input);
                if !text.is_blank() {
                    let mut item = input.object();
                    item.str("role", "assistant");
                    item.text("content", text);
                }
            }
            _ => {
                let before = parts.len();
                if before > 0 {
                    parts.put_u8(b',');
                }
                if !write_part(&block.kind, caps, &mut parts)? {
                    parts.truncate(before);
                }
            }
        }
    }
    flush(role, &mut parts, input);
    Ok(())
}

fn flush(role: Role, parts: &mut BytesMut, input: &mut Array<'_>) {
    if parts.is_empty() {
        return;
    }
    let mut message = input.object();
    message.str("type", "message");
    message.str(
        "role",
        match role {
            Role::System => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        },
    );
    let content = message.key("content");
    content.put_u8(b'[');
    content.put_slice(parts);
    content.put_u8(b']');
    parts.clear();
}

fn write_item(
    kind: &BlockKind<'_>,
    caps: &Capabilities,
    input: &mut Array<'_>,
) -> Result<(), Refusal> {
    match kind {
        BlockKind::ToolUse {
            id,
            name,
            arguments,
        } => {
            let mut item = input.object();
            item.str("type", "function_call");
            item.str("call_id", &ids::call_id(id));
            item.str("name", &ids::tool_name(name));
            match arguments {
                Arguments::Object(json) => item.str("arguments", json),
                Arguments::Text(text) => item.text("arguments", text),
            }
        }
        BlockKind::ToolResult {
            id,
            content,
            is_error,
        } => {
            let mut item = input.object();
            item.str("type", "function_call_output");
            item.str("call_id", &ids::call_id(id));
            match &**content {
                [] => item.str("output", if *is_error { "error" } else { "" }),
                [
                    Block {
                        kind: BlockKind::Text(text),
                        ..
                    },
                ] => item.text("output", text),
                blocks => {
                    let mut parts = BytesMut::new();
                    for block in blocks {
                        let before = parts.len();
                        if before > 0 {
                            parts.put_u8(b',');
                        }
                        if !write_part(&block.kind, caps, &mut parts)? {
                            parts.truncate(before);
                        }
                    }
                    let output = item.key("output");
                    output.put_u8(b'[');
                    output.put_slice(&parts);
                    output.put_u8(b']');
                }
            }
        }
        // What another model thought is refused; what this provider's own thought comes back as it was.
        BlockKind::Thinking {
            text,
            signature: Some(signature),
        } if signature.decode().starts_with(ENCRYPTED) => {
            let mut item = input.object();
            item.str("type", "reasoning");
            {
                let mut summary = item.array("summary");
                if !text.is_blank() {
                    let mut part = summary.object();
                    part.str("type", "summary_text");
                    part.text("text", text);
                }
            }
            item.str("encrypted_content", &encrypted(&signature.decode()));
        }
        _ => {}
    }
    Ok(())
}

/// Writes a part of a message; tells whether there was one to write.
fn write_part(
    kind: &BlockKind<'_>,
    caps: &Capabilities,
    out: &mut BytesMut,
) -> Result<bool, Refusal> {
    match kind {
        BlockKind::Text(text) if text.is_blank() => return Ok(false),
        BlockKind::Text(text) => {
            let mut part = Object::new(out);
            part.str("type", "input_text");
            part.text("text", text);
        }
        BlockKind::Image(source) => {
            if !caps.vision {
                return Err(refuse(
                    "messages",
                    "the model behind this name sees no images",
                ));
            }
            let mut part = Object::new(out);
            part.str("type", "input_image");
            part.str("detail", "auto");
            match source {
                Source::Url(url) => part.text("image_url", url),
                Source::Base64 { media_type, data } => {
                    data_url(media_type, data, part.key("image_url"))
                }
                _ => return Err(elsewhere()),
            }
        }
        BlockKind::Document { source, name } => {
            if !caps.documents && !matches!(source, Source::Text(_)) {
                return Err(refuse(
                    "messages",
                    "the model behind this name reads no documents",
                ));
            }
            let mut part = Object::new(out);
            match source {
                Source::Text(text) => {
                    part.str("type", "input_text");
                    part.text("text", text);
                }
                Source::Url(url) => {
                    part.str("type", "input_file");
                    part.text("file_url", url);
                }
                Source::Base64 { media_type, data } => {
                    part.str("type", "input_file");
                    let unnamed = Text::plain("document.pdf");
                    part.text("filename", name.as_ref().unwrap_or(&unnamed));
                    data_url(media_type, data, part.key("file_data"));
                }
                Source::Blocks(blocks) => {
                    part.str("type", "input_text");
                    let texts = blocks.iter().filter_map(|block| match &block.kind {
                        BlockKind::Text(text) => Some(text.decode()),
                        _ => None,
                    });
                    part.str("text", &texts.collect::<Vec<_>>().join("\n\n"));
                }
                Source::File => return Err(elsewhere()),
            }
        }
        BlockKind::Other { kind } => {
            return Err(refuse(
                "messages",
                format!("a `{kind}` part cannot be shown to the model behind this name"),
            ));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn data_url(media_type: &Text<'_>, data: &Text<'_>, out: &mut BytesMut) {
    out.put_slice(b"\"data:");
    media_type.write_inside(out);
    out.put_slice(b";base64,");
    data.write_inside(out);
    out.put_u8(b'"');
}

// === tools and form of the answer ===

fn tools(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) -> Result<(), Refusal> {
    if form.tools.is_empty() {
        return Ok(());
    }
    if !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    let mut list = body.array("tools");
    for tool in &form.tools {
        write_tool(tool, list.object())?;
    }
    drop(list);
    tool_choice(form, body, |mut choice, name| choice.str("name", name));
    if let Some(parallel) = form.parallel_tools {
        body.bool("parallel_tool_calls", parallel);
    }
    Ok(())
}

fn write_tool(tool: &Tool<'_>, mut object: Object<'_>) -> Result<(), Refusal> {
    if let Some(kind) = &tool.vendor {
        return Err(refuse(
            "tools",
            format!("a `{kind}` tool cannot be offered to the model behind this name"),
        ));
    }
    object.str("type", "function");
    object.str("name", &ids::tool_name(&tool.name));
    if let Some(description) = &tool.description {
        object.text("description", description);
    }
    let schema = tool
        .schema
        .map_or(r#"{"type":"object","properties":{}}"#, RawValue::get);
    write_raw(object.key("parameters"), schema);
    // Unlike in chat completions, silence means strict here.
    object.raw("strict", tool.strict.map_or("false", RawValue::get));
    Ok(())
}

fn text_format(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) {
    if !caps.structured_output {
        return;
    }
    let Some(wanted) = &form.format else {
        return;
    };
    let mut text = body.object("text");
    let mut format = text.object("format");
    match wanted {
        Format::Object => format.str("type", "json_object"),
        Format::Schema {
            name,
            schema,
            strict,
        } => {
            format.str("type", "json_schema");
            format.text("name", name.as_ref().unwrap_or(&Text::plain("answer")));
            format.raw("schema", schema.get());
            format.bool(
                "strict",
                strict.unwrap_or_else(|| schema::is_strict(schema)),
            );
        }
    }
}

fn elsewhere() -> Refusal {
    refuse(
        "messages",
        "a file must be sent along: one stored at its provider cannot be read elsewhere",
    )
}
