//! Answers, from whole to stream and back. Fields that nobody knows are kept on both ways.
use crate::{
    sse,
    translate::json::{Fields, Json, Object, elements, write_raw},
};
use bytes::{BufMut, Bytes, BytesMut};

// === to a stream ===

/// The events of one stream, numbered as they are written.
struct Events {
    written: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut out = BytesMut::new();
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\ndata: ");
        {
            let mut object = Object::new(&mut out);
            object.str("type", name);
            object.number("sequence_number", self.written.len() as u64);
            write(&mut object);
        }
        out.put_slice(b"\n\n");
        self.written.push(out.freeze());
    }
}

pub(crate) fn to_stream(whole: &str) -> Option<Vec<Bytes>> {
    let response = Fields::parse(whole)?;
    let ended = match response.string("status").as_deref() {
        Some("completed") => "response.completed",
        Some("incomplete") => "response.incomplete",
        _ => return None,
    };
    let items = elements(response.get("output")?)?;
    let mut events = Events {
        written: Vec::new(),
    };
    for name in ["response.created", "response.in_progress"] {
        events.push(name, |event| {
            let mut object = event.object("response");
            for (name, json) in &response.0 {
                match &**name {
                    "status" => object.str(name, "in_progress"),
                    "output" => object.raw(name, "[]"),
                    "usage" | "incomplete_details" | "completed_at" => object.raw(name, "null"),
                    _ => object.raw(name, json.get()),
                }
            }
        });
    }
    for (index, json) in items.into_iter().enumerate() {
        item(index as u64, json, &mut events)?;
    }
    events.push(ended, |event| event.raw("response", whole));
    Some(events.written)
}

/// What of an item grows: of an item of this type the field, and the event that tells it.
const GROWING: &[(&str, &str, &str)] = &[
    (
        "function_call",
        "arguments",
        "response.function_call_arguments",
    ),
    (
        "custom_tool_call",
        "input",
        "response.custom_tool_call_input",
    ),
];
/// What of an item has parts that grow: of an item of this type the field, the type of the part, its own growing field, the events that begin
/// and end the part, the event that tells it, and the name of the part's index.
const PARTS: &[(&str, &str, &str, &str, &str, &str, &str)] = &[
    (
        "message",
        "content",
        "output_text",
        "text",
        "response.content_part",
        "response.output_text",
        "content_index",
    ),
    (
        "message",
        "content",
        "refusal",
        "refusal",
        "response.content_part",
        "response.refusal",
        "content_index",
    ),
    (
        "reasoning",
        "summary",
        "summary_text",
        "text",
        "response.reasoning_summary_part",
        "response.reasoning_summary_text",
        "summary_index",
    ),
    (
        "reasoning",
        "content",
        "reasoning_text",
        "text",
        "response.content_part",
        "response.reasoning_text",
        "content_index",
    ),
];

fn item(index: u64, json: Json<'_>, events: &mut Events) -> Option<()> {
    let fields = Fields::parse(json.get())?;
    let kind = fields.string("type").unwrap_or_default();
    let grows = GROWING.iter().find(|(of, ..)| *of == kind);
    let parted = |name: &str| {
        PARTS
            .iter()
            .any(|(of, field, ..)| *of == kind && *field == name)
    };
    events.push("response.output_item.added", |event| {
        event.number("output_index", index);
        let mut item = event.object("item");
        for (name, json) in &fields.0 {
            if name == "status" {
                item.str(name, "in_progress");
            } else if grows.is_some_and(|(_, field, _)| field == name) {
                item.str(name, "");
            } else if parted(name) && json.get().starts_with('[') {
                item.raw(name, "[]");
            } else {
                item.raw(name, json.get());
            }
        }
    });
    let id = fields.get("id").map_or("\"\"", |id| id.get());
    if let Some((_, field, name)) = grows {
        let said = fields.get(field).map_or("\"\"", |json| json.get());
        for (ending, key) in [(".delta", "delta"), (".done", *field)] {
            events.push(&[*name, ending].concat(), |event| {
                event.raw("item_id", id);
                event.number("output_index", index);
                event.raw(key, said);
            });
        }
    }
    for (name, json) in &fields.0 {
        if !parted(name) {
            continue;
        }
        let list = elements(json).unwrap_or_default();
        for (number, json) in list.into_iter().enumerate() {
            part((&kind, name), (id, index, number as u64), json, events)?;
        }
    }
    events.push("response.output_item.done", |event| {
        event.number("output_index", index);
        event.raw("item", json.get());
    });
    Some(())
}

fn part(
    (of, field): (&str, &str),
    (id, index, number): (&str, u64, u64),
    json: Json<'_>,
    events: &mut Events,
) -> Option<()> {
    let part = Fields::parse(json.get())?;
    let kind = part.string("type").unwrap_or_default();
    let known = PARTS
        .iter()
        .find(|(o, f, k, ..)| *o == of && *f == field && *k == kind);
    let Some((.., growing, around, told, index_name)) = known else {
        return Some(());
    };
    let place = |event: &mut Object<'_>| {
        event.raw("item_id", id);
        event.number("output_index", index);
        event.number(index_name, number);
    };
    events.push(&[*around, ".added"].concat(), |event| {
        place(event);
        let mut object = event.object("part");
        for (name, json) in &part.0 {
            match &**name {
                name if name == *growing => object.str(name, ""),
                "annotations" | "logprobs" => object.raw(name, "[]"),
                _ => object.raw(name, json.get()),
            }
        }
    });
    let said = part.get(growing).map_or("\"\"", |json| json.get());
    let speaks = *told == "response.output_text";
    if said != "\"\"" {
        events.push(&[*told, ".delta"].concat(), |event| {
            place(event);
            event.raw("delta", said);
            if speaks {
                event.raw("logprobs", "[]");
            }
        });
    }
    let notes = part.get("annotations").and_then(elements);
    for (note, json) in notes.unwrap_or_default().into_iter().enumerate() {
        events.push("response.output_text.annotation.added", |event| {
            place(event);
            event.number("annotation_index", note as u64);
            event.raw("annotation", json.get());
        });
    }
    events.push(&[*told, ".done"].concat(), |event| {
        place(event);
        event.raw(growing, said);
        if speaks {
            event.raw("logprobs", "[]");
        }
    });
    events.push(&[*around, ".done"].concat(), |event| {
        place(event);
        event.raw("part", json.get());
    });
    Some(())
}

// === from a stream ===

/// The last event of a stream tells all of it again; only some servers leave the items out, which are then taken from where they ended.
pub(crate) fn to_whole(events: &[Bytes]) -> Option<Bytes> {
    let mut items: Vec<Json<'_>> = Vec::new();
    let mut ended = None;
    for event in events {
        let Some(sse::Event { data, .. }) = sse::Event::parse(event) else {
            continue;
        };
        if data.trim() == "[DONE]" {
            continue;
        }
        let fields = Fields::parse(data)?;
        match &*fields.string("type")? {
            "response.output_item.done" => items.extend(fields.get("item")),
            "response.completed" | "response.incomplete" => ended = fields.get("response"),
            "response.failed" | "error" => return None,
            _ => {}
        }
    }
    let response = Fields::parse(ended?.get())?;
    let told = response
        .get("output")
        .and_then(elements)
        .unwrap_or_default();
    let mut out = BytesMut::with_capacity(1024);
    if !told.is_empty() || items.is_empty() {
        write_raw(&mut out, ended?.get());
        return Some(out.freeze());
    }
    {
        let mut object = Object::new(&mut out);
        for (name, json) in response.0.iter().filter(|(name, _)| name != "output") {
            object.raw(name, json.get());
        }
        let mut output = object.array("output");
        for item in items {
            write_raw(output.element(), item.get());
        }
    }
    Some(out.freeze())
}
