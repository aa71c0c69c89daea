//! A whole chat completions answer, read into the intermediate form and written from it.
use super::{
    content_out::write_arguments, request_in::arguments, stop_of, stop_word, usage, wire::Chunk,
};
use crate::{
    chat::StopReason,
    translate::{
        form::{Block, BlockKind, Whole},
        ids,
        json::{Array, Fields, Json, Object, elements, seconds, write_number},
        text::{Text, string},
    },
};
use bytes::{BufMut, Bytes, BytesMut};

/// Reads an answer; `None` where this is none.
pub(crate) fn read(body: &str) -> Option<Whole<'_>> {
    let chunk = Chunk::parse(body)?;
    let choice = chunk.choice()?;
    let message = Fields::parse(choice.message?.get())?;
    let mut stop = choice.finish_reason.map(stop_of);
    let stop_sequence = choice.stop_reason.and_then(Text::of);
    if stop == Some(StopReason::EndTurn) && stop_sequence.is_some() {
        stop = Some(StopReason::StopSequence);
    }
    let mut blocks = Vec::new();
    let reasoning = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| message.text(name))
        .filter(|text| !text.is_blank());
    blocks.extend(reasoning.map(thinking));
    if let Some(json) = message.get("content") {
        content(json, &mut blocks);
    }
    if let Some(refusal) = message.text("refusal").filter(|text| !text.is_blank()) {
        blocks.push(Block::text(refusal));
        stop = Some(StopReason::Refusal);
    }
    let calls = message.get("tool_calls").and_then(elements);
    blocks.extend(calls.unwrap_or_default().into_iter().filter_map(call));
    if let Some(call) = message.object("function_call") {
        blocks.push(Block::new(BlockKind::ToolUse {
            id: Text::plain(""),
            name: call.text("name")?,
            arguments: arguments(&call),
        }));
    }
    Some(Whole {
        id: chunk.id.and_then(Text::of),
        model: chunk.model.and_then(Text::of),
        created: chunk.created,
        blocks,
        stop,
        stop_sequence,
        usage: chunk.usage.and_then(usage::read),
    })
}

const fn thinking(text: Text<'_>) -> Block<'_> {
    Block::new(BlockKind::Thinking {
        text,
        signature: None,
    })
}

/// A content: a string, or, from Mistral, an array of texts and thoughts.
fn content<'a>(json: Json<'a>, blocks: &mut Vec<Block<'a>>) {
    if let Some(text) = Text::of(json) {
        if string(json).is_some_and(|text| !text.is_empty()) {
            blocks.push(Block::text(text));
        }
        return;
    }
    for part in elements(json).unwrap_or_default() {
        let Some(part) = Fields::parse(part.get()) else {
            continue;
        };
        if let Some(text) = part.text("text") {
            blocks.push(Block::text(text));
        }
        match part.get("thinking") {
            Some(json) if Text::of(json).is_some() => blocks.extend(Text::of(json).map(thinking)),
            Some(json) => {
                let inner = elements(json).unwrap_or_default();
                let texts = inner
                    .into_iter()
                    .filter_map(|part| Fields::parse(part.get())?.text("text"));
                blocks.extend(texts.map(thinking));
            }
            None => {}
        }
    }
}

fn call(json: Json<'_>) -> Option<Block<'_>> {
    let call = Fields::parse(json.get())?;
    let function = call.object("function")?;
    Some(Block::new(BlockKind::ToolUse {
        id: call.text("id").unwrap_or(Text::plain("")),
        name: function.text("name")?,
        arguments: arguments(&function),
    }))
}

/// Writes an answer; to a caller of the deprecated `functions`, a call is told in the deprecated way.
pub(crate) fn write(whole: &Whole<'_>, legacy: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    {
        let mut body = Object::new(&mut out);
        body.str("id", &ids::answer_id("chatcmpl-", whole.id.as_ref()));
        body.str("object", "chat.completion");
        match whole.created.and_then(|json| seconds(json.get())) {
            Some(created) => body.raw("created", created),
            None => write_number(body.key("created"), ids::now()),
        }
        body.text("model", whole.model.as_ref().unwrap_or(&Text::plain("")));
        {
            let mut choices = body.array("choices");
            let mut choice = choices.object();
            choice.number("index", 0);
            message(whole, legacy, choice.object("message"));
            choice.raw("logprobs", "null");
            choice.str("finish_reason", stop_word(whole.settled_stop(), legacy));
        }
        if let Some(told) = &whole.usage {
            usage::write(told, &mut body.object("usage"));
        }
    }
    out.freeze()
}

fn message(whole: &Whole<'_>, legacy: bool, mut message: Object<'_>) {
    message.str("role", "assistant");
    let texts = |thought: bool| {
        whole.blocks.iter().filter_map(move |b| match &b.kind {
            BlockKind::Text(text) if !thought => Some(text),
            BlockKind::Thinking { text, .. } if thought => Some(text),
            _ => None,
        })
    };
    if texts(false).next().is_some() {
        run_together(message.key("content"), texts(false));
    } else {
        message.raw("content", "null");
    }
    if texts(true).next().is_some() {
        run_together(message.key("reasoning_content"), texts(true));
    }
    message.raw("refusal", "null");
    let calls = whole
        .blocks
        .iter()
        .filter(|b| matches!(b.kind, BlockKind::ToolUse { .. }));
    if legacy {
        if let Some(call) = calls.into_iter().next() {
            write_function(&call.kind, message.object("function_call"));
        }
        return;
    }
    let mut calls = calls.peekable();
    if calls.peek().is_some() {
        let mut list = message.array("tool_calls");
        for call in calls {
            write_call(&call.kind, &mut list);
        }
    }
}

/// Blocks of text follow one another without a break: citations cut sentences into blocks.
fn run_together<'t>(out: &mut BytesMut, texts: impl Iterator<Item = &'t Text<'t>>) {
    out.put_u8(b'"');
    for text in texts {
        text.write_inside(out);
    }
    out.put_u8(b'"');
}

fn write_call(kind: &BlockKind<'_>, list: &mut Array<'_>) {
    if let BlockKind::ToolUse { id, .. } = kind {
        let mut call = list.object();
        call.str("id", &ids::given_id(id));
        call.str("type", "function");
        write_function(kind, call.object("function"));
    }
}

fn write_function(kind: &BlockKind<'_>, mut function: Object<'_>) {
    if let BlockKind::ToolUse {
        name, arguments, ..
    } = kind
    {
        function.text("name", name);
        write_arguments(function.key("arguments"), arguments);
    }
}
