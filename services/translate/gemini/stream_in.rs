//! A stream of Gemini's, read into the intermediate form.
//!
//! Every event is a `GenerateContentResponse` with some more parts. The finish reason comes with the last one; after it there is only the
//! end of the body.
use super::{
    MARK, stop_of, usage,
    wire::{Part, Response},
};
use crate::{
    chat::{Refusal, StopReason, Usage},
    dialect::Dialect,
    translate::{
        error,
        event::{Event, Finish, Sink, Start},
        form::settle_stop,
        growing::{Block, Growing},
        ids,
        text::{Text, inside},
    },
};
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    open: Growing,
    calls: bool,
    stop: Option<StopReason>,
    pub(crate) usage: Option<Usage>,
}

impl Reader {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished {
            return;
        }
        if let Err(refusal) = self.chunk(data, sink) {
            self.finished = true;
            sink(Event::Error(refusal));
        }
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), Refusal> {
        if self.finished {
            return Ok(());
        }
        if self.stop.is_none() {
            return Err(error::cut());
        }
        self.finished = true;
        self.open.close(sink);
        sink(Event::Finish(Finish {
            stop: settle_stop(self.stop, self.calls),
            stop_sequence: None,
            usage: self.usage,
        }));
        Ok(())
    }

    fn chunk(&mut self, data: &str, sink: Sink<'_>) -> Result<(), Refusal> {
        let response = Response::parse(data).ok_or_else(error::garbage)?;
        if let Some(json) = response.error {
            return Err(error::inside(Dialect::Gemini, json));
        }
        if let Some(json) = response.usage {
            self.usage = usage::read(json).or(self.usage);
        }
        if let Some(refusal) = response.botched() {
            return Err(refusal);
        }
        if !self.started {
            self.started = true;
            sink(Event::Start(Start {
                id: response.response_id.and_then(Text::of),
                model: response.model_version.and_then(Text::of),
                created: None,
                usage: self.usage,
            }));
        }
        if let Some(why) = response.blocked() {
            self.open.more_plain(Block::Text, &why, sink);
            self.stop = Some(StopReason::Refusal);
        }
        if let Some(candidate) = response.candidate() {
            for part in candidate.parts() {
                self.part(part, sink);
            }
            if let Some(reason) = candidate.reason() {
                self.stop = Some(stop_of(&reason));
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &Part<'_>, sink: Sink<'_>) {
        if let Some(call) = &part.function_call {
            // The signature of a call stands with the thinking before it.
            let signature = part.thought_signature.and_then(inside);
            if let Some(signature) = signature.filter(|s| !s.is_empty()) {
                self.open.sign(&format!("{MARK}{signature}"), sink);
            }
            self.calls = true;
            let made;
            let id = match call.id.and_then(inside).filter(|id| !id.is_empty()) {
                Some(id) => Text::Escaped(id.into()),
                None => {
                    made = format!("call_{}", ids::fresh());
                    Text::plain(&made)
                }
            };
            let arguments = call.args.map_or("{}", RawValue::get);
            let name = call.name.and_then(Text::of);
            self.open.whole_call(id, name, arguments, sink);
        } else if let Some(text) = part.text.and_then(inside) {
            let block = if part.thought == Some(true) {
                Block::Thinking
            } else {
                Block::Text
            };
            // The last event is often an empty text that bears the finish reason.
            self.open.more(block, text, sink);
        } else if let Some(image) = part.inline_data.as_ref().and_then(|data| data.markdown()) {
            self.open.more_plain(Block::Text, &image, sink);
        }
    }
}
