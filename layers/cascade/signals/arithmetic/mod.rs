//! Whether what a draft calculates is so, and hangs together.
//!
//! A small model that works through a problem writes its sums down: `3 x 60 = 180`. Each that can be read is done again; one that is wrong
//! is the plainest sign there is that the answer is, too. The chain they make tells more: a result that nothing goes on with, a number that
//! came from nowhere, a number of the question that was never used.
mod equations;

use self::equations::{equations, numbers};
use super::{log, share};

/// Their names.
pub(super) const NAMES: &[&str] = &[
    "sums",
    "wrong_sums",
    "wrong_share",
    "last_number",
    "last_is_whole",
    "last_is_negative",
    "loose_results",
    "invented_numbers",
    "unused_numbers",
    "ends_in_result",
];

/// Numbers that nobody has to be given: of days, months, hours, minutes, percent, and the smallest.
const COMMON: &[f64] = &[
    0.5, 1.0, 2.0, 7.0, 10.0, 12.0, 24.0, 30.0, 52.0, 60.0, 100.0, 365.0, 1000.0,
];

/// Numbers as words.
const WORDS: &[(&str, f64)] = &[
    ("zero", 0.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("hundred", 100.0),
    ("thousand", 1000.0),
    ("half", 2.0),
    ("twice", 2.0),
    ("double", 2.0),
    ("couple", 2.0),
    ("pair", 2.0),
    ("thrice", 3.0),
    ("triple", 3.0),
    ("third", 3.0),
    ("quarter", 4.0),
    ("fifth", 5.0),
    ("week", 7.0),
    ("dozen", 12.0),
];

/// What a draft calculates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Equations.
    count: usize,
    /// Those that are wrong.
    pub(super) wrong: usize,
    /// Results that are neither the last number nor used in a later equation.
    pub(super) loose: usize,
    /// Numbers in equations that are neither in the question, nor a result, nor common.
    pub(super) invented: usize,
    /// The share of the question's numbers that no equation uses; `None` without equations or such numbers.
    pub(super) unused: Option<f32>,
    /// Whether the last number is that of the last equation.
    ends_in_result: Option<bool>,
}

/// Reads what `text` calculates to answer `question`.
pub(super) fn sums(text: &str, question: &str) -> Sums {
    let equations = equations(text);
    let last = last_number(text);
    let asked = numbers(question);
    let low = question.to_lowercase();
    let named = WORDS.iter().filter(|(word, _)| low.contains(word));
    let mut given = asked.clone();
    given.extend(named.map(|(_, value)| *value));
    let (mut results, mut used): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut sums = Sums {
        count: equations.len(),
        ..Sums::default()
    };
    for equation in &equations {
        sums.wrong += usize::from(!equation.holds());
        for operand in &equation.operands {
            if has(&given, *operand) || has(&results, *operand) {
                used.push(*operand);
            } else if !has(COMMON, *operand) && !follows(*operand, &given, &results) {
                sums.invented += 1;
            }
        }
        results.push(equation.written);
    }
    if let Some(result) = results.last() {
        sums.ends_in_result = last.map(|last| same(last, *result));
        let (mut distinct, mut left) = (Vec::new(), 0);
        for number in asked {
            if !has(&distinct, number) {
                distinct.push(number);
                left += usize::from(!has(&used, number));
            }
        }
        sums.unused = (!distinct.is_empty()).then(|| share(left, distinct.len()));
    }
    let mut seen = Vec::new();
    for result in results {
        let goes_on = has(&used, result) || last.is_some_and(|last| same(last, result));
        if !goes_on && !has(&seen, result) {
            sums.loose += 1;
        }
        seen.push(result);
    }
    sums
}

/// Whether this is a percentage of what is known, what is left of one, or the next to a given number.
fn follows(number: f64, given: &[f64], results: &[f64]) -> bool {
    let known = given.iter().chain(results);
    let percent = |x: f64| same(number, x / 100.0) || same(number, 1.0 - x / 100.0);
    known
        .copied()
        .any(|x| percent(x) || same(number, 100.0 - x))
        || given.iter().any(|x| same((number - x).abs(), 1.0))
}

fn has(among: &[f64], number: f64) -> bool {
    among.iter().any(|other| same(number, *other))
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * b.abs().max(1.0)
}

/// The numbers of what `text` calculates to answer `question`, in a fixed order.
pub(super) fn read(text: &str, question: &str) -> Vec<f32> {
    let sums = sums(text, question);
    let last = last_number(text);
    let flag = |yes: bool| f32::from(u8::from(yes));
    vec![
        log(sums.count),
        log(sums.wrong),
        share(sums.wrong, sums.count),
        last.map_or(f32::NAN, |n| (n.abs() as f32).ln_1p()),
        last.map_or(f32::NAN, |n| flag(n.fract() == 0.0)),
        last.map_or(f32::NAN, |n| flag(n < 0.0)),
        log(sums.loose),
        log(sums.invented),
        sums.unused.unwrap_or(f32::NAN),
        sums.ends_in_result.map_or(f32::NAN, flag),
    ]
}

/// The last number of a text.
pub(in crate::cascade) fn last_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)?;
    let inside = |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b'.');
    let start = bytes
        .get(..end)?
        .iter()
        .rposition(|b| !inside(b))
        .map_or(0, |at| at + 1);
    let written = text.get(start..=end)?.trim_start_matches([',', '.']);
    let value = numbers(written).last().copied()?;
    let negative = start > 0 && bytes.get(start - 1) == Some(&b'-');
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_hangs_together() {
        let question = "Ann has 12 apples, Bob has 30 more. How many have they?";
        let good = sums(
            "Bob has 12 + 30 = 42. Together 12 + 42 = 54.\n#### 54",
            question,
        );
        assert_eq!(
            (good.count, good.wrong, good.loose, good.invented),
            (2, 0, 0, 0)
        );
        assert_eq!((good.unused, good.ends_in_result), (Some(0.0), Some(true)));
        // Forgets Bob, brings in 17, and ends in what it did not calculate.
        let bad = sums("12 + 17 = 30. 12 * 2 = 24.\n#### 25", question);
        assert_eq!((bad.wrong, bad.loose, bad.invented), (1, 2, 1));
        assert_eq!((bad.unused, bad.ends_in_result), (Some(0.5), Some(false)));
    }

    #[test]
    fn without_equations_nothing_is_known() {
        let none = sums("It is 42.", "What is 6 times 7?");
        assert_eq!(
            (none.count, none.unused, none.ends_in_result),
            (0, None, None)
        );
        assert_eq!(read("It is 42.", "").len(), NAMES.len());
    }

    #[test]
    fn the_last_number() {
        assert_eq!(last_number("#### 1,540\n"), Some(1540.0));
        assert_eq!(last_number("it is -3.5."), Some(-3.5));
        assert_eq!(last_number("none"), None);
    }
}
