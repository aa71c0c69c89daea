//! A stream of Converse, read into the intermediate form. Its events come as objects of one field, the event's name.
use super::{exception, stop_of, usage};
use crate::{
    chat::{Refusal, StopReason, Usage},
    translate::{
        error,
        event::{Event, Finish, Open, Sink, Start},
        form::settle_stop,
        json::{Fields, Json},
        text::{Text, inside},
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A stream, read into the intermediate form.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    block: Option<Block>,
    calls: bool,
    stop: Option<StopReason>,
    pub(crate) usage: Option<Usage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    Call,
}

/// An event. One of these is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    content_block_delta: Option<DeltaEvent<'a>>,
    #[serde(borrow)]
    message_start: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block_start: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    message_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    exception: Option<&'a RawValue>,
}
#[derive(Deserialize)]
struct DeltaEvent<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use: Option<Input<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
}
#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}
#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
}

impl Reader {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished {
            return;
        }
        let Ok(event) = serde_json::from_str::<Wire<'_>>(data) else {
            return self.fail(error::garbage(), sink);
        };
        if let Some(DeltaEvent { delta: Some(delta) }) = &event.content_block_delta {
            self.delta(delta, sink);
        } else if event.message_start.is_some() {
            self.start(sink);
        } else if let Some(json) = event.content_block_start {
            self.open(json, sink);
        } else if event.content_block_stop.is_some() {
            self.close(sink);
        } else if let Some(json) = event.message_stop {
            let fields = Fields::parse(json.get()).unwrap_or_default();
            self.stop = fields.get("stopReason").map(stop_of);
        } else if let Some(json) = event.metadata {
            let fields = Fields::parse(json.get()).unwrap_or_default();
            self.usage = fields.get("usage").and_then(usage::read).or(self.usage);
            // It comes last.
            if self.stop.is_some() {
                self.end(sink);
            }
        } else if let Some(json) = event.exception {
            self.fail(exception(json), sink);
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

    fn fail(&mut self, refusal: Refusal, sink: Sink<'_>) {
        self.finished = true;
        sink(Event::Error(refusal));
    }

    fn end(&mut self, sink: Sink<'_>) {
        self.start(sink);
        self.close(sink);
        self.finished = true;
        sink(Event::Finish(Finish {
            stop: settle_stop(self.stop, self.calls),
            stop_sequence: None,
            usage: self.usage,
        }));
    }

    fn start(&mut self, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            sink(Event::Start(Start {
                id: None,
                model: None,
                created: None,
                usage: None,
            }));
        }
    }

    /// Only calls are announced; text and thinking begin with their first piece.
    fn open(&mut self, json: Json<'_>, sink: Sink<'_>) {
        self.start(sink);
        self.close(sink);
        let fields = Fields::parse(json.get()).unwrap_or_default();
        let call = fields.object("start").and_then(|s| s.object("toolUse"));
        if let Some(call) = call {
            self.calls = true;
            self.block = Some(Block::Call);
            sink(Event::Open(Open::Tool {
                id: call.text("toolUseId").unwrap_or(Text::plain("")),
                name: call.text("name").unwrap_or(Text::plain("")),
            }));
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, sink: Sink<'_>) {
        if let Some(text) = words(delta.text) {
            self.be(Block::Text, Open::Text, sink);
            sink(Event::Delta(text));
        }
        if let Some(thought) = &delta.reasoning_content {
            if let Some(text) = words(thought.text) {
                self.be(Block::Thinking, Open::Thinking, sink);
                sink(Event::Delta(text));
            }
            if let Some(text) = words(thought.signature) {
                self.be(Block::Thinking, Open::Thinking, sink);
                sink(Event::Signature(text));
            }
        }
        // A fragment of a call that nobody announced cannot be told whose it is.
        if let Some(call) = &delta.tool_use
            && self.block == Some(Block::Call)
            && let Some(text) = words(call.input)
        {
            sink(Event::Delta(text));
        }
    }

    fn be(&mut self, block: Block, open: Open<'_>, sink: Sink<'_>) {
        if self.block != Some(block) {
            self.start(sink);
            self.close(sink);
            self.block = Some(block);
            sink(Event::Open(open));
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        if self.block.take().is_some() {
            sink(Event::Close);
        }
    }
}

/// The inside of a string that says something.
fn words(json: Option<&RawValue>) -> Option<&str> {
    json.and_then(inside).filter(|text| !text.is_empty())
}
