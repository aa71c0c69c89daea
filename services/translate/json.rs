//! Reading and writing JSON that is mostly carried, not looked at.
use super::text::{Text, escape, string};
use crate::chat::{Kind, Refusal};
use bytes::{BufMut, BytesMut};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// A JSON value as its sender wrote it.
pub(crate) type Json<'a> = &'a RawValue;

// === reading ===

/// The fields of an object, in their order, each value unread. What nobody takes is what nobody knew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        crate::json::from_str(json).ok()
    }
    /// The fields of the object at `at`.
    pub(crate) fn read(json: Json<'a>, at: &At<'_>) -> Result<Self, Refusal> {
        Self::parse(json.get()).ok_or_else(|| at.wrong("an object"))
    }
    /// A field's value; `null` is as good as absent.
    pub(crate) fn get(&self, name: &str) -> Option<Json<'a>> {
        let (_, json) = self.0.iter().find(|(key, _)| key == name)?;
        (json.get() != "null").then_some(*json)
    }
    /// Takes a field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let place = self.0.iter().position(|(key, _)| key == name)?;
        let (_, json) = self.0.remove(place);
        (json.get() != "null").then_some(json)
    }
    /// A field's text, where it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Text<'a>> {
        self.get(name).and_then(Text::of)
    }
    /// A field's plain text, where it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(string)
    }
    /// The text of a field that must be a string.
    pub(crate) fn need_text(&self, name: &'static str, at: &At<'_>) -> Result<Text<'a>, Refusal> {
        let json = self.get(name).ok_or_else(|| at.field(name).missing())?;
        Text::of(json).ok_or_else(|| at.field(name).wrong("a string"))
    }
    /// The fields of a field that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(|json| Self::parse(json.get()))
    }
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|json| json.get() == "true")
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A body's fields save for its `messages`, and the fields of each message.
///
/// # Errors
/// A [`Refusal`] that names the one that is no object, or is not there.
pub(crate) fn conversation(body: &str) -> Result<(Fields<'_>, Vec<Fields<'_>>), Refusal> {
    if let Ok(Conversation { fields, messages }) = crate::json::from_str(body) {
        return Ok((fields, messages));
    }
    // Piece by piece, to tell what is wrong.
    let mut fields = Fields::parse(body).ok_or_else(|| At::top("body").wrong("an object"))?;
    let at = At::top("messages");
    let json = fields.take("messages").ok_or_else(|| at.missing())?;
    let messages = elements(json).ok_or_else(|| at.wrong("an array"))?;
    let messages = messages.into_iter().enumerate();
    let messages = messages.map(|(i, json)| Fields::read(json, &at.element(i)));
    Ok((fields, messages.collect::<Result<_, _>>()?))
}

/// What [`conversation`] gives, in one pass: messages are almost all of a body, and would be gone through at every level.
struct Conversation<'a> {
    fields: Fields<'a>,
    messages: Vec<Fields<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Conversation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Conversation<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with messages")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut fields, mut messages) = (Vec::new(), None);
                while let Some(Key(key)) = map.next_key()? {
                    if messages.is_none() && key == "messages" {
                        messages = Some(map.next_value()?);
                    } else {
                        fields.push((key, map.next_value()?));
                    }
                }
                let messages = messages.ok_or_else(|| de::Error::missing_field("messages"))?;
                let fields = Fields(fields);
                Ok(Conversation { fields, messages })
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A time in whole seconds since 1970, as it is written, less a fraction; `None` for what no reader would take for one.
pub(crate) fn seconds(number: &str) -> Option<&str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    (digits && whole.parse::<u64>().is_ok()).then_some(whole)
}

/// The elements of an array; `None` where the value is something else.
pub(crate) fn elements(json: Json<'_>) -> Option<Vec<Json<'_>>> {
    crate::json::from_str(json.get()).ok()
}

/// Where in a body something stands, for error messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'p> {
    parent: Option<&'p At<'p>>,
    name: &'static str,
    index: Option<usize>,
}

impl<'p> At<'p> {
    pub(crate) const fn top(name: &'static str) -> Self {
        Self {
            parent: None,
            name,
            index: None,
        }
    }
    pub(crate) const fn field(&'p self, name: &'static str) -> Self {
        Self {
            parent: Some(self),
            name,
            index: None,
        }
    }
    /// The same place's element.
    pub(crate) const fn element(self, index: usize) -> Self {
        Self {
            index: Some(index),
            ..self
        }
    }
    pub(crate) fn wrong(&self, expected: &str) -> Refusal {
        self.refuse(format_args!("{expected} is expected"))
    }
    pub(crate) fn missing(&self) -> Refusal {
        self.refuse("field required")
    }
    pub(crate) fn refuse(&self, why: impl fmt::Display) -> Refusal {
        Refusal::new(Kind::InvalidRequest, format!("{self}: {why}")).with_param(self.to_string())
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        self.index.map_or(Ok(()), |i| write!(f, "[{i}]"))
    }
}

// === writing ===

/// An object being written; closed when dropped.
#[derive(Debug)]
pub(crate) struct Object<'w> {
    out: &'w mut BytesMut,
    empty: bool,
}

impl<'w> Object<'w> {
    pub(crate) fn new(out: &'w mut BytesMut) -> Self {
        out.put_u8(b'{');
        Self { out, empty: true }
    }
    /// Writes a field's name; its value must follow.
    pub(crate) fn key(&mut self, name: &str) -> &mut BytesMut {
        if !std::mem::take(&mut self.empty) {
            self.out.put_u8(b',');
        }
        self.out.put_u8(b'"');
        escape(self.out, name);
        self.out.put_slice(b"\":");
        self.out
    }
    pub(crate) fn text(&mut self, name: &str, text: &Text<'_>) {
        write_text(self.key(name), text);
    }
    pub(crate) fn str(&mut self, name: &str, text: &str) {
        write_str(self.key(name), text);
    }
    /// A field with a value that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        write_raw(self.key(name), json);
    }
    pub(crate) fn number(&mut self, name: &str, number: u64) {
        write_number(self.key(name), number);
    }
    pub(crate) fn bool(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }
    pub(crate) fn object(&mut self, name: &str) -> Object<'_> {
        Object::new(self.key(name))
    }
    pub(crate) fn array(&mut self, name: &str) -> Array<'_> {
        Array::new(self.key(name))
    }
}
impl Drop for Object<'_> {
    fn drop(&mut self) {
        self.out.put_u8(b'}');
    }
}

/// An array being written; closed when dropped.
#[derive(Debug)]
pub(crate) struct Array<'w> {
    out: &'w mut BytesMut,
    empty: bool,
}

impl<'w> Array<'w> {
    pub(crate) fn new(out: &'w mut BytesMut) -> Self {
        out.put_u8(b'[');
        Self { out, empty: true }
    }
    /// Begins an element; its value must follow.
    pub(crate) fn element(&mut self) -> &mut BytesMut {
        if !std::mem::take(&mut self.empty) {
            self.out.put_u8(b',');
        }
        self.out
    }
    pub(crate) fn object(&mut self) -> Object<'_> {
        Object::new(self.element())
    }
}
impl Drop for Array<'_> {
    fn drop(&mut self) {
        self.out.put_u8(b']');
    }
}

pub(crate) fn write_text(out: &mut BytesMut, text: &Text<'_>) {
    out.put_u8(b'"');
    text.write_inside(out);
    out.put_u8(b'"');
}
pub(crate) fn write_str(out: &mut BytesMut, text: &str) {
    write_text(out, &Text::plain(text));
}
/// Writes JSON on one line, so that it may stand in an event: line breaks are never part of a JSON value, only between its parts.
pub(crate) fn write_raw(out: &mut BytesMut, json: &str) {
    for line in json.as_bytes().split(|b| matches!(b, b'\n' | b'\r')) {
        out.put_slice(line);
    }
}
pub(crate) fn write_number(out: &mut BytesMut, number: u64) {
    let mut digits = [0; 20];
    let mut place = digits.len();
    let mut rest = number;
    loop {
        place -= 1;
        if let Some(digit) = digits.get_mut(place) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(digits.get(place..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds() {
        for (number, told) in [
            ("1760000000", Some("1760000000")),
            ("1760000000.25", Some("1760000000")),
            ("17600066666666666666666666666666660000", None),
            ("1.76e9", None),
            ("-1", None),
            ("\"1760000000\"", None),
            ("null", None),
        ] {
            assert_eq!(seconds(number), told, "{number}");
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 1234, u64::MAX] {
            let mut out = BytesMut::new();
            write_number(&mut out, number);
            assert_eq!(&out[..], number.to_string().as_bytes());
        }
    }

    #[test]
    fn fields_keep_order_numbers_and_half_pairs() {
        let fields = Fields::parse(r#"{"b":1.00,"a":"\ud83d","n":null}"#).unwrap();
        assert_eq!(fields.get("b").unwrap().get(), "1.00");
        assert!(fields.get("n").is_none());
        let mut out = BytesMut::new();
        {
            let mut object = Object::new(&mut out);
            object.text("a", &fields.text("a").unwrap());
            object.array("l").object().bool("x", true);
        }
        assert_eq!(&out[..], br#"{"a":"\ud83d","l":[{"x":true}]}"#);
    }

    #[test]
    fn a_place_is_spelt_out() {
        let messages = At::top("messages").element(3);
        let content = messages.field("content").element(1);
        assert_eq!(
            content.field("type").missing().message(),
            "messages[3].content[1].type: field required"
        );
    }
}
