//! A part of a body that has not been read.
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The text of one JSON value where it stands in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) struct Raw<'a>(pub(super) &'a str);

impl<'a> Raw<'a> {
    pub(in crate::dialect) const fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(from).map(|json| Self(json.get()))
    }
}
