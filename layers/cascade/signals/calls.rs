//! Whether the tool calls of a draft follow from what was asked.
//!
//! A call that is wrong is mostly one of three kinds: to a tool that has nothing to do with the ask, with arguments that nobody named, or
//! against the tool's own schema. All three can be seen before anything is executed.
use super::{
    super::{Draft, schemas::Tool},
    log, share,
};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What is seen of a draft's calls.
#[derive(Debug, Default)]
struct Seen {
    offered: usize,
    calls: usize,
    /// How far the best fitting tool's name is made of words of the ask.
    best_fit: f32,
    /// The same of the tools that were called, on the mean.
    fit: f32,
    /// Which share of the arguments' values are named in the ask.
    grounded: f32,
    least_grounded: f32,
    arguments: usize,
    faults: usize,
    twice: usize,
}

/// How plausible the draft's calls are, from 0 to 1, without any training; `None` where no tools were offered.
///
/// Half is the share of arguments that the ask names, half how far the called tool's name is made of its words; a call against the tool's
/// schema costs three tenths. A draft that calls nothing is as plausible as no tool fits.
#[must_use]
pub fn plausibility(draft: &Draft<'_>) -> Option<f64> {
    let seen = Seen::of(draft)?;
    if seen.calls == 0 {
        return Some(0.1 + 0.9 * f64::from(1.0 - seen.best_fit));
    }
    let or_half = |x: f32| if x.is_nan() { 0.5 } else { f64::from(x) };
    #[expect(clippy::cast_precision_loss, reason = "at most two")]
    let faults = seen.faults.min(2) as f64;
    Some((0.5 * or_half(seen.grounded) + 0.5 * f64::from(seen.fit) - 0.3 * faults).clamp(0.0, 1.0))
}

/// Their names.
pub(super) const NAMES: &[&str] = &[
    "tools_offered",
    "calls",
    "no_call",
    "best_fit",
    "fit",
    "grounded",
    "least_grounded",
    "arguments",
    "faults",
    "calls_twice",
    "call_misfit",
];

/// The numbers of a draft's calls, in a fixed order; NaN where no tools were offered.
pub(super) fn read(draft: &Draft<'_>) -> Vec<f32> {
    let Some(s) = Seen::of(draft) else {
        return vec![f32::NAN; 11];
    };
    let called = |x: f32| if s.calls == 0 { f32::NAN } else { x };
    vec![
        log(s.offered),
        log(s.calls),
        f32::from(u8::from(s.calls == 0)),
        s.best_fit,
        called(s.fit),
        called(s.grounded),
        called(s.least_grounded),
        log(s.arguments),
        log(s.faults),
        log(s.twice),
        // A draft that calls nothing although a tool fits, and one that calls although none does.
        if s.calls == 0 {
            s.best_fit
        } else {
            1.0 - s.fit
        },
    ]
}

impl Seen {
    fn of(draft: &Draft<'_>) -> Option<Self> {
        draft.asked(|asked| Self::between(draft, asked.question(), asked.tools().list()))
    }

    fn between(draft: &Draft<'_>, question: &str, tools: &[Tool]) -> Option<Self> {
        if tools.is_empty() {
            return None;
        }
        let answer = draft.answer();
        let asked = stems(question);
        let text = plain(question);
        let numbers = numbers(question);
        let fit = |name: &str| {
            let name = stems(name);
            let found = name.iter().filter(|w| asked.contains(*w)).count();
            share(found, name.len().max(1))
        };
        let mut seen = Self {
            offered: tools.len(),
            calls: answer.tool_calls.len(),
            best_fit: tools.iter().map(|t| fit(t.name())).fold(0.0, f32::max),
            grounded: f32::NAN,
            least_grounded: f32::NAN,
            ..Self::default()
        };
        let (mut fits, mut grounds) = (Vec::new(), Vec::new());
        let mut made = HashSet::new();
        for call in &answer.tool_calls {
            fits.push(fit(&call.name));
            seen.twice += usize::from(!made.insert((&call.name, &call.arguments)));
            let tool = tools.iter().find(|t| t.name() == call.name);
            let arguments = match call.arguments.trim() {
                "" => Ok(Map::new()),
                json => serde_json::from_str::<Map<String, Value>>(json),
            };
            let (Some(tool), Ok(arguments)) = (tool, arguments) else {
                seen.faults += 1;
                continue;
            };
            seen.arguments += arguments.len();
            seen.faults += tool.faults(&arguments);
            for value in arguments.values() {
                ground(value, &text, &numbers, &mut grounds);
            }
        }
        seen.fit = mean(&fits);
        if !grounds.is_empty() {
            seen.grounded = mean(&grounds);
            seen.least_grounded = grounds.iter().copied().fold(1.0, f32::min);
        }
        Some(seen)
    }
}

/// Adds how far each value in here is named in the ask. Switches are named by nobody and do not count.
fn ground(value: &Value, text: &str, numbers: &[f64], to: &mut Vec<f32>) {
    match value {
        Value::Object(members) => members.values().for_each(|v| ground(v, text, numbers, to)),
        Value::Array(items) => items.iter().for_each(|v| ground(v, text, numbers, to)),
        Value::Number(number) => {
            let n = number.as_f64().unwrap_or(f64::NAN);
            let same = |x: &f64| {
                [n, n * 100.0, n / 1000.0]
                    .iter()
                    .any(|m| (m - x).abs() < 1e-9)
            };
            to.push(f32::from(u8::from(numbers.iter().any(same))));
        }
        Value::String(string) => {
            let string = plain(string);
            let string = string.trim();
            if !string.is_empty() {
                let words: Vec<&str> = string.split(' ').collect();
                let found = words.iter().filter(|w| text.contains(**w)).count();
                let whole = text.contains(string);
                to.push(if whole {
                    1.0
                } else {
                    share(found, words.len())
                });
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

/// Lower case, with single blanks for whatever is neither letter nor digit.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars() {
        if c.is_alphanumeric() || c == '.' {
            out.extend(c.to_lowercase());
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// The numbers in an ask, small ones in words too.
fn numbers(text: &str) -> Vec<f64> {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let lower = text.to_lowercase();
    let spelled = lower
        .split(|c: char| !c.is_alphabetic())
        .filter_map(|w| WORDS.iter().position(|n| *n == w));
    #[expect(clippy::cast_precision_loss, reason = "at most twelve")]
    let spelled = spelled.map(|n| n as f64);
    let written = text.split(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-'));
    let written = written.filter_map(|n| {
        let n = n.trim_end_matches(['.', ',', '-']).replace(',', "");
        let value: f64 = n.parse().ok()?;
        Some([value, value.abs()])
    });
    spelled.chain(written.flatten()).collect()
}

/// Words that say nothing about what a tool is for.
const COMMON: &[&str] = &[
    "the",
    "for",
    "and",
    "with",
    "from",
    "get",
    "find",
    "calculate",
    "given",
    "using",
    "use",
    "this",
    "that",
    "what",
    "how",
    "you",
    "can",
    "please",
    "are",
    "was",
    "not",
    "all",
    "between",
    "would",
    "like",
    "need",
    "want",
    "does",
];

/// The words of an ask or of a tool's name (`get_weather`, `getWeather`) without their endings.
fn stems(text: &str) -> HashSet<String> {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut lower = false;
    for c in text.chars() {
        if c.is_uppercase() && lower {
            spaced.push(' ');
        }
        lower = c.is_lowercase();
        spaced.extend(c.to_lowercase());
    }
    spaced
        .split(|c: char| !c.is_alphabetic())
        .filter(|w| w.len() >= 3 && !COMMON.contains(w))
        .map(|w| stem(w).to_owned())
        .collect()
}

fn stem(word: &str) -> &str {
    ["ing", "ed", "es", "s", "e"]
        .iter()
        .filter_map(|end| word.strip_suffix(end))
        .find(|rest| rest.len() >= 3)
        .unwrap_or(word)
}

fn mean(values: &[f32]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of calls")]
    let count = values.len().max(1) as f32;
    values.iter().sum::<f32>() / count
}
