//! Header values that are put together at run time.
use http::HeaderValue;
use std::fmt;

/// `text` as a header's value; empty where it holds what no header may (a reason that somebody's own policy gave).
pub(crate) fn header_value(text: fmt::Arguments<'_>) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).unwrap_or(HeaderValue::from_static(""))
}
