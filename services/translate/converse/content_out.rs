//! The messages of a Converse request, written from the intermediate form.
use super::family::Family;
use crate::{
    chat::Refusal,
    translate::{
        Capabilities,
        error::refuse,
        form::{Arguments, Block, BlockKind, Form, RAW_ARGUMENTS, Role, Source},
        ids,
        json::{Array, Fields, Json, Object},
        responses::is_signature,
        text::Text,
    },
};
use std::collections::BTreeSet;

/// The formats of images, by their media types.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];
/// The formats of documents, by their media types.
const DOCUMENTS: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
];
/// The longest name of a document.
const LONGEST_NAME: usize = 180;

/// Writes the conversation. Bedrock wants users and models to take turns, so what one says in a row is one message.
pub(super) fn messages(
    form: &Form<'_>,
    spoken: Option<&Block<'_>>,
    caps: &Capabilities,
    family: Family,
    mut list: Array<'_>,
) -> Result<(), Refusal> {
    let marked: Vec<Option<Block<'_>>> = form
        .turns
        .iter()
        .map(|turn| (turn.role == Role::System).then(|| turn.as_users())?)
        .collect();
    let mut rows: Vec<(&'static str, Vec<&Block<'_>>)> = Vec::new();
    let mut push = |role: &'static str, block| match rows.last_mut() {
        Some((last, blocks)) if *last == role => blocks.push(block),
        _ => rows.push((role, vec![block])),
    };
    for (turn, marked) in form.turns.iter().zip(&marked) {
        let role = match turn.role {
            Role::Assistant => "assistant",
            Role::User | Role::System => "user",
        };
        match turn.role {
            Role::System => marked.iter().for_each(|block| push(role, block)),
            _ => turn
                .blocks
                .iter()
                .filter(|b| is_kept(b, family))
                .for_each(|block| push(role, block)),
        }
    }
    if let Some(block) = spoken {
        push("user", block);
    }
    let mut writer = Writer {
        caps,
        family,
        names: BTreeSet::new(),
    };
    for (role, blocks) in rows {
        let mut message = list.object();
        message.str("role", role);
        let mut content = message.array("content");
        for block in &blocks {
            writer.block(block, &mut content)?;
        }
        // A document without a word beside it is refused.
        let has = |is: fn(&BlockKind<'_>) -> bool| blocks.iter().any(|b| is(&b.kind));
        if has(|kind| matches!(kind, BlockKind::Document { .. }))
            && !has(|kind| matches!(kind, BlockKind::Text(_)))
        {
            content.object().str("text", "The document is attached.");
        }
    }
    Ok(())
}

/// Empty texts are refused. Thinking goes back only to those who sign it: others refuse to see it.
fn is_kept(block: &Block<'_>, family: Family) -> bool {
    match &block.kind {
        BlockKind::Text(text) => !text.is_blank(),
        BlockKind::Thinking { signature, .. } => {
            let signed = signature.as_ref().is_some_and(is_signature);
            signed && matches!(family, Family::Claude | Family::Other)
        }
        BlockKind::Redacted => false,
        _ => true,
    }
}

/// The names of the tools that the conversation tells of, each once, as they are written.
pub(super) fn uses_tools(form: &Form<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for block in form.turns.iter().flat_map(|t| &t.blocks) {
        if let BlockKind::ToolUse { name, .. } = &block.kind {
            let name = ids::tool_name(name).into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// A wish to cache the prompt up to here is a block of its own.
pub(super) fn cache_point(cache: Option<Json<'_>>, family: Family, list: &mut Array<'_>) {
    let Some(cache) = cache.filter(|_| family.caches()) else {
        return;
    };
    let an_hour = Fields::parse(cache.get())
        .and_then(|c| c.string("ttl"))
        .is_some_and(|ttl| ttl == "1h");
    let mut block = list.object();
    let mut point = block.object("cachePoint");
    point.str("type", "default");
    if an_hour && family == Family::Claude {
        point.str("ttl", "1h");
    }
}

struct Writer<'c> {
    caps: &'c Capabilities,
    family: Family,
    /// The names of documents so far: each may be there once.
    names: BTreeSet<String>,
}

impl Writer<'_> {
    fn block(&mut self, block: &Block<'_>, list: &mut Array<'_>) -> Result<(), Refusal> {
        match &block.kind {
            BlockKind::ToolUse {
                id,
                name,
                arguments,
            } => {
                let mut object = list.object();
                let mut call = object.object("toolUse");
                call.str("toolUseId", &ids::call_id(id));
                call.str("name", &ids::tool_name(name));
                match arguments {
                    Arguments::Object(json) => call.raw("input", json),
                    Arguments::Text(text) => call.object("input").text(RAW_ARGUMENTS, text),
                }
            }
            BlockKind::ToolResult {
                id,
                content,
                is_error,
            } => {
                let mut object = list.object();
                let mut result = object.object("toolResult");
                result.str("toolUseId", &ids::call_id(id));
                {
                    let mut inner = result.array("content");
                    let mut empty = true;
                    for block in content.iter().filter(|b| is_shown(b)) {
                        empty = false;
                        self.shown(block, &mut inner)?;
                    }
                    if empty {
                        inner.object().str("text", "(empty)");
                    }
                }
                if *is_error {
                    result.str("status", "error");
                }
            }
            BlockKind::Thinking { text, signature } => {
                let mut object = list.object();
                let mut content = object.object("reasoningContent");
                let mut thought = content.object("reasoningText");
                thought.text("text", text);
                if let Some(signature) = signature {
                    thought.text("signature", signature);
                }
            }
            _ => self.shown(block, list)?,
        }
        cache_point(block.cache, self.family, list);
        Ok(())
    }

    /// What can stand in a message and in a tool's result alike.
    fn shown(&mut self, block: &Block<'_>, list: &mut Array<'_>) -> Result<(), Refusal> {
        match &block.kind {
            BlockKind::Text(text) => list.object().text("text", text),
            BlockKind::Image(source) => {
                if !self.caps.vision {
                    return Err(refuse(
                        "messages",
                        "the model behind this name sees no images",
                    ));
                }
                image(source, list.object().object("image"))?;
            }
            BlockKind::Document { source, name } => {
                if !self.caps.documents && !matches!(source, Source::Text(_)) {
                    return Err(refuse(
                        "messages",
                        "the model behind this name reads no documents",
                    ));
                }
                let name = self.name(name.as_ref());
                document(source, &name, list.object().object("document"))?;
            }
            BlockKind::Other { kind } => {
                let why = format!("a `{kind}` part cannot be shown to the model behind this name");
                return Err(refuse("messages", &why));
            }
            _ => {}
        }
        Ok(())
    }

    /// A document's name as Bedrock takes it, and unlike the others: letters, digits, single spaces, hyphens and brackets.
    fn name(&mut self, wish: Option<&Text<'_>>) -> String {
        let wish = wish.map(Text::decode).unwrap_or_default();
        let mut name = String::new();
        for c in wish.chars().take(LONGEST_NAME) {
            let fits = c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
            match c {
                c if fits => name.push(c),
                c if c.is_whitespace() && !name.ends_with(' ') => name.push(' '),
                c if c.is_whitespace() => {}
                _ => name.push('-'),
            }
        }
        let name = match name.trim() {
            "" => "document",
            name => name,
        };
        let mut unlike = name.to_owned();
        let mut number = 1;
        while !self.names.insert(unlike.clone()) {
            number += 1;
            unlike = format!("{name}-{number}");
        }
        unlike
    }
}

/// Whether a part of a tool's result says anything.
fn is_shown(block: &Block<'_>) -> bool {
    match &block.kind {
        BlockKind::Text(text) => !text.is_blank(),
        BlockKind::Image(_) | BlockKind::Document { .. } | BlockKind::Other { .. } => true,
        _ => false,
    }
}

fn format_of(formats: &[(&str, &'static str)], media_type: &Text<'_>) -> Option<&'static str> {
    let media_type = media_type.decode();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let (_, format) = formats
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(media_type))?;
    Some(format)
}

fn image(source: &Source<'_>, mut image: Object<'_>) -> Result<(), Refusal> {
    let Source::Base64 { media_type, data } = source else {
        return Err(not_here("an image"));
    };
    let Some(format) = format_of(&IMAGES, media_type) else {
        let why = format!("no image of type {} can be shown", media_type.decode());
        return Err(refuse("messages", &why));
    };
    image.str("format", format);
    image.object("source").text("bytes", data);
    Ok(())
}

fn document(source: &Source<'_>, name: &str, mut document: Object<'_>) -> Result<(), Refusal> {
    match source {
        Source::Base64 { media_type, data } => {
            let Some(format) = format_of(&DOCUMENTS, media_type) else {
                let why = format!("no document of type {} can be read", media_type.decode());
                return Err(refuse("messages", &why));
            };
            document.str("format", format);
            document.str("name", name);
            document.object("source").text("bytes", data);
        }
        Source::Text(text) => {
            document.str("format", "txt");
            document.str("name", name);
            document.object("source").text("text", text);
        }
        Source::Blocks(blocks) => {
            document.str("format", "txt");
            document.str("name", name);
            let mut source = document.object("source");
            let mut list = source.array("content");
            for block in blocks {
                if let BlockKind::Text(text) = &block.kind {
                    list.object().text("text", text);
                }
            }
        }
        Source::Url(_) | Source::File => return Err(not_here("a document")),
    }
    Ok(())
}

/// Bedrock fetches nothing.
fn not_here(what: &str) -> Refusal {
    let why =
        format!("{what} must be sent along as base64: the model behind this name fetches none");
    refuse("messages", &why)
}
