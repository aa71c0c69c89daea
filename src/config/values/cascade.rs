//! Values of the cascade and of what is learned about it.
use super::{
    super::{
        settings::Uncertified,
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
