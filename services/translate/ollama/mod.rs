//! Ollama's own chat (`/api/chat`): requests are written from the intermediate form, answers and streams are read into it.
//!
//! A stream is one JSON object a line, each with some more of the message; the last one says `done` and brings the usage. A tool call comes
//! whole, its arguments an object. There are no ids: calls are told apart by their order, answers by the tool's name.
mod request_out;
mod stream_in;
mod wire;

pub(super) use request_out::write as write_request;
pub(super) use stream_in::Reader;

use super::{
    Summary, error,
    form::{Arguments, Block, BlockKind, Whole},
    ids,
    text::{Text, string},
};
use crate::{chat::StopReason, dialect::Dialect, sse};
use bytes::Bytes;
use serde_json::Value;
use std::borrow::Cow;
use wire::Line;

/// What a `done_reason` means.
fn stop_of(reason: &str) -> StopReason {
    match reason {
        "stop" => StopReason::EndTurn,
        "length" => StopReason::MaxTokens,
        _ => StopReason::Other,
    }
}

/// What a whole answer says about itself.
pub(super) fn summary(body: &str) -> Summary {
    let mut summary = Summary::default();
    let Some(line) = Line::parse(body) else {
        return summary;
    };
    if let Some(json) = line.error {
        summary.error = Some(error::inside(Dialect::Ollama, json));
        return summary;
    }
    summary.model = line.model.and_then(string).map(Cow::into_owned);
    summary.usage = line.usage();
    summary.stop = line.done_reason.and_then(string).map(|r| stop_of(&r));
    summary.complete = line.done == Some(true);
    summary
}

/// Reads an answer; `None` where this is none.
pub(super) fn read_answer(body: &str) -> Option<Whole<'_>> {
    let line = Line::parse(body)?;
    let message = line.message.as_ref()?;
    let said = |json| Text::of(json).filter(|text| !text.decode().is_empty());
    let mut blocks = Vec::new();
    blocks.extend(message.thinking.and_then(said).map(|text| {
        Block::new(BlockKind::Thinking {
            text,
            signature: None,
        })
    }));
    blocks.extend(message.content.and_then(said).map(Block::text));
    for call in message.calls() {
        blocks.push(Block::new(BlockKind::ToolUse {
            id: Text::Plain(Cow::Owned(format!("call_{}", ids::fresh()))),
            name: call.name.and_then(Text::of).unwrap_or(Text::plain("")),
            arguments: call
                .arguments
                .map_or(Arguments::Object(Cow::Borrowed("{}")), Arguments::of_json),
        }));
    }
    Some(Whole {
        id: None,
        model: line.model.and_then(Text::of),
        created: None,
        blocks,
        stop: line.done_reason.and_then(string).map(|r| stop_of(&r)),
        stop_sequence: None,
        usage: line.usage(),
    })
}

/// A recorded stream as the whole answer that it brought; `None` where it did not end well.
pub(super) fn to_whole(events: &[Bytes]) -> Option<Bytes> {
    let mut texts = [("content", String::new()), ("thinking", String::new())];
    let mut calls = Vec::new();
    for event in events {
        let Some(event) = sse::Event::parse(event) else {
            continue;
        };
        let mut line: Value = serde_json::from_str(event.data).ok()?;
        let message = line.get_mut("message");
        for (name, text) in &mut texts {
            let more = message.as_ref().and_then(|m| m.get(*name)?.as_str());
            text.push_str(more.unwrap_or_default());
        }
        if let Some(Value::Array(more)) = message.and_then(|m| m.get_mut("tool_calls")) {
            calls.append(more);
        }
        if line.get("done") == Some(&Value::Bool(true)) {
            line["message"] = serde_json::json!({"role": "assistant"});
            for (name, text) in texts {
                line["message"][name] = text.into();
            }
            if !calls.is_empty() {
                line["message"]["tool_calls"] = calls.into();
            }
            return Some(line.to_string().into());
        }
    }
    None
}
