//! Text in the spelling of its sender.
//!
//! Most text crosses from one JSON document into another. Keeping it escaped as it came saves decoding and encoding it, and lets pass what
//! a Rust string cannot hold: half a surrogate pair, which JavaScript clients and servers do send when they cut an emoji in two.
use bytes::{BufMut, BytesMut};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A piece of text, escaped for JSON or not yet.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    /// The inside of a JSON string literal, as its sender spelt it.
    Escaped(Cow<'a, str>),
    /// Plain text.
    Plain(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// The text of a JSON string; `None` where the value is something else.
    pub(crate) fn of(json: &'a RawValue) -> Option<Self> {
        inside(json).map(|text| Self::Escaped(Cow::Borrowed(text)))
    }
    pub(crate) const fn plain(text: &'a str) -> Self {
        Self::Plain(Cow::Borrowed(text))
    }
    /// The plain text; what no string can hold becomes U+FFFD.
    pub(crate) fn decode(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(text) => unescape(text),
        }
    }
    /// Whether it holds nothing but white space, which some vendors refuse to take as a block.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Plain(text) => text.trim().is_empty(),
            // No half of a pair is white space, nor is what two halves make.
            Self::Escaped(text) => Units(text).all(|unit| match unit {
                Unit::Run(run) => run.trim().is_empty(),
                Unit::Char(c) => c.is_whitespace(),
                Unit::Surrogate(_) => false,
            }),
        }
    }
    /// Whether it begins with these words, white space before them aside.
    pub(crate) fn begins_with(&self, words: &str) -> bool {
        let text = match self {
            Self::Plain(text) => return text.trim_start().starts_with(words),
            Self::Escaped(text) => text,
        };
        let (mut left, mut begun) = (words, false);
        for unit in Units(text) {
            let mut place = [0; 4];
            let piece = match unit {
                Unit::Run(run) => run,
                Unit::Char(c) => c.encode_utf8(&mut place),
                Unit::Surrogate(_) => return false,
            };
            let piece = if begun { piece } else { piece.trim_start() };
            begun |= !piece.is_empty();
            match left.strip_prefix(piece) {
                Some("") => return true,
                Some(rest) => left = rest,
                None => return piece.starts_with(left),
            }
        }
        false
    }
    /// Writes the text as the inside of a JSON string literal.
    pub(crate) fn write_inside(&self, out: &mut BytesMut) {
        match self {
            Self::Escaped(text) => out.put_slice(text.as_bytes()),
            Self::Plain(text) => escape(out, text),
        }
    }
}

/// The inside of a JSON string literal, escapes and all; `None` where the value is no string.
pub(crate) fn inside(json: &RawValue) -> Option<&str> {
    json.get().strip_prefix('"')?.strip_suffix('"')
}

/// The plain text of a JSON string; `None` where the value is no string.
pub(crate) fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    inside(json).map(unescape)
}

/// The plain text of the inside of a JSON string literal.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut high = None;
    for unit in Units(text) {
        match (high.take(), unit) {
            (Some(h), Unit::Surrogate(low @ 0xDC00..=0xDFFF)) => {
                let code = 0x1_0000 + ((u32::from(h) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (lone, unit) => {
                if lone.is_some() {
                    plain.push(char::REPLACEMENT_CHARACTER);
                }
                match unit {
                    Unit::Run(run) => plain.push_str(run),
                    Unit::Char(c) => plain.push(c),
                    Unit::Surrogate(h @ 0xD800..=0xDBFF) => high = Some(h),
                    Unit::Surrogate(_) => plain.push(char::REPLACEMENT_CHARACTER),
                }
            }
        }
    }
    if high.is_some() {
        plain.push(char::REPLACEMENT_CHARACTER);
    }
    Cow::Owned(plain)
}

/// Writes `text` as the inside of a JSON string literal.
pub(crate) fn escape(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1F => b"",
            _ => continue,
        };
        out.put_slice(bytes.get(from..i).unwrap_or_default());
        if short.is_empty() {
            out.put_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.put_slice(short);
        }
        from = i + 1;
    }
    out.put_slice(bytes.get(from..).unwrap_or_default());
}

/// The inside of a JSON string literal, with the replacement character for each half of a surrogate pair that stands alone: strict readers
/// refuse a text with such a half, and with it all that it stands in.
pub(crate) fn paired(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(i) = memchr::memchr(b'\\', text.as_bytes().get(at..).unwrap_or_default()) {
        at += i;
        match (half(text, at), half(text, at + 6)) {
            (Some(Half::First), Some(Half::Second)) => at += 12,
            (Some(_), _) => {
                out.push_str(text.get(from..at).unwrap_or_default());
                out.push_str("\\ufffd");
                at += 6;
                from = at;
            }
            (None, _) => at += 2,
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

enum Half {
    First,
    Second,
}

/// Which half of a pair is escaped at `at`, if one is.
fn half(text: &str, at: usize) -> Option<Half> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

/// Cuts the first half of an escaped surrogate pair off the end of the inside of a JSON string literal.
pub(crate) fn split_half(text: &str) -> (&str, &str) {
    let Some(at) = text.len().checked_sub(6) else {
        return (text, "");
    };
    let Some((
        before,
        [
            b'\\',
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a'..=b'b' | b'A'..=b'B',
            _,
            _,
        ],
    )) = text.as_bytes().split_at_checked(at)
    else {
        return (text, "");
    };
    let escaped = before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
    if escaped {
        (text, "")
    } else {
        text.split_at(at)
    }
}

/// The characters of the inside of a JSON string literal, in runs where nothing is escaped. Allocates nothing.
pub(crate) struct Units<'a>(pub(crate) &'a str);

/// What stands next in a literal.
pub(crate) enum Unit<'a> {
    /// Characters without an escape.
    Run(&'a str),
    /// One escaped character.
    Char(char),
    /// One half of an escaped surrogate pair.
    Surrogate(u16),
}

impl<'a> Iterator for Units<'a> {
    type Item = Unit<'a>;
    fn next(&mut self) -> Option<Unit<'a>> {
        let Some(rest) = self.0.strip_prefix('\\') else {
            let end = memchr::memchr(b'\\', self.0.as_bytes()).unwrap_or(self.0.len());
            let (run, rest) = self.0.split_at(end);
            self.0 = rest;
            return (!run.is_empty()).then_some(Unit::Run(run));
        };
        let mut chars = rest.chars();
        let unit = match chars.next()? {
            'n' => Unit::Char('\n'),
            't' => Unit::Char('\t'),
            'r' => Unit::Char('\r'),
            'b' => Unit::Char('\u{8}'),
            'f' => Unit::Char('\u{c}'),
            'u' => {
                let hex = chars.as_str().get(..4)?;
                chars = chars.as_str().get(4..)?.chars();
                let code = u16::from_str_radix(hex, 16).ok()?;
                char::from_u32(u32::from(code)).map_or(Unit::Surrogate(code), Unit::Char)
            }
            other => Unit::Char(other),
        };
        self.0 = chars.as_str();
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_join_and_halves_do_not_fail() {
        assert_eq!(
            unescape(r"a\ud83d\ude00b\n\/\u00e9"),
            "a\u{1F600}b\n/\u{e9}"
        );
        assert_eq!(unescape(r"\ud83d"), "\u{FFFD}");
        assert_eq!(unescape(r"\ude00x\ud83dy"), "\u{FFFD}x\u{FFFD}y");
    }

    #[test]
    fn a_half_is_cut_off_and_nothing_else() {
        assert_eq!(split_half(r"a\ud83d"), ("a", r"\ud83d"));
        assert_eq!(split_half(r"\uD8aB"), ("", r"\uD8aB"));
        for whole in [
            r"a\ude00",
            r"a\\ud83d",
            r"\ud83d\ude00",
            "ud83d",
            "a",
            "",
            r"\u0041",
            "éééé",
        ] {
            assert_eq!(split_half(whole), (whole, ""));
        }
    }

    #[test]
    fn a_half_that_stands_alone_is_replaced() {
        for (text, expected) in [
            (r"\ud83d", r"\ufffd"),
            (r"a\ude00b", r"a\ufffdb"),
            (r"\ud83d\ud83d\ude00\uDE00é", r"\ufffd\ud83d\ude00\ufffdé"),
            (r"\\ud83d \n\u00e9", r"\\ud83d \n\u00e9"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(paired(text), expected);
            let read: String = serde_json::from_str(&format!("\"{}\"", paired(text))).unwrap();
            assert_eq!(read, unescape(text));
        }
    }

    #[test]
    fn what_begins_is_told_without_decoding_the_rest() {
        for (text, begins) in [
            (r"x-head: 1", true),
            (r#"\n \tx-h\u0065ad: \"1\""#, true),
            (r"x-head", false),
            (r"x-h\u0065", false),
            (r"x-h\ud83dead:", false),
            (r"y x-head:", false),
            ("", false),
        ] {
            let text = Text::Escaped(text.into());
            assert_eq!(text.begins_with("x-head:"), begins, "{text:?}");
            let decoded = Text::Plain(text.decode());
            assert_eq!(decoded.begins_with("x-head:"), begins, "{text:?}");
            assert_eq!(text.is_blank(), decoded.is_blank(), "{text:?}");
        }
        for blank in ["", " ", r"\n\u00a0 \t", r"\u2003"] {
            assert!(Text::Escaped(blank.into()).is_blank(), "{blank}");
        }
        assert!(!Text::Escaped(r"\n\ud83d\ude00".into()).is_blank());
    }

    proptest! {
        #[test]
        fn escaping_is_what_serde_does_and_turns_back(text in any::<String>()) {
            let mut out = BytesMut::new();
            out.put_u8(b'"');
            escape(&mut out, &text);
            out.put_u8(b'"');
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&read, &text);
            let written = String::from_utf8(out.to_vec()).unwrap();
            prop_assert_eq!(unescape(&written[1..written.len() - 1]), text);
        }
    }
}
