//! Answering from an entry.
use super::{Entry, Recorded, record::events};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header::CONTENT_TYPE};
use tierway_services::{
    chat::{self, Facts, Reply},
    dialect::Dialect,
    translate,
};

/// The answer that `entry` holds, as a stream or whole, as `facts` ask; `None` where it cannot be brought into that form.
pub(super) fn replay(entry: &Entry, facts: &Facts) -> Option<chat::Response> {
    let body = body(&entry.body, facts)?;
    let mut res = chat::Response::new(Reply::whole(body));
    let headers = res.headers_mut();
    for (name, value) in &entry.headers {
        headers.insert(name.clone(), value.clone());
    }
    let form = if facts.stream {
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

fn body(recorded: &Recorded, facts: &Facts) -> Option<Bytes> {
    let dialect = facts.dialect;
    // Streams are kept as such only where they tell their usage; chat completions tell it to those alone who ask.
    let usage = facts.stream_options.as_ref().is_some_and(|(_, asks)| *asks);
    let verbatim = dialect != Dialect::ChatCompletions || usage;
    match (recorded, facts.stream) {
        (Recorded::Whole(whole), false) => Some(whole.clone()),
        (Recorded::Whole(whole), true) => stream(dialect, whole, usage),
        (Recorded::Events(events), true) if verbatim => Some(events.clone()),
        (Recorded::Events(events), true) => stream(dialect, &fold(dialect, events)?, usage),
        (Recorded::Events(events), false) => fold(dialect, events),
    }
}

fn fold(dialect: Dialect, recorded: &Bytes) -> Option<Bytes> {
    translate::to_whole(dialect, &events(recorded)?)
}

fn stream(dialect: Dialect, whole: &[u8], include_usage: bool) -> Option<Bytes> {
    let events = translate::to_stream(dialect, whole, include_usage)?;
    let mut out = BytesMut::with_capacity(events.iter().map(Bytes::len).sum());
    for event in &events {
        out.extend_from_slice(event);
    }
    Some(out.freeze())
}
