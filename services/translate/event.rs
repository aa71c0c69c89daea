//! The intermediate form of a stream: what any dialect's events come down to.
//!
//! Readers deliver, and writers may rely on: one [`Start`](Event::Start) first; then blocks, one open at a time, each
//! [opened](Event::Open), added to and [closed](Event::Close); last one [`Finish`](Event::Finish), or at any place one
//! [`Error`](Event::Error). Only a [`Ping`](Event::Ping) may come before the start.
use super::text::Text;
use crate::{
    chat::{Refusal, StopReason, Usage},
    sse,
};

/// One event.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    Start(Start<'a>),
    Open(Open<'a>),
    /// More of the open block: the inside of a JSON string literal.
    Delta(&'a str),
    /// The signature of the open block, which is a thinking one.
    Signature(&'a str),
    Close,
    Finish(Finish<'a>),
    Error(Refusal),
    Ping,
}

/// What an answer is.
#[derive(Debug, Default)]
pub(crate) struct Start<'a> {
    pub(crate) id: Option<Text<'a>>,
    pub(crate) model: Option<Text<'a>>,
    /// Seconds since 1970, as the upstream wrote them.
    pub(crate) created: Option<&'a str>,
    pub(crate) usage: Option<Usage>,
}

/// A block's beginning.
#[derive(Debug)]
pub(crate) enum Open<'a> {
    Text,
    Thinking,
    Tool { id: Text<'a>, name: Text<'a> },
}

/// How an answer ended.
#[derive(Debug)]
pub(crate) struct Finish<'a> {
    pub(crate) stop: StopReason,
    pub(crate) stop_sequence: Option<Text<'a>>,
    pub(crate) usage: Option<Usage>,
}

/// Whoever takes events.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

/// What an upstream's event holds.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Data(&'a str),
    /// A comment, which keeps the connection alive.
    Comment,
    Nothing,
    /// Bytes that are no text.
    Garbage,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(event: &'a [u8]) -> Self {
        if let Some(event) = sse::Event::parse(event) {
            return if event.data.trim().is_empty() {
                Self::Nothing
            } else {
                Self::Data(event.data)
            };
        }
        if event.starts_with(b":") {
            return Self::Comment;
        }
        match std::str::from_utf8(event) {
            // Older llama.cpp servers tell errors in a field of their own.
            Ok(text) => match text.trim().strip_prefix("error:") {
                Some(data) => Self::Data(data.trim()),
                None => Self::Nothing,
            },
            Err(_) => Self::Garbage,
        }
    }
}
