//! A stream of Messages, gathered into the whole answer that it brought. Fields that nobody knows are kept.
use crate::{
    sse,
    translate::{
        form::{Arguments, RAW_ARGUMENTS},
        json::{Fields, Json, Object, write_raw},
        text::{Text, inside},
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A block that grows: its fields as it began, and what deltas brought.
struct Grown<'a> {
    begun: Fields<'a>,
    /// Insides of JSON string literals, by field.
    texts: Vec<(&'static str, String)>,
    citations: Vec<Json<'a>>,
    replaced: Fields<'a>,
}

pub(crate) fn to_whole(events: &[Bytes]) -> Option<Bytes> {
    let mut message = None;
    let mut blocks: Vec<(u64, Grown<'_>)> = Vec::new();
    let mut ended = Fields::default();
    let mut usage = Fields::default();
    let mut complete = false;
    for event in events {
        let Some(sse::Event { data, .. }) = sse::Event::parse(event) else {
            continue;
        };
        let fields = Fields::parse(data)?;
        let index = fields.get("index").and_then(|i| i.get().parse().ok());
        match &*fields.string("type")? {
            "message_start" => {
                let start = fields.object("message")?;
                usage = start.object("usage").unwrap_or_default();
                message = Some(start);
            }
            "content_block_start" => blocks.push((
                index?,
                Grown {
                    begun: fields.object("content_block")?,
                    texts: Vec::new(),
                    citations: Vec::new(),
                    replaced: Fields::default(),
                },
            )),
            "content_block_delta" => {
                let (_, block) = blocks.iter_mut().rfind(|(i, _)| Some(*i) == index)?;
                block.grow(fields.object("delta")?);
            }
            "message_delta" => {
                overlay(&mut ended, fields.object("delta")?);
                overlay(&mut usage, fields.object("usage").unwrap_or_default());
            }
            "message_stop" => complete = true,
            "error" => return None,
            _ => {}
        }
    }
    let message = message.filter(|_| complete)?;
    let mut out = BytesMut::with_capacity(1024);
    {
        let mut object = Object::new(&mut out);
        for (name, json) in &message.0 {
            match &**name {
                "content" => {
                    let mut list = object.array("content");
                    for (_, block) in &blocks {
                        block.write(list.object());
                    }
                }
                "usage" => {
                    let mut told = object.object("usage");
                    for (name, json) in &usage.0 {
                        told.raw(name, json.get());
                    }
                }
                _ => {
                    let place = ended.0.iter().position(|(key, _)| key == name);
                    let json = place.map_or(*json, |place| ended.0.remove(place).1);
                    object.raw(name, json.get());
                }
            }
        }
        for (name, json) in &ended.0 {
            object.raw(name, json.get());
        }
    }
    Some(out.freeze())
}

/// Sets fields over others of the same names.
fn overlay<'a>(fields: &mut Fields<'a>, over: Fields<'a>) {
    for (name, json) in over.0 {
        match fields.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = json,
            None => fields.0.push((name, json)),
        }
    }
}

impl<'a> Grown<'a> {
    fn grow(&mut self, delta: Fields<'a>) {
        let kind = delta.string("type").unwrap_or_default();
        let grown = match &*kind {
            "text_delta" => Some(("text", "text")),
            "thinking_delta" => Some(("thinking", "thinking")),
            "signature_delta" => Some(("signature", "signature")),
            "input_json_delta" => Some(("input", "partial_json")),
            _ => None,
        };
        if let Some((field, name)) = grown {
            let text = delta.get(name).and_then(inside).unwrap_or_default();
            match self.texts.iter_mut().find(|(f, _)| *f == field) {
                Some((_, all)) => all.push_str(text),
                None => self.texts.push((field, text.to_owned())),
            }
        } else if kind == "citations_delta" {
            self.citations.extend(delta.get("citation"));
        } else {
            // A kind of delta that is not known sets fields.
            let mut over = delta;
            over.take("type");
            overlay(&mut self.replaced, over);
        }
    }

    fn write(&self, mut object: Object<'_>) {
        let mut missing: Vec<&str> = self.texts.iter().map(|(field, _)| *field).collect();
        let mut cited = self.citations.is_empty();
        for (name, json) in &self.begun.0 {
            missing.retain(|field| field != name);
            if let Some((field, text)) = self.texts.iter().find(|(field, _)| field == name) {
                write_grown(&mut object, field, json, text);
            } else if name == "citations" && !self.citations.is_empty() {
                cited = true;
                self.write_citations(&mut object);
            } else {
                let replaced = self.replaced.0.iter().find(|(key, _)| key == name);
                object.raw(name, replaced.map_or(*json, |(_, json)| *json).get());
            }
        }
        for field in missing {
            if let Some((field, text)) = self.texts.iter().find(|(f, _)| *f == field) {
                write_grown(&mut object, field, RawValue::NULL, text);
            }
        }
        if !cited {
            self.write_citations(&mut object);
        }
        for (name, json) in &self.replaced.0 {
            if !self.begun.0.iter().any(|(key, _)| key == name) {
                object.raw(name, json.get());
            }
        }
    }

    fn write_citations(&self, object: &mut Object<'_>) {
        let mut list = object.array("citations");
        for citation in &self.citations {
            write_raw(list.element(), citation.get());
        }
    }
}

/// Writes a field that deltas have grown: text behind what stood there at the beginning, and a tool's input as the JSON that it is, or, where
/// a limit cut it off, in the words that came.
fn write_grown(object: &mut Object<'_>, field: &str, begun: Json<'_>, text: &str) {
    if field == "input" {
        if text.is_empty() {
            let begun = if begun.get() == "null" {
                "{}"
            } else {
                begun.get()
            };
            return object.raw(field, begun);
        }
        return match Arguments::of_text(Text::Escaped(Cow::Borrowed(text))) {
            Arguments::Object(json) => object.raw(field, &json),
            Arguments::Text(text) => object.object(field).text(RAW_ARGUMENTS, &text),
        };
    }
    let out = object.key(field);
    out.put_u8(b'"');
    out.put_slice(inside(begun).unwrap_or_default().as_bytes());
    out.put_slice(text.as_bytes());
    out.put_u8(b'"');
}
