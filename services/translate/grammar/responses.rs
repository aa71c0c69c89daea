//! The grammar of a stream of Responses.
use super::{Verdict, parse, text, want};
use crate::sse::Event;
use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct Responses {
    /// The number that the next event must have.
    sequence: u64,
    id: Option<String>,
    pub(super) ended: bool,
    /// The items that are complete, as their last event told them.
    items: Vec<Value>,
    open: Option<Item>,
}

/// The open item.
#[derive(Debug)]
struct Item {
    id: String,
    kind: String,
    /// The open part's text field, and what deltas brought.
    part: Option<&'static str>,
    parts: u64,
    said: String,
    /// Whether its arguments or its input have been told whole.
    done: bool,
}

/// How the parts of an item are told: the type of the part, the event, the item's type, the name of the part's index.
const WORDS: &[(&str, &str, &str, &str)] = &[
    (
        "output_text",
        "response.output_text",
        "message",
        "content_index",
    ),
    ("refusal", "response.refusal", "message", "content_index"),
    (
        "summary_text",
        "response.reasoning_summary_text",
        "reasoning",
        "summary_index",
    ),
    (
        "reasoning_text",
        "response.reasoning_text",
        "reasoning",
        "content_index",
    ),
];

impl Responses {
    pub(super) fn event(&mut self, event: &Event<'_>) -> Verdict {
        let value = parse(event.data)?;
        let kind = text(&value, "/type")?;
        want(event.name == Some(kind), || {
            format!("named {:?} but of type {kind}", event.name)
        })?;
        if kind == "error" {
            text(&value, "/message")?;
            self.ended = true;
            return Ok(());
        }
        let number = value.get("sequence_number").and_then(Value::as_u64);
        want(number == Some(self.sequence), || {
            format!("number {number:?} where {} is due", self.sequence)
        })?;
        self.sequence += 1;
        want(self.id.is_some() || kind == "response.created", || {
            format!("`{kind}` before `response.created`")
        })?;
        match kind {
            "response.created" | "response.in_progress" => self.response(&value, &["in_progress"]),
            "response.completed" => self.end(&value, "completed"),
            "response.incomplete" => {
                text(&value, "/response/incomplete_details/reason")?;
                self.end(&value, "incomplete")
            }
            "response.failed" => {
                text(&value, "/response/error/code")?;
                text(&value, "/response/error/message")?;
                self.end(&value, "failed")
            }
            "response.output_item.added" => self.added(&value),
            "response.output_item.done" => self.done(&value),
            _ => self.inside(kind, &value),
        }
    }

    fn response(&mut self, value: &Value, statuses: &[&str]) -> Verdict {
        let id = text(value, "/response/id")?;
        want(!id.is_empty(), || "an answer without an id".to_owned())?;
        let first = self.id.get_or_insert_with(|| id.to_owned());
        want(first == id, || format!("id {id} in the answer {first}"))?;
        want(text(value, "/response/object")? == "response", || {
            "object is not `response`".to_owned()
        })?;
        let status = text(value, "/response/status")?;
        want(statuses.contains(&status), || {
            format!("status {status} where {statuses:?} is due")
        })?;
        text(value, "/response/model")?;
        let number = |pointer| value.pointer(pointer).is_some_and(Value::is_number);
        want(number("/response/created_at"), || {
            "created_at is no number".to_owned()
        })?;
        want(
            value
                .pointer("/response/output")
                .is_some_and(Value::is_array),
            || "output is no array".to_owned(),
        )
    }

    fn end(&mut self, value: &Value, status: &str) -> Verdict {
        self.response(value, &[status])?;
        // A call that broke off is not told as one to run.
        let closed = match &self.open {
            Some(item) => status != "completed" && item.kind.ends_with("_call"),
            None => true,
        };
        want(closed, || "an item is still open".to_owned())?;
        let output = value.pointer("/response/output").and_then(Value::as_array);
        want(output == Some(&self.items), || {
            "output is not what its items were".to_owned()
        })?;
        if status != "failed" {
            for name in ["input_tokens", "output_tokens", "total_tokens"] {
                let told = value.pointer(&format!("/response/usage/{name}"));
                want(told.is_some_and(Value::is_u64), || {
                    format!("usage.{name} is missing")
                })?;
            }
        }
        self.ended = true;
        Ok(())
    }

    fn added(&mut self, value: &Value) -> Verdict {
        want(self.open.is_none(), || "two items are open".to_owned())?;
        self.index(value)?;
        let kind = text(value, "/item/type")?;
        if kind.ends_with("_call") {
            for field in ["/item/call_id", "/item/name"] {
                want(!text(value, field)?.is_empty(), || {
                    format!("a call whose {field} is empty")
                })?;
            }
        }
        self.open = Some(Item {
            id: text(value, "/item/id")?.to_owned(),
            kind: kind.to_owned(),
            part: None,
            parts: 0,
            said: String::new(),
            done: false,
        });
        Ok(())
    }

    fn index(&self, value: &Value) -> Verdict {
        let index = value.get("output_index").and_then(Value::as_u64);
        let due = self.items.len() as u64;
        want(index == Some(due), || {
            format!("item {index:?} where {due} is due")
        })
    }

    fn done(&mut self, value: &Value) -> Verdict {
        self.index(value)?;
        let open = self.open.take().ok_or("no item is open")?;
        want(text(value, "/item/id")? == open.id, || {
            "another item ends".to_owned()
        })?;
        want(open.part.is_none(), || "a part is still open".to_owned())?;
        let told = match &*open.kind {
            "function_call" => Some("/item/arguments"),
            "custom_tool_call" => Some("/item/input"),
            _ => None,
        };
        if let Some(told) = told {
            want(open.done && text(value, told)? == open.said, || {
                format!("{told} is not what was told")
            })?;
        }
        let item = value.get("item").cloned().unwrap_or_default();
        self.items.push(item);
        Ok(())
    }

    /// An event inside an item.
    fn inside(&mut self, kind: &str, value: &Value) -> Verdict {
        self.index(value)?;
        let open = self.open.as_mut().ok_or("an event outside any item")?;
        want(text(value, "/item_id")? == open.id, || {
            format!("`{kind}` of another item")
        })?;
        let place = |name: &str| value.get(name).and_then(Value::as_u64);
        match kind {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                want(open.part.is_none(), || "two parts are open".to_owned())?;
                let part = text(value, "/part/type")?;
                let known = WORDS
                    .iter()
                    .find(|(t, _, of, _)| *t == part && *of == open.kind);
                let (part, _, _, index) = known.ok_or("a part of an unknown type")?;
                want(place(index) == Some(open.parts), || {
                    format!("part {:?} where {} is due", place(index), open.parts)
                })?;
                open.part = Some(part);
                open.said.clear();
                open.done = false;
                Ok(())
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let part = open.part.take().ok_or("no part is open")?;
                let field = if part == "refusal" {
                    "/part/refusal"
                } else {
                    "/part/text"
                };
                want(open.done && text(value, field)? == open.said, || {
                    "a part is not what was told".to_owned()
                })?;
                open.parts += 1;
                Ok(())
            }
            _ => open.words(kind, value),
        }
    }
}

impl Item {
    fn words(&mut self, kind: &str, value: &Value) -> Verdict {
        let (name, ending) = kind.rsplit_once('.').unwrap_or((kind, ""));
        let field = match name {
            "response.function_call_arguments" if self.kind == "function_call" => "/arguments",
            "response.custom_tool_call_input" if self.kind == "custom_tool_call" => "/input",
            _ => {
                let known = WORDS.iter().find(|(_, event, ..)| *event == name);
                let Some((part, ..)) = known else {
                    return Err(format!("`{kind}` is no event of a `{}`", self.kind));
                };
                want(self.part == Some(part), || {
                    format!("`{kind}` outside a part of type {part}")
                })?;
                if *part == "refusal" {
                    "/refusal"
                } else {
                    "/text"
                }
            }
        };
        match ending {
            "delta" => {
                want(!self.done, || format!("`{kind}` after its `.done`"))?;
                self.said.push_str(text(value, "/delta")?);
                Ok(())
            }
            "done" => {
                self.done = true;
                want(text(value, field)? == self.said, || {
                    format!("`{kind}` is not what its deltas were")
                })
            }
            _ => Err(format!("`{kind}` is no event")),
        }
    }
}
