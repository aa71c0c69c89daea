//! A stream of Messages, read into the intermediate form.
use super::{
    stop_of, usage,
    wire::{Delta, Event as Wire, Head},
};
use crate::{
    chat::{Refusal, StopReason, Usage},
    dialect::Dialect,
    translate::{
        error,
        event::{Event, Finish, Open, Sink, Start},
        form::settle_stop,
        json::{Fields, Json},
        text::{Text, escape, inside},
    },
};
use bytes::BytesMut;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    block: Block,
    calls: bool,
    stop: Option<StopReason>,
    stop_sequence: Option<String>,
    pub(crate) usage: Option<Usage>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Block {
    #[default]
    Closed,
    Text,
    Thinking,
    /// A call, with the input that its start already brought and no fragment has replaced.
    Call {
        input: String,
    },
    /// One that has no counterpart elsewhere: server tools and their results, fallbacks, compactions, redacted thinking.
    Skipped,
}

impl Reader {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished {
            return;
        }
        let Some(event) = Wire::parse(data) else {
            self.finished = true;
            sink(Event::Error(error::garbage()));
            return;
        };
        match event.kind() {
            "\"content_block_delta\"" => self.delta(&Delta::of(&event), sink),
            "\"message_start\"" => self.start(event.message, sink),
            "\"content_block_start\"" => {
                self.start(None, sink);
                self.close(sink);
                if let Some(json) = event.content_block {
                    self.open(json, sink);
                }
            }
            "\"content_block_stop\"" => self.close(sink),
            "\"message_delta\"" => {
                let delta = Delta::of(&event);
                self.stop = delta.stop_reason.map(stop_of).or(self.stop);
                if let Some(text) = delta.stop_sequence.and_then(inside) {
                    self.stop_sequence = Some(text.to_owned());
                }
                if let Some(json) = event.usage {
                    self.usage = usage::read(json, self.usage).or(self.usage);
                }
            }
            "\"message_stop\"" => self.end(sink),
            "\"ping\"" => sink(Event::Ping),
            "\"error\"" => {
                self.finished = true;
                let json = event.error.unwrap_or(RawValue::NULL);
                sink(Event::Error(error::inside(Dialect::Messages, json)));
            }
            _ => {}
        }
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), Refusal> {
        if !self.finished {
            if self.stop.is_none() {
                return Err(error::cut());
            }
            self.end(sink);
        }
        Ok(())
    }

    fn end(&mut self, sink: Sink<'_>) {
        self.finished = true;
        if !self.started {
            sink(Event::Error(error::nonsense(
                "the upstream's stream held no answer",
            )));
            return;
        }
        self.close(sink);
        sink(Event::Finish(Finish {
            stop: settle_stop(self.stop, self.calls),
            stop_sequence: self
                .stop_sequence
                .take()
                .map(|text| Text::Escaped(text.into())),
            usage: self.usage,
        }));
    }

    fn start(&mut self, message: Option<Json<'_>>, sink: Sink<'_>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let head: Option<Head<'_>> = message.and_then(|m| crate::json::from_str(m.get()).ok());
        let told = head.as_ref().and_then(|h| h.usage);
        self.usage = told.and_then(|u| usage::read(u, None));
        sink(Event::Start(Start {
            id: head.as_ref().and_then(|h| h.id).and_then(Text::of),
            model: head.as_ref().and_then(|h| h.model).and_then(Text::of),
            created: None,
            usage: self.usage,
        }));
    }

    fn open(&mut self, json: Json<'_>, sink: Sink<'_>) {
        let Some(fields) = Fields::parse(json.get()) else {
            return;
        };
        let words = match fields.string("type").as_deref() {
            Some("text") => {
                self.block = Block::Text;
                sink(Event::Open(Open::Text));
                fields.get("text")
            }
            Some("thinking") => {
                self.block = Block::Thinking;
                sink(Event::Open(Open::Thinking));
                fields.get("thinking")
            }
            Some("tool_use") => {
                self.calls = true;
                let input = fields.get("input").map_or("{}", RawValue::get);
                let input = if input == "{}" { "" } else { input };
                self.block = Block::Call {
                    input: input.to_owned(),
                };
                sink(Event::Open(Open::Tool {
                    id: fields.text("id").unwrap_or(Text::plain("")),
                    name: fields.text("name").unwrap_or(Text::plain("")),
                }));
                None
            }
            _ => {
                self.block = Block::Skipped;
                None
            }
        };
        if let Some(text) = words.and_then(inside).filter(|text| !text.is_empty()) {
            sink(Event::Delta(text));
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, sink: Sink<'_>) {
        if self.block == Block::Skipped {
            return;
        }
        let words =
            |json: Option<&'_ RawValue>| json.and_then(inside).is_some_and(|t| !t.is_empty());
        if words(delta.text) {
            self.be(Block::Text, Open::Text, sink);
        } else if words(delta.thinking) {
            self.be(Block::Thinking, Open::Thinking, sink);
        }
        let text = delta.text.or(delta.thinking).or(delta.partial_json);
        if let Some(text) = text.and_then(inside).filter(|text| !text.is_empty()) {
            if let Block::Call { input } = &mut self.block {
                input.clear();
            }
            if self.block != Block::Closed {
                sink(Event::Delta(text));
            }
        }
        if let Some(text) = delta.signature.and_then(inside)
            && self.block == Block::Thinking
        {
            sink(Event::Signature(text));
        }
    }

    /// Makes sure that a block of this kind is open: some servers forget to say so.
    fn be(&mut self, block: Block, open: Open<'_>, sink: Sink<'_>) {
        if self.block != block {
            self.start(None, sink);
            self.close(sink);
            self.block = block;
            sink(Event::Open(open));
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        match std::mem::take(&mut self.block) {
            Block::Closed | Block::Skipped => return,
            Block::Call { input } if !input.is_empty() => {
                let mut spelt = BytesMut::new();
                escape(&mut spelt, &input);
                sink(Event::Delta(
                    std::str::from_utf8(&spelt).unwrap_or_default(),
                ));
            }
            _ => {}
        }
        sink(Event::Close);
    }
}
