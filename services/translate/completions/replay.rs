//! A whole chat completions answer, told again as a stream. Fields that nobody knows are kept.
use super::DONE;
use crate::translate::{
    json::{Array, Fields, Object, elements, write_raw},
    text::escape,
};
use bytes::{BufMut, Bytes, BytesMut};

pub(crate) fn to_stream(whole: &str, include_usage: bool) -> Option<Vec<Bytes>> {
    let fields = Fields::parse(whole)?;
    let choices = elements(fields.get("choices")?)?;
    let mut events = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        let choice = Fields::parse(choice.get())?;
        let message = choice.object("message")?;
        // The role, then all there is in one delta, then the end: a stream may come in pieces of any size.
        chunk(&fields, include_usage, &mut events, |list| {
            let mut object = list.object();
            object.number("index", index as u64);
            let mut delta = object.object("delta");
            delta.str("role", "assistant");
            delta.str("content", "");
            drop(delta);
            object.raw("logprobs", "null");
            object.raw("finish_reason", "null");
        });
        let holds = message
            .0
            .iter()
            .any(|(name, json)| name != "role" && json.get() != "null");
        if holds {
            chunk(&fields, include_usage, &mut events, |list| {
                let mut object = list.object();
                object.number("index", index as u64);
                write_delta(&message, object.object("delta"));
                object.raw(
                    "logprobs",
                    choice.get("logprobs").map_or("null", |l| l.get()),
                );
                object.raw("finish_reason", "null");
            });
        }
        chunk(&fields, include_usage, &mut events, |list| {
            let mut object = list.object();
            object.number("index", index as u64);
            object.raw("delta", "{}");
            for (name, json) in &choice.0 {
                if !matches!(&**name, "index" | "message" | "logprobs") {
                    object.raw(name, json.get());
                }
            }
        });
    }
    if let Some(usage) = fields.get("usage").filter(|_| include_usage) {
        let mut out = begin(&fields);
        out.put_slice(b"\"choices\":[],\"usage\":");
        write_raw(&mut out, usage.get());
        out.put_slice(b"}\n\n");
        events.push(out.freeze());
    }
    events.push(Bytes::from_static(DONE));
    Some(events)
}

/// A message's fields as one delta; its tool calls get the indexes that deltas need.
fn write_delta(message: &Fields<'_>, mut delta: Object<'_>) {
    for (name, json) in &message.0 {
        match (&**name, elements(json)) {
            ("role", _) => {}
            ("tool_calls", Some(calls)) => {
                let mut list = delta.array("tool_calls");
                for (i, call) in calls.into_iter().enumerate() {
                    let mut object = list.object();
                    object.number("index", i as u64);
                    for (name, json) in Fields::parse(call.get()).unwrap_or_default().0 {
                        if name != "index" {
                            object.raw(&name, json.get());
                        }
                    }
                }
            }
            _ => delta.raw(name, json.get()),
        }
    }
}

/// The beginning of a chunk: all that says what the answer is.
fn begin(whole: &Fields<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_slice(b"data: {");
    for (name, json) in &whole.0 {
        match &**name {
            "object" => out.put_slice(b"\"object\":\"chat.completion.chunk\","),
            "choices" | "usage" => {}
            _ => {
                out.put_u8(b'"');
                escape(&mut out, name);
                out.put_slice(b"\":");
                write_raw(&mut out, json.get());
                out.put_u8(b',');
            }
        }
    }
    out
}

fn chunk(
    whole: &Fields<'_>,
    include_usage: bool,
    events: &mut Vec<Bytes>,
    choice: impl FnOnce(&mut Array<'_>),
) {
    let mut out = begin(whole);
    out.put_slice(b"\"choices\":");
    choice(&mut Array::new(&mut out));
    if include_usage {
        out.put_slice(b",\"usage\":null");
    }
    out.put_slice(b"}\n\n");
    events.push(out.freeze());
}
