//! Dividing rows so that no question is on both sides.
//!
//! Rows belong to the same question when they are turns of one conversation (`mtbench:82:1` and `mtbench:82:2`: the id with a trailing
//! `:n` after another number removed) or ask the same text, and then stay together: a scorer that has seen one would know the other.
use super::{random::Random, rows::Row};
use serde_json::Value;
use std::collections::HashMap;

/// The question of each row: a number from 0, the same for rows of the same question.
#[must_use]
pub fn questions(rows: &[&Row]) -> Vec<usize> {
    let mut links = Links::new(rows.len());
    let mut first: HashMap<(bool, String), usize> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        for key in [(false, stem(&row.id).to_owned()), (true, asked(row))] {
            let j = *first.entry(key).or_insert(i);
            links.join(i, j);
        }
    }
    let mut numbers = HashMap::new();
    (0..rows.len())
        .map(|i| {
            let next = numbers.len();
            *numbers.entry(links.root(i)).or_insert(next)
        })
        .collect()
}

/// The fold of each row, from 0 to `folds - 1`: questions in random order, each to the fold with the fewest rows so far.
#[must_use]
pub fn folds(questions: &[usize], folds: usize, seed: u64) -> Vec<usize> {
    let mut sizes = vec![0; questions.iter().max().map_or(0, |most| most + 1)];
    for question in questions {
        sizes[*question] += 1;
    }
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    Random::new(seed).shuffle(&mut order);
    let mut rows_in = vec![0; folds.max(1)];
    let mut fold_of = vec![0; sizes.len()];
    for question in order {
        // the first of the smallest
        let fold = (0..rows_in.len())
            .min_by_key(|fold| rows_in[*fold])
            .unwrap_or(0);
        fold_of[question] = fold;
        rows_in[fold] += sizes[question];
    }
    questions
        .iter()
        .map(|question| fold_of[*question])
        .collect()
}

/// An id without the number of the turn.
fn stem(id: &str) -> &str {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match id.rsplit_once(':') {
        Some((rest, turn)) if number(turn) && number(rest.rsplit(':').next().unwrap_or("")) => rest,
        _ => id,
    }
}

/// The messages of a request: what makes two of them the same question, whoever was asked.
fn asked(row: &Row) -> String {
    let request: Value = serde_json::from_str(row.request.get()).unwrap_or_default();
    match request.get("messages").or_else(|| request.get("input")) {
        Some(messages) => messages.to_string(),
        None => request.to_string(),
    }
}

/// Union and find.
struct Links(Vec<usize>);

impl Links {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }
    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }
    fn join(&mut self, i: usize, j: usize) {
        let (i, j) = (self.root(i), self.root(j));
        self.0[i.max(j)] = i.min(j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(id: &str, text: &str) -> Row {
        serde_json::from_value(serde_json::json!({
            "id": id, "request": {"model": id, "messages": [{"role": "user", "content": text}]},
            "small": {"model": "s", "correct": 1, "cost_usd": 1}, "big": {"model": "b", "correct": 1, "cost_usd": 2},
        }))
        .unwrap()
    }

    #[test]
    fn ids_without_turns() {
        for (id, kept) in [
            ("mtbench:82:1", "mtbench:82"),
            ("mmlu:physics:179", "mmlu:physics:179"),
            ("gsm8k:3", "gsm8k:3"),
            ("82:1", "82"),
            ("82:", "82:"),
            (":1", ":1"),
            ("x", "x"),
        ] {
            assert_eq!(stem(id), kept);
        }
    }

    #[test]
    fn turns_and_twins_are_one_question() {
        let rows = [
            row("m:1:1", "a"),
            row("x", "b"),
            row("m:1:2", "c"),
            row("y", "c"),
            row("z", "d"),
        ];
        let rows: Vec<&Row> = rows.iter().collect();
        assert_eq!(questions(&rows), [0, 1, 0, 0, 2]);
    }

    proptest! {
        #[test]
        fn no_question_is_on_both_sides(questions in proptest::collection::vec(0usize..30, 1..200), k in 1usize..8, seed: u64) {
            let fold = folds(&questions, k, seed);
            for (i, q) in questions.iter().enumerate() {
                prop_assert!(fold[i] < k);
                let j = questions.iter().position(|other| other == q).unwrap();
                prop_assert_eq!(fold[i], fold[j]);
            }
            prop_assert_eq!(&fold, &folds(&questions, k, seed));
            // no fold is larger than the smallest by more than the largest question
            let count = |f: usize| fold.iter().filter(|other| **other == f).count();
            let largest = (0..30).map(|q| questions.iter().filter(|other| **other == q).count()).max().unwrap();
            let sizes: Vec<usize> = (0..k).map(count).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= largest);
        }
    }
}
