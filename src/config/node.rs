//! Reads the typed file out of parsed TOML, one way for everything.
//!
//! `toml`'s own deserializer takes any value for any type, so that each of our tables is compiled for a table, a list, a date and a value with
//! its place, of which it ever meets one. Shapes are looked at beforehand, in `shape`, and what is left to read is compiled once.
use super::{origin::Origin, typed::Named};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use std::{collections::BTreeMap, fmt, marker::PhantomData, vec};
use toml::{
    Spanned,
    de::{DeTable, DeValue, Error, ValueDeserializer},
};

/// A value of the file.
pub(super) struct Node<'de>(Part<'de>);

enum Part<'de> {
    Value(Spanned<DeValue<'de>>),
    /// Where a value begins or ends, in bytes of the file.
    Place(usize),
}

/// A value, and where in the file it begins and ends.
#[derive(Deserialize)]
pub(super) struct Placed<T>(usize, usize, pub(super) T);

struct Table<'de> {
    entries: <DeTable<'de> as IntoIterator>::IntoIter,
    value: Option<Spanned<DeValue<'de>>>,
}

struct List<'de>(vec::IntoIter<Part<'de>>);

/// Tables under names, with the place of each name.
pub(super) fn named<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, Named<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Tables<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
        type Value = BTreeMap<String, Named<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("tables under names")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut tables = BTreeMap::new();
            while let Some(name) = map.next_key::<Placed<String>>()? {
                let (origin, value) = (name.origin(), map.next_value()?);
                tables.insert(name.2, Named { origin, value });
            }
            Ok(tables)
        }
    }
    deserializer.deserialize_map(Tables(PhantomData))
}

/// The tables of a list, with the place of each.
pub(super) fn listed<'de, D, T>(deserializer: D) -> Result<Vec<Named<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Tables<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
        type Value = Vec<Named<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of tables")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut tables = Vec::new();
            while let Some(table) = list.next_element::<Placed<T>>()? {
                let (origin, value) = (table.origin(), table.2);
                tables.push(Named { origin, value });
            }
            Ok(tables)
        }
    }
    deserializer.deserialize_seq(Tables(PhantomData))
}

// === impl Placed ===

impl<T> Placed<T> {
    pub(super) const fn origin(&self) -> Origin {
        Origin::File(self.0..self.1)
    }
}

// === impl Node ===

impl<'de> From<Spanned<DeTable<'de>>> for Node<'de> {
    fn from(table: Spanned<DeTable<'de>>) -> Self {
        let span = table.span();
        let table = DeValue::Table(table.into_inner());
        Self(Part::Value(Spanned::new(span, table)))
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Part::Value(value) => ValueDeserializer::from(value).deserialize_any(visitor),
            Part::Place(at) => visitor.visit_u64(at as u64),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(DeValue::Table(table)) = self.value() else {
            return Err(Error::custom("not a table"));
        };
        visitor.visit_map(Table {
            entries: table.into_iter(),
            value: None,
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(DeValue::Array(list)) = self.value() else {
            return Err(Error::custom("not a list"));
        };
        let items: Vec<Part> = list.into_iter().map(Part::Value).collect();
        visitor.visit_seq(List(items.into_iter()))
    }

    /// As [`Placed`] asks.
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Part::Value(value) = self.0 else {
            return Err(Error::custom("not a value"));
        };
        let places = [value.span().start, value.span().end].map(Part::Place);
        let parts: Vec<Part> = places.into_iter().chain([Part::Value(value)]).collect();
        visitor.visit_seq(List(parts.into_iter()))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value() {
            Some(DeValue::String(name)) => visitor.visit_str(&name),
            _ => Err(Error::custom("not a name")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct tuple enum
    }
}

impl<'de> Node<'de> {
    fn value(self) -> Option<DeValue<'de>> {
        match self.0 {
            Part::Value(value) => Some(value.into_inner()),
            Part::Place(_) => None,
        }
    }
}

impl<'de> MapAccess<'de> for Table<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        let (span, key) = (key.span(), key.into_inner());
        let key = Spanned::new(span, DeValue::String(key));
        seed.deserialize(Node(Part::Value(key))).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("no value"))?;
        seed.deserialize(Node(Part::Value(value)))
    }
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(part) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Node(part)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(toml: &str) -> Node<'_> {
        DeTable::parse(toml).unwrap().into()
    }

    #[test]
    fn names_and_tables_have_their_places() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[serde(deserialize_with = "named")]
            tables: BTreeMap<String, Named<Option<u8>>>,
            #[serde(deserialize_with = "listed")]
            list: Vec<Named<toml::Value>>,
        }
        let toml =
            "tables = {b = 1, \"a c\" = 2}\nlist = [1979-05-27, {x = [1.5, true]}]\nunknown = 1\n";
        let File { tables, list } = File::deserialize(node(toml)).unwrap();
        let at = |origin: &Origin| match origin {
            Origin::File(span) => &toml[span.clone()],
            _ => "",
        };
        let tables = tables
            .iter()
            .map(|(name, table)| (name.as_str(), at(&table.origin), table.value));
        assert_eq!(
            tables.collect::<Vec<_>>(),
            [("a c", "\"a c\"", Some(2)), ("b", "b", Some(1))]
        );
        let list = list
            .iter()
            .map(|item| (at(&item.origin), item.value.to_string()));
        let list: Vec<_> = list.collect();
        assert_eq!(list[0], ("1979-05-27", "1979-05-27".to_owned()));
        assert_eq!(
            list[1],
            ("{x = [1.5, true]}", "{ x = [1.5, true] }".to_owned())
        );
    }

    #[test]
    fn what_shapes_rule_out_is_an_error() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[expect(dead_code, reason = "only read")]
            list: Vec<u8>,
        }
        assert!(File::deserialize(node("list = {}")).is_err());
        assert!(File::deserialize(node("")).is_err());
        assert!(BTreeMap::<String, BTreeMap<String, u8>>::deserialize(node("a = 1")).is_err());
    }
}
