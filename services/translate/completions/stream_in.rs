//! A stream of chat completions, read into the intermediate form.
use super::{
    calls::Calls,
    stop_of, usage,
    wire::{Chunk, Delta},
};
use crate::{
    chat::{Refusal, StopReason, Usage, Usd},
    dialect::Dialect,
    translate::{
        error,
        event::{Event, Finish, Sink, Start},
        form::settle_stop,
        json::{Fields, Json, elements, seconds},
        sequence::{Key, Piece, Sequencer},
        text::{Text, escape, inside},
    },
};
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    finished: bool,
    refused: bool,
    stop: Option<StopReason>,
    stop_sequence: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<Usd>,
    blocks: Sequencer,
    calls: Calls,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<FunctionDelta<'a>>,
}
#[derive(Deserialize)]
struct FunctionDelta<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Reader {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str, sink: Sink<'_>) {
        if self.finished {
            return;
        }
        if data.trim() == "[DONE]" {
            return self.end(sink);
        }
        if let Err(refusal) = self.chunk(data, sink) {
            self.finished = true;
            sink(Event::Error(refusal));
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

    /// All has been said. Usage may come after the finish reason, which is why that was not the end.
    fn end(&mut self, sink: Sink<'_>) {
        self.finished = true;
        if !self.started {
            sink(Event::Error(error::nonsense(
                "the upstream's stream held no answer",
            )));
            return;
        }
        self.blocks.finish(sink);
        let mut stop = settle_stop(self.stop, self.blocks.calls);
        if self.refused {
            stop = StopReason::Refusal;
        } else if stop == StopReason::EndTurn && self.stop_sequence.is_some() {
            stop = StopReason::StopSequence;
        }
        sink(Event::Finish(Finish {
            stop,
            stop_sequence: self
                .stop_sequence
                .take()
                .map(|text| Text::Escaped(text.into())),
            usage: self.usage,
        }));
    }

    fn chunk(&mut self, data: &str, sink: Sink<'_>) -> Result<(), Refusal> {
        let chunk = Chunk::parse(data).ok_or_else(error::garbage)?;
        if let Some(json) = chunk.error {
            return Err(error::inside(Dialect::ChatCompletions, json));
        }
        if let Some(json) = chunk.usage {
            self.usage = usage::read(json).or(self.usage);
            self.cost = usage::cost(json).or(self.cost);
        }
        let Some(choice) = chunk.choice() else {
            return Ok(());
        };
        if !self.started {
            self.started = true;
            sink(Event::Start(Start {
                id: chunk.id.and_then(Text::of),
                model: chunk.model.and_then(Text::of),
                created: chunk.created.map(RawValue::get).and_then(seconds),
                usage: self.usage,
            }));
        }
        if choice.index.is_some_and(|i| i.get() != "0") {
            return Ok(());
        }
        if let Some(delta) = &choice.delta {
            self.delta(delta, sink)?;
        }
        if let Some(json) = choice.finish_reason {
            self.stop = Some(stop_of(json));
        }
        if let Some(text) = choice.stop_reason.and_then(inside) {
            self.stop_sequence = Some(text.to_owned());
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta<'_>, sink: Sink<'_>) -> Result<(), Refusal> {
        // OpenRouter writes the same reasoning under both names.
        if let Some(json) = delta.reasoning_content.or(delta.reasoning) {
            self.words(Key::Thinking, json, sink)?;
        }
        if let Some(json) = delta.content {
            self.words(Key::Text, json, sink)?;
        }
        if let Some(json) = delta.refusal
            && inside(json).is_some_and(|text| !text.is_empty())
        {
            self.refused = true;
            self.words(Key::Text, json, sink)?;
        }
        if let Some(json) = delta.tool_calls {
            let calls: Vec<CallDelta<'_>> = crate::json::from_str(json.get())
                .map_err(|_| error::nonsense("the upstream sent a malformed tool call"))?;
            for call in calls {
                let index = call.index.and_then(|i| i.get().parse().ok());
                let id = call.id.and_then(inside).unwrap_or_default();
                self.call(index, id, call.function.as_ref(), sink)?;
            }
        }
        if let Some(json) = delta.function_call {
            let function: FunctionDelta<'_> = crate::json::from_str(json.get())
                .map_err(|_| error::nonsense("the upstream sent a malformed function call"))?;
            self.call(Some(0), "", Some(&function), sink)?;
        }
        Ok(())
    }

    /// Text or thinking: a string, or, from Mistral, an array of parts.
    fn words(&mut self, key: Key, json: Json<'_>, sink: Sink<'_>) -> Result<(), Refusal> {
        if let Some(text) = inside(json) {
            if text.is_empty() {
                return Ok(());
            }
            return self.blocks.push(
                &Piece {
                    key,
                    id: "",
                    name: "",
                    text,
                },
                sink,
            );
        }
        for part in elements(json).unwrap_or_default() {
            let part = Fields::parse(part.get()).unwrap_or_default();
            if let Some(json) = part.get("text") {
                self.words(key, json, sink)?;
            }
            if let Some(json) = part.get("thinking") {
                self.words(Key::Thinking, json, sink)?;
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        index: Option<u64>,
        id: &str,
        function: Option<&FunctionDelta<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), Refusal> {
        let name = function
            .and_then(|f| f.name)
            .and_then(inside)
            .unwrap_or_default();
        let arguments = function.and_then(|f| f.arguments);
        let mut spelt = BytesMut::new();
        let text = match arguments {
            None => "",
            Some(json) => match inside(json) {
                Some(text) => text,
                // Some servers send an object where JSON in a string is due.
                None => {
                    escape(&mut spelt, json.get());
                    std::str::from_utf8(&spelt).unwrap_or_default()
                }
            },
        };
        let key = Key::Tool(self.calls.place(index, id, name));
        self.blocks.push(
            &Piece {
                key,
                id,
                name,
                text,
            },
            sink,
        )
    }
}
