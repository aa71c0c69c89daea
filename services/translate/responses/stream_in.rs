//! A stream, read into the intermediate form.
use super::{signature, stop_of, tools, usage};
use crate::{
    chat::{Refusal, StopReason, Usage},
    dialect::Dialect,
    translate::{
        error,
        event::{Event, Finish, Sink, Start},
        form::settle_stop,
        json::{Fields, Json, seconds},
        sequence::{Key, Piece, Sequencer},
        text::{Text, escape, inside},
    },
};
use bytes::BytesMut;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    refused: bool,
    pub(crate) usage: Option<Usage>,
    blocks: Sequencer,
    calls: Vec<Call>,
}

/// A call that has begun, by the index of its item. Its place in the list is its key.
#[derive(Debug)]
struct Call {
    index: String,
    custom: bool,
    /// Whether it has got arguments.
    argued: bool,
    ended: bool,
}

impl Reader {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished || data.trim() == "[DONE]" {
            return;
        }
        if let Err(refusal) = self.event(data, sink) {
            self.finished = true;
            sink(Event::Error(refusal));
        }
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self, _: Sink<'_>) -> Result<(), Refusal> {
        if self.finished {
            Ok(())
        } else {
            Err(error::cut())
        }
    }

    fn event(&mut self, data: &str, sink: Sink<'_>) -> Result<(), Refusal> {
        let event = Fields::parse(data).ok_or_else(error::garbage)?;
        let kind = event.string("type").unwrap_or_default();
        match &*kind {
            "response.output_text.delta" => self.words(Key::Text, event.get("delta"), sink)?,
            "response.refusal.delta" => {
                self.refused = true;
                self.words(Key::Text, event.get("delta"), sink)?;
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.words(Key::Thinking, event.get("delta"), sink)?;
            }
            "response.reasoning_summary_part.added" => self.pause(&event, sink)?,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.argue(&event, event.get("delta"), sink)?;
            }
            "response.output_item.added" => {
                self.start(None, sink);
                if let Some(item) = event.object("item") {
                    self.begin(&event, &item, sink)?;
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.object("item") {
                    self.end_item(&event, &item, sink)?;
                }
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(event.object("response").as_ref(), sink);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end(&event.object("response").unwrap_or_default(), sink)?;
            }
            "error" => return Err(error::stated(&event)),
            _ if event.get("error").is_some() => {
                let json = event.get("error").unwrap_or(RawValue::NULL);
                return Err(error::inside(Dialect::Responses, json));
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: Option<&Fields<'_>>, sink: Sink<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let created = response.and_then(|r| r.get("created_at"));
        sink(Event::Start(Start {
            id: response.and_then(|r| r.text("id")),
            model: response.and_then(|r| r.text("model")),
            created: created.map(RawValue::get).and_then(seconds),
            usage: None,
        }));
    }

    fn words(&mut self, key: Key, json: Option<Json<'_>>, sink: Sink<'_>) -> Result<(), Refusal> {
        let Some(text) = json.and_then(inside).filter(|t| !t.is_empty()) else {
            return Ok(());
        };
        self.start(None, sink);
        let piece = Piece {
            key,
            id: "",
            name: "",
            text,
        };
        self.blocks.push(&piece, sink)
    }

    /// Parts of a summary are paragraphs.
    fn pause(&mut self, event: &Fields<'_>, sink: Sink<'_>) -> Result<(), Refusal> {
        let first = event.get("summary_index").is_none_or(|i| i.get() == "0");
        if first {
            return Ok(());
        }
        let piece = Piece {
            key: Key::Thinking,
            id: "",
            name: "",
            text: "\\n\\n",
        };
        self.blocks.push(&piece, sink)
    }

    fn begin(
        &mut self,
        event: &Fields<'_>,
        item: &Fields<'_>,
        sink: Sink<'_>,
    ) -> Result<(), Refusal> {
        let custom = match item.string("type").as_deref() {
            Some("function_call") => false,
            Some("custom_tool_call") => true,
            _ => return Ok(()),
        };
        self.calls.push(Call {
            index: index_of(event),
            custom,
            argued: false,
            ended: false,
        });
        let name = item.get("name").and_then(inside).unwrap_or_default();
        let namespace = item.get("namespace").and_then(inside);
        let id = item.get("call_id").or(item.get("id"));
        let piece = Piece {
            key: Key::Tool(self.calls.len() - 1),
            id: id.and_then(inside).unwrap_or_default(),
            name: &tools::flat(namespace, name),
            text: if custom { "{\\\"input\\\":\\\"" } else { "" },
        };
        self.blocks.push(&piece, sink)
    }

    /// Takes more of a call's arguments, or of its input.
    fn argue(
        &mut self,
        event: &Fields<'_>,
        json: Option<Json<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), Refusal> {
        let index = index_of(event);
        let place = self.calls.iter().rposition(|c| c.index == index);
        let Some((key, call)) = place.and_then(|key| Some((key, self.calls.get_mut(key)?))) else {
            return Ok(());
        };
        let mut spelt = BytesMut::new();
        let text = match json {
            None => return Ok(()),
            Some(json) => match inside(json) {
                // The input is a text inside the arguments, which are a text themselves.
                Some(text) if call.custom => {
                    escape(&mut spelt, text);
                    std::str::from_utf8(&spelt).unwrap_or_default()
                }
                Some(text) => text,
                // Some servers send an object where JSON in a string is due.
                None => {
                    escape(&mut spelt, json.get());
                    std::str::from_utf8(&spelt).unwrap_or_default()
                }
            },
        };
        if text.is_empty() {
            return Ok(());
        }
        call.argued = true;
        self.blocks.push(&more(key, text), sink)
    }

    fn end_item(
        &mut self,
        event: &Fields<'_>,
        item: &Fields<'_>,
        sink: Sink<'_>,
    ) -> Result<(), Refusal> {
        match item.string("type").as_deref() {
            Some("reasoning") => {
                let encrypted = item.get("encrypted_content").and_then(inside);
                if let Some(encrypted) = encrypted.filter(|e| !e.is_empty()) {
                    self.start(None, sink);
                    self.blocks.push(&more_thinking(), sink)?;
                    self.blocks.sign(&signature(encrypted), sink);
                }
            }
            Some("function_call" | "custom_tool_call") => {
                self.start(None, sink);
                let index = index_of(event);
                if !self.calls.iter().any(|c| c.index == index) {
                    self.begin(event, item, sink)?;
                }
                let place = self.calls.iter().rposition(|c| c.index == index);
                let whole = item.get("arguments").or(item.get("input"));
                let call = |calls: &[Call]| {
                    place
                        .and_then(|key| calls.get(key))
                        .map(|c| (c.argued, c.ended, c.custom))
                };
                if call(&self.calls).is_some_and(|(argued, ended, _)| !argued && !ended) {
                    self.argue(event, whole, sink)?;
                }
                if let Some((_, false, custom)) = call(&self.calls)
                    && let Some(key) = place
                {
                    if custom {
                        self.blocks.push(&more(key, "\\\"}"), sink)?;
                    }
                    if let Some(call) = self.calls.get_mut(key) {
                        call.ended = true;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, response: &Fields<'_>, sink: Sink<'_>) -> Result<(), Refusal> {
        if let Some(json) = response.get("usage") {
            self.usage = usage::read(json).or(self.usage);
        }
        if response.string("status").as_deref() == Some("failed") || response.get("error").is_some()
        {
            let json = response.get("error").unwrap_or(RawValue::NULL);
            return Err(error::inside(Dialect::Responses, json));
        }
        self.start(Some(response), sink);
        self.blocks.finish(sink);
        self.finished = true;
        let stop = stop_of(response, self.blocks.calls);
        sink(Event::Finish(Finish {
            stop: if self.refused {
                StopReason::Refusal
            } else {
                settle_stop(stop, self.blocks.calls)
            },
            stop_sequence: None::<Text<'_>>,
            usage: self.usage,
        }));
        Ok(())
    }
}

/// Where an event's item stands in the answer.
fn index_of(event: &Fields<'_>) -> String {
    let index = event.get("output_index").or(event.get("item_id"));
    index.map_or("", RawValue::get).to_owned()
}

const fn more(key: usize, text: &str) -> Piece<'_> {
    Piece {
        key: Key::Tool(key),
        id: "",
        name: "",
        text,
    }
}

const fn more_thinking() -> Piece<'static> {
    Piece {
        key: Key::Thinking,
        id: "",
        name: "",
        text: "",
    }
}
