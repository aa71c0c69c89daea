//! Whether code can be parsed.
//!
//! A parser knows nothing of what the code does, but code that it cannot read was cut, mangled or never was code. What may be no fault is
//! let pass: pieces of a file, places left for the reader to fill in, diffs, and whatever takes too long to look at.

/// A language that can be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Go,
    Java,
    JavaScript,
    Json,
    Python,
    Rust,
    Toml,
    TypeScript,
}

impl Language {
    /// The language that a fence names.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        Some(match tag.to_ascii_lowercase().as_str() {
            "go" | "golang" => Self::Go,
            "java" => Self::Java,
            "javascript" | "js" | "jsx" | "mjs" | "cjs" | "node" => Self::JavaScript,
            "json" => Self::Json,
            "python" | "python3" | "py" => Self::Python,
            "rust" | "rs" => Self::Rust,
            "toml" => Self::Toml,
            "typescript" | "ts" | "tsx" => Self::TypeScript,
            _ => return None,
        })
    }

    /// The language in which code is asked for, where the question names one and no other.
    pub(super) fn asked(question: &str) -> Option<Self> {
        const NAMES: &[&str] = &[
            "golang",
            "java",
            "javascript",
            "python",
            "rust",
            "typescript",
            "kotlin",
            "scala",
            "ruby",
            "perl",
            "php",
            "sql",
            "bash",
            "shell",
            "c++",
            "c#",
            "swift",
            "haskell",
        ];
        let low = question.to_lowercase();
        let words = low.split(|c: char| !(c.is_alphanumeric() || c == '+' || c == '#'));
        let mut named = words.filter(|w| NAMES.contains(w));
        let first = named.next()?;
        if named.any(|other| other != first) {
            return None;
        }
        Self::of_tag(first)
    }
}

/// Whether any of these pieces of code cannot be parsed; without the feature `syntax` none is looked at.
#[cfg(not(feature = "syntax"))]
pub(super) fn unparsable<'a>(_: impl Iterator<Item = (Language, &'a str)>) -> bool {
    false
}

#[cfg(feature = "syntax")]
pub(super) use parse::unparsable;

#[cfg(feature = "syntax")]
mod parse {
    use super::Language;
    use std::{
        ops::ControlFlow,
        time::{Duration, Instant},
    };
    use tree_sitter::{ParseOptions, Parser};

    /// More code than this, in bytes, is not looked at: whoever judges must be faster than whoever writes.
    const MOST: usize = 32 << 10;
    /// A parser stops after this time, over all that it is given: mending what is broken may take it long.
    const PATIENCE: Duration = Duration::from_millis(10);

    /// Whether any of these pieces of code cannot be parsed.
    pub(in super::super) fn unparsable<'a>(
        code: impl Iterator<Item = (Language, &'a str)>,
    ) -> bool {
        within(PATIENCE, code)
    }

    pub(super) fn within<'a>(
        patience: Duration,
        code: impl Iterator<Item = (Language, &'a str)>,
    ) -> bool {
        let (mut left, end) = (MOST, Instant::now() + patience);
        let looked_at = code.map_while(|(language, code)| {
            left = left.checked_sub(code.len())?;
            Some((language, code))
        });
        let mut pieces = looked_at.filter(|(language, code)| !is_sketch(*language, code));
        pieces.any(|(language, code)| breaks(language, code, end))
    }

    fn breaks(language: Language, code: &str, end: Instant) -> bool {
        match language {
            Language::Json => serde_json::from_str::<serde::de::IgnoredAny>(code).is_err(),
            Language::Toml => code.parse::<toml::Table>().is_err(),
            _ => fails(language, code, end),
        }
    }

    /// Whether it can be parsed neither as a file nor as a piece of one.
    fn fails(language: Language, code: &str, end: Instant) -> bool {
        let Some(grammar) = grammar(language) else {
            return false;
        };
        let mut parser = Parser::new();
        if parser.set_language(&grammar).is_err() {
            return false;
        }
        let code = dedented(code);
        let around: &[(&str, &str)] = match language {
            Language::JavaScript | Language::TypeScript => &[("(", "\n)"), ("class A {", "\n}")],
            Language::Java => &[("class A {", "\n}"), ("class A { void a() {", "\n}}")],
            Language::Go => &[("func a() {", "\n}"), ("type a struct {", "\n}")],
            Language::Rust => &[
                ("fn a() {", "\n}"),
                ("impl A {", "\n}"),
                ("enum A {", "\n}"),
            ],
            _ => &[],
        };
        let pieces = around
            .iter()
            .map(|(before, after)| format!("{before}{code}{after}"));
        let mut tries = std::iter::once(code.clone()).chain(pieces);
        // What takes too long is not held against anybody.
        let parsed = tries.try_for_each(|text| match sound(&mut parser, &text, end) {
            Some(false) => ControlFlow::Continue(()),
            Some(true) | None => ControlFlow::Break(()),
        });
        parsed.is_continue()
    }

    /// Whether all of it is what the grammar knows; `None` where patience ran out.
    fn sound(parser: &mut Parser, text: &str, end: Instant) -> Option<bool> {
        parser.reset();
        let mut out_of_patience = |_: &tree_sitter::ParseState| Instant::now() > end;
        let options = ParseOptions::new().progress_callback(&mut out_of_patience);
        let bytes = text.as_bytes();
        let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
        let tree = parser.parse_with_options(&mut read, None, Some(options))?;
        Some(!tree.root_node().has_error())
    }

    fn grammar(language: Language) -> Option<tree_sitter::Language> {
        Some(match language {
            Language::Go => tree_sitter_go::LANGUAGE.into(),
            Language::Java => tree_sitter_java::LANGUAGE.into(),
            Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Language::Python => tree_sitter_python::LANGUAGE.into(),
            #[cfg(feature = "syntax-rust")]
            Language::Rust => tree_sitter_rust::LANGUAGE.into(),
            #[cfg(feature = "syntax-typescript")]
            Language::TypeScript => tree_sitter_typescript::LANGUAGE_TSX.into(),
            _ => return None,
        })
    }

    /// Whether it is not meant to be parsed as it stands: something is left out, or it is a diff or a dialogue with a shell.
    fn is_sketch(language: Language, code: &str) -> bool {
        let begins = |line: &str, marks: &[&str]| marks.iter().any(|mark| line.starts_with(mark));
        let dialogue =
            |line: &str| begins(line, &[">>>", "$ ", "%", "!", "@@", "+++", "---", "diff "]);
        let left_out = |line: &str| {
            let line = line.trim();
            line.contains('\u{2026}')
                || (language != Language::Python && line.contains("..."))
                || line.contains("<your")
                || line.contains("<YOUR")
        };
        let lines = || code.lines().filter(|l| !l.trim().is_empty());
        let changed = lines().filter(|l| begins(l, &["+", "-"])).count();
        lines().any(|line| dialogue(line) || left_out(line))
            || changed * 2 > lines().count()
            || (language == Language::Json && code.contains("//"))
    }

    /// Without the blanks that all its lines begin with: it may stand in a list, or be from the middle of a file.
    fn dedented(code: &str) -> String {
        let blanks = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let filled = || code.lines().filter(|l| !l.trim().is_empty());
        let common = filled().map(blanks).min().unwrap_or(0);
        let cut = |line: &str| line.get(common..).unwrap_or_default().to_owned() + "\n";
        code.lines().map(cut).collect()
    }
}

#[cfg(all(test, feature = "syntax"))]
mod tests;
