//! What the words of a draft look like, alone and next to the question.
use super::{log, share};
use crate::learn::{Ngrams, Texture};
use std::collections::HashSet;
use tierway_services::chat::{Answer, StopReason};

/// Words that hedge, whole and in lower case.
const HEDGES: &[&str] = &[
    "maybe",
    "perhaps",
    "possibly",
    "probably",
    "might",
    "unclear",
    "unsure",
    "guess",
    "assume",
    "assuming",
    "seems",
    "appears",
    "likely",
    "unfortunately",
    "sorry",
    "cannot",
    "unable",
    "however",
    "approximately",
    "roughly",
];

/// Words that a chain of steps is made of.
const STEPS: &[&str] = &[
    "first",
    "then",
    "so",
    "therefore",
    "thus",
    "next",
    "finally",
    "because",
    "since",
    "hence",
    "step",
];

/// N-grams of an answer are not those of a question.
const ANSWER: u8 = 1;

/// Words of either text that are compared.
const MAX_WORDS: usize = 1_000;

/// The numbers of `answer` to `question`, in a fixed order, and its n-grams.
pub(super) fn read(answer: &Answer, question: &str) -> (Vec<f32>, Vec<u32>) {
    let text = answer.text.trim();
    let mut t = Texture::default();
    t.read(text);
    let mut grams = Ngrams::of_kind(ANSWER);
    for line in text.lines() {
        grams.words(line);
        grams.stop();
    }
    let (said, asked) = (words(text), words(question));
    let (said_set, asked_set): (HashSet<&str>, HashSet<&str>) = (
        said.iter().map(String::as_str).collect(),
        asked.iter().map(String::as_str).collect(),
    );
    let both = said_set.intersection(&asked_set).count();
    let among = |list: &[&str]| said.iter().filter(|w| list.contains(&w.as_str())).count();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let distinct: HashSet<&str> = lines.iter().copied().collect();
    let listed = lines
        .iter()
        .filter(|l| l.starts_with(['-', '*', '#']) || l.starts_with(|c: char| c.is_ascii_digit()))
        .count();
    let is_number = |w: &&&str| w.bytes().any(|b| b.is_ascii_digit());
    let asked_numbers = asked_set.iter().filter(is_number).count();
    let kept_numbers = said_set.intersection(&asked_set).filter(is_number).count();
    let last = text.chars().next_back();
    let ends = last.is_some_and(|c| c.is_alphanumeric() || ".!?)]}`\"'*$".contains(c));
    let count = |n: u32| n as usize;
    let numbers = vec![
        log(count(t.bytes)),
        log(count(t.lines)),
        share(count(t.bytes), count(t.words)),
        share(count(t.long_words), count(t.words)),
        share(count(t.digits), count(t.bytes)),
        log(count(t.numbers)),
        log(count(t.widest)),
        log(count(t.operators)),
        log(count(t.brackets)),
        log(count(t.sentences)),
        share(count(t.words), count(t.sentences)),
        log(count(t.questions)),
        log(count(t.commas)),
        log(count(t.quotes)),
        share(count(t.capitals), count(t.bytes)),
        log(text.matches("```").count()),
        share(listed, lines.len()),
        share(distinct.len(), lines.len()),
        share(said_set.len(), said.len()),
        share(both, said_set.len()),
        share(both, asked_set.len()),
        share(kept_numbers, asked_numbers),
        log(among(HEDGES)),
        share(among(STEPS), said.len()),
        f32::from(u8::from(ends)),
        log(count(t.bytes)) - log(question.len()),
        f32::from(u8::from(answer.stop == Some(StopReason::MaxTokens))),
        f32::from(u8::from(text.is_empty())),
    ];
    (numbers, grams.into_buckets())
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .take(MAX_WORDS)
        .map(str::to_lowercase)
        .collect()
}
