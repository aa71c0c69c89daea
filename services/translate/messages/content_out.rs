//! The messages of a Messages request, written from the intermediate form.
use crate::{
    chat::Refusal,
    translate::{
        Capabilities,
        error::refuse,
        form::{Arguments, Block, BlockKind, Form, RAW_ARGUMENTS, Role, Source},
        ids,
        json::{Array, Json, Object, write_str},
        responses::is_signature,
        text::Text,
    },
};

pub(super) fn messages(
    form: &Form<'_>,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    for turn in &form.turns {
        match turn.role {
            Role::User => message("user", &turn.blocks, caps, list)?,
            Role::Assistant => message("assistant", &turn.blocks, caps, list)?,
            Role::System if caps.system_in_messages => {
                message("system", &turn.blocks, caps, list)?;
            }
            Role::System => {
                if let Some(block) = turn.as_users() {
                    message("user", std::slice::from_ref(&block), caps, list)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes a message, unless nothing is left of it: empty texts are refused by Anthropic.
pub(super) fn message(
    role: &str,
    blocks: &[Block<'_>],
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    let kept: Vec<_> = blocks.iter().filter(|b| is_kept(b)).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let mut message = list.object();
    message.str("role", role);
    if let [
        Block {
            kind: BlockKind::Text(text),
            cache: None,
        },
    ] = &*kept
    {
        message.text("content", text);
        return Ok(());
    }
    let mut content = message.array("content");
    for block in kept {
        write_block(block, caps, &mut content)?;
    }
    Ok(())
}

/// Thinking is left out as well where it bears no signature, or one that is not of this dialect: it would be refused.
fn is_kept(block: &Block<'_>) -> bool {
    match &block.kind {
        BlockKind::Text(text) => !text.is_blank(),
        BlockKind::Thinking { signature, .. } => signature.as_ref().is_some_and(is_signature),
        BlockKind::Redacted => false,
        _ => true,
    }
}

pub(super) fn text_block(text: &Text<'_>, cache: Option<Json<'_>>, list: &mut Array<'_>) {
    let mut object = list.object();
    object.str("type", "text");
    object.text("text", text);
    if let Some(cache) = cache {
        object.raw("cache_control", cache.get());
    }
}

fn write_block(
    block: &Block<'_>,
    caps: &Capabilities,
    list: &mut Array<'_>,
) -> Result<(), Refusal> {
    let mut object = match &block.kind {
        BlockKind::Text(text) => {
            text_block(text, block.cache, list);
            return Ok(());
        }
        BlockKind::Other { kind } => {
            let why = format!("a `{kind}` part cannot be shown to the model behind this name");
            return Err(refuse("messages", &why));
        }
        BlockKind::Redacted => return Ok(()),
        _ => list.object(),
    };
    match &block.kind {
        BlockKind::Image(source) => {
            if !caps.vision {
                return Err(refuse(
                    "messages",
                    "the model behind this name sees no images",
                ));
            }
            object.str("type", "image");
            write_source(source, caps, object.object("source"))?;
        }
        BlockKind::Document { source, name } => {
            if !caps.documents && !matches!(source, Source::Text(_)) {
                return Err(refuse(
                    "messages",
                    "the model behind this name reads no documents",
                ));
            }
            object.str("type", "document");
            write_source(source, caps, object.object("source"))?;
            if let Some(name) = name {
                object.text("title", name);
            }
        }
        BlockKind::ToolUse {
            id,
            name,
            arguments,
        } => write_call(
            &ids::call_id(id),
            &Text::plain(&ids::tool_name(name)),
            arguments,
            &mut object,
        ),
        BlockKind::ToolResult {
            id,
            content,
            is_error,
        } => {
            object.str("type", "tool_result");
            object.str("tool_use_id", &ids::call_id(id));
            let kept: Vec<_> = content.iter().filter(|b| is_kept(b)).collect();
            match &*kept {
                [] => write_str(object.key("content"), ""),
                [
                    Block {
                        kind: BlockKind::Text(text),
                        cache: None,
                    },
                ] => object.text("content", text),
                kept => {
                    let mut list = object.array("content");
                    for block in kept {
                        write_block(block, caps, &mut list)?;
                    }
                }
            }
            if *is_error {
                object.bool("is_error", true);
            }
        }
        BlockKind::Thinking { text, signature } => {
            object.str("type", "thinking");
            object.text("thinking", text);
            object.text("signature", signature.as_ref().unwrap_or(&Text::plain("")));
        }
        _ => {}
    }
    if let Some(cache) = block.cache {
        object.raw("cache_control", cache.get());
    }
    Ok(())
}

/// Writes the fields of a `tool_use` block. Arguments that are no JSON object, which is what `input` must be, go into one under a name that
/// says so; from there they come back as they were.
pub(super) fn write_call(
    id: &str,
    name: &Text<'_>,
    arguments: &Arguments<'_>,
    object: &mut Object<'_>,
) {
    object.str("type", "tool_use");
    object.str("id", id);
    object.text("name", name);
    match arguments {
        Arguments::Object(json) => object.raw("input", json),
        Arguments::Text(text) => object.object("input").text(RAW_ARGUMENTS, text),
    }
}

fn write_source(
    source: &Source<'_>,
    caps: &Capabilities,
    mut object: Object<'_>,
) -> Result<(), Refusal> {
    match source {
        Source::Base64 { media_type, data } => {
            object.str("type", "base64");
            object.text("media_type", media_type);
            object.text("data", data);
        }
        Source::Url(url) => {
            object.str("type", "url");
            object.text("url", url);
        }
        Source::Text(text) => {
            object.str("type", "text");
            object.str("media_type", "text/plain");
            object.text("data", text);
        }
        Source::Blocks(blocks) => {
            object.str("type", "content");
            let mut list = object.array("content");
            for block in blocks {
                write_block(block, caps, &mut list)?;
            }
        }
        Source::File => {
            return Err(refuse(
                "messages",
                "a file must be sent along: one stored at its provider cannot be read elsewhere",
            ));
        }
    }
    Ok(())
}
