//! What a JSON string says.
use super::{strings::backslashes, utf8};

/// Appends what stands between the quotes of a JSON string to `out`; `None` where that is no text, such as half a surrogate pair. What was
/// appended until then stays.
fn unescape(inside: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // What has been appended so far, and where the next block begins.
    let (mut from, mut base) = (0, 0);
    while let Some(rest) = inside.get(base..).filter(|rest| !rest.is_empty()) {
        let mut marks = backslashes(rest);
        if from == 0 && marks != 0 {
            utf8(inside)?;
        }
        while marks != 0 {
            let at = base + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            // One that an escape has passed over begins none.
            if at >= from {
                out.extend_from_slice(inside.get(from..at)?);
                from = escape(inside, at + 1, out)?;
            }
        }
        base += 64;
    }
    out.extend_from_slice(inside.get(from..)?);
    Some(())
}

/// What stands between the quotes of a JSON string, as a text of its own; `None` where it is none.
#[must_use]
pub fn unescaped(inside: &str) -> Option<String> {
    let mut text = Vec::with_capacity(inside.len());
    unescape(inside.as_bytes(), &mut text)?;
    String::from_utf8(text).ok()
}

/// Appends what the escape says whose backslash stands before `at`; gives its end.
fn escape(json: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let letter = *json.get(at)?;
    let byte = match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (c, end) = character(json, at + 1)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(end);
        }
        _ => return None,
    };
    out.push(byte);
    Some(at + 1)
}

/// The character that stands behind a `\u` that ends at `at`, be it in two halves, and where that ends.
fn character(json: &[u8], at: usize) -> Option<(char, usize)> {
    let half = |at| {
        let digits = json.get(at..at + 4)?;
        digits.iter().try_fold(0, |unit, digit| {
            Some(unit << 4 | char::from(*digit).to_digit(16)?)
        })
    };
    let first = half(at)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, at + 4));
    }
    json.get(at + 4..)?.strip_prefix(b"\\u")?;
    let second = half(at + 6)?;
    let halves = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
    let c = halves.then(|| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    Some((c??, at + 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::string_end;
    use proptest::prelude::*;

    /// Holds it against `serde_json`, where it is a string at all.
    fn same(inside: &str) {
        let literal = format!("\"{inside}\"");
        if string_end(literal.as_bytes(), 1) != Some(literal.len()) {
            return;
        }
        let mut out = Vec::new();
        let ours = unescape(inside.as_bytes(), &mut out).map(|()| out);
        let theirs = serde_json::from_str::<String>(&literal);
        assert_eq!(ours, theirs.ok().map(String::into_bytes), "{literal}");
    }

    #[test]
    fn an_escape_may_stand_wherever_a_block_ends() {
        for escape in [
            "\\\\",
            "\\n",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\\\\\\\\\\"",
        ] {
            for before in 0..130 {
                for after in [0, 1, 63, 64] {
                    let (before, after) = ("x".repeat(before), "y".repeat(after));
                    same(&format!("{before}{escape}{after}"));
                }
            }
        }
    }

    #[test]
    fn what_is_no_utf8_is_no_text_where_something_is_escaped() {
        assert_eq!(unescape(b"\xff\\n", &mut Vec::new()), None);
        assert_eq!(unescape(b"\\n\xff", &mut Vec::new()), None);
        assert_eq!(unescape(b"\xff", &mut Vec::new()), Some(()));
    }

    proptest! {
        #[test]
        fn strings_say_what_serde_json_reads(pieces in prop::collection::vec(prop::sample::select(&[
            "a", "\u{e9}", "\\n", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\t", "\\u0041", "\\u00e9", "\\ud83d", "\\ude00", "\\ud83d\\ude00",
            "\\uD83D\\uDE00", "\\u12", "\\x", "\\", "\\ud83d\\u0041", "a text of some length that goes on",
        ][..]), 0..24)) {
            same(&pieces.concat());
        }
    }
}
