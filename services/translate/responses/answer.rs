//! A whole answer, read into the intermediate form and written from it.
use super::{
    echo::{self, Echo, State},
    items, signature, stop_of,
    tools::{self, Names},
    usage,
};
use crate::{
    chat::{Prompt, StopReason},
    translate::{
        form::{Arguments, Block, BlockKind, Whole},
        json::{Fields, Json, elements},
        text::{Text, inside},
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads an answer; `None` where this is none.
pub(crate) fn read(body: &str) -> Option<Whole<'_>> {
    let response = Fields::parse(body)?;
    let mut blocks = Vec::new();
    let mut refused = false;
    for json in elements(response.get("output")?)? {
        let item = Fields::parse(json.get())?;
        refused |= self::item(&item, &mut blocks);
    }
    let calls = blocks
        .iter()
        .any(|b| matches!(b.kind, BlockKind::ToolUse { .. }));
    let stop = stop_of(&response, calls);
    Some(Whole {
        id: response.text("id"),
        model: response.text("model"),
        created: response.get("created_at"),
        blocks,
        stop: if refused {
            Some(StopReason::Refusal)
        } else {
            stop
        },
        stop_sequence: None,
        usage: response.get("usage").and_then(usage::read),
    })
}

/// Reads an item of an answer; tells whether it declines.
fn item<'a>(item: &Fields<'a>, blocks: &mut Vec<Block<'a>>) -> bool {
    let mut refused = false;
    match item.string("type").as_deref() {
        Some("message") => {
            let parts = item.get("content").and_then(elements);
            for part in parts.unwrap_or_default() {
                let part = Fields::parse(part.get()).unwrap_or_default();
                refused |= part.get("refusal").is_some();
                let text = part.text("text").or_else(|| part.text("refusal"));
                blocks.extend(text.map(Block::text));
            }
        }
        Some("reasoning") => blocks.extend(reasoning(item).map(Block::new)),
        Some("function_call" | "custom_tool_call") => blocks.extend(call(item).map(Block::new)),
        _ => {}
    }
    refused
}

/// Reads an item of reasoning.
pub(super) fn reasoning<'a>(item: &Fields<'a>) -> Option<BlockKind<'a>> {
    let signature = item
        .get("encrypted_content")
        .and_then(inside)
        .filter(|e| !e.is_empty())
        .map(|encrypted| Text::Escaped(signature(encrypted)));
    let texts = |name| {
        let parts = item.get(name).and_then(elements).unwrap_or_default();
        parts
            .into_iter()
            .filter_map(|part| Fields::parse(part.get())?.get("text"))
            .filter_map(inside)
            .collect::<Vec<&'a str>>()
    };
    let told = Some(texts("summary")).filter(|t| !t.is_empty());
    let told = told.unwrap_or_else(|| texts("content"));
    let text = match &*told {
        [one] => Text::Escaped(Cow::Borrowed(*one)),
        many => Text::Escaped(Cow::Owned(many.join("\\n\\n"))),
    };
    (signature.is_some() || !text.is_blank()).then_some(BlockKind::Thinking { text, signature })
}

/// Reads a call, its name without its namespace.
fn call<'a>(item: &Fields<'a>) -> Option<BlockKind<'a>> {
    let name = item.text("name")?;
    let name = match item.string("namespace") {
        Some(namespace) => Text::Plain(Cow::Owned(tools::flat(Some(&namespace), &name.decode()))),
        None => name,
    };
    Some(BlockKind::ToolUse {
        id: item.text("call_id").or(item.text("id"))?,
        name,
        arguments: match item
            .get("input")
            .filter(|_| item.get("arguments").is_none())
        {
            Some(input) => wrapped(input),
            None => arguments(item.get("arguments")),
        },
    })
}

/// `arguments`: JSON in a string, or, from some servers, plain JSON.
pub(super) fn arguments(json: Option<Json<'_>>) -> Arguments<'_> {
    match json {
        None => Arguments::Object(Cow::Borrowed("{}")),
        Some(json) => match Text::of(json) {
            Some(text) => Arguments::of_text(text),
            None => Arguments::of_json(json),
        },
    }
}

/// Free text as the one argument of a function.
pub(super) fn wrapped(input: Json<'_>) -> Arguments<'static> {
    let input = input.get();
    Arguments::Object(Cow::Owned(format!("{{\"{}\":{input}}}", tools::INPUT)))
}

/// Writes an answer.
pub(crate) fn write(whole: &Whole<'_>, prompt: &Prompt) -> Bytes {
    let mut echo = Echo::new(prompt);
    let names = Names::of(prompt);
    echo.meet(whole.model.as_ref(), whole.created.map(RawValue::get));
    let state = State::Ended(whole.settled_stop(), whole.usage.unwrap_or_default());
    let mut items = BytesMut::new();
    let mut index = 0;
    for block in &whole.blocks {
        let before = items.len();
        if before > 0 {
            items.put_u8(b',');
        }
        if items::block(
            block,
            index,
            echo::status(state),
            (&echo, &names),
            &mut items,
        ) {
            index += 1;
        } else {
            items.truncate(before);
        }
    }
    let mut out = BytesMut::with_capacity(1024 + items.len());
    echo.write(state, &items, &mut out);
    out.freeze()
}
