//! What is wrong with a body, in words that name the field.
use crate::chat::{Kind, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(in crate::dialect) fn read<'a, T: Deserialize<'a>>(
    name: impl std::fmt::Display,
    expected: &str,
    json: &'a RawValue,
) -> Result<T, Refusal> {
    crate::json::from_str(json.get()).map_err(|_| wrong(name, expected))
}

pub(in crate::dialect) fn optional<'a, T: Deserialize<'a>>(
    name: &str,
    expected: &str,
    json: Option<&'a RawValue>,
) -> Result<Option<T>, Refusal> {
    json.map_or(Ok(None), |json| read(name, expected, json))
}

pub(in crate::dialect) fn wrong(name: impl std::fmt::Display, expected: &str) -> Refusal {
    Refusal::new(
        Kind::InvalidRequest,
        format!("{name}: {expected} is expected"),
    )
    .with_param(name.to_string())
}

pub(in crate::dialect) fn missing(name: impl std::fmt::Display) -> Refusal {
    Refusal::new(Kind::InvalidRequest, format!("{name}: field required"))
        .with_param(name.to_string())
}

pub(in crate::dialect) fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::new(
        Kind::InvalidRequest,
        format!("request body is not valid: {error}"),
    )
}
