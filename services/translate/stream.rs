//! One stream, on its way from an upstream to a caller.
use super::{
    Summary, completions, converse, error,
    event::{Event, Open, Payload, Sink, Start},
    gemini, ids, messages,
    observe::Observer,
    ollama, responses,
    text::{Text, paired, split_half},
    wants_functions, wants_usage,
};
use crate::{
    chat::{Prompt, Refusal, Usage, Usd},
    dialect::Dialect,
};
use bytes::{Bytes, BytesMut};

/// Takes an upstream's stream event by event and gives the events for the caller, in the caller's dialect, while it gathers the
/// [`Summary`] of the answer.
///
/// Where both speak the same dialect the very bytes pass, save for usage that the caller did not ask for. Whatever comes in, what goes out
/// obeys the grammar of the caller's dialect.
///
/// ```
/// use bytes::Bytes;
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect, translate::StreamTranslator};
/// let body = Bytes::from_static(br#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
/// let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body).unwrap();
/// let mut stream = StreamTranslator::new(Dialect::Messages, Dialect::Messages, &prompt, 1);
/// let mut out = Vec::new();
/// let event = Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
/// stream.push(event.clone(), &mut out);
/// assert_eq!(out[0].as_ptr(), event.as_ptr());
/// assert!(stream.finish(&mut out).is_ok() && stream.summary().complete);
/// ```
#[derive(Debug)]
pub struct StreamTranslator {
    summary: Summary,
    cost: Option<Usd>,
    output_bytes: u64,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Same(Observer),
    Across(Box<Crossing>),
}

/// The way from one dialect to another.
#[derive(Debug)]
struct Crossing {
    reader: Reader,
    writer: Writer,
    /// The model that the caller asked for.
    model: Box<str>,
    /// The names under which the caller offered its tools. The request itself is not kept, for it may be long and the stream, too.
    tools: ids::Renamed,
    started: bool,
    /// The first half of a character whose second half is still to come.
    half: String,
    buffer: BytesMut,
}

/// What takes the reader's events.
struct Writing<'c> {
    writer: &'c mut Writer,
    model: &'c str,
    tools: &'c ids::Renamed,
    started: &'c mut bool,
    half: &'c mut String,
    buffer: &'c mut BytesMut,
}

#[derive(Debug)]
pub(super) enum Reader {
    Messages(messages::stream_in::Reader),
    ChatCompletions(completions::stream_in::Reader),
    Responses(responses::stream_in::Reader),
    Converse(converse::Reader),
    Gemini(gemini::Reader),
    Ollama(ollama::Reader),
}

#[derive(Debug)]
enum Writer {
    Messages(messages::stream_out::Writer),
    ChatCompletions(completions::stream_out::Writer),
    Responses(Box<responses::stream_out::Writer>),
}

// === impl StreamTranslator ===

impl StreamTranslator {
    /// A translator of one answer to `prompt`. `input_estimate` stands for the prompt's tokens where the caller's dialect tells them at the
    /// start and the upstream only at the end.
    #[must_use]
    pub fn new(from: Dialect, to: Dialect, prompt: &Prompt, input_estimate: u64) -> Self {
        let way = if from == to {
            Way::Same(Observer::new(from, prompt))
        } else {
            Way::Across(Box::new(Crossing {
                reader: Reader::new(from),
                writer: Writer::new(to, prompt, input_estimate),
                model: prompt.facts().model.as_str().into(),
                tools: ids::Renamed::of(prompt),
                started: false,
                half: String::new(),
                // Blocks of this size are allocated as the stream goes, not one for each event; one is held while nothing comes.
                buffer: BytesMut::with_capacity(1024),
            }))
        };
        Self {
            summary: Summary::default(),
            cost: None,
            output_bytes: 0,
            way,
        }
    }

    /// Takes one whole event, as [`sse::Splitter`](crate::sse::Splitter) cuts them, and appends what the caller is to get. What comes after
    /// the end of the answer, or after an error, is dropped.
    ///
    /// An upstream may end without its last blank line: what the splitter then still [holds](crate::sse::Splitter::remainder) is an event
    /// as well.
    pub fn push(&mut self, event: Bytes, out: &mut Vec<Bytes>) {
        if self.summary.complete || self.summary.error.is_some() {
            return;
        }
        match &mut self.way {
            Way::Same(observer) => {
                let brought = observer.push(event, &mut self.summary, out);
                self.cost = observer.cost;
                self.output_bytes += brought as u64;
            }
            Way::Across(crossing) => {
                let (reader, mut writing) = crossing.split();
                let mut sink = |event: Event<'_>| {
                    if let Some(event) = sound(event, &self.summary) {
                        tally(&event, &mut self.summary, &mut self.output_bytes);
                        writing.write(event);
                    }
                };
                match Payload::of(&event) {
                    Payload::Data(data) => reader.push(data, &mut sink),
                    Payload::Comment => sink(Event::Ping),
                    Payload::Garbage => sink(Event::Error(error::garbage())),
                    Payload::Nothing => {}
                }
                self.cost = crossing.reader.cost();
                crossing.deliver(out);
            }
        }
    }

    /// The upstream's body has ended: closes what must be closed. To be called also where the body broke off, since all that matters may
    /// have come before. After an error event was passed on there is nothing left to say, and this is `Ok`.
    ///
    /// # Errors
    /// A [`Refusal`] where the stream ended before its answer did; its [event](Refusal::event) is what the caller should get next.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if self.summary.complete || self.summary.error.is_some() {
            return Ok(());
        }
        match &mut self.way {
            Way::Same(observer) if self.summary.stop.is_some() => {
                out.push(observer.terminal());
                self.summary.complete = true;
                Ok(())
            }
            Way::Same(_) => Err(error::cut()),
            Way::Across(crossing) => {
                let (reader, mut writing) = crossing.split();
                let mut sink = |event: Event<'_>| {
                    if let Some(event) = sound(event, &self.summary) {
                        tally(&event, &mut self.summary, &mut self.output_bytes);
                        writing.write(event);
                    }
                };
                let end = reader.finish(&mut sink);
                self.summary.usage = reader.usage().or(self.summary.usage);
                self.cost = crossing.reader.cost();
                crossing.deliver(out);
                end
            }
        }
    }

    /// What the answer has said about itself so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What the answer cost, where its provider has said so.
    #[must_use]
    pub const fn cost(&self) -> Option<Usd> {
        self.cost
    }

    /// The bytes of text, thinking and tool arguments seen so far, for an estimate where the stream ends before its usage is told.
    #[must_use]
    pub const fn output_bytes(&self) -> u64 {
        self.output_bytes
    }
}

/// The event as a writer may have it: nothing after an error, and no call that nobody could run.
fn sound<'a>(event: Event<'a>, so_far: &Summary) -> Option<Event<'a>> {
    match event {
        _ if so_far.error.is_some() => None,
        Event::Open(Open::Tool { name, .. }) if name.is_blank() => {
            Some(Event::Error(error::nameless()))
        }
        event => Some(event),
    }
}

/// Notes what an event says about the answer.
fn tally(event: &Event<'_>, summary: &mut Summary, output: &mut u64) {
    match event {
        Event::Start(start) => {
            let owned = |text: &Option<Text<'_>>| Some(text.as_ref()?.decode().into_owned());
            summary.id = owned(&start.id);
            summary.model = owned(&start.model);
            summary.usage = start.usage;
        }
        Event::Delta(text) => *output += text.len() as u64,
        Event::Finish(finish) => {
            summary.stop = Some(finish.stop);
            summary.usage = finish.usage.or(summary.usage);
            summary.complete = true;
        }
        Event::Error(refusal) => summary.error = Some(refusal.clone()),
        Event::Open(_) | Event::Signature(_) | Event::Close | Event::Ping => {}
    }
}

// === impl Crossing, Reader, Writer ===

impl Crossing {
    fn split(&mut self) -> (&mut Reader, Writing<'_>) {
        let writing = Writing {
            writer: &mut self.writer,
            model: &self.model,
            tools: &self.tools,
            started: &mut self.started,
            half: &mut self.half,
            buffer: &mut self.buffer,
        };
        (&mut self.reader, writing)
    }

    fn deliver(&mut self, out: &mut Vec<Bytes>) {
        if !self.buffer.is_empty() {
            out.push(self.buffer.split().freeze());
        }
    }
}

impl Writing<'_> {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(_) if std::mem::replace(self.started, true) => return,
            // Some upstreams begin in the middle.
            Event::Open(_) | Event::Finish(_) if !*self.started => {
                self.write(Event::Start(Start::default()));
            }
            _ => {}
        }
        match event {
            // Where the provider does not say which model answers, the caller hears the name that it asked for.
            Event::Start(start) if start.model.is_none() => {
                let model = Some(Text::plain(self.model));
                self.pass(Event::Start(Start { model, ..start }));
            }
            // A tool gets the name under which the caller offered it, and its call an id where it has none.
            Event::Open(Open::Tool { id, name }) => {
                let id = ids::given(id);
                let name = self.tools.restored(name);
                self.pass(Event::Open(Open::Tool { id, name }));
            }
            Event::Delta(text) => self.delta(text),
            Event::Close => {
                if !std::mem::take(self.half).is_empty() {
                    self.pass(Event::Delta("\\ufffd"));
                }
                self.pass(Event::Close);
            }
            event => self.pass(event),
        }
    }

    /// Servers written in JavaScript cut a character outside the basic plane in two, and strict clients refuse JSON with half of one.
    fn delta(&mut self, text: &str) {
        let joined;
        let text = if self.half.is_empty() {
            text
        } else {
            joined = std::mem::take(self.half) + text;
            &joined
        };
        let (text, half) = split_half(text);
        self.half.push_str(half);
        if !text.is_empty() {
            self.pass(Event::Delta(&paired(text)));
        }
    }

    fn pass(&mut self, event: Event<'_>) {
        self.writer.write(event, self.buffer);
    }
}

impl Reader {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(messages::stream_in::Reader::default()),
            Dialect::ChatCompletions => {
                Self::ChatCompletions(completions::stream_in::Reader::default())
            }
            Dialect::Responses => Self::Responses(responses::stream_in::Reader::default()),
            Dialect::Converse => Self::Converse(converse::Reader::default()),
            Dialect::Gemini => Self::Gemini(gemini::Reader::default()),
            Dialect::Ollama => Self::Ollama(ollama::Reader::default()),
        }
    }
    pub(super) fn push(&mut self, data: &str, sink: Sink<'_>) {
        match self {
            Self::Messages(reader) => reader.push(data, sink),
            Self::ChatCompletions(reader) => reader.push(data, sink),
            Self::Responses(reader) => reader.push(data, sink),
            Self::Converse(reader) => reader.push(data, sink),
            Self::Gemini(reader) => reader.push(data, sink),
            Self::Ollama(reader) => reader.push(data, sink),
        }
    }
    pub(super) fn finish(&mut self, sink: Sink<'_>) -> Result<(), Refusal> {
        match self {
            Self::Messages(reader) => reader.finish(sink),
            Self::ChatCompletions(reader) => reader.finish(sink),
            Self::Responses(reader) => reader.finish(sink),
            Self::Converse(reader) => reader.finish(sink),
            Self::Gemini(reader) => reader.finish(sink),
            Self::Ollama(reader) => reader.finish(sink),
        }
    }
    const fn cost(&self) -> Option<Usd> {
        match self {
            Self::ChatCompletions(reader) => reader.cost,
            _ => None,
        }
    }
    const fn usage(&self) -> Option<Usage> {
        match self {
            Self::Messages(reader) => reader.usage,
            Self::ChatCompletions(reader) => reader.usage,
            Self::Responses(reader) => reader.usage,
            Self::Converse(reader) => reader.usage,
            Self::Gemini(reader) => reader.usage,
            Self::Ollama(reader) => reader.usage,
        }
    }
}

impl Writer {
    fn new(dialect: Dialect, prompt: &Prompt, input_estimate: u64) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(messages::stream_out::Writer::new(input_estimate)),
            Dialect::Responses => Self::Responses(Box::new(responses::stream_out::Writer::new(
                prompt,
                input_estimate,
            ))),
            // Nobody calls in the dialects of providers alone.
            _ => Self::ChatCompletions(completions::stream_out::Writer::new(
                wants_usage(prompt),
                wants_functions(prompt),
            )),
        }
    }
    fn write(&mut self, event: Event<'_>, out: &mut BytesMut) {
        match self {
            Self::Messages(writer) => writer.write(event, out),
            Self::ChatCompletions(writer) => writer.write(event, out),
            Self::Responses(writer) => writer.write(event, out),
        }
    }
}
