//! Labels that contradict what is shipped move it, few a little and many altogether.
use super::*;
use crate::classify::{Policy, TierClassifier, see};
use crate::names::Names;
use crate::testing::ask;

/// Asks that the shipped weights hold for everyday work or more.
const WORK: &[&str] = &[
    "Write unit tests for the date parser in src/dates.rs",
    "Implement a function that merges two sorted lists",
    "Add pagination to the orders endpoint and cover it with tests",
    "Write a script that renames all photos by their date",
    "Explain how the retry logic in this client works",
    "Create a Dockerfile for the node service with a health check",
    "Fix the failing test in tests/test_invoice.py",
    "Write a SQL query for the ten best customers of each region",
];

fn outcome(text: &str, sufficed: f32) -> Outcome {
    let seen = see(ask("auto", text).body()).unwrap();
    Outcome::new(seen)
        .suffices(Tier::Simple, sufficed)
        .right(sufficed)
}

/// As many labels, all saying the same, of asks that differ in a word.
fn labels(n: usize, sufficed: f32) -> Vec<Outcome> {
    let texts = WORK.iter().cycle().take(n).enumerate();
    texts
        .map(|(i, text)| outcome(&format!("{text}, part {i}"), sufficed))
        .collect()
}

fn tier(model: &TierModel, text: &str) -> Tier {
    let policy = TierClassifier::new(Names::default()).learned(LearnedTiers::new(model.clone()));
    policy.classify(&ask("auto", text)).unwrap().tier
}

const NEW: &str = "Implement a function that splits a list into pages, with tests";

#[test]
fn labels_that_contradict_the_prior_win_in_the_end() {
    let shipped = TierModel::shipped();
    assert_eq!(tier(&shipped, NEW), Tier::Medium);
    let chance = |model: &TierModel| {
        let seen = see(ask("auto", NEW).body()).unwrap();
        model.suffices(&seen.vector, seen.shift)[0]
    };
    let chances: Vec<f32> = [0, 2, 20, 200]
        .map(|n| chance(&TierModel::learn(&labels(n, 1.0))))
        .into();
    assert!(chances.is_sorted(), "{chances:?}");
    assert!(chances[0] < 0.5 && chances[3] > 0.6, "{chances:?}");
    assert!(
        chances[1] - chances[0] < 0.2,
        "two labels decide nothing: {chances:?}"
    );

    let learned = TierModel::learn(&labels(200, 1.0));
    assert_eq!(tier(&learned, NEW), Tier::Simple);
    // What no label was about stays what it is.
    assert_eq!(tier(&learned, "hi"), Tier::Simple);
    let proof = "Prove that the square root of 2 is irrational.";
    assert_eq!(tier(&learned, proof), Tier::Reasoning);

    // The other way round: a model that fails at what is called simple.
    let rename = "Rename the variable tmp to total";
    assert_eq!(tier(&shipped, rename), Tier::Simple);
    let fails: Vec<Outcome> = (0..60)
        .map(|i| outcome(&format!("Rename the variable v{i} to w{i}"), 0.0))
        .collect();
    assert_ne!(tier(&TierModel::learn(&fails), rename), Tier::Simple);
}

#[test]
fn nothing_learned_is_what_is_shipped() {
    let none = TierModel::learn(&[]);
    assert_eq!(none, TierModel::shipped());
    assert_ne!(none, TierModel::default());
    let read = numbers::stepped(&see(ask("auto", NEW).body()).unwrap().vector);
    let [tiers @ .., right] = none.heads().map(Head::numbers);
    assert_eq!(tiers, [read.numbers.len(); 3]);
    assert_eq!(right, numbers::NAMES.len());
}

#[test]
fn text_round_trip() {
    let learned = TierModel::learn(&labels(40, 1.0)).with_revision(3);
    let text = learned.to_text();
    let read = TierModel::from_text(&text).unwrap();
    assert_eq!(
        read.learning(),
        Learning {
            revision: 3,
            labels: 40
        }
    );
    for text in WORK.iter().chain([&NEW]) {
        let seen = see(ask("auto", text).body()).unwrap();
        let of = |model: &TierModel| model.suffices(&seen.vector, seen.shift)[0];
        assert!((of(&learned) - of(&read)).abs() < 1e-3, "{text}");
    }
    // Learned on top of something else, it means nothing.
    let (first, rest) = text.split_once(NEXT).unwrap();
    let other = first.rsplit_once(' ').unwrap().0;
    let other = format!("{other} 00000000000000aa{NEXT}{rest}");
    for wrong in [other.as_str(), "", "tierway tiers 1", first, rest] {
        assert_eq!(TierModel::from_text(wrong), None);
    }
}

#[test]
fn what_a_harness_adds_is_not_learned() {
    let mut labels = labels(100, 1.0);
    for label in &mut labels {
        for (name, number) in numbers::NAMES.iter().zip(&mut label.seen.vector.numbers) {
            if *name == "tools" {
                *number = 3.0;
            }
        }
    }
    let learned = TierModel::learn(&labels);
    let seen = see(ask("auto", NEW).body()).unwrap();
    let mut wrapped = seen.vector.clone();
    let tools = numbers::NAMES.iter().position(|n| *n == "tools").unwrap();
    wrapped.numbers[tools] = 3.0;
    assert_eq!(
        learned.suffices(&seen.vector, 0.0),
        learned.suffices(&wrapped, 0.0)
    );
}
