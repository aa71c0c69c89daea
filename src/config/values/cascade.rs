//! Values of the cascade and of what is learned about it.
use super::{
    super::{
        settings::{Uncertified, Verify},
        typed::{Complaint, Read},
    },
    number,
};
use tierway_services::chat::Usd;
use toml::Value;

/// A sum of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Dollars(pub(in crate::config) Usd);

impl Read for Dollars {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match number(value) {
            Some(sum) if (0.0..=1e9).contains(&sum) => Ok(Self(Usd::from_dollars(sum))),
            _ => Err(Complaint::new(
                "is not a sum of money",
                "write US dollars, for example 2.5",
            )),
        }
    }
}

/// A number of further answers, which may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Samples(pub(in crate::config) u32);

impl Read for Samples {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let samples = value.as_integer().and_then(|n| u32::try_from(n).ok());
        let samples = samples.filter(|n| *n <= 10).map(Self);
        samples.ok_or_else(|| {
            Complaint::new(
                "is not a number of further answers",
                "write a number from 0 to 10, for example 2",
            )
        })
    }
}

impl Read for Verify {
    fn read(value: &Value) -> Result<Self, Complaint> {
        let verify = match value {
            Value::Boolean(false) => Some(Self::Nobody),
            Value::Boolean(true) => Some(Self::Small),
            Value::String(text) if text == "off" => Some(Self::Nobody),
            Value::String(text) if text == "small" => Some(Self::Small),
            Value::String(text) => text.parse().ok().map(Self::By),
            _ => None,
        };
        verify.ok_or_else(|| {
            Complaint::new(
                "is nobody who could be asked about a draft",
                r#"write "off", "small" or "provider:model""#,
            )
        })
    }
}

impl Read for Uncertified {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("keep") => Ok(Self::Keep),
            Some("defer") => Ok(Self::Defer),
            _ => Err(Complaint::new(
                "is no way to treat what is not certified",
                r#"write "keep" or "defer""#,
            )),
        }
    }
}
