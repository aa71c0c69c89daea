//! What kind of task a request is.
use tierway_services::chat;

/// A kind of task, coarse on purpose: scores are comparable within one, and each needs labels of its own.
///
/// ```
/// use tierway_layers::cascade::Family;
/// assert_eq!(Family::ALL.len(), 6);
/// assert_eq!(Family::Math.as_str(), "math");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Tools are offered, so that the answer may be a call.
    Tool,
    /// JSON is demanded.
    Json,
    /// One of several given answers is to be picked.
    Choice,
    /// A number is to be worked out.
    Math,
    /// Code is to be written or explained.
    Code,
    /// Everything else.
    Prose,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Tool,
        Self::Json,
        Self::Choice,
        Self::Math,
        Self::Code,
        Self::Prose,
    ];

    /// The name: `tool`, `json`, `choice`, `math`, `code`, `prose`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Json => "json",
            Self::Choice => "choice",
            Self::Math => "math",
            Self::Code => "code",
            Self::Prose => "prose",
        }
    }

    /// The family of a request in which the user asks `question`: by what is demanded, then by the look of the question.
    #[must_use]
    pub fn of(request: &chat::Request, question: &str) -> Self {
        let facts = request.body().facts();
        if facts.tool_count > 0 {
            Self::Tool
        } else if facts.json_output {
            Self::Json
        } else if offers_choices(question) {
            Self::Choice
        } else if shows_code(question) {
            Self::Code
        } else if asks_number(question) {
            Self::Math
        } else {
            Self::Prose
        }
    }
}

/// Whether lines or words of the question are marked A, B, C as answers to pick from.
fn offers_choices(question: &str) -> bool {
    let marked = |letter: char| {
        [")", ".", ":"].iter().any(|stop| {
            let lines = question.lines().map(str::trim_start);
            let mark = format!("{letter}{stop} ");
            let tight = format!("{letter}{stop}");
            lines.clone().any(|l| l.starts_with(&mark) || l == tight)
        }) || question.contains(&format!("({letter}) "))
    };
    ['A', 'B', 'C'].into_iter().all(marked)
}

/// Whether the answer to `question` is to hold code: also where tools are on offer, which an answer in words does not use.
pub(super) fn wants_code(family: Family, question: &str) -> bool {
    match family {
        Family::Code => true,
        Family::Tool => shows_code(question),
        _ => false,
    }
}

fn shows_code(question: &str) -> bool {
    const WORDS: &[&str] = &[
        "function",
        "code",
        "script",
        "regex",
        "sql",
        "compile",
        "refactor",
        "bug",
        "python",
        "javascript",
        "typescript",
        "rust",
        "java",
        "c++",
        "bash",
        "unit test",
        "stack trace",
        "api",
        "class",
        "implement",
    ];
    if question.contains("```") || question.contains("def ") || question.contains("();") {
        return true;
    }
    let low = question.to_lowercase();
    has_word(&low, WORDS)
}

fn asks_number(question: &str) -> bool {
    const WORDS: &[&str] = &[
        "how many",
        "how much",
        "calculate",
        "compute",
        "sum",
        "solve",
        "percent",
        "equation",
        "probability",
        "integral",
        "remainder",
        "total",
    ];
    let low = question.to_lowercase();
    let numbers = low
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .count();
    numbers >= 2 && has_word(&low, WORDS)
}

/// Whether one of `words` stands in `text`, not as a part of a longer word.
fn has_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        classify::question,
        testing::{ask, chat_request},
    };

    #[test]
    fn families_are_told_apart() {
        for (text, family) in [
            ("What is the capital of France?", Family::Prose),
            ("Pick one.\nA) red\nB) green\nC) blue", Family::Choice),
            ("Is it (A) one, (B) two or (C) three?", Family::Choice),
            (
                "Natalia sold 48 clips in April and 24 in May. How many altogether?",
                Family::Math,
            ),
            (
                "Write a Python function that reverses a list.",
                Family::Code,
            ),
            ("Summarise the summary of the totality.", Family::Prose),
        ] {
            let req = ask("m", text);
            assert_eq!(Family::of(&req, &question(req.body())), family, "{text}");
        }
        let tools = chat_request(
            r#"{"model":"m","tools":[{}],"messages":[{"role":"user","content":"hi"}]}"#,
        );
        assert_eq!(Family::of(&tools, "hi"), Family::Tool);
        let json = chat_request(
            r#"{"model":"m","response_format":{"type":"json_object"},"messages":[{"role":"user","content":"hi"}]}"#,
        );
        assert_eq!(Family::of(&json, "hi"), Family::Json);
    }
}
