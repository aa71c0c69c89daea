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
        event::{Event, Finish, Sink, Start},
        form::settle_stop,
        growing::{Block, Growing},
        ids,
        text::{Text, inside, string},
    },
};
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    open: Growing,
    calls: bool,
    pub(crate) usage: Option<Usage>,
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
            self.open.close(sink);
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
        for (block, json) in [
            (Block::Thinking, message.thinking),
            (Block::Text, message.content),
        ] {
            let text = json.and_then(inside).unwrap_or_default();
            self.open.more(block, text, sink);
        }
        for call in message.calls() {
            self.calls = true;
            let id = format!("call_{}", ids::fresh());
            let arguments = call.arguments.map_or("{}", RawValue::get);
            let name = call.name.and_then(Text::of);
            self.open
                .whole_call(Text::plain(&id), name, arguments, sink);
        }
    }
}
