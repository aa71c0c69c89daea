//! What was typed: a value, who typed it, and what it means or why it means nothing.
//!
//! A wrong value does not stop the reading, so that everything wrong is told in one go.
use super::{node::Placed, origin::Origin};
use serde::{Deserialize, Deserializer};
use toml::Value;

/// A value of a setting as somebody typed it.
#[derive(Clone, Debug)]
pub(super) struct Typed<T> {
    pub(super) origin: Origin,
    pub(super) value: Result<T, Complaint>,
}

/// A table under a name that the user chose.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    pub(super) origin: Origin,
    pub(super) value: T,
}

/// Why a value means nothing: "`key` is not {wanted}", and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) fault: String,
    pub(super) advice: String,
}

/// A value that a setting can have.
pub(super) trait Read: Sized {
    /// The value that `value` stands for.
    fn read(value: &Value) -> Result<Self, Complaint>;

    /// The value that a text stands for, outside of a file, where everything is text.
    fn read_text(text: &str) -> Result<Self, Complaint> {
        Self::read(&Value::String(text.to_owned()))
    }
}

// === impl Typed ===

impl<T: Read> Typed<T> {
    /// A value given outside of a file.
    pub(super) fn text(origin: Origin, text: &str) -> Self {
        Self {
            origin,
            value: T::read_text(text),
        }
    }
}

impl<T> Typed<T> {
    /// A value that needs no reading.
    pub(super) fn value(origin: Origin, value: T) -> Self {
        Self {
            origin,
            value: Ok(value),
        }
    }
}

impl<'de, T: Read> Deserialize<'de> for Typed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let typed = Placed::<Value>::deserialize(deserializer)?;
        Ok(Self {
            origin: typed.origin(),
            value: T::read(&typed.2),
        })
    }
}

// === impl Complaint ===

impl Complaint {
    pub(super) fn new(fault: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            fault: fault.into(),
            advice: advice.into(),
        }
    }
}
