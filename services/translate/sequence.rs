//! Putting blocks in a row.
//!
//! In a stream of chat completions, text, thinking and every tool call are fields that may grow side by side. In the intermediate form one
//! block is open at a time. A block can give way once it is complete: text and thinking always are, a tool call's arguments when their JSON
//! is. What comes for another block before that waits.
use super::{
    error,
    event::{Event, Open, Sink},
    ids,
    text::{Text, Unit, Units, unescape},
};
use crate::chat::Refusal;

/// The most that may wait.
const MOST_WAITING: usize = 32 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Text,
    Thinking,
    Tool(usize),
}

/// What a stream brings for one block. All texts are insides of JSON string literals.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) key: Key,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Sequencer {
    open: Option<(Key, JsonEnd)>,
    waiting: Vec<Waiting>,
    /// Tool calls that are closed.
    closed: Vec<usize>,
    /// Whether any tool is called.
    pub(crate) calls: bool,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    id: String,
    name: String,
    text: String,
}

impl Sequencer {
    /// Takes a piece of a block.
    pub(crate) fn push(&mut self, piece: &Piece<'_>, sink: Sink<'_>) -> Result<(), Refusal> {
        if let Some((key, end)) = &mut self.open
            && *key == piece.key
        {
            add(end, piece.text, sink);
            self.promote(sink);
            return Ok(());
        }
        if let Key::Tool(call) = piece.key {
            self.calls = true;
            if self.closed.contains(&call) {
                return if unescape(piece.text).trim().is_empty() {
                    Ok(())
                } else {
                    Err(error::nonsense(
                        "the upstream sent more arguments for a tool call that was complete",
                    ))
                };
            }
        }
        let named = !matches!(piece.key, Key::Tool(_)) || !piece.name.is_empty();
        if self.waiting.is_empty() && named && self.can_close() {
            self.close(sink);
            self.start(piece.key, piece.id, piece.name, piece.text, sink);
            return Ok(());
        }
        self.wait(piece)?;
        self.promote(sink);
        Ok(())
    }

    /// Signs the open block and closes it, if it is a thinking one.
    pub(crate) fn sign(&mut self, signature: &str, sink: Sink<'_>) {
        if matches!(self.open, Some((Key::Thinking, _))) {
            sink(Event::Signature(signature));
            self.close(sink);
            self.promote(sink);
        }
    }

    /// Nothing more comes: closes what is open and delivers what waits.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) {
        self.close(sink);
        for block in std::mem::take(&mut self.waiting) {
            self.start(block.key, &block.id, &block.name, &block.text, sink);
            self.close(sink);
        }
    }

    fn can_close(&self) -> bool {
        match &self.open {
            Some((Key::Tool(_), end)) => end.reached(),
            _ => true,
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        if let Some((key, _)) = self.open.take() {
            if let Key::Tool(call) = key {
                self.closed.push(call);
            }
            sink(Event::Close);
        }
    }

    fn start(&mut self, key: Key, id: &str, name: &str, text: &str, sink: Sink<'_>) {
        let made;
        sink(Event::Open(match key {
            Key::Text => Open::Text,
            Key::Thinking => Open::Thinking,
            Key::Tool(_) => Open::Tool {
                id: if id.is_empty() {
                    made = format!("call_{}", ids::fresh());
                    Text::plain(&made)
                } else {
                    Text::Escaped(id.into())
                },
                name: Text::Escaped(name.into()),
            },
        }));
        let mut end = JsonEnd::default();
        add(&mut end, text, sink);
        self.open = Some((key, end));
    }

    fn wait(&mut self, piece: &Piece<'_>) -> Result<(), Refusal> {
        let all: usize = self.waiting.iter().map(|w| w.text.len()).sum();
        if all + piece.text.len() > MOST_WAITING {
            return Err(error::nonsense(
                "the upstream mixed tool calls of more than 32 MiB",
            ));
        }
        // Text that follows other waiting blocks is a block of its own.
        let place = match piece.key {
            Key::Tool(_) => self.waiting.iter_mut().find(|w| w.key == piece.key),
            _ => self.waiting.last_mut().filter(|w| w.key == piece.key),
        };
        match place {
            Some(block) => {
                block.text.push_str(piece.text);
                if block.id.is_empty() {
                    block.id.push_str(piece.id);
                }
                if block.name.is_empty() {
                    block.name.push_str(piece.name);
                }
            }
            None => self.waiting.push(Waiting {
                key: piece.key,
                id: piece.id.to_owned(),
                name: piece.name.to_owned(),
                text: piece.text.to_owned(),
            }),
        }
        Ok(())
    }

    /// Opens what waits, as far as the open block can give way.
    fn promote(&mut self, sink: Sink<'_>) {
        while self.can_close()
            && self
                .waiting
                .first()
                .is_some_and(|w| !matches!(w.key, Key::Tool(_)) || !w.name.is_empty())
        {
            self.close(sink);
            let block = self.waiting.remove(0);
            self.start(block.key, &block.id, &block.name, &block.text, sink);
        }
    }
}

fn add(end: &mut JsonEnd, text: &str, sink: Sink<'_>) {
    if !text.is_empty() {
        end.feed(text);
        sink(Event::Delta(text));
    }
}

/// Watches JSON text go by, to know when the value in it is complete.
#[derive(Debug, Default)]
struct JsonEnd {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl JsonEnd {
    fn feed(&mut self, literal: &str) {
        for unit in Units(literal) {
            match unit {
                Unit::Run(run) => run.bytes().for_each(|b| self.byte(b)),
                Unit::Char(c) => self.byte(u8::try_from(c).unwrap_or(b'x')),
                Unit::Surrogate(_) => self.byte(b'x'),
            }
        }
    }
    const fn byte(&mut self, byte: u8) {
        if self.in_string {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
            }
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    const fn reached(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[(Key, &str, &str)]) -> String {
        let mut sequencer = Sequencer::default();
        let mut seen = String::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Open(Open::Text) => seen.push_str("<text>"),
            Event::Open(Open::Thinking) => seen.push_str("<thinking>"),
            Event::Open(Open::Tool { name, .. }) => {
                seen.push_str(&format!("<{}>", name.decode()));
            }
            Event::Delta(text) => seen.push_str(text),
            Event::Close => seen.push_str("</>"),
            _ => {}
        };
        for &(key, name, text) in pieces {
            let piece = Piece {
                key,
                id: "i",
                name,
                text,
            };
            sequencer.push(&piece, &mut sink).unwrap();
        }
        sequencer.finish(&mut sink);
        seen
    }

    #[test]
    fn blocks_in_a_row_pass_at_once() {
        assert_eq!(
            run(&[
                (Key::Thinking, "", "hm"),
                (Key::Text, "", "a"),
                (Key::Text, "", "b"),
                (Key::Tool(0), "f", ""),
                (Key::Tool(0), "", "{}"),
                (Key::Tool(1), "g", "{"),
                (Key::Tool(1), "", "}"),
                (Key::Text, "", "c")
            ]),
            "<thinking>hm</><text>ab</><f>{}</><g>{}</><text>c</>"
        );
    }

    #[test]
    fn mixed_calls_are_put_in_a_row() {
        assert_eq!(
            run(&[
                (Key::Tool(0), "f", r#"{\"a"#),
                (Key::Tool(1), "g", r#"{\"b\":"#),
                (Key::Text, "", "x"),
                (Key::Tool(0), "", r#"\":\"}\""#),
                (Key::Tool(1), "", "1}"),
                (Key::Tool(0), "", "}"),
                (Key::Text, "", "y")
            ]),
            r#"<f>{\"a\":\"}\"}</><g>{\"b\":1}</><text>xy</>"#
        );
    }

    #[test]
    fn a_call_waits_for_its_name() {
        assert_eq!(
            run(&[(Key::Tool(0), "", "{"), (Key::Tool(0), "f", "}")]),
            "<f>{}</>"
        );
    }

    #[test]
    fn a_call_that_never_ends_is_delivered_as_it_is() {
        assert_eq!(
            run(&[(Key::Tool(0), "f", "{"), (Key::Tool(1), "g", "x")]),
            "<f>{</><g>x</>"
        );
    }
}
