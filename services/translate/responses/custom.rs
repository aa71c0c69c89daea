//! The input of a tool that takes free text, out of the arguments of the function that stands for it.
use super::tools::INPUT;
use crate::translate::{
    form::Arguments,
    json::Fields,
    text::{Text, escape, split_half},
};
use bytes::BytesMut;

/// Takes `{"input":"..."}` apart while it grows. What comes out are insides of JSON string literals; they are spelt in the arguments as they
/// are spelt in the caller's events, so that they pass as they are.
#[derive(Debug, Default)]
pub(super) struct Unwrapper {
    state: State,
    /// Before the input: all that came. Inside: what is no whole escape yet.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    After,
    /// These are other arguments.
    Other,
}

impl Unwrapper {
    /// Takes more of the arguments, and gives what they bring of the input.
    pub(super) fn push(&mut self, arguments: &str) -> String {
        match self.state {
            State::After => return String::new(),
            State::Before | State::Other => {
                self.held.push_str(arguments);
                if self.state == State::Other {
                    return String::new();
                }
                match begin(&self.held) {
                    Begin::At(at) => {
                        self.state = State::Inside;
                        self.held = self.held.split_off(at);
                    }
                    Begin::NotYet => return String::new(),
                    Begin::Never => {
                        self.state = State::Other;
                        return String::new();
                    }
                }
            }
            State::Inside => self.held.push_str(arguments),
        }
        let (end, closed) = scan(&self.held);
        if closed {
            self.state = State::After;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(end);
        let mut inside = std::mem::replace(&mut self.held, rest);
        let whole = split_half(&inside).0.len();
        self.held.insert_str(0, &inside.split_off(whole));
        inside
    }

    /// Whether the input has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        self.state == State::Inside
    }

    /// The arguments are complete: what of the input has not come out.
    pub(super) fn finish(self) -> String {
        let plain = match self.state {
            State::Inside | State::After => return String::new(),
            State::Before | State::Other => self.held,
        };
        let input = of(&Arguments::of_text(Text::plain(&plain)))
            .decode()
            .into_owned();
        let mut out = BytesMut::new();
        escape(&mut out, &input);
        String::from_utf8(out.to_vec()).unwrap_or_default()
    }
}

enum Begin {
    At(usize),
    NotYet,
    Never,
}

/// Where the input begins in arguments that are still growing.
fn begin(arguments: &str) -> Begin {
    let mut rest = arguments;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Begin::NotYet,
            None => return Begin::Never,
        }
    }
    Begin::At(arguments.len() - rest.len())
}

/// Up to where a growing string literal can be taken, and whether it ends there.
fn scan(literal: &str) -> (usize, bool) {
    let bytes = literal.as_bytes();
    let mut at = 0;
    while let Some(i) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += i;
        if bytes.get(at) == Some(&b'"') {
            return (at, true);
        }
        let length = if bytes.get(at + 1) == Some(&b'u') {
            6
        } else {
            2
        };
        if at + length > bytes.len() {
            return (at, false);
        }
        at += length;
    }
    (bytes.len(), false)
}

/// The input in whole arguments: their one text, or, where a model made up arguments of its own, all of them.
pub(super) fn of<'a>(arguments: &'a Arguments<'_>) -> Text<'a> {
    match arguments {
        Arguments::Object(json) => match Fields::parse(json) {
            Some(fields) if fields.0.is_empty() => Text::plain(""),
            Some(fields) => fields.text(INPUT).unwrap_or(Text::plain(json)),
            None => Text::plain(json),
        },
        Arguments::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
        let mut unwrapper = Unwrapper::default();
        let mut all = String::new();
        for piece in pieces {
            let inside = unwrapper.push(piece);
            let literal = format!("\"{inside}\"");
            assert!(
                serde_json::from_str::<String>(&literal).is_ok(),
                "{literal}"
            );
            all.push_str(&inside);
        }
        all.push_str(&unwrapper.finish());
        serde_json::from_str(&format!("\"{all}\"")).unwrap()
    }

    #[test]
    fn arguments_of_other_shapes_are_the_input() {
        for (arguments, input) in [
            (r#"{"input":"a"}"#, "a"),
            (r#" { "input" : "" } "#, ""),
            (r#"{"input":"cut"#, "cut"),
            (r#"{"cmd":"ls"}"#, r#"{"cmd":"ls"}"#),
            (r#"{"reason":"x","input":"a"}"#, "a"),
            ("ls -l", "ls -l"),
            ("", ""),
            ("{}", ""),
        ] {
            assert_eq!(run([arguments]), input, "{arguments}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_out_however_it_is_cut(text in any::<String>(), cuts in proptest::collection::vec(0usize..400, 0..8), ascii: bool) {
            let mut arguments = serde_json::json!({ "input": text }).to_string();
            if ascii {
                arguments = arguments.chars().map(|c| {
                    let mut units = [0; 2];
                    if c.is_ascii() { c.to_string() } else {
                        c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect()
                    }
                }).collect();
            }
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c <= arguments.len() && arguments.is_char_boundary(*c)).collect();
            cuts.extend([0, arguments.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(run(cuts.windows(2).map(|w| &arguments[w[0]..w[1]])), text);
        }
    }
}
