//! The contents of a `generateContent` request, written from the intermediate form.
use super::{MARK, NO_SIGNATURE};
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, demands,
        error::refuse,
        form::{Arguments, Block, BlockKind, Form, RAW_ARGUMENTS, Role, Source, Turn},
        ids,
        json::{Array, Object},
        text::Text,
    },
};
use std::{borrow::Cow, collections::HashMap};

/// The instructions, and the demand for JSON where nobody enforces it.
pub(super) fn system(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) {
    let demands = demands::of(form, caps);
    // A conversation of instructions alone, which chat completions allow, makes the last one the user's.
    let system = match form.system.split_last() {
        Some((_, system)) if form.turns.is_empty() => system,
        _ => &*form.system,
    };
    let texts: Vec<&Text<'_>> = texts(system).chain(&demands).collect();
    if texts.is_empty() {
        return;
    }
    let mut instruction = body.object("systemInstruction");
    let mut parts = instruction.array("parts");
    for text in texts {
        parts.object().text("text", text);
    }
}

pub(super) fn contents(
    form: &Form<'_>,
    caps: &Capabilities,
    mut list: Array<'_>,
) -> Result<(), Refusal> {
    if form.turns.is_empty()
        && let Some(last) = form.system.last()
    {
        let said: Vec<&Text<'_>> = texts(std::slice::from_ref(last)).collect();
        speak(&mut list, &said);
    }
    let names = names(&form.turns);
    for turn in &form.turns {
        match turn.role {
            Role::User => user(turn, &names, caps, &mut list)?,
            Role::Assistant => assistant(turn, &mut list),
            Role::System => {
                // Instructions in the middle: the words of the user are the only place left, so they are marked.
                let said: Vec<_> = texts(&turn.blocks).map(Text::decode).collect();
                if !said.is_empty() {
                    let text = format!("<system>\n{}\n</system>", said.join("\n\n"));
                    speak(&mut list, &[&Text::plain(&text)]);
                }
            }
        }
    }
    Ok(())
}

fn speak(list: &mut Array<'_>, texts: &[&Text<'_>]) {
    let mut content = list.object();
    content.str("role", "user");
    let mut parts = content.array("parts");
    for text in texts {
        parts.object().text("text", text);
    }
}

fn texts<'b, 'a>(blocks: &'b [Block<'a>]) -> impl Iterator<Item = &'b Text<'a>> {
    blocks.iter().filter_map(|block| match &block.kind {
        BlockKind::Text(text) if !text.is_blank() => Some(text),
        _ => None,
    })
}

/// The name of each call by its id: here an answer names the function, not the call.
type Names<'b> = HashMap<Cow<'b, str>, (usize, Cow<'b, str>)>;

fn names<'b>(turns: &'b [Turn<'_>]) -> Names<'b> {
    let blocks = turns.iter().flat_map(|turn| &turn.blocks);
    let calls = blocks.filter_map(|block| match &block.kind {
        BlockKind::ToolUse { id, name, .. } => Some((id, name)),
        _ => None,
    });
    calls
        .enumerate()
        .map(|(place, (id, name))| (id.decode(), (place, ids::tool_name(name))))
        .collect()
}

fn assistant(turn: &Turn<'_>, list: &mut Array<'_>) {
    let said = |block: &&Block<'_>| match &block.kind {
        BlockKind::Text(text) => !text.is_blank(),
        BlockKind::ToolUse { .. } => true,
        _ => false,
    };
    if !turn.blocks.iter().any(|block| said(&block)) {
        return;
    }
    let mut content = list.object();
    content.str("role", "model");
    let mut parts = content.array("parts");
    let mut signature = None;
    let mut calls = false;
    for block in &turn.blocks {
        match &block.kind {
            BlockKind::Text(text) if !text.is_blank() => parts.object().text("text", text),
            // Thinking itself stays away; its signature belongs to the call that follows.
            BlockKind::Thinking {
                signature: Some(signed),
                ..
            } => {
                let signed = signed.decode();
                signature = signed.strip_prefix(MARK).map(str::to_owned);
            }
            BlockKind::ToolUse {
                name, arguments, ..
            } => {
                let mut part = parts.object();
                {
                    let mut call = part.object("functionCall");
                    call.str("name", &ids::tool_name(name));
                    match arguments {
                        Arguments::Object(json) => call.raw("args", json),
                        Arguments::Text(text) => call.object("args").text(RAW_ARGUMENTS, text),
                    }
                }
                // Of calls made at once only the first bears a signature.
                match signature.take() {
                    Some(signature) => part.str("thoughtSignature", &signature),
                    None if !calls => part.str("thoughtSignature", NO_SIGNATURE),
                    None => {}
                }
                calls = true;
            }
            _ => {}
        }
    }
}

/// A user's turn: first the answers of functions, in a content of their own and in the order of their calls, by which alone two calls of one
/// function are told apart; then what else there is. Images that a tool returned follow there.
fn user(
    turn: &Turn<'_>,
    names: &Names<'_>,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    let mut results = Vec::new();
    let mut others = Vec::new();
    for block in &turn.blocks {
        match &block.kind {
            BlockKind::ToolResult {
                id,
                content,
                is_error,
            } => {
                let unknown = || (usize::MAX, Cow::Borrowed("unknown"));
                let (place, name) = names.get(&id.decode()).cloned().unwrap_or_else(unknown);
                results.push((place, name, content, *is_error));
                let shown = content
                    .iter()
                    .filter(|b| !matches!(b.kind, BlockKind::Text(_)));
                others.extend(shown);
            }
            BlockKind::Text(text) if text.is_blank() => {}
            // No model but the one that thought it may see it.
            BlockKind::Thinking { .. } | BlockKind::Redacted => {}
            _ => others.push(block),
        }
    }
    if !results.is_empty() {
        results.sort_by_key(|(place, ..)| *place);
        let mut message = list.object();
        message.str("role", "user");
        let mut parts = message.array("parts");
        for (_, name, content, is_error) in results {
            let mut part = parts.object();
            let mut response = part.object("functionResponse");
            response.str("name", &name);
            let said: Vec<_> = texts(content).map(Text::decode).collect();
            let word = if is_error { "error" } else { "output" };
            response.object("response").str(word, &said.join("\n\n"));
        }
    }
    if !others.is_empty() {
        let mut message = list.object();
        message.str("role", "user");
        let mut parts = message.array("parts");
        for block in others {
            part(&block.kind, caps, &mut parts)?;
        }
    }
    Ok(())
}

fn part(kind: &BlockKind<'_>, caps: &Capabilities, list: &mut Array<'_>) -> Result<(), Refusal> {
    match kind {
        BlockKind::Text(text) => list.object().text("text", text),
        BlockKind::Image(_) if !caps.vision => {
            return Err(refuse(
                "messages",
                "the model behind this name sees no images",
            ));
        }
        BlockKind::Document { .. } if !caps.documents && !is_text(kind) => {
            return Err(refuse(
                "messages",
                "the model behind this name reads no documents",
            ));
        }
        BlockKind::Image(source) => data(source, "image", caps, list)?,
        BlockKind::Document { source, name } => {
            if let Some(name) = name {
                list.object().text("text", name);
            }
            data(source, "document", caps, list)?;
        }
        BlockKind::Thinking { .. } | BlockKind::Redacted => {}
        BlockKind::Other { kind } => {
            let why = format!("a `{kind}` block cannot be shown to the model behind this name");
            return Err(refuse("messages", why));
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

const fn is_text(kind: &BlockKind<'_>) -> bool {
    matches!(
        kind,
        BlockKind::Document {
            source: Source::Text(_) | Source::Blocks(_),
            ..
        }
    )
}

fn data(
    source: &Source<'_>,
    what: &str,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    match source {
        Source::Base64 { media_type, data } => {
            let mut part = list.object();
            let mut inline = part.object("inlineData");
            inline.text("mimeType", media_type);
            inline.text("data", data);
        }
        Source::Url(url) => {
            let mut part = list.object();
            let mut file = part.object("fileData");
            file.text("fileUri", url);
            if let Some(media_type) = media_type(&url.decode()) {
                file.str("mimeType", media_type);
            }
        }
        Source::Text(text) => list.object().text("text", text),
        Source::Blocks(blocks) => {
            for block in blocks {
                part(&block.kind, caps, list)?;
            }
        }
        Source::File => {
            let why = format!("a stored {what} cannot be shown to another vendor's model");
            return Err(refuse("messages", why));
        }
    }
    Ok(())
}

/// What a file is, told from the end of its address.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit_once('.')?;
    Some(match &*extension.to_ascii_lowercase() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        _ => return None,
    })
}
