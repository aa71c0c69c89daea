//! What is plainly wrong with an answer, whatever was asked.
mod calls;
mod code;
mod syntax;
mod words;

use super::{Confidence, Draft, Verdict, family};
use serde::de::IgnoredAny;
use std::{
    collections::HashMap,
    future::{Future, ready},
    hash::{BuildHasher, RandomState},
};
use tierway_services::chat::{Answer, Logprob, StopReason};

/// Rejects answers that are broken.
///
/// A floor, not a judge. It says nothing about whether an answer is *right*: signs that can be read off a text alone rank right and wrong
/// answers no better than a coin. So an answer with nothing broken gets 0.9, whatever it says: above the default threshold of
/// 0.85, and no probability of anything. Calibrated confidence takes a predicate that has seen labels from the deployment's own traffic;
/// put it in front with [`vetoed_by`](Confidence::vetoed_by).
///
/// | reason | what is broken | seen before the end |
/// |---|---|---|
/// | `empty` | neither text nor a call | |
/// | `truncated` | cut by a limit | |
/// | `refusal` | marked as one, or begins like one | yes |
/// | `repetition` | runs in a circle | yes |
/// | `echo` | the question again | |
/// | `language` | in another script than the question, which nobody asked for | |
/// | `invalid_json` | not the JSON that was demanded, or arguments of a call that are no JSON object | yes |
/// | `schema` | JSON that breaks the schema that was given | |
/// | `code_fence` | a code block that is never closed, or code among words without one | |
/// | `code_syntax` | code that was asked for and cannot be parsed (feature `syntax`) | |
/// | `unknown_tool` | a call of a tool that was not offered | yes |
/// | `missing_argument`, `unknown_argument`, `argument_type`, `argument_value`, `argument_schema` | a call that breaks its tool's schema | |
/// | `duplicate_call` | one call twice in one answer | |
/// | `looping_call` | the call of each of the last two turns again | |
/// | `unsure` | mean log-probability of some window of tokens under [the floor](Self::logprob_floor) | yes |
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Vetoes {
    floor: Option<(usize, f64)>,
}

/// The confidence in an answer with nothing broken.
const NOTHING_BROKEN: f64 = 0.9;

impl Vetoes {
    /// Rejects drafts in which the mean log-probability of some `window` tokens in a row is under `floor` (a natural logarithm, so below
    /// zero); by default none is, because what is low depends on model and task. DeepConf (arXiv 2508.15260) stops a sample so.
    #[must_use]
    pub const fn logprob_floor(mut self, window: usize, floor: f64) -> Self {
        self.floor = Some((window, floor));
        self
    }

    fn unsure(&self, logprobs: &[Logprob]) -> bool {
        let Some((window, floor)) = self.floor.filter(|(window, _)| *window > 0) else {
            return false;
        };
        logprobs.windows(window).any(|tokens| {
            let sum: f64 = tokens.iter().map(|t| t.logprob).sum();
            #[expect(
                clippy::cast_precision_loss,
                reason = "a window is some dozens of tokens"
            )]
            let mean = sum / tokens.len() as f64;
            mean < floor
        })
    }
}

impl Confidence for Vetoes {
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send {
        let broken = veto(draft).or_else(|| self.unsure(draft.logprobs()).then_some("unsure"));
        ready(match broken {
            Some(reason) => Verdict::new(0.0, reason),
            None => Verdict::new(NOTHING_BROKEN, "no_veto"),
        })
    }

    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        let text = draft.answer().text.trim();
        let json = draft.request().body().facts().json_output;
        if refuses(text) {
            Some("refusal")
        } else if repeats(text) {
            Some("repetition")
        } else if json && draft.tool_calls().is_empty() && !begins_json(text) {
            Some("invalid_json")
        } else if self.unsure(draft.logprobs()) {
            Some("unsure")
        } else {
            calls::certain(draft)
        }
    }
}

fn veto(draft: &Draft<'_>) -> Option<&'static str> {
    let answer: &Answer = draft.answer();
    let text = answer.text.trim();
    let calls = !answer.tool_calls.is_empty();
    let json = draft.request().body().facts().json_output && !calls;
    if text.is_empty() && !calls && !answer.refused {
        Some("empty")
    } else if matches!(
        answer.stop,
        Some(StopReason::MaxTokens | StopReason::ContextWindow)
    ) {
        Some("truncated")
    } else if answer.refused || answer.stop == Some(StopReason::Refusal) || refuses(text) {
        Some("refusal")
    } else if repeats(text) {
        Some("repetition")
    } else if calls {
        calls::fault(draft)
    } else if json {
        broken_json(draft, text)
    } else {
        broken_prose(draft, text)
    }
}

fn broken_json(draft: &Draft<'_>, text: &str) -> Option<&'static str> {
    draft.asked(|asked| match asked.schema() {
        None => {
            let parsed = serde_json::from_str::<IgnoredAny>(text);
            parsed.is_err().then_some("invalid_json")
        }
        Some(schema) => match serde_json::from_str(text) {
            Err(_) => Some("invalid_json"),
            Ok(value) => (!schema.allows(&value)).then_some("schema"),
        },
    })
}

fn broken_prose(draft: &Draft<'_>, text: &str) -> Option<&'static str> {
    let question = draft.question();
    if words::echoes(text, &question) {
        Some("echo")
    } else if code::unclosed_fence(text) {
        Some("code_fence")
    } else if words::drifts(draft, text, &question) {
        Some("language")
    } else if family::wants_code(draft.family(), &question) {
        code::broken(draft, text, &question)
    } else {
        None
    }
}

/// Whether `text` can still become JSON.
fn begins_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).map_or_else(|e| e.is_eof(), |_| true)
}

/// How a refusal begins, after an apology if there is one. In lower case, apostrophes straight.
const REFUSALS: &[&str] = &[
    "i can't help",
    "i cannot help",
    "i can not help",
    "i can't assist",
    "i cannot assist",
    "i can't provide",
    "i cannot provide",
    "i can't fulfill",
    "i cannot fulfill",
    "i can't comply",
    "i cannot comply",
    "i can't do that",
    "i cannot do that",
    "i can't answer",
    "i cannot answer",
    "i can't discuss",
    "i cannot discuss",
    "i can't access",
    "i cannot access",
    "i won't",
    "i will not",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i am not able to",
    "i must decline",
    "i have to decline",
    "as an ai language model, i can",
    "as an ai model, i can",
    "as an ai, i can",
];

const APOLOGIES: &[&str] = &[
    "i'm sorry",
    "i am sorry",
    "i'm very sorry",
    "i'm really sorry",
    "sorry",
    "i apologize",
    "i apologise",
    "apologies",
    "unfortunately",
    "my apologies",
    "but",
    "however",
    "for the confusion",
    "as an ai language model",
    "as an ai assistant",
    "as an ai",
];

/// Whether the text begins by declining. What stands further down ("you cannot assist the garbage collector") is not looked at.
fn refuses(text: &str) -> bool {
    let mut start = String::with_capacity(256);
    for c in text.chars().take(200) {
        start.push(match c {
            '\u{2019}' => '\'',
            c => c.to_ascii_lowercase(),
        });
    }
    let mut rest = start.as_str();
    // Apologies may be strung together; each round takes one off.
    for _ in 0..4 {
        if REFUSALS.iter().any(|r| rest.starts_with(r)) {
            return true;
        }
        let Some(after) = APOLOGIES.iter().find_map(|a| rest.strip_prefix(a)) else {
            return false;
        };
        rest = after.trim_start_matches([',', '.', ';', ':', '!', '-', '\u{2014}', ' ', '\n']);
    }
    false
}

/// Whether the text runs in a circle: one phrase of five words makes up much of it, or its end is one short piece over and over.
fn repeats(text: &str) -> bool {
    phrase_repeats(text) || tail_repeats(text.as_bytes())
}

fn phrase_repeats(text: &str) -> bool {
    const PHRASE: usize = 5;
    if text.len() < 200 {
        return false;
    }
    let hasher = RandomState::new();
    let words: Vec<u64> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| hasher.hash_one(w))
        .collect();
    if words.len() < 40 {
        return false;
    }
    let mut seen: HashMap<&[u64], usize> = HashMap::new();
    let mut most = 0;
    for phrase in words.windows(PHRASE) {
        let count = seen.entry(phrase).or_default();
        *count += 1;
        most = most.max(*count);
    }
    // A phrase at every twelfth position is 40 % of the text.
    most >= 5 && most * 12 > words.len()
}

fn tail_repeats(text: &[u8]) -> bool {
    const TAIL: usize = 240;
    let Some(tail) = text.len().checked_sub(TAIL).and_then(|at| text.get(at..)) else {
        return false;
    };
    (1..=TAIL / 4).any(|period| {
        let circles = tail
            .iter()
            .zip(tail.iter().skip(period))
            .all(|(a, b)| a == b);
        // Rules and padding ("-----") are no circle.
        circles
            && tail
                .iter()
                .take(period)
                .any(|b| b.is_ascii_alphanumeric() || !b.is_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, chat_request};
    use serde_json::{Value, json};
    use std::time::Duration;
    use tierway_services::chat::{Request, ToolCall};

    fn judged(answer: &Answer, request: &Request) -> Option<&'static str> {
        super::veto(&Draft::new(answer, request, Duration::ZERO))
    }
    fn demanding(format: &Value) -> Request {
        let turns = json!([{"role": "user", "content": "hi"}]);
        chat_request(
            &json!({"model": "m", "messages": turns, "response_format": format}).to_string(),
        )
    }
    fn veto(answer: &Answer, json: bool) -> Option<&'static str> {
        let kind = if json { "json_object" } else { "text" };
        judged(answer, &demanding(&json!({"type": kind})))
    }

    fn says(text: &str) -> Answer {
        let mut answer = Answer::default();
        answer.text = text.to_owned();
        answer
    }
    fn stopped(text: &str, stop: StopReason) -> Answer {
        let mut answer = says(text);
        answer.stop = Some(stop);
        answer
    }
    fn calls(arguments: &str) -> Answer {
        let mut answer = says("");
        answer.tool_calls = vec![ToolCall {
            id: "1".into(),
            name: "f".into(),
            arguments: arguments.into(),
        }];
        answer
    }

    #[test]
    fn broken_answers_are_named() {
        let circle = "the cat sat on the mat and ".repeat(20);
        let run = format!("Sure. {}", "la".repeat(200));
        for (reason, answer) in [
            ("empty", says(" \n")),
            ("truncated", stopped("and then", StopReason::MaxTokens)),
            ("truncated", stopped("and then", StopReason::ContextWindow)),
            ("refusal", stopped("No.", StopReason::Refusal)),
            ("refusal", says("I'm sorry, I cannot help with that.")),
            (
                "refusal",
                says("I\u{2019}m sorry, but I can\u{2019}t assist with that request."),
            ),
            (
                "refusal",
                says("Unfortunately, as an AI language model, I cannot access files."),
            ),
            ("repetition", says(&circle)),
            ("repetition", says(&run)),
            ("invalid_json", calls(r#"{"a":"#)),
            ("invalid_json", calls(r#"["a"]"#)),
        ] {
            assert_eq!(veto(&answer, false), Some(reason), "{answer:?}");
        }
        assert_eq!(veto(&says("Sure: {\"a\":1}"), true), Some("invalid_json"));
    }

    #[test]
    fn sound_answers_pass() {
        let table = "| name | value |\n|------|-------|\n| a | 1 |\n".to_owned() + &"-".repeat(300);
        let prose: String = (0..400).map(|i| format!("word{i} ")).collect();
        for answer in [
            says("Paris."),
            says("42"),
            says("Sorry for the wait: it is Paris, and you cannot assist the train."),
            says("To reset it, write to the vendor; I cannot recommend more."),
            says(&table),
            says(&prose),
            calls("{}"),
            calls(""),
            calls(r#"{"a":{"b":[1]}}"#),
            stopped("fin", StopReason::StopSequence),
        ] {
            assert_eq!(veto(&answer, false), None, "{answer:?}");
        }
        assert_eq!(veto(&says(" {\"a\":1}\n"), true), None);
        assert_eq!(veto(&calls("{}"), true), None);
    }

    #[test]
    fn an_answer_is_held_to_its_schema_and_its_question() {
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let req = demanding(&format);
        for (text, expected) in [
            (r#"{"n":1}"#, None),
            (r#"{"n":"1"}"#, Some("schema")),
            ("{}", Some("schema")),
            ("{", Some("invalid_json")),
        ] {
            assert_eq!(judged(&says(text), &req), expected, "{text}");
        }
        let req = ask("m", "Why is the sky blue in the daytime?");
        let echo = says("Why is the sky blue in the daytime?");
        assert_eq!(judged(&echo, &req), Some("echo"));
        assert_eq!(judged(&says("So:\n```\nlet a"), &req), Some("code_fence"));
        #[cfg(feature = "syntax")]
        for (question, code, expected) in [
            (
                "Write a Python function f.",
                "```python\ndef f(:\n```",
                Some("code_syntax"),
            ),
            (
                "Write a Python function f.",
                "```python\ndef f(): pass\n```",
                None,
            ),
            (
                "Write a Python function f.",
                "def f(:\n    return [1\n\nimport os\n",
                Some("code_syntax"),
            ),
            ("What is f?", "```python\ndef f(:\n```", None),
        ] {
            assert_eq!(judged(&says(code), &ask("m", question)), expected, "{code}");
        }
        let other = says(&"\u{43d}\u{435}\u{431}\u{43e} ".repeat(9));
        assert_eq!(
            judged(&other, &ask("m", "Why is the sky blue in daytime?")),
            Some("language")
        );
    }

    #[test]
    fn what_cannot_become_good_is_rejected_early() {
        let early = |answer: &Answer, request: &Request, vetoes: Vetoes| {
            vetoes.reject_prefix(&Draft::new(answer, request, Duration::ZERO).partial())
        };
        let (plain, json) = (ask("m", "hi"), demanding(&json!({"type": "json_object"})));
        for (text, request, expected) in [
            ("", &plain, None),
            ("I'm sorry, but I can", &plain, None),
            ("I'm sorry, but I can't help", &plain, Some("refusal")),
            ("{\"a\": [1, ", &json, None),
            ("Sure", &json, Some("invalid_json")),
        ] {
            assert_eq!(
                early(&says(text), request, Vetoes::default()),
                expected,
                "{text}"
            );
        }
        let mut unsure = says("x");
        unsure.logprobs = [-0.1, -0.2, -3.0, -4.0, -0.1]
            .map(|logprob| Logprob {
                token: "x".into(),
                logprob,
                runner_up: None,
            })
            .into();
        for (window, floor, expected) in [
            (2, -3.0, Some("unsure")),
            (2, -4.0, None),
            (9, -0.1, None),
            (0, 0.0, None),
        ] {
            let vetoes = Vetoes::default().logprob_floor(window, floor);
            assert_eq!(early(&unsure, &plain, vetoes), expected, "{window} {floor}");
        }
    }
}
