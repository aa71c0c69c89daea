//! How deep JSON is nested.

/// Whether `json` is nested deeper than `most`. Reads brackets outside of texts, and nothing else; what is no JSON is somebody else's to say.
pub(super) fn over(json: &[u8], most: usize) -> bool {
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_texts() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{},[[]]]}"#, 4),
            (r#"["[[[[\"[[","]"]"#, 1),
            ("[][][]", 1),
        ] {
            assert!(!over(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || over(json.as_bytes(), depth - 1), "{json}");
        }
    }
}
