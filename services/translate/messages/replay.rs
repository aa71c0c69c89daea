//! A whole Messages answer, told again as a stream. Fields that nobody knows are kept.
use super::STOP;
use crate::translate::{
    json::{Fields, Object, elements, write_raw},
    text::{escape, inside},
};
use bytes::{BufMut, Bytes, BytesMut};

pub(crate) fn to_stream(whole: &str) -> Option<Vec<Bytes>> {
    let message = Fields::parse(whole)?;
    if message.string("type")? != "message" {
        return None;
    }
    let blocks = elements(message.get("content")?)?;
    let mut events = vec![event("message_start", |event| {
        let mut object = event.object("message");
        for (name, json) in &message.0 {
            match &**name {
                "content" => object.raw(name, "[]"),
                "stop_reason" | "stop_sequence" | "stop_details" => object.raw(name, "null"),
                _ => object.raw(name, json.get()),
            }
        }
    })];
    for (index, json) in blocks.into_iter().enumerate() {
        block(index as u64, &Fields::parse(json.get())?, &mut events);
    }
    events.push(event("message_delta", |event| {
        let mut delta = event.object("delta");
        for name in ["stop_reason", "stop_sequence", "stop_details"] {
            if let Some((_, json)) = message.0.iter().find(|(key, _)| key == name) {
                delta.raw(name, json.get());
            }
        }
        drop(delta);
        event.raw("usage", message.get("usage").map_or("{}", |u| u.get()));
    }));
    events.push(Bytes::from_static(STOP));
    Some(events)
}

fn event(name: &'static str, write: impl FnOnce(&mut Object<'_>)) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    {
        let mut object = Object::new(&mut out);
        object.str("type", name);
        write(&mut object);
    }
    out.put_slice(b"\n\n");
    out.freeze()
}

/// What of a block travels in deltas: the field, its delta's type, and the delta's own name for it.
const GROWING: &[(&str, &str, &str, &str)] = &[
    ("text", "text", "text_delta", "text"),
    ("thinking", "thinking", "thinking_delta", "thinking"),
    ("thinking", "signature", "signature_delta", "signature"),
];

fn block(index: u64, fields: &Fields<'_>, events: &mut Vec<Bytes>) {
    let kind = fields.string("type").unwrap_or_default();
    let grows = |name: &str| GROWING.iter().any(|(k, n, ..)| *k == kind && *n == name);
    let called = matches!(&*kind, "tool_use" | "server_tool_use" | "mcp_tool_use");
    events.push(event("content_block_start", |event| {
        event.number("index", index);
        let mut object = event.object("content_block");
        for (name, json) in &fields.0 {
            if grows(name) {
                object.str(name, "");
            } else if called && name == "input" {
                object.raw(name, "{}");
            } else if kind == "text" && name == "citations" && json.get() != "null" {
                object.raw(name, "[]");
            } else {
                object.raw(name, json.get());
            }
        }
    }));
    let mut delta = |kind: &str, name: &str, write: &dyn Fn(&mut BytesMut)| {
        events.push(event("content_block_delta", |event| {
            event.number("index", index);
            let mut object = event.object("delta");
            object.str("type", kind);
            write(object.key(name));
        }));
    };
    if kind == "text" {
        let citations = fields.get("citations").and_then(elements);
        for citation in citations.unwrap_or_default() {
            delta("citations_delta", "citation", &|out| {
                write_raw(out, citation.get())
            });
        }
    }
    for (of, name, delta_kind, delta_name) in GROWING {
        if *of == kind
            && let Some(json) = fields.get(name)
            && inside(json).is_some_and(|text| !text.is_empty())
        {
            delta(delta_kind, delta_name, &|out| write_raw(out, json.get()));
        }
    }
    if called && let Some(input) = fields.get("input") {
        delta("input_json_delta", "partial_json", &|out| {
            out.put_u8(b'"');
            escape(out, input.get());
            out.put_u8(b'"');
        });
    }
    events.push(event("content_block_stop", |event| {
        event.number("index", index);
    }));
}
