//! Chat completions answers, from whole to stream and back. Fields that nobody knows are kept on both ways.
use super::DONE;
use crate::{
    sse,
    translate::{
        json::{Array, Fields, Json, Object, elements, write_raw},
        text::{Text, escape, inside},
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;

// === to a stream ===

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

// === from a stream ===

/// A choice that grows.
#[derive(Default)]
struct Grown<'a> {
    index: u64,
    /// The message's fields: those that are strings grow, others are set.
    message: Vec<(Cow<'a, str>, Value<'a>)>,
    calls: Vec<Call<'a>>,
    logprobs: Vec<(Cow<'a, str>, Vec<Json<'a>>)>,
    /// The choice's own fields.
    rest: Vec<(Cow<'a, str>, Json<'a>)>,
}

enum Value<'a> {
    /// The inside of a JSON string literal.
    Text(String),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    Json(Json<'a>),
}

impl<'a> Value<'a> {
    fn of(json: Json<'a>) -> Self {
        if let Some(text) = inside(json) {
            return Self::Text(text.to_owned());
        }
        if let Some(list) = elements(json) {
            return Self::List(list);
        }
        match Fields::parse(json.get()) {
            Some(fields) => {
                let fields = fields.0.into_iter();
                Self::Object(fields.map(|(name, json)| (name, Self::of(json))).collect())
            }
            None => Self::Json(json),
        }
    }
}

#[derive(Default)]
struct Call<'a> {
    index: u64,
    fields: Vec<(Cow<'a, str>, Json<'a>)>,
    function: Vec<(Cow<'a, str>, Value<'a>)>,
}

pub(crate) fn to_whole(events: &[Bytes]) -> Option<Bytes> {
    let mut head: Fields<'_> = Fields::default();
    let mut usage = None;
    let mut choices: Vec<Grown<'_>> = Vec::new();
    let mut done = false;
    for event in events {
        let Some(sse::Event { data, .. }) = sse::Event::parse(event) else {
            continue;
        };
        if data.trim() == "[DONE]" {
            done = true;
            continue;
        }
        let fields = Fields::parse(data)?;
        if fields.get("error").is_some() {
            return None;
        }
        usage = fields.get("usage").or(usage);
        for json in fields.get("choices").and_then(elements).unwrap_or_default() {
            let choice = Fields::parse(json.get())?;
            let index = choice
                .get("index")
                .and_then(|i| i.get().parse().ok())
                .unwrap_or(0);
            let place = choices.iter().position(|c| c.index == index);
            let place = place.unwrap_or_else(|| {
                choices.push(Grown {
                    index,
                    ..Grown::default()
                });
                choices.len() - 1
            });
            choices.get_mut(place)?.grow(choice)?;
        }
        for (name, json) in fields.0 {
            let known = head.0.iter().any(|(key, _)| *key == name);
            // Padding against eavesdroppers belongs to the stream alone.
            if !known && !matches!(&*name, "choices" | "usage" | "obfuscation") {
                head.0.push((name, json));
            }
        }
    }
    let ended = |c: &Grown<'_>| {
        c.rest
            .iter()
            .any(|(n, j)| n == "finish_reason" && j.get() != "null")
    };
    if choices.is_empty() || !(done || choices.iter().all(ended)) {
        return None;
    }
    choices.sort_by_key(|choice| choice.index);
    let mut out = BytesMut::with_capacity(1024);
    {
        let mut object = Object::new(&mut out);
        for (name, json) in &head.0 {
            if name == "object" {
                object.str("object", "chat.completion");
            } else {
                object.raw(name, json.get());
            }
        }
        let mut list = object.array("choices");
        for choice in &choices {
            choice.write(list.object());
        }
        drop(list);
        if let Some(usage) = usage {
            object.raw("usage", usage.get());
        }
    }
    Some(out.freeze())
}

impl<'a> Grown<'a> {
    fn grow(&mut self, choice: Fields<'a>) -> Option<()> {
        for (name, json) in choice.0 {
            match &*name {
                "index" => {}
                "delta" => self.delta(Fields::parse(json.get()).unwrap_or_default())?,
                "logprobs" => {
                    for (name, json) in Fields::parse(json.get()).unwrap_or_default().0 {
                        let tokens = elements(json).unwrap_or_default();
                        match self.logprobs.iter_mut().find(|(key, _)| *key == name) {
                            Some((_, all)) => all.extend(tokens),
                            None => self.logprobs.push((name, tokens)),
                        }
                    }
                }
                _ => match self.rest.iter_mut().find(|(key, _)| *key == name) {
                    Some((_, old)) if json.get() != "null" => *old = json,
                    Some(_) => {}
                    None => self.rest.push((name, json)),
                },
            }
        }
        Some(())
    }

    fn delta(&mut self, delta: Fields<'a>) -> Option<()> {
        for (name, json) in delta.0 {
            if name == "tool_calls" {
                for json in elements(json).unwrap_or_default() {
                    self.call(Fields::parse(json.get())?);
                }
            } else {
                grow(&mut self.message, name, json);
            }
        }
        Some(())
    }

    fn call(&mut self, mut delta: Fields<'a>) {
        let index = delta.take("index").and_then(|i| i.get().parse().ok());
        let index = index.unwrap_or_else(|| self.calls.len().saturating_sub(1) as u64);
        let place = self.calls.iter().position(|c| c.index == index);
        let place = place.unwrap_or_else(|| {
            self.calls.push(Call {
                index,
                ..Call::default()
            });
            self.calls.len() - 1
        });
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        for (name, json) in delta.0 {
            if name == "function" {
                for (name, json) in Fields::parse(json.get()).unwrap_or_default().0 {
                    grow(&mut call.function, name, json);
                }
            } else if !call.fields.iter().any(|(key, _)| *key == name) {
                call.fields.push((name, json));
            }
        }
    }

    fn write(&self, mut object: Object<'_>) {
        object.number("index", self.index);
        {
            let mut message = object.object("message");
            for (name, value) in &self.message {
                let empty = matches!(value, Value::Text(text) if text.is_empty());
                if name == "content" && empty && !self.calls.is_empty() {
                    message.raw(name, "null");
                } else {
                    write_value(name, value, &mut message);
                }
            }
            if !self.calls.is_empty() {
                let mut list = message.array("tool_calls");
                for call in &self.calls {
                    let mut object = list.object();
                    for (name, json) in &call.fields {
                        object.raw(name, json.get());
                    }
                    write_values(&call.function, &mut object.object("function"));
                }
            }
        }
        if self.logprobs.is_empty() {
            object.raw("logprobs", "null");
        } else {
            let mut logprobs = object.object("logprobs");
            for (name, tokens) in &self.logprobs {
                let mut list = logprobs.array(name);
                for token in tokens {
                    write_raw(list.element(), token.get());
                }
            }
        }
        for (name, json) in &self.rest {
            object.raw(name, json.get());
        }
    }
}

/// Adds to a field: strings follow strings, lists follow lists, objects are merged; save for those fields that say the same in every delta.
fn grow<'a>(values: &mut Vec<(Cow<'a, str>, Value<'a>)>, name: Cow<'a, str>, json: Json<'a>) {
    let place = values.iter().position(|(key, _)| *key == name);
    let Some((_, value)) = place.and_then(|place| values.get_mut(place)) else {
        values.push((name, Value::of(json)));
        return;
    };
    let fixed = matches!(&*name, "role" | "name" | "id" | "type");
    match (value, Value::of(json)) {
        (Value::Text(all), Value::Text(text)) => {
            if !fixed || all.is_empty() {
                all.push_str(&text);
            }
        }
        (Value::List(all), Value::List(list)) => all.extend(list),
        (Value::Object(all), Value::Object(_)) => {
            for (name, json) in Fields::parse(json.get()).unwrap_or_default().0 {
                grow(all, name, json);
            }
        }
        (_, Value::Json(json)) if json.get() == "null" => {}
        (value @ Value::Json(_), other) => *value = other,
        _ => {}
    }
}

fn write_values(values: &[(Cow<'_, str>, Value<'_>)], object: &mut Object<'_>) {
    for (name, value) in values {
        write_value(name, value, object);
    }
}

fn write_value(name: &str, value: &Value<'_>, object: &mut Object<'_>) {
    match value {
        Value::Text(text) => object.text(name, &Text::Escaped(Cow::Borrowed(text))),
        Value::List(list) => {
            let mut array = object.array(name);
            for json in list {
                write_raw(array.element(), json.get());
            }
        }
        Value::Object(fields) => write_values(fields, &mut object.object(name)),
        Value::Json(json) => object.raw(name, json.get()),
    }
}
