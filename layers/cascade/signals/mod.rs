//! What a draft shows of itself, as numbers and n-grams for a linear model.
//!
//! None of these says that an answer is right. Together, weighed by labels of the deployment's own traffic, they rank right and wrong ones
//! far better than a coin; which of them carry it differs from one kind of task to the next, so all are given and unknown ones are NaN.
mod arithmetic;
mod calls;
mod ending;
mod logprobs;
mod prior;
mod text;

pub(super) use arithmetic::last_number;
pub use calls::plausibility;
pub use prior::{evidence, prior, unlabelled};

use super::Draft;
use crate::{classify, learn::Vector};

/// What was found out about a draft by asking further, where anything was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// The probability of "true" when the small model was asked whether its answer is.
    pub p_true: Option<f64>,
    /// Which share of further samples agrees with the answer.
    pub agreement: Option<f64>,
    /// How far further samples are like the answer, from 0 to 1, where only words can tell: long texts are never the same, so that labels
    /// must say what is usual.
    pub likeness: Option<f64>,
}

/// The vector of a question and a draft of its answer: what [`classify`] sees of the question, then what the draft shows.
#[must_use]
pub fn see(draft: &Draft<'_>, told: &Told) -> Vector {
    let answer = draft.answer();
    let (asked, (text, grams), sums) = draft.asked(|a| {
        let question = a.question();
        let sums = arithmetic::read(&answer.text, question);
        (a.vector().cloned(), text::read(answer, question), sums)
    });
    let mut vector = asked.unwrap_or_default();
    vector.numbers.resize(classify::NUMBERS, f32::NAN);
    vector.numbers.extend(text);
    vector.numbers.extend(sums);
    vector.numbers.extend(calls::read(draft));
    vector.numbers.extend(logprobs::read(&answer.logprobs));
    let share = |share: Option<f64>| share.map_or(f32::NAN, |share| share as f32);
    vector.numbers.extend([
        told.p_true.map_or(f32::NAN, logit),
        share(told.agreement),
        share(told.likeness),
    ]);
    vector
        .numbers
        .push(broken(draft).map_or(f32::NAN, |broken| f32::from(u8::from(broken))));
    vector.grams.extend(grams);
    vector
}

/// The names of the numbers in [`see`]'s vector, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    const TOLD: &[&str] = &["p_true", "agreement", "likeness"];
    let lists = [
        classify::numbers::NAMES,
        text::NAMES,
        arithmetic::NAMES,
        calls::NAMES,
        logprobs::NAMES,
        TOLD,
        ending::NAMES,
    ];
    lists.into_iter().flatten().copied()
}

/// Whether it breaks off; of a beginning, which always does, and of calls nothing is known.
fn broken(draft: &Draft<'_>) -> Option<bool> {
    let whole = draft.is_complete() && draft.tool_calls().is_empty();
    whole.then(|| ending::breaks_off(&draft.answer().text))
}

/// The log-odds of a probability, kept within what 32 bits tell apart.
fn logit(p: f64) -> f32 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln() as f32
}

/// `part` of `whole`; NaN of nothing.
fn share(part: usize, whole: usize) -> f32 {
    if whole == 0 {
        f32::NAN
    } else {
        #[expect(clippy::cast_precision_loss, reason = "counts of one text")]
        let share = part as f32 / whole as f32;
        share
    }
}

/// A count on the scale on which texts differ.
fn log(count: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "counts of one text")]
    let count = count as f32;
    count.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use std::collections::HashSet;
    use tierway_services::chat::Answer;

    #[test]
    fn every_number_has_a_name_of_its_own() {
        let request = ask("m", "What is 3 times 60?");
        let answer = Answer::default();
        let draft = Draft::new(&answer, &request, std::time::Duration::ZERO);
        let vector = see(&draft, &Told::default());
        assert_eq!(vector.numbers.len(), names().count());
        assert_eq!(names().collect::<HashSet<_>>().len(), names().count());
        assert!(vector.numbers.iter().all(|n| !n.is_infinite()));
    }

    #[test]
    fn a_draft_that_breaks_off_counts_as_cut_and_a_beginning_does_not() {
        let request = ask("m", "How many are 15 and 25?");
        let look = |text: &str, whole: bool| {
            let mut answer = Answer::default();
            answer.text = text.to_owned();
            let draft = Draft::new(&answer, &request, std::time::Duration::ZERO);
            let draft = if whole { draft } else { draft.partial() };
            let seen = see(&draft, &Told::default()).numbers.last().copied();
            (seen.unwrap_or_default(), evidence(&draft, &Told::default()))
        };
        let (whole, broken) = (look("Together 40", true), look("Together <<15+2", true));
        assert_eq!((whole.0, broken.0), (0.0, 1.0));
        assert!(broken.1 < whole.1 - 2.9, "{broken:?} {whole:?}");
        let begun = look("Together <<15+2", false);
        assert!(begun.0.is_nan() && begun.1 >= whole.1);
    }
}
