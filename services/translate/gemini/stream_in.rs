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
        event::{Event, Finish, Open, Sink, Start},
        form::settle_stop,
        ids,
        text::{Text, escape, inside},
    },
};
use bytes::BytesMut;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    open: Option<Words>,
    calls: bool,
    stop: Option<StopReason>,
    pub(crate) usage: Option<Usage>,
}

/// The kinds of block that grow over several events. A call comes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Text,
    Thinking,
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
        self.close(sink);
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
            let mut spelt = BytesMut::new();
            escape(&mut spelt, &why);
            self.words(
                Words::Text,
                std::str::from_utf8(&spelt).unwrap_or_default(),
                sink,
            );
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
            self.sign(part.thought_signature, sink);
            self.close(sink);
            self.calls = true;
            let made;
            let id = match call.id.and_then(inside).filter(|id| !id.is_empty()) {
                Some(id) => Text::Escaped(id.into()),
                None => {
                    made = format!("call_{}", ids::fresh());
                    Text::plain(&made)
                }
            };
            let name = call.name.and_then(Text::of).unwrap_or(Text::plain(""));
            sink(Event::Open(Open::Tool { id, name }));
            let mut arguments = BytesMut::new();
            escape(&mut arguments, call.args.map_or("{}", RawValue::get));
            sink(Event::Delta(
                std::str::from_utf8(&arguments).unwrap_or_default(),
            ));
            sink(Event::Close);
        } else if let Some(text) = part.text.and_then(inside) {
            let words = if part.thought == Some(true) {
                Words::Thinking
            } else {
                Words::Text
            };
            self.words(words, text, sink);
        } else if let Some(image) = part.inline_data.as_ref().and_then(|data| data.markdown()) {
            let mut spelt = BytesMut::new();
            escape(&mut spelt, &image);
            self.words(
                Words::Text,
                std::str::from_utf8(&spelt).unwrap_or_default(),
                sink,
            );
        }
    }

    fn words(&mut self, words: Words, text: &str, sink: Sink<'_>) {
        // The last event is often an empty text that bears the finish reason.
        if text.is_empty() {
            return;
        }
        self.open(words, sink);
        sink(Event::Delta(text));
    }

    fn open(&mut self, words: Words, sink: Sink<'_>) {
        if self.open == Some(words) {
            return;
        }
        self.close(sink);
        self.open = Some(words);
        sink(Event::Open(match words {
            Words::Text => Open::Text,
            Words::Thinking => Open::Thinking,
        }));
    }

    fn close(&mut self, sink: Sink<'_>) {
        if self.open.take().is_some() {
            sink(Event::Close);
        }
    }

    /// The signature of a call stands with the thinking before it.
    fn sign(&mut self, signature: Option<&RawValue>, sink: Sink<'_>) {
        if let Some(signature) = signature.and_then(inside).filter(|s| !s.is_empty()) {
            self.open(Words::Thinking, sink);
            sink(Event::Signature(&format!("{MARK}{signature}")));
        }
    }
}
