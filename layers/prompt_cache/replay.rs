//! Answering from an entry.
use super::{Entry, Recorded, record::events};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header::CONTENT_TYPE};
use tierway_services::{
    chat::{self, Prompt, Reply},
    dialect::Dialect,
    translate,
};

/// The answer that `entry` holds, as a stream or whole and in the dialect in which `prompt` asks; `None` where it cannot be brought into
/// that form.
pub(super) fn replay(entry: &Entry, prompt: &Prompt) -> Option<chat::Response> {
    let body = body(entry, prompt)?;
    let mut res = chat::Response::new(Reply::whole(body));
    let headers = res.headers_mut();
    for (name, value) in &entry.headers {
        headers.insert(name.clone(), value.clone());
    }
    let form = if prompt.facts().stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let kept = headers.get(CONTENT_TYPE);
    if !kept.is_some_and(|t| t.as_bytes().starts_with(form.as_bytes())) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
    }
    Some(res)
}

fn body(entry: &Entry, prompt: &Prompt) -> Option<Bytes> {
    let facts = prompt.facts();
    let (from, to) = (entry.dialect, facts.dialect);
    // Streams are kept as such only where they tell their usage; chat completions tell it to those alone who ask.
    let usage = facts.stream_options.as_ref().is_some_and(|(_, asks)| *asks);
    let verbatim = to != Dialect::ChatCompletions || usage;
    let whole = match &entry.body {
        Recorded::Whole(whole) => whole.clone(),
        Recorded::Events(events) if from == to && facts.stream && verbatim => {
            return Some(events.clone());
        }
        Recorded::Events(recorded) => translate::to_whole(from, &events(recorded)?)?,
    };
    let whole = if from == to {
        whole
    } else {
        translate::answer(from, to, &whole, prompt).ok()?.0
    };
    if !facts.stream {
        return Some(whole);
    }
    let events = translate::to_stream(to, &whole, usage)?;
    let mut out = BytesMut::with_capacity(events.iter().map(Bytes::len).sum());
    for event in &events {
        out.extend_from_slice(event);
    }
    Some(out.freeze())
}
