//! The end of a JSON string.
use memchr::memchr2;

/// The length of the string literal that `json` begins with, its quotes aside; `None` where it is no string, or has no end.
pub(crate) fn literal_len(json: &[u8]) -> Option<usize> {
    let text = json.strip_prefix(b"\"")?;
    let mut end = 0;
    loop {
        end += memchr2(b'"', b'\\', text.get(end..)?)?;
        if text.get(end) == Some(&b'"') {
            return Some(end);
        }
        // What follows a backslash is no quote that ends anything.
        end += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_its_own_quote() {
        for (json, len) in [
            (r#""" "#, Some(0)),
            (r#""a","b""#, Some(1)),
            (r#""a\"b\\","#, Some(6)),
            (r#""\\"#, None),
            (r#""ab"#, None),
            ("7", None),
            ("", None),
        ] {
            assert_eq!(literal_len(json.as_bytes()), len, "{json}");
        }
    }
}
