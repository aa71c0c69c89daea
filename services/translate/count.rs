//! A number of tokens, read leniently.
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// A number of tokens. Servers write counts as integers, as floats, as `null` and as strings; what is no count is 0, because a stream must
/// not die of its bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

/// No answer has so many tokens: a larger number is none, and sums of those below, and what they cost, stay within their types.
const MOST: u64 = 1_000_000_000_000;

impl Count {
    const fn new(count: u64) -> Self {
        Self(if count > MOST { 0 } else { count })
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count")
            }
            fn visit_u64<E: Error>(self, count: u64) -> Result<Count, E> {
                Ok(Count::new(count))
            }
            fn visit_i64<E: Error>(self, count: i64) -> Result<Count, E> {
                Ok(Count::new(u64::try_from(count).unwrap_or_default()))
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "such a cast saturates, and a negative count is none"
            )]
            fn visit_f64<E: Error>(self, count: f64) -> Result<Count, E> {
                Ok(Count::new(count as u64))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Count, E> {
                Ok(Count(0))
            }
            fn visit_unit<E: Error>(self) -> Result<Count, E> {
                Ok(Count(0))
            }
            fn visit_str<E: Error>(self, count: &str) -> Result<Count, E> {
                Ok(Count::new(count.parse().unwrap_or_default()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(0))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(0))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_is_a_count() {
        let counts: Vec<Count> =
            serde_json::from_str(r#"[7, 7.0, -1, null, "7", "x", true, [1], {"a":1}]"#).unwrap();
        let counts: Vec<u64> = counts.into_iter().map(|c| c.0).collect();
        assert_eq!(counts, [7, 7, 0, 0, 7, 0, 0, 0, 0]);
        let counts: Vec<Count> = serde_json::from_str(
            r#"[1000000000000, 1000000000001, 18446744073709551615, 1e300, "18446744073709551615"]"#,
        )
        .unwrap();
        let counts: Vec<u64> = counts.into_iter().map(|c| c.0).collect();
        assert_eq!(counts, [MOST, 0, 0, 0, 0]);
    }
}
