//! Cuts a body into events, whatever its framing.
use crate::{
    dialect::Dialect,
    event_stream::{self, retold},
    ndjson,
    providers::Framing,
    sse::{Event, Splitter},
};
use bytes::Bytes;

/// Cuts a body into events. Whatever the framing, what comes out are server-sent events: so the translation knows no other, and a stream
/// that passes untranslated is one already.
#[derive(Debug)]
pub(super) enum Cutter {
    Sse(Splitter),
    Ndjson(ndjson::Splitter),
    EventStream(event_stream::Splitter, Dialect),
}

impl Cutter {
    /// One of a stream in `dialect`, that takes events of at most `limit` bytes.
    pub(super) fn new(framing: Framing, dialect: Dialect, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Splitter::new(limit)),
            Framing::Ndjson => Self::Ndjson(ndjson::Splitter::new(limit)),
            Framing::EventStream => Self::EventStream(event_stream::Splitter::new(limit), dialect),
        }
    }

    /// Takes more of the body.
    ///
    /// # Errors
    /// What the provider did wrong: an event over the limit, or one that cannot be read.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), String> {
        let too_long = || "sent an event over the size limit".to_owned();
        match self {
            Self::Sse(splitter) => splitter.push(chunk).map_err(|_| too_long()),
            Self::Ndjson(splitter) => splitter.push(chunk).map_err(|_| too_long()),
            Self::EventStream(splitter, _) => splitter.push(chunk).map_err(|e| e.to_string()),
        }
    }

    /// The event that a body's end leaves without its own end, if it is one.
    pub(super) fn rest(&self) -> Option<Bytes> {
        match self {
            // Some servers forget the blank line after the last event.
            Self::Sse(splitter) => Event::parse(splitter.remainder())
                .is_some()
                .then(|| ended(splitter.remainder())),
            Self::Ndjson(splitter) => Some(splitter.remainder())
                .filter(|line| !line.is_empty())
                .map(event),
            Self::EventStream(..) => None,
        }
    }
}

impl Iterator for Cutter {
    type Item = Bytes;
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Sse(splitter) => splitter.next(),
            Self::Ndjson(splitter) => splitter.next().map(|line| event(&line)),
            Self::EventStream(splitter, dialect) => {
                splitter.find_map(|message| retold(&message, *dialect))
            }
        }
    }
}

/// A line as an event.
fn event(line: &[u8]) -> Bytes {
    [b"data: ", line, b"\n\n"].concat().into()
}

/// A last event whose blank line was forgotten, with it.
fn ended(event: &[u8]) -> Bytes {
    let end: &[u8] = if event.ends_with(b"\n") {
        b"\n"
    } else {
        b"\n\n"
    };
    [event, end].concat().into()
}
