//! A stream of chat completions, gathered into the whole answer that it brought. Fields that nobody knows are kept.
use super::calls::Calls;
use crate::{
    sse,
    translate::{
        json::{Fields, Json, Object, elements, write_raw},
        text::{Text, inside},
    },
};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// A choice that grows.
#[derive(Default)]
struct Grown<'a> {
    index: u64,
    /// The message's fields: those that are strings grow, others are set.
    message: Vec<(Cow<'a, str>, Value<'a>)>,
    known: Calls,
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
    const fn is_nothing(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Json(_) => true,
            Self::List(_) | Self::Object(_) => false,
        }
    }
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
            // Padding against eavesdroppers belongs to the stream alone.
            if matches!(&*name, "choices" | "usage" | "obfuscation") {
                continue;
            }
            match head.0.iter_mut().find(|(key, _)| *key == name) {
                // Azure's first chunk says nothing of the answer yet.
                Some((_, old)) if matches!(old.get(), "\"\"" | "0" | "null") => *old = json,
                Some(_) => {}
                None => head.0.push((name, json)),
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
        let id = delta.get("id").and_then(inside).unwrap_or_default();
        let function = delta.object("function").unwrap_or_default();
        let name = function.get("name").and_then(inside).unwrap_or_default();
        let place = self.known.place(index, id, name);
        if place == self.calls.len() {
            self.calls.push(Call::default());
        }
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
            if !self.message.iter().any(|(name, _)| name == "role") {
                message.str("role", "assistant");
            }
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
        // What was nothing yet may turn out to be anything.
        (value, other) => {
            if value.is_nothing() {
                *value = other;
            }
        }
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
