//! A whole answer of Gemini's, read into the intermediate form.
use super::{MARK, stop_of, usage, wire::Response};
use crate::{
    chat::StopReason,
    translate::{
        form::{Arguments, Block, BlockKind, Whole},
        ids,
        text::{Text, string},
    },
};
use std::borrow::Cow;

/// Reads an answer; `None` where this is none.
pub(crate) fn read(body: &str) -> Option<Whole<'_>> {
    let response = Response::parse(body)?;
    let mut blocks = Vec::new();
    let stop = match (response.blocked(), response.candidate()) {
        (Some(why), _) => {
            blocks.push(Block::text(owned(why)));
            Some(StopReason::Refusal)
        }
        (None, Some(candidate)) => {
            for part in candidate.parts() {
                self::part(part, &mut blocks);
            }
            candidate.reason().map(|reason| stop_of(&reason))
        }
        (None, None) => return None,
    };
    Some(Whole {
        id: response.response_id.and_then(Text::of),
        model: response.model_version.and_then(Text::of),
        created: None,
        blocks,
        stop,
        stop_sequence: None,
        usage: response.usage.and_then(usage::read),
    })
}

const fn owned(text: String) -> Text<'static> {
    Text::Plain(Cow::Owned(text))
}

fn part<'a>(part: &super::wire::Part<'a>, blocks: &mut Vec<Block<'a>>) {
    let signature = part.thought_signature.and_then(string);
    let signature = signature.map(|signature| owned(format!("{MARK}{signature}")));
    if let Some(call) = &part.function_call {
        sign(signature, blocks);
        blocks.push(Block::new(BlockKind::ToolUse {
            id: match call.id.and_then(Text::of) {
                Some(id) if !id.is_blank() => id,
                _ => owned(format!("call_{}", ids::fresh())),
            },
            name: call.name.and_then(Text::of).unwrap_or(Text::plain("")),
            arguments: call
                .args
                .map_or(Arguments::Object(Cow::Borrowed("{}")), Arguments::of_json),
        }));
    } else if let Some(text) = part.text.and_then(Text::of) {
        let thought = part.thought == Some(true);
        match blocks.last_mut().map(|block| &mut block.kind) {
            // An answer's text comes in as many parts as it pleases the model.
            Some(BlockKind::Thinking { text: before, .. }) if thought => append(before, &text),
            Some(BlockKind::Text(before)) if !thought => append(before, &text),
            _ if text.decode().is_empty() => {}
            _ if thought => blocks.push(Block::new(BlockKind::Thinking {
                text,
                signature: None,
            })),
            _ => blocks.push(Block::text(text)),
        }
    } else if let Some(image) = part.inline_data.as_ref().and_then(|data| data.markdown()) {
        blocks.push(Block::text(owned(image)));
    }
}

fn append(before: &mut Text<'_>, text: &Text<'_>) {
    *before = owned(format!("{}{}", before.decode(), text.decode()));
}

/// The signature of a call stands with the thinking before it.
fn sign<'a>(signature: Option<Text<'a>>, blocks: &mut Vec<Block<'a>>) {
    if signature.is_none() {
        return;
    }
    if let Some(BlockKind::Thinking { signature: of, .. }) =
        blocks.last_mut().map(|block| &mut block.kind)
    {
        *of = signature;
    } else {
        blocks.push(Block::new(BlockKind::Thinking {
            text: Text::plain(""),
            signature,
        }));
    }
}
