//! What may be done to servers of tools.
use super::super::typed::{Complaint, Read};
use tierway_layers::mcp::Writes;
use toml::Value;

impl Read for Writes {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("allow") => Ok(Self::Allow),
            Some("confirm") => Ok(Self::Confirm),
            Some("deny") => Ok(Self::Deny),
            _ => Err(Complaint::new(
                "is no way to treat calls that change something",
                r#"write "allow", "confirm" or "deny""#,
            )),
        }
    }
}
