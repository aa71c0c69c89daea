//! Values of the settings about providers' caches.
use super::super::typed::{Complaint, Read};
use tierway_layers::breakpoints::Ttl;
use toml::Value;

impl Read for Ttl {
    fn read(value: &Value) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("auto") => Ok(Self::Auto),
            Some("5m") => Ok(Self::FiveMinutes),
            Some("1h") => Ok(Self::Hour),
            _ => Err(Complaint::new(
                "is not how long a provider keeps a prefix",
                r#"write "auto", "5m" or "1h""#,
            )),
        }
    }
}
