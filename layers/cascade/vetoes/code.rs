//! What is plainly wrong with code in an answer.
use super::{super::Draft, syntax};

/// A piece of code between fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// The language that the fence names; empty where it names none.
    pub(super) tag: &'a str,
    pub(super) code: &'a str,
}

/// What is wrong with the code of an answer to somebody who asked for some.
pub(super) fn broken(draft: &Draft<'_>, text: &str, question: &str) -> Option<&'static str> {
    if unfenced_code(text, question) {
        return Some("code_fence");
    }
    let mut blocks = blocks(text);
    if blocks.is_empty() && is_bare(text) {
        blocks.push(Block {
            tag: "",
            code: text,
        });
    }
    let asked = || syntax::Language::asked(question);
    let unparsable = !draft.request().body().facts().json_output
        && syntax::unparsable(blocks.iter().filter_map(|block| {
            let language = match block.tag {
                "" => asked(),
                tag => syntax::Language::of_tag(tag),
            };
            Some((language?, block.code))
        }));
    unparsable.then_some("code_syntax")
}

/// The blocks between fences, in order; one that is not closed is none.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (begin, next) = (at, at + line.len());
        at = next;
        let line = line.trim();
        let ticks = line.bytes().take_while(|b| *b == b'`').count();
        if ticks < 3 {
            continue;
        }
        let rest = line.get(ticks..).unwrap_or_default().trim();
        match open {
            None => {
                let tag = rest.split(|c: char| c.is_whitespace() || c == '{' || c == ',');
                open = Some((ticks, tag.into_iter().next().unwrap_or_default(), next));
            }
            // What is fenced with four may hold fences of three.
            Some((from, tag, start)) if rest.is_empty() && ticks >= from => {
                let code = text.get(start..begin).unwrap_or_default();
                found.push(Block { tag, code });
                open = None;
            }
            Some(_) => {}
        }
    }
    found
}

/// The text without what stands between fences.
pub(super) fn without_code(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !fence && !inside
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a fence is opened and never closed.
pub(super) fn unclosed_fence(text: &str) -> bool {
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let ticks = line.bytes().take_while(|b| *b == b'`').count();
        if ticks < 3 {
            continue;
        }
        let bare = line.get(ticks..).unwrap_or_default().trim().is_empty();
        match open {
            None => open = Some(ticks),
            // What is fenced with four may hold fences of three.
            Some(from) if bare && ticks >= from => open = None,
            Some(_) => {}
        }
    }
    open.is_some()
}

/// Whether an answer that should show code shows it bare, among words.
pub(super) fn unfenced_code(text: &str, question: &str) -> bool {
    const BARE: &[&str] = &[
        "only",
        "raw",
        "markdown",
        "plain text",
        "without",
        "just the",
    ];
    if text.contains("```") || text.lines().count() < 6 {
        return false;
    }
    let low = question.to_lowercase();
    if BARE.iter().any(|word| low.contains(word)) {
        return false;
    }
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let code = lines.iter().filter(|l| is_code(l)).count();
    // All code is what an editor asks for; words around bare code are a formatting that went wrong.
    code >= 4 && code * 2 >= lines.len() && lines.first().is_some_and(|l| !is_code(l))
}

/// Whether an answer without a fence is code from its first line on.
fn is_bare(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let code = lines.iter().filter(|l| is_code(l)).count();
    code >= 2 && code * 3 >= lines.len() && lines.first().is_some_and(|l| is_code(l))
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(';')
        || line.ends_with('{')
        || line == "}"
        || [
            "def ", "import ", "from ", "return ", "#include", "fn ", "func ", "class ", "package ",
        ]
        .iter()
        .any(|word| line.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_closed() {
        for (text, unclosed) in [
            ("```rust\nfn a() {}\n```", false),
            ("Here:\n```\nx", true),
            ("````md\n```\nx\n```\n````", false),
            ("a `tick` and ``two``", false),
        ] {
            assert_eq!(unclosed_fence(text), unclosed, "{text}");
        }
    }

    #[test]
    fn bare_code_among_words() {
        let code = "Here it is\nimport os\ndef f():\n    x = 1\n    return x\nimport sys\n";
        assert!(unfenced_code(code, "Write a function"));
        assert!(!unfenced_code(code, "Write a function, only code"));
        assert!(!unfenced_code(
            "One.\nTwo.\nThree.\nFour.\nFive.\nSix.",
            "Explain"
        ));
    }

    #[test]
    fn blocks_are_found_with_their_languages() {
        let text = "Here:\n```rust,no_run\nfn a() {}\n```\nor\n  ````\n```\nx\n```\n  ````\n```py\nnever closed";
        let found: Vec<_> = blocks(text).iter().map(|b| (b.tag, b.code)).collect();
        assert_eq!(found, [("rust", "fn a() {}\n"), ("", "```\nx\n```\n")]);
    }

    #[test]
    fn bare_code_is_told_from_words() {
        assert!(is_bare("def f():\n    return 1\n"));
        assert!(is_bare("func main() {\n\tx := 1\n\tfmt.Println(x)\n}\n"));
        assert!(!is_bare("It returns one.\nreturn x;\nreturn y;\n"));
    }
}
