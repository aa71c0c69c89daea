//! Serde's types, read off a [`Scanner`].
use super::scan::{Literal, Scanner};
use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, MapDeserializer},
    },
    forward_to_deserialize_any,
};
use std::fmt;

/// The name by which `serde_json` asks for a [`RawValue`](serde_json::value::RawValue). If it ever asks by another, it gets no value here, and
/// reads itself.
const RAW: &str = "$serde_json::private::RawValue";
/// Nesting over which `serde_json` is to judge; it stops at 128.
const DEEPEST: u8 = 100;

/// Reads one value.
pub(super) struct Reader<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    /// How many levels may still open.
    left: u8,
}

/// What there is to say of what this reader does not read: nothing, for `serde_json` will say it.
#[derive(Debug)]
pub(super) struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not read")
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'s, 'a> Reader<'s, 'a> {
    pub(super) const fn new(scanner: &'s mut Scanner<'a>) -> Self {
        Self {
            scanner,
            left: DEEPEST,
        }
    }

    fn next(&mut self) -> Result<u8, Unread> {
        self.scanner.peek().ok_or(Unread)
    }

    /// A value without others in it, as `serde_json` reads it.
    fn scalar(self) -> Result<&'a str, Unread> {
        match self.scanner.peek() {
            None | Some(b'{' | b'[') => Err(Unread),
            _ => self.scanner.value().ok_or(Unread),
        }
    }
}

/// Scalars are found here, and read there.
macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
            let json = self.scalar()?;
            let mut reader = serde_json::Deserializer::from_str(json);
            reader.$method(visitor).map_err(|_| Unread)
        }
    )*};
}

impl<'a> Deserializer<'a> for Reader<'_, 'a> {
    type Error = Unread;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_bytes deserialize_byte_buf deserialize_unit
    }

    fn deserialize_any<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Unread> {
        match self.next()? {
            b'{' => self.deserialize_map(visitor),
            b'[' => self.deserialize_seq(visitor),
            b'"' => self.deserialize_str(visitor),
            _ => {
                let mut reader = serde_json::Deserializer::from_str(self.scalar()?);
                reader.deserialize_any(visitor).map_err(|_| Unread)
            }
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        text(self.scanner.string().ok_or(Unread)?, visitor)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Unread> {
        if self.next()? == b'n' {
            self.scanner.value().ok_or(Unread)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        if name != RAW {
            return visitor.visit_newtype_struct(self);
        }
        let json = self.scanner.value().ok_or(Unread)?;
        let pair = (
            BorrowedStrDeserializer::<Unread>::new(RAW),
            BorrowedStrDeserializer::<Unread>::new(json),
        );
        visitor.visit_map(MapDeserializer::new(std::iter::once(pair)))
    }

    fn deserialize_seq<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Unread> {
        let mut items = Items::open(&mut self, b'[', b']')?;
        let value = visitor.visit_seq(&mut items)?;
        items.ended.then_some(value).ok_or(Unread)
    }

    fn deserialize_map<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Unread> {
        let mut items = Items::open(&mut self, b'{', b'}')?;
        let value = visitor.visit_map(&mut items)?;
        items.ended.then_some(value).ok_or(Unread)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.scanner.value().ok_or(Unread)?;
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        let mut reader = serde_json::Deserializer::from_str(self.scalar()?);
        let read = reader.deserialize_enum(name, variants, visitor);
        read.map_err(|_| Unread)
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Unread> {
        Err(Unread)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, Unread> {
        Err(Unread)
    }
}

/// What a string says.
fn text<'a, V: Visitor<'a>>(literal: Literal<'a>, visitor: V) -> Result<V::Value, Unread> {
    if !literal.escaped {
        return visitor.visit_borrowed_str(literal.inside());
    }
    let mut reader = serde_json::Deserializer::from_str(literal.whole);
    reader.deserialize_str(visitor).map_err(|_| Unread)
}

/// What stands between brackets.
struct Items<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    left: u8,
    close: u8,
    begun: bool,
    ended: bool,
}

impl<'s, 'a> Items<'s, 'a> {
    fn open(reader: &'s mut Reader<'_, 'a>, open: u8, close: u8) -> Result<Self, Unread> {
        let left = reader.left.checked_sub(1).ok_or(Unread)?;
        reader.scanner.expect(open).ok_or(Unread)?;
        Ok(Self {
            scanner: &mut *reader.scanner,
            left,
            close,
            begun: false,
            ended: false,
        })
    }

    /// Goes to the next item, if there is one.
    fn next(&mut self) -> Result<bool, Unread> {
        if self.ended || self.scanner.expect(self.close).is_some() {
            self.ended = true;
            return Ok(false);
        }
        if std::mem::replace(&mut self.begun, true) {
            self.scanner.expect(b',').ok_or(Unread)?;
        }
        Ok(true)
    }

    const fn reader(&mut self) -> Reader<'_, 'a> {
        Reader {
            scanner: &mut *self.scanner,
            left: self.left,
        }
    }
}

impl<'a> SeqAccess<'a> for &mut Items<'_, 'a> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unread> {
        if !self.next()? {
            return Ok(None);
        }
        seed.deserialize(self.reader()).map(Some)
    }
}

impl<'a> MapAccess<'a> for &mut Items<'_, 'a> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unread> {
        if !self.next()? {
            return Ok(None);
        }
        let key = Key(self.scanner.key().ok_or(Unread)?);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        seed.deserialize(self.reader())
    }
}

/// An object's key.
struct Key<'a>(Literal<'a>);

impl<'a> Deserializer<'a> for Key<'a> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        text(self.0, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        if name == RAW {
            return Err(Unread);
        }
        visitor.visit_newtype_struct(self)
    }

    // Keys that are to be numbers and the like refuse the text, and are `serde_json`'s to read.
    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map
        struct enum identifier ignored_any
    }
}
