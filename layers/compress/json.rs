//! JSON as it is written: a tree of the text's own pieces, so that numbers, escapes, order and doubled keys come out as they went in.
use serde::de::IgnoredAny;
use std::fmt::Write;

/// A JSON value. Keys and leaves are pieces of the text, keys with their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    Object(Vec<(&'a str, Self)>),
    Array(Vec<Self>),
    /// A string, a number, or a word.
    Leaf(&'a str),
}

/// What goes deeper is left as it is.
const DEEPEST: usize = 64;

/// The value that `text` is, and nothing else beside it; `None` where it is no JSON, or very deep.
pub(super) fn parse(text: &str) -> Option<Node<'_>> {
    // Checked by somebody who knows JSON, so what follows need not.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut reader = Reader { text, at: 0 };
    reader.node(DEEPEST)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// The next character that is no space, if it is `wanted`.
    fn takes(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn node(&mut self, deep: usize) -> Option<Node<'a>> {
        let within = deep.checked_sub(1);
        match self.peek()? {
            b'{' => self.object(within?),
            b'[' => self.array(within?),
            b'"' => self.string().map(Node::Leaf),
            _ => self.word().map(Node::Leaf),
        }
    }

    fn object(&mut self, deep: usize) -> Option<Node<'a>> {
        let mut fields = Vec::new();
        self.at += 1;
        while !self.takes(b'}') {
            self.peek()?;
            let key = self.string()?;
            self.takes(b':');
            fields.push((key, self.node(deep)?));
            self.takes(b',');
        }
        Some(Node::Object(fields))
    }

    fn array(&mut self, deep: usize) -> Option<Node<'a>> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.takes(b']') {
            items.push(self.node(deep)?);
            self.takes(b',');
        }
        Some(Node::Array(items))
    }

    fn string(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let bytes = rest.as_bytes();
        let mut end = 1;
        loop {
            end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes.get(end) == Some(&b'"') {
                self.at += end + 1;
                return rest.get(..=end);
            }
            end += 2;
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let ends = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
        let end = rest.find(ends).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|word| !word.is_empty())
    }
}

impl Node<'_> {
    /// Writes it without a space that is not inside a string.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => {
                list(out, ['[', ']'], items, |item, out| item.write(out));
            }
            Self::Object(fields) => {
                list(out, ['{', '}'], fields, |(key, value), out| {
                    let _ = write!(out, "{key}:");
                    value.write(out);
                });
            }
        }
    }
}

/// Writes things between brackets, with commas between them.
pub(super) fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    things: &[T],
    mut each: impl FnMut(&T, &mut String),
) {
    out.push(open);
    for (n, thing) in things.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        each(thing, out);
    }
    out.push(close);
}

/// The lines of a text of which each is a JSON object (JSON Lines), at least three of them.
pub(super) fn lines(text: &str) -> Option<Vec<Node<'_>>> {
    let lines: Vec<Node<'_>> = text
        .lines()
        .map(|line| {
            let node = line.starts_with('{').then(|| parse(line)).flatten()?;
            matches!(node, Node::Object(_)).then_some(node)
        })
        .collect::<Option<_>>()?;
    (lines.len() >= 3).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(text: &str) -> Option<String> {
        let mut out = String::new();
        parse(text)?.write(&mut out);
        Some(out)
    }

    #[test]
    fn only_space_between_things_goes() {
        for (text, wanted) in [
            (
                "{ \"b\" : 1.00 , \"a\":[ ] ,\n\t\"b\": -0e+1 }",
                r#"{"b":1.00,"a":[],"b":-0e+1}"#,
            ),
            (
                r#" [ "a  \" , b\\" , { } , null , true ] "#,
                r#"["a  \" , b\\",{},null,true]"#,
            ),
            ("7", "7"),
        ] {
            assert_eq!(small(text).as_deref(), Some(wanted));
        }
        for text in ["", "{", "[1,]", "{'a':1}", "[1] [2]", "nope", "\"a"] {
            assert_eq!(small(text), None, "{text}");
        }
        assert!(small(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_some());
        assert!(small(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).is_none());
    }

    #[test]
    fn lines_of_json_are_known() {
        assert_eq!(
            lines("{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n").unwrap().len(),
            3
        );
        assert!(lines("{\"a\": 1}\n{\"a\": 2}").is_none());
        assert!(lines("{\"a\": 1}\n\n{\"a\": 2}\n{}").is_none());
        assert!(lines("{}\n[]\n{}").is_none());
    }
}
