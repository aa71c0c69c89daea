//! Cuts a body into events, whatever its framing.
use crate::{
    ndjson,
    providers::Framing,
    sse::{Event, Splitter},
};
use bytes::Bytes;

/// An event that grew over the limit without ending.
#[derive(Debug)]
pub(super) struct TooLong(());

/// Cuts a body into events. Whatever the framing, what comes out are server-sent events: so the translation knows no other, and a stream
/// that passes untranslated is one already.
#[derive(Debug)]
pub(super) enum Cutter {
    Sse(Splitter),
    Ndjson(ndjson::Splitter),
    /// A framing that cannot be cut.
    Unknown,
}

impl Cutter {
    /// One that takes events of at most `limit` bytes.
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Splitter::new(limit)),
            Framing::Ndjson => Self::Ndjson(ndjson::Splitter::new(limit)),
            Framing::EventStream => Self::Unknown,
        }
    }

    /// Takes more of the body.
    ///
    /// # Errors
    /// An event over the limit.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), TooLong> {
        match self {
            Self::Sse(splitter) => splitter.push(chunk).map_err(|_| TooLong(())),
            Self::Ndjson(splitter) => splitter.push(chunk).map_err(|_| TooLong(())),
            Self::Unknown => Ok(()),
        }
    }

    /// The event that a body's end leaves without its own end, if it is one.
    pub(super) fn rest(&self) -> Option<Bytes> {
        match self {
            // Some servers forget the blank line after the last event.
            Self::Sse(splitter) => Event::parse(splitter.remainder())
                .is_some()
                .then(|| super::ended(splitter.remainder())),
            Self::Ndjson(splitter) => Some(splitter.remainder())
                .filter(|line| !line.is_empty())
                .map(event),
            Self::Unknown => None,
        }
    }
}

impl Iterator for Cutter {
    type Item = Bytes;
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Sse(splitter) => splitter.next(),
            Self::Ndjson(splitter) => splitter.next().map(|line| event(&line)),
            Self::Unknown => None,
        }
    }
}

/// A line as an event.
fn event(line: &[u8]) -> Bytes {
    [b"data: ", line, b"\n\n"].concat().into()
}
