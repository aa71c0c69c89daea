//! A key that cannot be printed.
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// A key. It is shown as `***`, whoever formats it; a clone shares it, and the last one that is dropped overwrites it in memory.
///
/// ```
/// use tierway_services::providers::Secret;
/// let secret = Secret::new(" sk-1234\n");
/// assert_eq!(format!("{secret} {secret:?}"), "*** ***");
/// assert_eq!(secret.expose(), "sk-1234");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

/// What stands in the place of a key.
const HIDDEN: &str = "***";

impl Secret {
    /// A secret, without the white space around it (keys are often read from files that end in a line break).
    #[must_use]
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(Arc::new(Zeroizing::new(secret.as_ref().trim().to_owned())))
    }
    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// As a header's value, marked sensitive; `None` where it holds what no header can carry.
    pub(crate) fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value =
            HeaderValue::from_str(&Zeroizing::new(format!("{prefix}{}", self.expose()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
    /// `body` without this key in it: an upstream may quote the key that it refuses.
    pub(crate) fn redact(&self, body: Bytes) -> Bytes {
        // A placeholder of a few letters is no secret, and would be found in innocent words.
        if self.0.len() < 8 {
            return body;
        }
        let mut places = memchr::memmem::find_iter(&body, self.0.as_bytes()).peekable();
        if places.peek().is_none() {
            return body;
        }
        let mut out = BytesMut::with_capacity(body.len());
        let mut from = 0;
        for at in places {
            out.extend_from_slice(body.get(from..at).unwrap_or_default());
            out.extend_from_slice(HIDDEN.as_bytes());
            from = at + self.0.len();
        }
        out.extend_from_slice(body.get(from..).unwrap_or_default());
        out.freeze()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_cut_out_wherever_it_stands() {
        let key = Secret::new("sk-12345678");
        let body = Bytes::from_static(b"sk-12345678 bad: sk-12345678");
        assert_eq!(key.redact(body), "*** bad: ***");
        let clean = Bytes::from_static(b"fine");
        assert_eq!(key.redact(clean.clone()).as_ptr(), clean.as_ptr());
    }

    #[test]
    fn headers() {
        let header = Secret::new("k").header("Bearer ").unwrap();
        assert_eq!(header, "Bearer k");
        assert!(header.is_sensitive());
        assert!(Secret::new("a\nb").header("").is_none());
    }
}
