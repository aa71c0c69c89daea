//! What was seen of an ask, as the numbers and n-grams that the model reads.
use super::features::Features;
use crate::learn::{Texture, Vector};
use std::sync::LazyLock;

/// One ask, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// What its words say.
    pub(super) features: Features,
    /// What it looks like.
    pub(super) texture: Texture,
}

impl Ask {
    /// Reads a stretch of it.
    pub(super) fn read(&mut self, words: &str) {
        // Blank lines between a harness's blocks are nobody's words.
        let words = words.trim();
        if !words.is_empty() {
            self.features.read(words);
            self.texture.read(words);
        }
    }
}

/// What is known of a call beside its ask. A harness adds most of it to every request, so the shipped weights of all but
/// `tool_misfit` are zero: the same ask must get the same tier bare and wrapped. What the cascade learns from a deployment's own outcomes may use it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    pub(super) turns: usize,
    pub(super) tools: usize,
    pub(super) results_pending: bool,
    pub(super) images: bool,
    pub(super) thinking: bool,
    pub(super) json: bool,
    pub(super) max_tokens: Option<u64>,
    /// How little the offered tools have to do with the ask, from 0 to 1; `None` where there are none, or too many to tell.
    pub(super) tool_misfit: Option<f32>,
}

macro_rules! numbers {
    ($($name:literal = $value:expr),* $(,)?) => {
        /// The names of the numbers, in their order. Weights are by place: add at the end alone, and train again.
        pub(crate) const NAMES: &[&str] = &[$($name),*];
        fn numbers(f: &Features, t: &Texture, s: &Setting, prior: f32) -> Vec<f32> {
            let values: &[fn(&Features, &Texture, &Setting, f32) -> f32] = &[$($value),*];
            values.iter().map(|value| value(f, t, s, prior)).collect()
        }
    };
}

#[expect(clippy::cast_precision_loss, reason = "counts of one text")]
fn log(count: impl Into<u64>) -> f32 {
    (count.into() as f32).ln_1p()
}

/// `part` of `whole`.
#[expect(clippy::cast_precision_loss, reason = "counts of one text")]
fn share(part: u32, whole: u32) -> f32 {
    part as f32 / whole.max(1) as f32
}

fn flag(yes: bool) -> f32 {
    f32::from(u8::from(yes))
}

numbers! {
    "heuristic" = |_, _, _, prior| prior,
    "words" = |f, _, _, _| log(f.words),
    "small_talk" = |f, _, _, _| share(f.greetings + f.affirmations + f.fillers, f.words),
    "greetings" = |f, _, _, _| flag(f.greetings > 0),
    "definitional" = |f, _, _, _| flag(f.definitional),
    "verb" = |f, _, _, _| f32::from(f.verb) / 50.0,
    "tasks" = |f, _, _, _| log(f.tasks),
    "edit" = |f, _, _, _| flag(f.edit),
    "small_objects" = |f, _, _, _| log(f.small_objects),
    "large_objects" = |f, _, _, _| log(f.large_objects),
    "pieces" = |f, _, _, _| log(f.pieces),
    "scope" = |f, _, _, _| log(f.scope),
    "hard" = |f, _, _, _| log(f.hard),
    "math" = |f, _, _, _| log(f.math),
    "hidden_faults" = |f, _, _, _| log(f.hidden_faults),
    "elusive" = |f, _, _, _| log(f.elusive),
    "puzzles" = |f, _, _, _| log(f.puzzles),
    "error_loop" = |f, _, _, _| flag(f.error_loop),
    "long_inference" = |f, _, _, _| flag(f.phrase.is_some()),
    "shows" = |f, _, _, _| flag(f.shows),
    "code_lines" = |f, _, _, _| log(f.code_lines),
    "diff" = |f, _, _, _| flag(f.diff),
    "trace" = |f, _, _, _| flag(f.trace),
    "paths" = |f, _, _, _| log(f.paths),
    "bullets" = |f, _, _, _| log(f.bullets),
    "dense_script" = |f, _, _, _| log(f.dense),
    "brief" = |f, _, _, _| log(f.wants.brief),
    "places" = |f, _, _, _| log(f.wants.places),
    "becomes" = |f, _, _, _| log(f.wants.becomes),
    "quoted" = |f, _, _, _| log(f.wants.quoted),
    "bytes" = |_, t, _, _| log(t.bytes),
    "lines" = |_, t, _, _| log(t.lines),
    "word_length" = |_, t, _, _| share(t.bytes, t.words),
    "long_words" = |_, t, _, _| share(t.long_words, t.words),
    "digits" = |_, t, _, _| share(t.digits, t.bytes),
    "numbers" = |_, t, _, _| log(t.numbers),
    "widest_number" = |_, t, _, _| log(t.widest),
    "capitals" = |_, t, _, _| share(t.capitals, t.bytes),
    "operators" = |_, t, _, _| log(t.operators),
    "brackets" = |_, t, _, _| log(t.brackets),
    "sentences" = |_, t, _, _| log(t.sentences),
    "sentence_length" = |_, t, _, _| share(t.words, t.sentences),
    "questions" = |_, t, _, _| log(t.questions),
    "commas" = |_, t, _, _| log(t.commas),
    "quotes" = |_, t, _, _| log(t.quotes),
    "units" = |_, t, _, _| log(t.units),
    "foreign" = |_, t, _, _| share(t.foreign, t.bytes),
    "choices" = |_, t, _, _| log(t.choices),
    "turns" = |_, _, s, _| log(s.turns as u64),
    "tools" = |_, _, s, _| log(s.tools as u64),
    "results_pending" = |_, _, s, _| flag(s.results_pending),
    "images" = |_, _, s, _| flag(s.images),
    "thinking" = |_, _, s, _| flag(s.thinking),
    "json" = |_, _, s, _| flag(s.json),
    "max_tokens" = |_, _, s, _| s.max_tokens.map_or(f32::NAN, log),
    "tool_misfit" = |_, _, s, _| s.tool_misfit.unwrap_or(f32::NAN),
}

impl Ask {
    /// The vector of this ask in `setting`; `prior` is what the hand-made score says of it.
    pub(super) fn vector(&self, setting: &Setting, prior: f32) -> Vector {
        Vector {
            numbers: numbers(&self.features, &self.texture, setting, prior),
            grams: self.features.grams.buckets().to_vec(),
        }
    }
}

/// Numbers that are also read in steps, and what each step is over: counts as such, the others from 0 to 1.
const STEPS: &[(&str, &[f32])] = &[
    ("words", &[3.0, 5.0, 7.0, 9.0, 12.0, 16.0, 22.0, 34.0]),
    (
        "heuristic",
        &[0.13, 0.21, 0.27, 0.31, 0.37, 0.43, 0.52, 0.6],
    ),
    ("verb", &[0.01, 0.13, 0.25, 0.4, 0.53, 0.6, 0.7]),
    ("commas", &[0.0, 1.0, 2.0, 4.0, 6.0]),
    (
        "bytes",
        &[20.0, 32.0, 42.0, 56.0, 72.0, 100.0, 140.0, 220.0],
    ),
    ("tasks", &[0.0, 1.0, 2.0]),
];

/// Each step: the place of its number, and the number that it is over.
static STEP: LazyLock<Vec<(usize, f32)>> = LazyLock::new(|| {
    let mut steps = Vec::new();
    for (name, over) in STEPS {
        let place = NAMES.iter().position(|n| n == name).unwrap_or_default();
        let share = matches!(*name, "heuristic" | "verb");
        let number = |over: &f32| if share { *over } else { over.ln_1p() };
        steps.extend(over.iter().map(|over| (place, number(over))));
    }
    steps
});

/// What the heads of the tiers read of a [`vector`](super::vector): six of its numbers also in steps, each 1 where it is reached and
/// else 0. What length and verb say is no straight line, and in steps a linear model can follow it: a generalized additive model (Hastie and
/// Tibshirani, 1986).
#[must_use]
pub fn stepped(vector: &Vector) -> Vector {
    let mut numbers = Vec::with_capacity(vector.numbers.len() + STEP.len());
    numbers.extend_from_slice(&vector.numbers);
    let number = |place: usize| vector.numbers.get(place).copied().unwrap_or(f32::NAN);
    numbers.extend(STEP.iter().map(|(at, over)| flag(number(*at) > *over)));
    Vector {
        numbers,
        grams: vector.grams.clone(),
    }
}

/// The vector without what is known beside the ask, which counts as the mean then.
pub(super) fn without_setting(vector: &Vector) -> Vector {
    let mut vector = vector.clone();
    let from = NAMES.iter().position(|name| *name == FIRST_OF_SETTING);
    let numbers = vector.numbers.iter_mut();
    for number in numbers.skip(from.unwrap_or(NAMES.len())) {
        *number = f32::NAN;
    }
    vector
}

/// From this number on, they are of the [`Setting`].
const FIRST_OF_SETTING: &str = "turns";

/// The numbers that are there, by name.
pub(super) fn named(vector: &Vector) -> Vec<(&'static str, f64)> {
    let numbers = NAMES.iter().zip(&vector.numbers);
    numbers
        .filter(|(_, value)| !value.is_nan() && **value != 0.0)
        .map(|(name, value)| (*name, f64::from(*value)))
        .collect()
}
