//! Values as they are typed.
use std::time::Duration;
use toml::Value;

/// A text between quotes.
pub(crate) fn quote(value: impl std::fmt::Display) -> String {
    Value::String(value.to_string()).to_string()
}

/// A key of a table: bare where it can be.
pub(crate) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quote(name)
    }
}

pub(super) fn duration(duration: Duration) -> String {
    quote(humantime::format_duration(duration))
}

/// The number of bytes in the largest unit that holds it exactly.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = units
        .into_iter()
        .find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    match exact {
        Some((unit, shift)) => quote(format!("{}{unit}", bytes >> shift)),
        None => bytes.to_string(),
    }
}
