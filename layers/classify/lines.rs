//! Telling what was typed from what was pasted: code, diffs, logs, stack traces and quotations, line by line.
//!
//! What was pasted is material, not the ask: a page of log lines about payments, with "which line has the first ERROR?" above it, is a
//! lookup. Fences tell most; where there are none, each line is judged by what prose never looks like, and by the line before it.

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Typed.
    Prose,
    /// Code, or what a machine wrote.
    Code,
    /// A line of a diff.
    Diff,
    /// A frame of a stack trace, or what stands above one.
    Trace,
    /// Quoted from somebody else, or nothing.
    Silent,
}

/// Reads lines in their order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    fence: Option<&'static str>,
    fenced_diff: bool,
    /// Within a diff that has no fence.
    diff: bool,
    /// The last line that was not blank, and whether it ran on.
    before: Option<Line>,
}

impl Lines {
    /// What `line` is.
    pub(super) fn next(&mut self, line: &str) -> Line {
        let trimmed = line.trim();
        let kind = self.judge(line, trimmed);
        if !trimmed.is_empty() {
            self.before = Some(kind);
        }
        kind
    }

    fn judge(&mut self, line: &str, trimmed: &str) -> Line {
        let mark = ["```", "~~~"].into_iter().find(|m| trimmed.starts_with(m));
        match (self.fence, mark) {
            (None, Some(open)) => {
                self.fence = Some(open);
                self.fenced_diff = trimmed.ends_with("diff") || trimmed.ends_with("patch");
                return Line::Silent;
            }
            (Some(open), Some(close)) if open == close => {
                self.fence = None;
                return Line::Silent;
            }
            (Some(_), _) if trimmed.is_empty() => return Line::Silent,
            (Some(_), _) if self.fenced_diff => return Line::Diff,
            (Some(_), _) => {
                return if is_trace(line, trimmed) {
                    Line::Trace
                } else {
                    Line::Code
                };
            }
            (None, None) => {}
        }
        if trimmed.is_empty() || trimmed.starts_with('>') {
            return Line::Silent;
        }
        self.diff = if self.diff {
            line.starts_with(['+', '-', ' ', '@', '\\'])
        } else {
            begins(line, &["diff --git", "@@ ", "--- a/", "+++ b/"])
        };
        if self.diff {
            return Line::Diff;
        }
        if is_trace(line, trimmed) {
            return Line::Trace;
        }
        let indented = line.len() > trimmed.len() && line.starts_with([' ', '\t']);
        let runs_on = indented && matches!(self.before, Some(Line::Code | Line::Trace));
        if runs_on || is_log(trimmed) || looks_like_code(trimmed, indented) {
            return Line::Code;
        }
        Line::Prose
    }
}

fn is_trace(line: &str, trimmed: &str) -> bool {
    let frame =
        line.starts_with(' ') && (trimmed.starts_with("at ") || trimmed.starts_with("File \""));
    frame || begins(trimmed, TRACES)
}

/// How a stack trace begins.
const TRACES: &[&str] = &[
    "Traceback (",
    "panicked at",
    "thread '",
    "goroutine ",
    "Caused by:",
];

/// Whether `line` begins with one of `starts`, none of which is empty. The first byte tells most of them off.
fn begins(line: &str, starts: &[&str]) -> bool {
    let first = line.as_bytes().first();
    let mut starts = starts.iter();
    starts.any(|start| start.as_bytes().first() == first && line.starts_with(start))
}

/// Whether a machine wrote it: a time of day within the first words, or a level at its head.
fn is_log(line: &str) -> bool {
    let head = line.as_bytes();
    let head = head.get(..40).unwrap_or(head);
    let clock = head.windows(8).any(|w| {
        w[2] == b':' && w[5] == b':' && [0, 1, 3, 4, 6, 7].iter().all(|at| w[*at].is_ascii_digit())
    });
    clock || begins(line, LEVELS)
}

/// How a line of a log begins that has no time.
const LEVELS: &[&str] = &[
    "ERROR ",
    "WARN ",
    "INFO ",
    "DEBUG ",
    "[ERROR]",
    "[WARN",
    "[INFO]",
    "error[E",
    "warning: ",
];

/// Words that statements begin with and asks do not, in the case in which they are written there.
const STATEMENTS: &[&str] = &[
    "const ",
    "let ",
    "var ",
    "def ",
    "fn ",
    "func ",
    "function ",
    "async ",
    "import ",
    "export ",
    "return ",
    "class ",
    "public ",
    "private ",
    "protected ",
    "static ",
    "struct ",
    "impl ",
    "pub ",
    "#include",
    "#define",
    "#!/",
    "using ",
    "package ",
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "CREATE ",
    "ALTER ",
    "WITH ",
    "FROM ",
    "WHERE ",
    "JOIN ",
    "GROUP BY",
    "ORDER BY",
    "module ",
    "type ",
    "enum ",
    "interface ",
    "@",
    "//",
    "/*",
    "--",
    "$ ",
];

/// Whether prose never looks so. A line that begins as a statement does also has to hold a sign of one: people write "let me know" and
/// "import the csv".
fn looks_like_code(line: &str, indented: bool) -> bool {
    let bytes = line.as_bytes();
    if begins(line, &["#include", "#define", "#!/"]) {
        return true;
    }
    let brackets = bytes.iter().all(|b| b"{}()[];,".contains(b));
    if brackets || bytes.len() > 1 && matches!(bytes.last(), Some(b';' | b'{' | b'}')) {
        return true;
    }
    let signs = signs(line);
    let enough = if indented { 2 } else { 3 };
    signs >= enough || ((signs > 0 || is_shouted(line)) && begins(line, STATEMENTS))
}

/// Whether its first word is in capitals, as those of SQL are.
fn is_shouted(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase())
}

/// A sign of code, and the bytes that it needs.
struct Sign(&'static str, u32);

const SIGNS: &[Sign] = &[
    Sign::of(" = "),
    Sign::of(" => "),
    Sign::of("->"),
    Sign::of("::"),
    Sign::of("()"),
    Sign::of(");"),
    Sign::of("):"),
    Sign::of(" == "),
    Sign::of(" != "),
    Sign::of(" && "),
    Sign::of(" || "),
    Sign::of(":="),
    Sign::of("</"),
    Sign::of("/>"),
    Sign::of("${"),
    Sign::of("{{"),
    Sign::of("[\""),
    Sign::of("(\""),
    Sign::of("('"),
    Sign::of("\": "),
    Sign::of(" += "),
    Sign::of("++"),
    Sign::of("!("),
    Sign::of(".get("),
];

impl Sign {
    const fn of(sign: &'static str) -> Self {
        let (mut needs, mut rest) = (0, sign.as_bytes());
        while let [byte, after @ ..] = rest {
            needs |= BIT[*byte as usize];
            rest = after;
        }
        Self(sign, needs)
    }

    fn is_in(&self, line: &str, bytes: u32) -> bool {
        let Self(sign, needs) = self;
        bytes & needs == *needs && line.contains(sign)
    }
}

/// The bytes that signs are made of, letters and blanks aside, each as a bit.
static BIT: [u32; 256] = {
    let mut bits = [0; 256];
    let (mut bit, mut rest) = (1, b"=->:();!&|</${[\"'+.".as_slice());
    while let [byte, after @ ..] = rest {
        bits[*byte as usize] = bit;
        bit <<= 1;
        rest = after;
    }
    bits
};

/// Signs of code in a line.
fn signs(line: &str) -> usize {
    let bytes = line.as_bytes();
    let all = bytes.iter().fold(0, |all, b| all | BIT[usize::from(*b)]);
    let found = SIGNS.iter().filter(|sign| sign.is_in(line, all)).count();
    // A bracket right behind a name: a call, not a remark (as this).
    let calls = |pair: &[u8]| pair[0].is_ascii_alphanumeric() && matches!(pair[1], b'(' | b'[');
    let ends = matches!(bytes.last(), Some(b')' | b'(' | b'[' | b']' | b',' | b':'));
    found + usize::from(ends && bytes.windows(2).any(calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Line> {
        let mut lines = Lines::default();
        text.lines().map(|line| lines.next(line)).collect()
    }

    #[test]
    fn prose_stays_prose() {
        for text in [
            "let me know when it is done",
            "import the csv, then plot it (with axes)",
            "class action lawsuits: what are they?",
            "return of the king, who directed it?",
            "write me a useDebounce hook in typescript, generic, with cleanup",
            "- existing projects move into a personal workspace",
            "the color is hard-coded as #ff0044 in Alert.vue, use var(--danger)",
            "What is the area of $x^2+y^2+10x+24y=0$?",
            "select the best option (a or b):",
            "f(x) = 3x + 2, what is f(4)?",
            "type in the box",
        ] {
            assert_eq!(kinds(text), [Line::Prose], "{text}");
        }
    }

    #[test]
    fn code_without_a_fence() {
        let text = "what does the ?? do in the 4th line\n\nexport async function f(req: Request) {\n  const h = req.headers.get('a')\n  return h ?? null\n}";
        use Line::{Code, Prose, Silent};
        assert_eq!(kinds(text), [Prose, Silent, Code, Code, Code, Code]);
        for line in [
            "def collect(x, acc=[]):",
            "SELECT a FROM r WHERE x = 1",
            "const a = b",
            "q.push(v);",
            "#include <map>",
        ] {
            assert_eq!(kinds(line), [Code], "{line}");
        }
    }

    #[test]
    fn machines_and_others() {
        use Line::{Code, Diff, Prose, Silent, Trace};
        let log = "which line has the first ERROR?\n\n1 2026-03-01T10:00:00Z INFO payments up\nERROR lost";
        assert_eq!(kinds(log), [Prose, Silent, Code, Code]);
        let diff = "spelled right?\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\nand now?";
        assert_eq!(kinds(diff), [Prose, Diff, Diff, Diff, Diff, Diff, Prose]);
        let trace = "TypeError: no\n    at f (a.ts:1)\n    at g";
        assert_eq!(kinds(trace)[1..], [Trace, Trace]);
        assert_eq!(kinds("> he said so\nis he right?"), [Silent, Prose]);
        assert_eq!(
            kinds("```diff\n-a\n```\nok?"),
            [Silent, Diff, Silent, Prose]
        );
        assert_eq!(
            kinds("```\nprove it\n~~~\n```\nwhy"),
            [Silent, Code, Code, Silent, Prose]
        );
    }
}
