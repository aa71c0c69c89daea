//! JSON, read over blocks of 64 bytes.
//!
//! [`from_str`] and [`from_slice`] give what `serde_json`'s functions of these names give, errors included, for less: most of a body is text
//! that is only passed over, and what ends a text is looked for in a block at once. Whatever this reader does not read (what is no JSON, what
//! a type refuses, an array in the place of a struct, nesting over 100 levels) is left to `serde_json` from its beginning. So it can only ever say
//! yes, and says it only where `serde_json` would: property tests hold the one against the other.
mod read;
mod scan;
mod strings;
mod unescape;

pub use self::unescape::unescaped;

use self::{read::Reader, scan::Scanner};
use serde::Deserialize;

/// A value from its JSON text, like [`serde_json::from_str`].
///
/// # Errors
/// Those of [`serde_json::from_str`].
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Body<'a> {
///     model: &'a str,
///     messages: Vec<&'a serde_json::value::RawValue>,
/// }
/// let body: Body<'_> = tierway_services::json::from_str(r#"{"model":"m","messages":[{"content":"a\"b"}],"top_p":1.00}"#).unwrap();
/// assert_eq!((body.model, body.messages[0].get()), ("m", r#"{"content":"a\"b"}"#));
/// ```
pub fn from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    read(json).map_or_else(|| serde_json::from_str(json), Ok)
}

/// A value from its JSON text, like [`serde_json::from_slice`].
///
/// # Errors
/// Those of [`serde_json::from_slice`].
pub fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    let text = utf8(json);
    text.and_then(read)
        .map_or_else(|| serde_json::from_slice(json), Ok)
}

/// Where a JSON string ends, its quote included, of which the first byte after its opening quote stands at `from`; `None` where it is none: where it
/// has no end, a control character or an escape that there is not.
///
/// ```
/// let json = br#"["a\"b",7]"#;
/// assert_eq!(tierway_services::json::string_end(json, 2), Some(7));
/// ```
#[must_use]
pub fn string_end(json: &[u8], from: usize) -> Option<usize> {
    strings::string_end(json, from).map(|(end, _)| end)
}

/// The text that bytes are, like [`std::str::from_utf8`]. A long one is checked by vector instructions: one that is not all ASCII takes an
/// eighth of the time.
#[must_use]
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    if bytes.len() < 128 {
        return std::str::from_utf8(bytes).ok();
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let mut scanner = Scanner::new(json);
    let value = T::deserialize(Reader::new(&mut scanner)).ok()?;
    scanner.peek().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
