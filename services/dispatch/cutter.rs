//! Cuts a body into events, whatever its framing.
use crate::{
    providers::Framing,
    sse::{Event, EventTooLong, Splitter},
};
use bytes::Bytes;

/// Cuts a body into events. Whatever the framing, what comes out are server-sent events: so the translation knows no other, and a stream
/// that passes untranslated is one already.
#[derive(Debug)]
pub(super) enum Cutter {
    Sse(Splitter),
    /// A framing that cannot be cut.
    Unknown,
}

impl Cutter {
    /// One that takes events of at most `limit` bytes.
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Splitter::new(limit)),
            Framing::EventStream | Framing::Ndjson => Self::Unknown,
        }
    }

    /// Takes more of the body.
    ///
    /// # Errors
    /// An event over the limit.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), EventTooLong> {
        match self {
            Self::Sse(splitter) => splitter.push(chunk),
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
            Self::Unknown => None,
        }
    }
}

impl Iterator for Cutter {
    type Item = Bytes;
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Sse(splitter) => splitter.next(),
            Self::Unknown => None,
        }
    }
}
