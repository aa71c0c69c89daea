//! What is plainly wrong with an answer, whatever was asked.
use super::{Confidence, Draft, Verdict};
use serde::de::IgnoredAny;
use std::{
    borrow::Cow,
    collections::HashMap,
    future::{Future, ready},
    hash::{BuildHasher, RandomState},
};
use tierway_services::chat::{Answer, StopReason};

/// Rejects answers that are broken: `empty`, `truncated`, `refusal`, `repetition`, `invalid_json`.
///
/// A floor, not a judge. It says nothing about whether an answer is *right*: signs that can be read off a text alone rank right and wrong
/// answers no better than a coin. So an answer with nothing broken gets 0.9, whatever it says: above the default threshold of
/// 0.85, and no probability of anything. Calibrated confidence takes a predicate that has seen labels from the deployment's own traffic;
/// [`and`](Confidence::and) puts one behind this.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Vetoes;

/// The confidence in an answer with nothing broken.
const NOTHING_BROKEN: f64 = 0.9;

impl Confidence for Vetoes {
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send {
        let json = draft.request().body().facts().json_output;
        ready(match veto(draft.answer(), json) {
            Some(reason) => Verdict::new(0.0, reason),
            None => Verdict::new(NOTHING_BROKEN, "no_veto"),
        })
    }
}

fn veto(answer: &Answer, json: bool) -> Option<&'static str> {
    let text = answer.text.trim();
    let calls = !answer.tool_calls.is_empty();
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
    } else if !answer.tool_calls.iter().all(|c| is_object(&c.arguments))
        || (json && !calls && serde_json::from_str::<IgnoredAny>(text).is_err())
    {
        Some("invalid_json")
    } else {
        None
    }
}

/// Whether a tool call's arguments are a JSON object. A tool without parameters may be called with no text at all.
fn is_object(arguments: &str) -> bool {
    arguments.trim().is_empty()
        || serde_json::from_str::<HashMap<Cow<'_, str>, IgnoredAny>>(arguments).is_ok()
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
    use tierway_services::chat::ToolCall;

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
}
