//! A stream of Messages, written from the intermediate form.
use super::{STOP, stop_word, usage};
use crate::{
    chat::{StopReason, Usage},
    dialect::Dialect,
    translate::{
        event::{Event, Finish, Open, Start},
        ids,
        json::{Object, write_number},
        text::Text,
    },
};
use bytes::{BufMut, BytesMut};

#[derive(Debug)]
pub(crate) struct Writer {
    /// The prompt's tokens, where the upstream tells them only at the end.
    input_estimate: u64,
    started: bool,
    /// The index of the open block, or of the next.
    index: u64,
    open: &'static [u8],
    /// The bytes of output, for an estimate where the upstream never tells.
    output: usize,
}

/// What stands between a delta's index and its text, by kind of block.
const TEXT: &[u8] = b",\"delta\":{\"type\":\"text_delta\",\"text\":\"";
const THINKING: &[u8] = b",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"";
const CALL: &[u8] = b",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"";
const SIGNATURE: &[u8] = b",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"";

impl Writer {
    pub(crate) fn new(input_estimate: u64) -> Self {
        Self {
            input_estimate: input_estimate.max(1),
            started: false,
            index: 0,
            open: TEXT,
            output: 0,
        }
    }

    pub(crate) fn write(&mut self, event: Event<'_>, out: &mut BytesMut) {
        match event {
            Event::Start(start) => {
                self.started = true;
                self.start(&start, out);
            }
            Event::Open(open) => self.open(&open, out),
            Event::Delta(text) => {
                self.output += text.len();
                self.delta(self.open, text, out);
            }
            Event::Signature(text) => self.delta(SIGNATURE, text, out),
            Event::Close => {
                out.put_slice(
                    b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
                );
                write_number(out, self.index);
                out.put_slice(b"}\n\n");
                self.index += 1;
            }
            Event::Finish(finish) => self.finish(&finish, out),
            Event::Error(refusal) => out.put_slice(&refusal.event(Dialect::Messages)),
            Event::Ping if self.started => {
                out.put_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
            }
            // Nothing may come before `message_start`, but a comment is no event.
            Event::Ping => out.put_slice(b": ping\n\n"),
        }
    }

    fn start(&self, start: &Start<'_>, out: &mut BytesMut) {
        out.put_slice(b"event: message_start\ndata: ");
        {
            let mut event = Object::new(out);
            event.str("type", "message_start");
            let mut message = event.object("message");
            message.str("id", &ids::answer_id("msg_", start.id.as_ref()));
            message.str("type", "message");
            message.str("role", "assistant");
            message.text("model", start.model.as_ref().unwrap_or(&Text::plain("")));
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            let told = start.usage.filter(|usage| usage.input_total() > 0);
            let usage = Usage {
                output: 1,
                ..told.unwrap_or(Usage {
                    input: self.input_estimate,
                    ..Usage::default()
                })
            };
            usage::write(&usage, &mut message.object("usage"));
        }
        out.put_slice(b"\n\n");
    }

    fn open(&mut self, open: &Open<'_>, out: &mut BytesMut) {
        out.put_slice(b"event: content_block_start\ndata: ");
        {
            let mut event = Object::new(out);
            event.str("type", "content_block_start");
            event.number("index", self.index);
            let mut block = event.object("content_block");
            match open {
                Open::Text => {
                    self.open = TEXT;
                    block.str("type", "text");
                    block.str("text", "");
                }
                Open::Thinking => {
                    self.open = THINKING;
                    block.str("type", "thinking");
                    block.str("thinking", "");
                    block.str("signature", "");
                }
                Open::Tool { id, name } => {
                    self.open = CALL;
                    block.str("type", "tool_use");
                    block.str("id", &ids::given_id(id));
                    block.text("name", name);
                    block.raw("input", "{}");
                }
            }
        }
        out.put_slice(b"\n\n");
    }

    fn delta(&self, kind: &[u8], text: &str, out: &mut BytesMut) {
        out.put_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        write_number(out, self.index);
        out.put_slice(kind);
        out.put_slice(text.as_bytes());
        out.put_slice(b"\"}}\n\n");
    }

    fn finish(&self, finish: &Finish<'_>, out: &mut BytesMut) {
        out.put_slice(b"event: message_delta\ndata: ");
        {
            let mut event = Object::new(out);
            event.str("type", "message_delta");
            {
                let mut delta = event.object("delta");
                delta.str("stop_reason", stop_word(finish.stop));
                match &finish.stop_sequence {
                    Some(text) if finish.stop == StopReason::StopSequence => {
                        delta.text("stop_sequence", text);
                    }
                    _ => delta.raw("stop_sequence", "null"),
                }
            }
            let mut told = event.object("usage");
            match finish.usage {
                Some(usage) if usage.input_total() > 0 => usage::write(&usage, &mut told),
                // What was said of the input at the start stays as it is.
                Some(usage) => told.number("output_tokens", usage.output),
                // The dialect demands a number here; four bytes a token is near enough.
                None => told.number("output_tokens", self.output.div_ceil(4) as u64),
            }
        }
        out.put_slice(b"\n\n");
        out.put_slice(STOP);
    }
}
