//! The block of a stream that is open, for readers of dialects that do not say where text and thinking begin and end.
use super::{
    event::{Event, Open, Sink},
    text::{Text, escape},
};
use bytes::BytesMut;

/// The block that grows, if one does.
#[derive(Debug, Default)]
pub(super) struct Growing(Option<Block>);

/// What kind of block grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Text,
    Thinking,
    /// A call, which was announced.
    Call,
}

impl Growing {
    /// More text or thinking (the inside of a JSON string literal): of the block that is open, or of a new one. An empty one says nothing.
    pub(super) fn more(&mut self, block: Block, text: &str, sink: Sink<'_>) {
        if !text.is_empty() {
            self.be(block, sink);
            sink(Event::Delta(text));
        }
    }

    /// The same of plain text.
    pub(super) fn more_plain(&mut self, block: Block, text: &str, sink: Sink<'_>) {
        self.more(block, escaped(text, &mut BytesMut::new()), sink);
    }

    /// The signature of the thinking.
    pub(super) fn sign(&mut self, signature: &str, sink: Sink<'_>) {
        self.be(Block::Thinking, sink);
        sink(Event::Signature(signature));
    }

    /// Announces a call.
    pub(super) fn call(&mut self, id: Text<'_>, name: Option<Text<'_>>, sink: Sink<'_>) {
        self.close(sink);
        self.0 = Some(Block::Call);
        let name = name.unwrap_or(Text::plain(""));
        sink(Event::Open(Open::Tool { id, name }));
    }

    /// A call that comes whole, its arguments as JSON.
    pub(super) fn whole_call(
        &mut self,
        id: Text<'_>,
        name: Option<Text<'_>>,
        arguments: &str,
        sink: Sink<'_>,
    ) {
        self.call(id, name, sink);
        sink(Event::Delta(escaped(arguments, &mut BytesMut::new())));
        self.close(sink);
    }

    /// More arguments of a call. A fragment of one that nobody announced cannot be told whose it is.
    pub(super) fn more_call(&self, text: &str, sink: Sink<'_>) {
        if self.0 == Some(Block::Call) && !text.is_empty() {
            sink(Event::Delta(text));
        }
    }

    /// Nothing grows any more.
    pub(super) fn close(&mut self, sink: Sink<'_>) {
        if self.0.take().is_some() {
            sink(Event::Close);
        }
    }

    fn be(&mut self, block: Block, sink: Sink<'_>) {
        if self.0 == Some(block) {
            return;
        }
        self.close(sink);
        self.0 = Some(block);
        sink(Event::Open(match block {
            Block::Thinking => Open::Thinking,
            _ => Open::Text,
        }));
    }
}

fn escaped<'b>(text: &str, buffer: &'b mut BytesMut) -> &'b str {
    escape(buffer, text);
    std::str::from_utf8(buffer).unwrap_or_default()
}
