//! A stream of Ollama's, read into the intermediate form.
use super::{
    stop_of,
    wire::{Line, Message},
};
use crate::{
    chat::{Refusal, StopReason, Usage},
    dialect::Dialect,
    translate::{
        error,
        event::{Event, Finish, Open, Sink, Start},
        form::settle_stop,
        ids,
        json::Json,
        text::{Text, escape, inside, string},
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
    pub(crate) usage: Option<Usage>,
}

/// The kinds of block that grow over several lines. A call comes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Text,
    Thinking,
}

impl Reader {
    /// Takes one line.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished {
            return;
        }
        if let Err(refusal) = self.line(data, sink) {
            self.finished = true;
            sink(Event::Error(refusal));
        }
    }

    /// The body has ended.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "as the readers of other dialects have it"
    )]
    pub(crate) fn finish(&mut self, _: Sink<'_>) -> Result<(), Refusal> {
        if self.finished {
            Ok(())
        } else {
            Err(error::cut())
        }
    }

    fn line(&mut self, data: &str, sink: Sink<'_>) -> Result<(), Refusal> {
        let line = Line::parse(data).ok_or_else(error::garbage)?;
        if let Some(json) = line.error {
            return Err(error::inside(Dialect::Ollama, json));
        }
        self.usage = line.usage().or(self.usage);
        if !self.started {
            self.started = true;
            sink(Event::Start(Start {
                id: None,
                model: line.model.and_then(Text::of),
                created: None,
                usage: self.usage,
            }));
        }
        if let Some(message) = &line.message {
            self.message(message, sink);
        }
        if line.done == Some(true) {
            self.finished = true;
            self.close(sink);
            let stop = line.done_reason.and_then(string).map(|r| stop_of(&r));
            sink(Event::Finish(Finish {
                stop: settle_stop(stop.or(Some(StopReason::EndTurn)), self.calls),
                stop_sequence: None,
                usage: self.usage,
            }));
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, sink: Sink<'_>) {
        self.words(Words::Thinking, message.thinking, sink);
        self.words(Words::Text, message.content, sink);
        for call in message.calls() {
            self.close(sink);
            self.calls = true;
            sink(Event::Open(Open::Tool {
                id: Text::plain(&format!("call_{}", ids::fresh())),
                name: call.name.and_then(Text::of).unwrap_or(Text::plain("")),
            }));
            let mut arguments = BytesMut::new();
            escape(&mut arguments, call.arguments.map_or("{}", RawValue::get));
            sink(Event::Delta(
                std::str::from_utf8(&arguments).unwrap_or_default(),
            ));
            sink(Event::Close);
        }
    }

    fn words(&mut self, words: Words, json: Option<Json<'_>>, sink: Sink<'_>) {
        let Some(text) = json.and_then(inside).filter(|text| !text.is_empty()) else {
            return;
        };
        if self.open != Some(words) {
            self.close(sink);
            self.open = Some(words);
            sink(Event::Open(match words {
                Words::Text => Open::Text,
                Words::Thinking => Open::Thinking,
            }));
        }
        sink(Event::Delta(text));
    }

    fn close(&mut self, sink: Sink<'_>) {
        if self.open.take().is_some() {
            sink(Event::Close);
        }
    }
}
