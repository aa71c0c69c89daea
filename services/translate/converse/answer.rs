//! A whole Converse answer, read into the intermediate form.
use super::{stop_of, usage};
use crate::translate::{
    form::{Arguments, Block, BlockKind, Whole},
    json::{Fields, Json, elements},
    text::Text,
};
use std::borrow::Cow;

/// Reads an answer; `None` where this is none.
pub(crate) fn read(body: &str) -> Option<Whole<'_>> {
    let fields = Fields::parse(body)?;
    let message = fields.object("output")?.object("message")?;
    let blocks = elements(message.get("content")?)?;
    Some(Whole {
        id: None,
        model: None,
        created: None,
        blocks: blocks.into_iter().filter_map(block).collect(),
        stop: fields.get("stopReason").map(stop_of),
        stop_sequence: None,
        usage: fields.get("usage").and_then(usage::read),
    })
}

/// A block is an object of one field, which says what it is.
fn block(json: Json<'_>) -> Option<Block<'_>> {
    let fields = Fields::parse(json.get())?;
    let (kind, json) = fields.0.into_iter().next()?;
    let inner = Fields::parse(json.get()).unwrap_or_default();
    Some(Block::new(match &*kind {
        "text" => BlockKind::Text(Text::of(json)?),
        "toolUse" => BlockKind::ToolUse {
            id: inner.text("toolUseId")?,
            name: inner.text("name")?,
            arguments: inner
                .get("input")
                .map_or(Arguments::Object(Cow::Borrowed("{}")), Arguments::of_json),
        },
        "reasoningContent" => match inner.object("reasoningText") {
            Some(thought) => BlockKind::Thinking {
                text: thought.text("text")?,
                signature: thought.text("signature"),
            },
            None => BlockKind::Redacted,
        },
        // The text, cut into pieces by what each of them is taken from.
        "citationsContent" => BlockKind::Text(cited(&inner)?),
        _ => BlockKind::Other { kind },
    }))
}

fn cited<'a>(fields: &Fields<'a>) -> Option<Text<'a>> {
    let pieces = elements(fields.get("content")?)?;
    let texts = pieces
        .into_iter()
        .filter_map(|piece| Some(Fields::parse(piece.get())?.string("text")?.into_owned()));
    Some(Text::Plain(Cow::Owned(texts.collect())))
}
