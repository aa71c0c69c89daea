//! Whether two answers say the same.
use super::{Family, signals::last_number};
use serde_json::Value;
use std::collections::HashMap;
use tierway_services::chat::Answer;

/// Of their words two texts share this much or more: the same text, but for words. The measure is the F1 of SQuAD: the harmonic mean of
/// the shares of each text's words that the other has too (Rajpurkar and others, arXiv 1606.05250).
const SAME_WORDS: f64 = 0.8;

/// What comparing two answers shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// They say the same.
    Same,
    /// They say the same in mostly the same words.
    SameWords,
    /// They do not: at most one of them is right.
    Different,
    /// They differ in words, which shows nothing.
    Unclear,
}

/// Compares two answers to a request of this kind.
pub(crate) fn compare(family: Family, small: &Answer, big: &Answer) -> Shown {
    let same = |same| if same { Shown::Same } else { Shown::Different };
    if !small.tool_calls.is_empty() || !big.tool_calls.is_empty() {
        return same(calls(small) == calls(big));
    }
    match family {
        Family::Json => {
            let (small, big) = (json(&small.text), json(&big.text));
            // What the big model failed at shows nothing about the small one's.
            if big.is_none() {
                return Shown::Unclear;
            }
            same(small == big)
        }
        Family::Choice => match (choice(&small.text), choice(&big.text)) {
            (Some(small), Some(big)) => same(small == big),
            _ => texts(small, big),
        },
        Family::Math => match (last_number(&small.text), last_number(&big.text)) {
            (Some(small), Some(big)) => same((small - big).abs() <= 1e-6 * big.abs().max(1.0)),
            _ => texts(small, big),
        },
        _ => texts(small, big),
    }
}

fn texts(small: &Answer, big: &Answer) -> Shown {
    if overlap(&small.text, &big.text) >= SAME_WORDS {
        Shown::SameWords
    } else {
        Shown::Unclear
    }
}

/// Calls without their ids, in an order of their own: parallel calls have none.
fn calls(answer: &Answer) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = answer
        .tool_calls
        .iter()
        .map(|call| {
            let arguments = serde_json::from_str(&call.arguments).map(plain);
            // Objects of `serde_json` are sorted by key.
            let arguments = arguments.map_or_else(|_| call.arguments.clone(), |v| v.to_string());
            (call.name.clone(), arguments)
        })
        .collect();
    calls.sort();
    calls
}

/// A JSON text, also one within a fence.
fn json(text: &str) -> Option<Value> {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|t| t.strip_suffix("```"));
    let text = inner.map_or(text, |t| t.strip_prefix("json").unwrap_or(t));
    serde_json::from_str(text).ok().map(plain)
}

/// Without what makes no difference: spaces around and between words, and whether a number is written with a fraction.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, plain(v))).collect(),
        other => other,
    }
}

/// The letter that is picked: the last capital from A to J that stands alone, an "I" or "A" within a sentence aside.
fn choice(text: &str) -> Option<char> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.iter().enumerate().rev().find_map(|(i, word)| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let letter = core.chars().next().filter(|c| ('A'..='J').contains(c))?;
        let marked =
            core.len() < word.len() || i + 1 == words.len() || !matches!(letter, 'A' | 'I');
        (core.len() == 1 && marked).then_some(letter)
    })
}

/// Words and how often each occurs, in lower case.
fn words(text: &str) -> HashMap<String, usize> {
    let mut words: HashMap<String, usize> = HashMap::new();
    let split = text.split(|c: char| !c.is_alphanumeric());
    for word in split.filter(|w| !w.is_empty()) {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    words
}

fn overlap(small: &str, big: &str) -> f64 {
    f1(&words(small), &words(big))
}

fn f1(small: &HashMap<String, usize>, big: &HashMap<String, usize>) -> f64 {
    let of = |words: &HashMap<String, usize>| words.values().sum::<usize>();
    let both: usize = small
        .iter()
        .map(|(word, n)| (*n).min(big.get(word).copied().unwrap_or(0)))
        .sum();
    let all = of(small) + of(big);
    if all == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "words of two texts")]
    let f1 = 2.0 * both as f64 / all as f64;
    f1
}

/// From 0 to 1, how far two texts that one model wrote to the same question say the same: what a model is not sure of, it words and fills
/// otherwise each time (lexical similarity: Fomicheva and others, arXiv 2005.10608; SelfCheckGPT: Manakul and others, arXiv 2303.08896).
///
/// Words of the question, and little ones, tell nothing. Where the first text is [short](is_short) it is all or nothing, for it has one thing
/// to say, which the other says too or does not; of long ones, which are never the same, it is a measure that only means something beside
/// others of its kind.
pub(super) fn alike(question: &str, one: &str, other: &str) -> f64 {
    let known = words(question);
    let telling = |text: &str| {
        let mut words = words(text);
        let tells = |word: &str| word.len() >= TELLING || word.bytes().any(|b| b.is_ascii_digit());
        words.retain(|word, _| tells(word) && !known.contains_key(word));
        words
    };
    let (a, b) = (telling(one), telling(other));
    if !is_short(one) {
        return f1(&a, &b);
    }
    let no = |text: &str| words(text).keys().any(|w| NO.contains(&w.as_str()));
    if no(one) != no(other) {
        return 0.0;
    }
    let least = a.len().min(b.len());
    let same = if least == 0 {
        overlap(one, other) >= 0.5
    } else {
        // One may say more around it.
        2 * a.keys().filter(|word| b.contains_key(*word)).count() >= least
    };
    f64::from(u8::from(same))
}

/// Whether a text has room for one thing to say.
pub(super) fn is_short(text: &str) -> bool {
    text.split_whitespace().nth(SHORT).is_none()
}

/// Words of a short text at most.
const SHORT: usize = 30;
/// Bytes of a word that tells something, but for numbers.
const TELLING: usize = 4;
/// What turns a short answer round.
const NO: [&str; 8] = [
    "no", "not", "never", "nein", "nicht", "non", "false", "falsch",
];

#[cfg(test)]
mod tests {
    use super::*;
    use tierway_services::chat::ToolCall;

    fn says(text: &str) -> Answer {
        let mut answer = Answer::default();
        text.clone_into(&mut answer.text);
        answer
    }

    fn calls(arguments: &[&str]) -> Answer {
        let mut answer = Answer::default();
        answer.tool_calls = arguments
            .iter()
            .enumerate()
            .map(|(i, arguments)| ToolCall {
                id: i.to_string(),
                name: "find".to_owned(),
                arguments: (*arguments).to_owned(),
            })
            .collect();
        answer
    }

    #[test]
    fn answers_are_compared_by_what_they_are() {
        use Family::{Choice, Code, Json, Math, Prose};
        for (family, small, big, shown) in [
            (Math, "So it is 1,200.", "= 1200.0", Shown::Same),
            (Math, "So it is 12.", "13", Shown::Different),
            (Math, "I do not know", "13", Shown::Unclear),
            (Choice, "The answer is (B).", "B", Shown::Same),
            (Choice, "I think A is wrong: C", "D", Shown::Different),
            (
                Json,
                "{\"a\": 1, \"b\": \"x y\"}",
                "```json\n{\"b\": \"x  y\", \"a\": 1.0}\n```",
                Shown::Same,
            ),
            (Json, "{\"a\": 1}", "{\"a\": 2}", Shown::Different),
            (Json, "{\"a\": 1}", "sorry", Shown::Unclear),
            (
                Prose,
                "Paris is the capital.",
                "The capital is Paris.",
                Shown::SameWords,
            ),
            (Prose, "Paris.", "It lies on the Seine.", Shown::Unclear),
            (Code, "", "", Shown::SameWords),
        ] {
            assert_eq!(
                compare(family, &says(small), &says(big)),
                shown,
                "{small} | {big}"
            );
        }
    }

    #[test]
    fn samples_of_words_agree_in_what_the_question_does_not_say() {
        let question = "What is the capital of France?";
        for (one, other, same) in [
            ("Paris", "The capital of France is Paris.", 1.0),
            (
                "The capital of France is Paris.",
                "The capital of France is Lyon.",
                0.0,
            ),
            ("Yes, it is.", "No, it is not.", 0.0),
            ("It is in 1998.", "1998", 1.0),
        ] {
            assert!(
                (alike(question, one, other) - same).abs() < 1e-9,
                "{one} | {other}"
            );
        }
        let long = |city: &str| {
            format!(
                "{city} {}",
                "lies beside rivers among hills and vineyards ".repeat(6)
            )
        };
        let measure = alike(question, &long("Paris"), &long("Lyon"));
        assert!((0.5..1.0).contains(&measure), "{measure}");
    }

    #[test]
    fn calls_are_the_same_in_any_order_and_with_any_id() {
        let two = calls(&[r#"{"a":1,"b":" x"}"#, r#"{"a":2}"#]);
        let same = calls(&[r#"{"a": 2.0}"#, r#"{"b":"x","a":1}"#]);
        let tool = |small: &Answer, big: &Answer| compare(Family::Tool, small, big);
        assert_eq!(tool(&two, &same), Shown::Same);
        assert_eq!(tool(&two, &calls(&[r#"{"a":2}"#])), Shown::Different);
        assert_eq!(tool(&says("no"), &two), Shown::Different);
        assert_eq!(tool(&says("no"), &says("no")), Shown::SameWords);
    }
}
