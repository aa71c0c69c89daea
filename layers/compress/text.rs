//! One text, made smaller: the same text always in the same way, whatever stands around it.
use super::{Settings, Transformation, exact, json, places::Call, table, terminal, tokens};
use std::borrow::Cow;

/// Shorter texts are not looked at.
pub(super) const LEAST: usize = 64;

/// A text that was made smaller, and about how many tokens by what.
#[derive(Debug, Default)]
pub(super) struct Smaller {
    pub(super) text: String,
    pub(super) saved: Vec<(Transformation, u64)>,
}

/// What is shorter, as far as it is on; `None` where nothing is.
pub(super) fn smaller(text: &str, call: Option<&Call<'_>>, on: &Settings) -> Option<Smaller> {
    if text.len() < LEAST || exact::is_exact(call) {
        return None;
    }
    let mut work = Work {
        text: Cow::Borrowed(text),
        saved: Vec::new(),
    };
    if on.does(Transformation::Terminal)
        && let Some(shown) = terminal::shown(&work.text)
    {
        work.becomes(Transformation::Terminal, shown);
    }
    if !work.json(on) && on.does(Transformation::Trailing) {
        let trimmed = trimmed(&work.text);
        work.becomes(Transformation::Trailing, trimmed);
    }
    // No provider takes a text of nothing.
    if work.saved.is_empty() || work.text.trim().is_empty() {
        return None;
    }
    Some(Smaller {
        text: work.text.into_owned(),
        saved: work.saved,
    })
}

struct Work<'a> {
    text: Cow<'a, str>,
    saved: Vec<(Transformation, u64)>,
}

impl Work<'_> {
    fn becomes(&mut self, by: Transformation, text: String) {
        if text.len() < self.text.len() {
            let saved = tokens::about(&self.text).saturating_sub(tokens::about(&text));
            self.saved.push((by, saved));
            self.text = Cow::Owned(text);
        }
    }

    /// Makes JSON smaller; tells whether it is JSON.
    fn json(&mut self, on: &Settings) -> bool {
        let trimmed = self.text.trim().to_owned();
        if !trimmed.starts_with(['{', '[']) {
            return false;
        }
        let (mut plain, laid) = (String::new(), on.does(Transformation::Table));
        let laid = if let Some(node) = json::parse(&trimmed) {
            node.write(&mut plain);
            laid.then(|| table::lay(&node)).flatten()
        } else if let Some(lines) = json::lines(&trimmed) {
            for (n, line) in lines.iter().enumerate() {
                if n > 0 {
                    plain.push('\n');
                }
                line.write(&mut plain);
            }
            laid.then(|| table::lay_lines(&lines)).flatten()
        } else {
            return false;
        };
        if on.does(Transformation::Json) {
            self.becomes(Transformation::Json, plain);
        }
        // A table has fewer bytes, but signs are dear: it has to have fewer tokens as well.
        if let Some(laid) = laid.filter(|l| tokens::about(l) < tokens::about(&self.text)) {
            self.becomes(Transformation::Table, laid);
        }
        true
    }
}

/// Without spaces and tabs at the ends of lines, and without empty lines at the end.
fn trimmed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        out.push_str(line.trim_end_matches([' ', '\t']));
        out.push_str(end);
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}
