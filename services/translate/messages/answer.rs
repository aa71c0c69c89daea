//! A whole Messages answer, read into the intermediate form and written from it.
use super::{content_out::write_call, stop_of, stop_word, usage};
use crate::{
    chat::{Prompt, StopReason, Usage},
    translate::{
        form::{Arguments, Block, BlockKind, Whole},
        ids,
        json::{Array, Fields, Json, Object, elements},
        text::Text,
    },
};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Reads an answer; `None` where this is none.
pub(crate) fn read(body: &str) -> Option<Whole<'_>> {
    let fields = Fields::parse(body)?;
    let blocks = elements(fields.get("content")?)?;
    Some(Whole {
        id: fields.text("id"),
        model: fields.text("model"),
        created: None,
        blocks: blocks.into_iter().filter_map(block).collect(),
        stop: fields.get("stop_reason").map(stop_of),
        stop_sequence: fields.text("stop_sequence"),
        usage: fields.get("usage").and_then(|u| usage::read(u, None)),
    })
}

fn block(json: Json<'_>) -> Option<Block<'_>> {
    let fields = Fields::parse(json.get())?;
    let kind = fields.string("type")?;
    Some(Block::new(match &*kind {
        "text" => BlockKind::Text(fields.text("text")?),
        "thinking" => BlockKind::Thinking {
            text: fields.text("thinking")?,
            signature: fields.text("signature"),
        },
        "redacted_thinking" => BlockKind::Redacted,
        "tool_use" => BlockKind::ToolUse {
            id: fields.text("id")?,
            name: fields.text("name")?,
            arguments: fields
                .get("input")
                .map_or(Arguments::Object(Cow::Borrowed("{}")), Arguments::of_json),
        },
        _ => BlockKind::Other { kind },
    }))
}

/// Writes an answer. The dialect demands that usage is told; where the upstream told none it is estimated.
pub(crate) fn write(whole: &Whole<'_>, prompt: &Prompt) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    {
        let mut body = Object::new(&mut out);
        body.str("id", &ids::answer_id("msg_", whole.id.as_ref()));
        body.str("type", "message");
        body.str("role", "assistant");
        body.text("model", whole.model.as_ref().unwrap_or(&Text::plain("")));
        {
            let mut content = body.array("content");
            for (i, block) in whole.blocks.iter().enumerate() {
                write_block(i, block, &mut content);
            }
        }
        body.str("stop_reason", stop_word(whole.settled_stop()));
        match &whole.stop_sequence {
            Some(text) if whole.stop == Some(StopReason::StopSequence) => {
                body.text("stop_sequence", text);
            }
            _ => body.raw("stop_sequence", "null"),
        }
        let usage = whole.usage.unwrap_or_else(|| estimate(whole, prompt));
        usage::write(&usage, &mut body.object("usage"));
    }
    out.freeze()
}

/// Four bytes a token is near enough.
fn estimate(whole: &Whole<'_>, prompt: &Prompt) -> Usage {
    let bytes = whole.blocks.iter().map(|block| match &block.kind {
        BlockKind::Text(text) | BlockKind::Thinking { text, .. } => text.decode().len(),
        BlockKind::ToolUse { arguments, .. } => match arguments {
            Arguments::Object(json) => json.len(),
            Arguments::Text(text) => text.decode().len(),
        },
        _ => 0,
    });
    Usage {
        input: prompt.raw().len().div_ceil(4) as u64,
        output: bytes.sum::<usize>().div_ceil(4) as u64,
        ..Usage::default()
    }
}

fn write_block(i: usize, block: &Block<'_>, content: &mut Array<'_>) {
    match &block.kind {
        BlockKind::Text(text) => {
            let mut object = content.object();
            object.str("type", "text");
            object.text("text", text);
        }
        BlockKind::Thinking { text, signature } => {
            let mut object = content.object();
            object.str("type", "thinking");
            object.text("thinking", text);
            object.text("signature", signature.as_ref().unwrap_or(&Text::plain("")));
        }
        BlockKind::ToolUse {
            id,
            name,
            arguments,
        } => {
            let id = id.decode();
            let id = if id.is_empty() {
                Cow::Owned(format!("toolu_{}{i}", ids::fresh()))
            } else {
                id
            };
            write_call(&id, name, arguments, &mut content.object());
        }
        _ => {}
    }
}
