//! The messages of a chat completions request, written from the intermediate form.
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, demands,
        error::refuse,
        form::{Arguments, Block, BlockKind, Form, Role, Source, Turn},
        ids,
        json::{Array, Json, Object},
        text::{Text, escape},
    },
};
use bytes::{BufMut, BytesMut};

pub(super) fn messages(
    form: &Form<'_>,
    caps: &Capabilities,
    mut list: Array<'_>,
) -> Result<(), Refusal> {
    let mut system: Vec<Marked<'_, '_>> = form.system.iter().filter_map(marked).collect();
    let demands = demands::of(form, caps);
    system.extend(demands.iter().map(|text| (text, None)));
    if !system.is_empty() {
        let mut message = list.object();
        message.str("role", "system");
        content(&mut message, &system, caps);
    }
    for turn in &form.turns {
        match turn.role {
            Role::System if caps.leading_system_only => {
                if let Some(block) = turn.as_users() {
                    let mut message = list.object();
                    message.str("role", "user");
                    joined(message.key("content"), &texts(std::slice::from_ref(&block)));
                }
            }
            Role::System => {
                let texts = texts(&turn.blocks);
                if !texts.is_empty() {
                    let mut message = list.object();
                    message.str("role", "system");
                    joined(message.key("content"), &texts);
                }
            }
            Role::Assistant => assistant(turn, &mut list),
            Role::User => user(turn, caps, &mut list)?,
        }
    }
    Ok(())
}

fn texts<'b, 'a>(blocks: &'b [Block<'a>]) -> Vec<&'b Text<'a>> {
    let text = |block: &'b Block<'a>| match &block.kind {
        BlockKind::Text(text) => Some(text),
        _ => None,
    };
    blocks.iter().filter_map(text).collect()
}

/// A text, and the caller's wish to have the prompt kept up to its end.
type Marked<'b, 'a> = (&'b Text<'a>, Option<Json<'a>>);

fn marked<'b, 'a>(block: &'b Block<'a>) -> Option<Marked<'b, 'a>> {
    match &block.kind {
        BlockKind::Text(text) => Some((text, block.cache)),
        _ => None,
    }
}

/// Several texts as one string; where some of them are marked and the marks are understood, as a list of parts that end at the marks.
fn content(message: &mut Object<'_>, texts: &[Marked<'_, '_>], caps: &Capabilities) {
    let plain = |texts: &[Marked<'_, '_>], out: &mut BytesMut| {
        let texts: Vec<_> = texts.iter().map(|(text, _)| *text).collect();
        joined(out, &texts);
    };
    if !caps.cache_marks || texts.iter().all(|(_, cache)| cache.is_none()) {
        plain(texts, message.key("content"));
        return;
    }
    let mut list = message.array("content");
    for run in texts.split_inclusive(|(_, cache)| cache.is_some()) {
        let mut part = list.object();
        part.str("type", "text");
        plain(run, part.key("text"));
        if let Some((_, Some(cache))) = run.last() {
            part.raw("cache_control", cache.get());
        }
    }
}

/// Several texts as one string, a blank line between them. Many servers take an array of texts only from users, some from nobody.
fn joined(out: &mut BytesMut, texts: &[&Text<'_>]) {
    out.put_u8(b'"');
    write_joined(out, texts);
    out.put_u8(b'"');
}

fn write_joined(out: &mut BytesMut, texts: &[&Text<'_>]) {
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.put_slice(b"\\n\\n");
        }
        text.write_inside(out);
    }
}

/// An assistant's message. Thinking stays away, since no other model may see it, and so do calls of a vendor's own tools; their outcome is in
/// the text that follows them.
fn assistant(turn: &Turn<'_>, list: &mut Array<'_>) {
    let texts = texts(&turn.blocks);
    let mut calls = turn
        .blocks
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::ToolUse {
                id,
                name,
                arguments,
            } => Some((id, name, arguments)),
            _ => None,
        })
        .peekable();
    if texts.is_empty() && calls.peek().is_none() {
        return;
    }
    let mut message = list.object();
    message.str("role", "assistant");
    if texts.is_empty() {
        message.raw("content", "null");
    } else {
        joined(message.key("content"), &texts);
    }
    if calls.peek().is_none() {
        return;
    }
    let mut tool_calls = message.array("tool_calls");
    for (id, name, arguments) in calls {
        let mut call = tool_calls.object();
        call.str("id", &ids::call_id(id));
        call.str("type", "function");
        let mut function = call.object("function");
        function.str("name", &ids::tool_name(name));
        write_arguments(function.key("arguments"), arguments);
    }
}

pub(super) fn write_arguments(out: &mut BytesMut, arguments: &Arguments<'_>) {
    out.put_u8(b'"');
    match arguments {
        Arguments::Object(json) => escape(out, json),
        Arguments::Text(text) => text.write_inside(out),
    }
    out.put_u8(b'"');
}

/// A user's turn: first a message for each tool result, then what else there is. Images that a tool returned follow in the user's message,
/// because a tool's message holds text alone.
fn user(turn: &Turn<'_>, caps: &Capabilities, list: &mut Array<'_>) -> Result<(), Refusal> {
    let mut parts = Vec::new();
    for block in &turn.blocks {
        match &block.kind {
            BlockKind::ToolResult {
                id,
                content,
                is_error,
            } => {
                let shown = tool_message(id, content, *is_error, list);
                parts.extend(shown);
            }
            _ => parts.push(block),
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    let mut message = list.object();
    message.str("role", "user");
    let only_text = parts.iter().all(|b| matches!(b.kind, BlockKind::Text(_)));
    if only_text {
        let texts: Vec<_> = parts.into_iter().filter_map(marked).collect();
        content(&mut message, &texts, caps);
        return Ok(());
    }
    let mut content = message.array("content");
    for block in parts {
        part(block, caps, &mut content)?;
    }
    Ok(())
}

/// Writes one tool result and gives the blocks of it that are no text.
fn tool_message<'b, 'a>(
    id: &Text<'a>,
    content: &'b [Block<'a>],
    is_error: bool,
    list: &mut Array<'_>,
) -> Vec<&'b Block<'a>> {
    let texts = texts(content);
    let others: Vec<_> = content
        .iter()
        .filter(|b| !matches!(b.kind, BlockKind::Text(_)))
        .collect();
    let mut message = list.object();
    message.str("role", "tool");
    message.str("tool_call_id", &ids::call_id(id));
    let says_so = texts
        .first()
        .is_some_and(|t| t.decode().to_ascii_lowercase().starts_with("error"));
    let below = Text::plain("(shown below)");
    let all: Vec<_> = texts
        .into_iter()
        .chain((!others.is_empty()).then_some(&below))
        .collect();
    let out = message.key("content");
    out.put_u8(b'"');
    if is_error && !says_so {
        out.put_slice(if all.is_empty() { b"Error" } else { b"Error: " });
    }
    write_joined(out, &all);
    out.put_u8(b'"');
    drop(message);
    others
}

fn part(block: &Block<'_>, caps: &Capabilities, list: &mut Array<'_>) -> Result<(), Refusal> {
    match &block.kind {
        BlockKind::Text(text) => {
            let mut part = list.object();
            part.str("type", "text");
            part.text("text", text);
            if let Some(cache) = block.cache.filter(|_| caps.cache_marks) {
                part.raw("cache_control", cache.get());
            }
        }
        BlockKind::Image(source) => {
            if !caps.vision {
                return Err(refuse(
                    "messages",
                    "the model behind this name sees no images",
                ));
            }
            let mut part = list.object();
            part.str("type", "image_url");
            let mut image = part.object("image_url");
            match source {
                Source::Url(url) => image.text("url", url),
                Source::Base64 { media_type, data } => {
                    data_url(image.key("url"), media_type, data);
                }
                _ => {
                    return Err(refuse(
                        "messages",
                        "an image stored at its provider cannot be shown to another",
                    ));
                }
            }
        }
        BlockKind::Document { source, name } => document(source, name.as_ref(), caps, list)?,
        // No model but the one that thought it may see it.
        BlockKind::Thinking { .. } | BlockKind::Redacted => {}
        BlockKind::Other { kind } => {
            return Err(refuse(
                "messages",
                format!("a `{kind}` block cannot be shown to the model behind this name"),
            ));
        }
        BlockKind::ToolUse { .. } | BlockKind::ToolResult { .. } => {
            return Err(refuse(
                "messages",
                "a tool call or result stands where none can",
            ));
        }
    }
    Ok(())
}

fn document(
    source: &Source<'_>,
    name: Option<&Text<'_>>,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    let titled = |list: &mut Array<'_>, texts: &[&Text<'_>]| {
        let mut part = list.object();
        part.str("type", "text");
        let all: Vec<&Text<'_>> = name.into_iter().chain(texts.iter().copied()).collect();
        joined(part.key("text"), &all);
    };
    match source {
        Source::Text(text) => titled(list, &[text]),
        Source::Blocks(blocks) => {
            titled(list, &texts(blocks));
            for block in blocks {
                if !matches!(block.kind, BlockKind::Text(_)) {
                    part(block, caps, list)?;
                }
            }
        }
        Source::Base64 { media_type, data } => {
            if !caps.documents {
                return Err(refuse(
                    "messages",
                    "the model behind this name reads no documents",
                ));
            }
            let mut part = list.object();
            part.str("type", "file");
            let mut file = part.object("file");
            // The vendor tells the kind of a file by its name.
            let name = name.map_or("document".into(), Text::decode);
            if media_type.decode() == "application/pdf" && !name.ends_with(".pdf") {
                file.str("filename", &format!("{name}.pdf"));
            } else {
                file.str("filename", &name);
            }
            data_url(file.key("file_data"), media_type, data);
        }
        Source::Url(_) | Source::File => {
            return Err(refuse(
                "messages",
                "a document must be sent along: the model behind this name fetches none",
            ));
        }
    }
    Ok(())
}

fn data_url(out: &mut BytesMut, media_type: &Text<'_>, data: &Text<'_>) {
    out.put_slice(b"\"data:");
    media_type.write_inside(out);
    out.put_slice(b";base64,");
    data.write_inside(out);
    out.put_u8(b'"');
}
