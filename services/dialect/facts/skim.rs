//! The first look at a body, for what almost every body is: plainly valid JSON, most of it in a few long strings.
//!
//! Strings are passed over by searching for what may end them, many bytes at a time, and of all else only the shape is checked. Whatever is
//! not as expected (an escaped key, a field that comes twice, an error of any kind) is left to `serde_json`, which takes several times as
//! long and can say what is wrong. So what is accepted here is valid, and found where `serde_json` would find it.
use super::{Body, Message, Raw};
use memchr::memchr2;
use std::borrow::Cow;

/// Values in one another, beyond which a body is left to others.
const DEEPEST: usize = 100;

/// The top level of a body, its messages read; `None` where somebody else has to look.
pub(super) fn body(raw: &[u8]) -> Option<Body<'_, Vec<Message<'_>>>> {
    let mut skim = Skim {
        text: std::str::from_utf8(raw).ok()?,
        at: 0,
    };
    let mut body = Body::default();
    skim.object(|skim, key| {
        if key == "messages" {
            let mut messages = Vec::new();
            skim.array(|skim| {
                messages.push(skim.message()?);
                Some(())
            })?;
            return set(&mut body.messages, messages);
        }
        let value = skim.value(0)?;
        let field = match key {
            "model" => &mut body.model,
            "input" => &mut body.input,
            "instructions" => &mut body.instructions,
            "system" => &mut body.system,
            "stream" => &mut body.stream,
            "stream_options" => &mut body.stream_options,
            "max_tokens" => &mut body.max_tokens,
            "max_completion_tokens" => &mut body.max_completion_tokens,
            "max_output_tokens" => &mut body.max_output_tokens,
            "temperature" => &mut body.temperature,
            "tools" => &mut body.tools,
            "functions" => &mut body.functions,
            "tool_choice" => &mut body.tool_choice,
            "thinking" => &mut body.thinking,
            "reasoning_effort" => &mut body.reasoning_effort,
            "reasoning" => &mut body.reasoning,
            "response_format" => &mut body.response_format,
            "output_config" => &mut body.output_config,
            "text" => &mut body.text,
            "n" => &mut body.n,
            "metadata" => &mut body.metadata,
            "prompt_cache_key" => &mut body.prompt_cache_key,
            _ => return Some(()),
        };
        set_raw(field, value)
    })?;
    skim.blank();
    (skim.at == skim.text.len()).then_some(body)
}

/// Sets what was not set; a field that comes twice is for others to judge.
fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// The same, where `null` is as good as nothing; twice `null` is for others to judge too, who know it from nothing.
fn set_raw<'a>(field: &mut Option<Raw<'a>>, value: &'a str) -> Option<()> {
    (value != "null").then_some(())?;
    set(field, Raw(value))
}

struct Skim<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Skim<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over this byte, and blanks before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.blank();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// An object, by its fields: `field` has to pass over the value.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        self.blank();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blank();
            let key = self.string()?;
            let key = key.get(1..key.len() - 1)?;
            if key.contains('\\') {
                return None;
            }
            self.take(b':')?;
            field(self, key)?;
            self.blank();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// An array: `element` has to pass over each.
    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        self.blank();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            self.blank();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn message(&mut self) -> Option<Message<'a>> {
        let mut message = Message::default();
        // An answer that is only calls has `null` here.
        let mut content = None;
        self.object(|skim, key| {
            let value = skim.value(0)?;
            match key {
                "role" => {
                    let role = value.strip_prefix('"')?.strip_suffix('"')?;
                    let plain = !role.contains('\\');
                    set(&mut message.role, plain.then_some(Cow::Borrowed(role))?)
                }
                "content" => set(&mut content, value),
                "tool_calls" => set_raw(&mut message.tool_calls, value),
                _ => Some(()),
            }
        })?;
        message.content = content.filter(|json| *json != "null").map(Raw);
        Some(message)
    }

    /// Passes over a value, `depth` deep in others.
    fn value(&mut self, depth: usize) -> Option<&'a str> {
        (depth < DEEPEST).then_some(())?;
        self.blank();
        let from = self.at;
        match self.peek()? {
            b'"' => return self.string(),
            b'{' => self.object(|skim, _| skim.value(depth + 1).map(drop))?,
            b'[' => self.array(|skim| skim.value(depth + 1).map(drop))?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        self.text.get(from..self.at)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        rest.starts_with(word).then(|| self.at += word.len())
    }

    /// A number, by the grammar of JSON.
    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    /// A string with its quotes, as it is written.
    fn string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        (self.peek()? == b'"').then_some(())?;
        let mut at = from + 1;
        loop {
            at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes.get(at) == Some(&b'"') {
                break;
            }
            at += match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' => {
                    let digits = bytes.get(at + 2..at + 6)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(6)?
                }
                _ => return None,
            };
        }
        self.at = at + 1;
        let text = self.text.get(from..self.at)?;
        // All at once, for which processors are made; no text has these unescaped.
        let control = text
            .bytes()
            .fold(false, |found, byte| found | (byte < 0x20));
        (!control).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read<'a> = Body<'a, Vec<Message<'a>>>;

    /// What is accepted is what `serde_json` reads, at the same places.
    fn agrees(text: &[u8]) -> bool {
        let Some(skimmed) = body(text) else {
            return false;
        };
        let read: Read<'_> = serde_json::from_slice(text)
            .unwrap_or_else(|e| panic!("accepted, though {e}: {}", String::from_utf8_lossy(text)));
        assert_eq!(skimmed, read, "{}", String::from_utf8_lossy(text));
        true
    }

    const PLAIN: &str = r#" {"model":"m","x":{"y":[1,-2.5e+3,true,false,null,"a\"b",{}],"z":[]},"stream":true,
        "messages":[{"role":"user","content":"hi \u00e9 \n"}, {"role":"assistant","content":null,"tool_calls":[{"id":"1"}],"name":"n"},
        {"role":"user","content":[{"type":"text","text":"x"}]}], "max_tokens":9,"tools":[ ] } "#;

    #[test]
    fn plain_bodies_are_taken_and_others_left() {
        assert!(agrees(PLAIN.as_bytes()));
        for taken in [
            "{}",
            r#"{"messages":[]}"#,
            r#"{"messages":[{}]}"#,
            r#"{"a":0}"#,
        ] {
            assert!(agrees(taken.as_bytes()), "{taken}");
        }
        for left in [
            "",
            "[]",
            "{",
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":tru}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a" 1}"#,
            r#"{"mod\u0065l":"m"}"#,
            r#"{"model":"m","model":"m"}"#,
            r#"{"messages":null}"#,
            r#"{"messages":{}}"#,
            r#"{"messages":[1]}"#,
            r#"{"messages":[{"role":7}]}"#,
            r#"{} x"#,
        ] {
            assert!(!agrees(left.as_bytes()), "{left}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(!agrees(deep.as_bytes()));
        assert!(!agrees(b"{\"a\":\"\xff\"}"));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_right(cuts in proptest::collection::vec((0..PLAIN.len(), 0..PLAIN.len(), 0..12_usize), 1..4)) {
            let mut text = PLAIN.as_bytes().to_vec();
            for (at, from, length) in cuts {
                let end = (from + length).min(text.len());
                let some: Vec<u8> = text.get(from..end).unwrap_or_default().to_vec();
                let at = at.min(text.len());
                let until = (at + length / 2).min(text.len());
                text.splice(at..until, some);
            }
            agrees(&text);
        }
        #[test]
        fn one_byte_more_or_less(at in 0..PLAIN.len(), byte in any::<u8>(), insert in any::<bool>()) {
            let mut text = PLAIN.as_bytes().to_vec();
            if insert { text.insert(at, byte) } else { text[at] = byte }
            agrees(&text);
        }
    }
}
