//! Whether a stream of events obeys the grammar of its dialect.
//!
//! Clients hold streams to it, some more strictly than the vendors' documents do. Translated streams are checked against it in tests; it can
//! be held to any stream, of whatever gateway.
mod responses;

use crate::{
    dialect::Dialect,
    sse::{Event, Splitter},
};
use bytes::Bytes;
use serde_json::Value;
use std::fmt;

/// Where a stream breaks the grammar of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the event, from 0; after the last one where something is missing.
    pub event: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event, self.what)
    }
}
impl std::error::Error for Violation {}

/// Checks a whole stream. One that ends in an error event is fine as well, if all before it is.
///
/// ```
/// use tierway_services::{dialect::Dialect, translate::grammar};
/// let wrong = grammar::check(Dialect::Messages, b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
/// assert_eq!(wrong.unwrap_err().to_string(), "event 0: `message_stop` before `message_start`");
/// ```
///
/// # Errors
/// The first [`Violation`].
pub fn check(dialect: Dialect, sse: &[u8]) -> Result<(), Violation> {
    let mut splitter = Splitter::new(sse.len());
    let mut grammar = Grammar::default();
    let fail = |event, what: String| Violation { event, what };
    splitter
        .push(Bytes::copy_from_slice(sse))
        .map_err(|e| fail(0, e.to_string()))?;
    let mut number = 0;
    for event in splitter.by_ref() {
        let Some(event) = Event::parse(&event) else {
            // A comment.
            continue;
        };
        if grammar.ended {
            return Err(fail(number, "an event after the end".to_owned()));
        }
        match dialect {
            Dialect::Messages => grammar.message_event(&event),
            Dialect::ChatCompletions => grammar.chunk(&event),
            Dialect::Responses => grammar.responses(&event),
            other => Err(format!("no caller gets a stream of {}", other.as_str())),
        }
        .map_err(|what| fail(number, what))?;
        number += 1;
    }
    if !splitter.remainder().is_empty() {
        return Err(fail(number, "an event without its blank line".to_owned()));
    }
    if !grammar.ended {
        return Err(fail(number, "the terminal event is missing".to_owned()));
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Grammar {
    begun: bool,
    stopped: bool,
    ended: bool,
    id: Option<String>,
    /// The index of the next block or tool call.
    next: u64,
    /// The open block's type.
    open: Option<String>,
    responses: responses::Responses,
}

type Verdict = Result<(), String>;

fn want(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn parse(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|e| format!("data is not JSON: {e}"))
}

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str, String> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{pointer} is no string"))
}

// === Responses ===

impl Grammar {
    fn responses(&mut self, event: &Event<'_>) -> Verdict {
        let verdict = self.responses.event(event);
        self.ended = self.responses.ended;
        verdict
    }
}

// === Messages ===

impl Grammar {
    fn message_event(&mut self, event: &Event<'_>) -> Verdict {
        let value = parse(event.data)?;
        let kind = text(&value, "/type")?;
        want(event.name == Some(kind), || {
            format!("named {:?} but of type {kind}", event.name)
        })?;
        if kind == "error" {
            text(&value, "/error/type")?;
            text(&value, "/error/message")?;
            self.ended = true;
            return Ok(());
        }
        want(self.begun || kind == "message_start", || {
            format!("`{kind}` before `message_start`")
        })?;
        want(
            !self.stopped || matches!(kind, "message_stop" | "ping"),
            || format!("`{kind}` after `message_delta`"),
        )?;
        let index = || value.get("index").and_then(Value::as_u64);
        match kind {
            "message_start" => self.message_start(&value),
            "content_block_start" => {
                want(self.open.is_none(), || "two blocks are open".to_owned())?;
                want(index() == Some(self.next), || {
                    format!("block {:?} where {} is due", index(), self.next)
                })?;
                let block = text(&value, "/content_block/type")?;
                if block == "tool_use" {
                    want(!text(&value, "/content_block/id")?.is_empty(), || {
                        "a call without an id".to_owned()
                    })?;
                    text(&value, "/content_block/name")?;
                    want(
                        value
                            .pointer("/content_block/input")
                            .is_some_and(Value::is_object),
                        || "a call whose input is no object".to_owned(),
                    )?;
                }
                self.open = Some(block.to_owned());
                Ok(())
            }
            "content_block_delta" => {
                let open = self.open.as_deref().ok_or("a delta outside any block")?;
                want(index() == Some(self.next), || {
                    format!("a delta of block {:?} in block {}", index(), self.next)
                })?;
                let (field, blocks): (_, &[&str]) = match text(&value, "/delta/type")? {
                    "text_delta" => ("/delta/text", &["text"]),
                    "thinking_delta" => ("/delta/thinking", &["thinking"]),
                    "signature_delta" => ("/delta/signature", &["thinking"]),
                    "input_json_delta" => (
                        "/delta/partial_json",
                        &["tool_use", "server_tool_use", "mcp_tool_use"],
                    ),
                    _ => return Ok(()),
                };
                text(&value, field)?;
                want(blocks.contains(&open), || {
                    format!("{field} in a `{open}` block")
                })
            }
            "content_block_stop" => {
                want(self.open.take().is_some(), || "no block is open".to_owned())?;
                want(index() == Some(self.next), || {
                    format!("block {:?} stops where {} is open", index(), self.next)
                })?;
                self.next += 1;
                Ok(())
            }
            "message_delta" => {
                want(self.open.is_none(), || "a block is still open".to_owned())?;
                text(&value, "/delta/stop_reason")?;
                want(value.pointer("/delta/stop_sequence").is_some(), || {
                    "stop_sequence is missing".to_owned()
                })?;
                want(
                    value
                        .pointer("/usage/output_tokens")
                        .is_some_and(Value::is_u64),
                    || "usage.output_tokens is missing".to_owned(),
                )?;
                self.stopped = true;
                Ok(())
            }
            "message_stop" => {
                want(self.stopped, || "no `message_delta` came before".to_owned())?;
                self.ended = true;
                Ok(())
            }
            "ping" => Ok(()),
            other => Err(format!("`{other}` is no event")),
        }
    }

    fn message_start(&mut self, value: &Value) -> Verdict {
        want(!std::mem::replace(&mut self.begun, true), || {
            "a second `message_start`".to_owned()
        })?;
        let message = value.get("message").ok_or("message is missing")?;
        want(!text(message, "/id")?.is_empty(), || {
            "an empty id".to_owned()
        })?;
        text(message, "/model")?;
        want(text(message, "/type")? == "message", || {
            "the type is not `message`".to_owned()
        })?;
        want(text(message, "/role")? == "assistant", || {
            "the role is not `assistant`".to_owned()
        })?;
        want(
            message
                .get("content")
                .is_some_and(|c| c.as_array().is_some_and(Vec::is_empty)),
            || "content is not empty".to_owned(),
        )?;
        let count = |name: &str| message.pointer(name).and_then(Value::as_u64);
        let input = [
            "/usage/input_tokens",
            "/usage/cache_read_input_tokens",
            "/usage/cache_creation_input_tokens",
        ];
        want(
            input.iter().filter_map(|name| count(name)).sum::<u64>() > 0,
            || "usage tells no input".to_owned(),
        )?;
        want(count("/usage/output_tokens").is_some(), || {
            "usage tells no output".to_owned()
        })
    }
}

// === chat completions ===

impl Grammar {
    fn chunk(&mut self, event: &Event<'_>) -> Verdict {
        want(event.name.is_none(), || {
            format!("a chunk has no name, this one has {:?}", event.name)
        })?;
        if event.data == "[DONE]" {
            want(self.stopped, || {
                "no finish_reason came before [DONE]".to_owned()
            })?;
            self.ended = true;
            return Ok(());
        }
        let value = parse(event.data)?;
        if let Some(error) = value.get("error") {
            text(error, "/message")?;
            self.ended = true;
            return Ok(());
        }
        want(text(&value, "/object")? == "chat.completion.chunk", || {
            "object is not `chat.completion.chunk`".to_owned()
        })?;
        want(value.get("created").is_some_and(Value::is_u64), || {
            "created is no number".to_owned()
        })?;
        text(&value, "/model")?;
        let id = text(&value, "/id")?;
        want(self.id.as_deref().is_none_or(|known| known == id), || {
            "the id changes".to_owned()
        })?;
        self.id = Some(id.to_owned());
        let choices = value
            .get("choices")
            .and_then(Value::as_array)
            .ok_or("choices is no array")?;
        let Some(choice) = choices.first() else {
            return want(
                self.stopped && value.get("usage").is_some_and(Value::is_object),
                || "a chunk without choices that is not the final usage".to_owned(),
            );
        };
        want(!self.stopped, || {
            "a choice after its finish_reason".to_owned()
        })?;
        let delta = choice.get("delta").ok_or("delta is missing")?;
        want(
            self.begun || delta.get("role").is_some_and(|r| r == "assistant"),
            || "the first delta has no role".to_owned(),
        )?;
        self.begun = true;
        for name in ["content", "reasoning_content", "refusal"] {
            let field = delta.get(name);
            want(field.is_none_or(|f| f.is_string() || f.is_null()), || {
                format!("{name} is no string")
            })?;
        }
        let calls = delta.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            self.call(call)?;
        }
        match choice.get("finish_reason") {
            Some(Value::Null) => Ok(()),
            Some(Value::String(_)) => {
                self.stopped = true;
                Ok(())
            }
            _ => Err("finish_reason is neither null nor a string".to_owned()),
        }
    }

    fn call(&mut self, call: &Value) -> Verdict {
        let index = call
            .get("index")
            .and_then(Value::as_u64)
            .ok_or("a call without an index")?;
        want(index <= self.next, || {
            format!("call {index} where {} is due", self.next)
        })?;
        text(call, "/function/arguments")?;
        if index == self.next {
            self.next += 1;
            want(!text(call, "/id")?.is_empty(), || "an empty id".to_owned())?;
            want(text(call, "/type")? == "function", || {
                "the type is not `function`".to_owned()
            })?;
            text(call, "/function/name")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_must_be_closed_before_the_next() {
        let start = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

"#;
        let block = |i: u8| {
            format!(
                "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{i},\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n"
            )
        };
        let stream = format!("{start}{}{}", block(0), block(1));
        let wrong = check(Dialect::Messages, stream.as_bytes()).unwrap_err();
        assert_eq!(wrong.to_string(), "event 2: two blocks are open");
        let wrong = check(Dialect::Messages, start.as_bytes()).unwrap_err();
        assert_eq!(wrong.to_string(), "event 1: the terminal event is missing");
    }

    #[test]
    fn chunks_need_a_role_an_end_and_done() {
        let chunk = |delta: &str, end: &str| {
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{end}}}]}}\n\n"
            )
        };
        let role = chunk(r#"{"role":"assistant","content":""}"#, "null");
        let check =
            |sse: String| check(Dialect::ChatCompletions, sse.as_bytes()).map_err(|v| v.what);
        assert_eq!(
            check(chunk("{}", "null")),
            Err("the first delta has no role".to_owned())
        );
        assert_eq!(
            check(format!("{role}data: [DONE]\n\n")),
            Err("no finish_reason came before [DONE]".to_owned())
        );
        assert_eq!(
            check(format!("{role}{}data: [DONE]\n\n", chunk("{}", "\"stop\""))),
            Ok(())
        );
    }
}
