//! A stream of Converse, read into the intermediate form. Its events come as objects of one field, the event's name.
use super::{exception, stop_of, usage};
use crate::{
    chat::{Refusal, StopReason, Usage},
    translate::{
        error,
        event::{Event, Finish, Sink, Start},
        form::settle_stop,
        growing::{Block, Growing},
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
    block: Growing,
    calls: bool,
    stop: Option<StopReason>,
    pub(crate) usage: Option<Usage>,
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
        let Ok(event) = crate::json::from_str::<Wire<'_>>(data) else {
            return self.fail(error::garbage(), sink);
        };
        if let Some(DeltaEvent { delta: Some(delta) }) = &event.content_block_delta {
            self.delta(delta, sink);
        } else if event.message_start.is_some() {
            self.start(sink);
        } else if let Some(json) = event.content_block_start {
            self.open(json, sink);
        } else if event.content_block_stop.is_some() {
            self.block.close(sink);
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
        self.block.close(sink);
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
        self.block.close(sink);
        let fields = Fields::parse(json.get()).unwrap_or_default();
        let call = fields.object("start").and_then(|s| s.object("toolUse"));
        if let Some(call) = call {
            self.calls = true;
            let id = call.text("toolUseId").unwrap_or(Text::plain(""));
            self.block.call(id, call.text("name"), sink);
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, sink: Sink<'_>) {
        self.start(sink);
        let thought = delta.reasoning_content.as_ref();
        self.block.more(Block::Text, words(delta.text), sink);
        let text = words(thought.and_then(|t| t.text));
        self.block.more(Block::Thinking, text, sink);
        let signature = words(thought.and_then(|t| t.signature));
        if !signature.is_empty() {
            self.block.sign(signature, sink);
        }
        let input = delta.tool_use.as_ref().and_then(|call| call.input);
        self.block.more_call(words(input), sink);
    }
}

/// The inside of a string.
fn words(json: Option<&RawValue>) -> &str {
    json.and_then(inside).unwrap_or_default()
}
