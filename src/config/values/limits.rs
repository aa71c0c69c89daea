//! Values of limits.
use super::super::typed::{Complaint, Read};
use tierway_layers::limit::Without;
use toml::Value;

impl Read for Without {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("local") => Ok(Self::Local),
            Some("open") => Ok(Self::Open),
            Some("closed") => Ok(Self::Closed),
            _ => Err(Complaint::new(
                "is no way to go on without Redis",
                r#"write "local", "open" or "closed""#,
            )),
        }
    }
}
