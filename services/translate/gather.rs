//! An answer that is still arriving, freed of its dialect, for whoever judges it on its way.
use super::{
    event::{Event, Open, Payload},
    read::stream_logprobs,
    stream::Reader,
    text::{split_half, unescape},
};
use crate::{
    chat::{Answer, Logprob, Refusal, StopReason, ToolCall},
    dialect::Dialect,
    sse::Splitter,
};
use bytes::Bytes;

/// One event may be this long; a whole generated image fits.
const EVENT_LIMIT: usize = 16 << 20;

/// Reads a stream of a caller's dialect, frame by frame, as the answer that it brings: so far, and in the end the same that
/// [`read_stream_answer`](super::read_stream_answer) would read from the whole.
///
/// ```
/// use bytes::Bytes;
/// use tierway_services::{dialect::Dialect, translate::AnswerReader};
/// let mut reader = AnswerReader::new(Dialect::ChatCompletions);
/// let chunk = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Par"},"finish_reason":null}]}"#;
/// reader.push(Bytes::from(format!("{chunk}\n\n")));
/// assert_eq!(reader.answer().text, "Par");
/// assert!(!reader.finish());
/// ```
#[derive(Debug)]
pub struct AnswerReader {
    splitter: Splitter,
    dialect: Dialect,
    reader: Reader,
    gathered: Gathered,
    /// Log-probabilities come by another way, so those in the stream are not to be counted again.
    apart: bool,
}

#[derive(Debug, Default)]
struct Gathered {
    answer: Answer,
    size: usize,
    open: Option<Block>,
    /// The first half of a character whose second half is still to come.
    half: String,
    complete: bool,
    error: Option<Refusal>,
    /// All text is one field, even where calls stand between its pieces.
    one_text: bool,
}

/// What is open, as far as an answer tells of it.
#[derive(Clone, Copy, Debug)]
enum Block {
    Text,
    Tool,
    Other,
}

impl AnswerReader {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            splitter: Splitter::new(EVENT_LIMIT),
            dialect,
            reader: Reader::new(dialect),
            gathered: Gathered {
                one_text: dialect == Dialect::ChatCompletions,
                ..Gathered::default()
            },
            apart: false,
        }
    }

    /// Takes a piece of the stream, cut anywhere.
    pub fn push(&mut self, piece: Bytes) {
        if self.splitter.push(piece).is_err() {
            self.gathered.error = Some(super::error::garbage());
        }
        while let Some(event) = self.splitter.next() {
            self.event(&event);
        }
    }

    /// The stream has ended; tells whether the answer has.
    pub fn finish(&mut self) -> bool {
        let rest = Bytes::copy_from_slice(self.splitter.remainder());
        if !rest.is_empty() {
            self.event(&rest);
        }
        if !self.gathered.complete && self.gathered.error.is_none() {
            let Self {
                reader, gathered, ..
            } = self;
            if let Err(error) = reader.finish(&mut |event| gathered.take(event)) {
                gathered.error = Some(error);
            }
        }
        self.gathered.complete && self.gathered.error.is_none()
    }

    /// The answer so far. Tool calls are in it from their name on, with the arguments that have come.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.gathered.answer
    }
    /// The answer.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.gathered.answer
    }
    /// The bytes of text and tool arguments so far.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.gathered.size
    }
    /// Whether the answer has come to its end.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.gathered.complete
    }
    /// The error that broke it off.
    #[must_use]
    pub const fn error(&self) -> Option<&Refusal> {
        self.gathered.error.as_ref()
    }

    /// Adds log-probabilities that came beside the stream; from then on those within it are passed over, as they would be the same.
    pub fn extend_logprobs(&mut self, more: Vec<Logprob>) {
        if more.is_empty() {
            return;
        }
        let logprobs = &mut self.gathered.answer.logprobs;
        if !std::mem::replace(&mut self.apart, true) {
            logprobs.clear();
        }
        logprobs.extend(more);
    }

    fn event(&mut self, event: &[u8]) {
        let Self {
            reader, gathered, ..
        } = self;
        if gathered.complete || gathered.error.is_some() {
            return;
        }
        match Payload::of(event) {
            Payload::Data(data) => {
                if !self.apart {
                    gathered
                        .answer
                        .logprobs
                        .extend(stream_logprobs(self.dialect, data));
                }
                reader.push(data, &mut |event| gathered.take(event));
            }
            Payload::Garbage => gathered.error = Some(super::error::garbage()),
            Payload::Comment | Payload::Nothing => {}
        }
    }
}

impl Gathered {
    fn take(&mut self, event: Event<'_>) {
        let answer = &mut self.answer;
        match event {
            Event::Start(start) => {
                answer.model = start.model.map(|m| m.decode().into_owned());
                answer.usage = start.usage;
            }
            Event::Open(open) => {
                self.open = Some(match open {
                    Open::Text => {
                        if !self.one_text && !answer.text.is_empty() {
                            answer.text.push('\n');
                        }
                        Block::Text
                    }
                    Open::Tool { id, name } => {
                        answer.tool_calls.push(ToolCall {
                            id: id.decode().into_owned(),
                            name: name.decode().into_owned(),
                            arguments: String::new(),
                        });
                        Block::Tool
                    }
                    Open::Thinking => Block::Other,
                });
            }
            Event::Delta(text) => self.delta(text),
            Event::Close => {
                if !std::mem::take(&mut self.half).is_empty() {
                    self.add("\u{fffd}");
                }
                // A tool that is called without arguments has none.
                if let (Some(Block::Tool), Some(call)) =
                    (self.open.take(), self.answer.tool_calls.last_mut())
                    && call.arguments.is_empty()
                {
                    call.arguments.push_str("{}");
                }
            }
            Event::Finish(finish) => {
                answer.stop = Some(finish.stop);
                answer.refused = finish.stop == StopReason::Refusal;
                answer.usage = finish.usage.or(answer.usage);
                self.complete = true;
            }
            Event::Error(refusal) => self.error = Some(refusal),
            Event::Signature(_) | Event::Ping => {}
        }
    }

    fn delta(&mut self, text: &str) {
        let joined = std::mem::take(&mut self.half) + text;
        let (text, half) = split_half(&joined);
        self.half.push_str(half);
        self.add(&unescape(text));
    }

    fn add(&mut self, text: &str) {
        match self.open {
            Some(Block::Text) => self.answer.text.push_str(text),
            Some(Block::Tool) => {
                if let Some(call) = self.answer.tool_calls.last_mut() {
                    call.arguments.push_str(text);
                }
            }
            _ => return,
        }
        self.size += text.len();
    }
}
