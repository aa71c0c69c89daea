//! One label, and its line in a file.
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tierway_layers::{
    cascade::{Beginning, Family, Labelled},
    learn::Vector,
    shadow::Graded,
};
use tierway_services::chat::Tier;

/// A draft that has been judged, or the answer of a tier's own model.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The request's id.
    pub id: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who judged.
    pub source: Source,
    /// What was seen of question and draft.
    pub vector: Vector,
    /// What was believed of it before any label, as log-odds.
    pub prior: f32,
    /// The kind of task.
    pub family: Family,
    /// The confidence in it at the time, from 0 to 1.
    pub score: f64,
    /// Whether the draft was the answer.
    pub accepted: bool,
    /// Whether it was plainly broken: never kept whole, and nothing to learn from.
    pub vetoed: bool,
    /// Whether it could be kept for its beginning.
    pub early: bool,
    /// What was seen of its beginnings; `None` where nobody has looked.
    pub beginnings: Option<Vec<Beginning>>,
    /// With which probability a call like this is compared; `None` where that is not known, as of callers who tell what they please.
    pub propensity: Option<f64>,
    /// How good both answers were; `None` where they were compared and nobody could tell.
    pub quality: Option<Quality>,
    /// What of the vector is the question, where it is graded.
    pub asked: Option<Graded>,
    /// The tier whose model's answer is judged, where that is no draft: then it tells about that tier alone, and `small` is its quality.
    pub answered: Option<Tier>,
    /// What the draft cost, in US dollars; 0 where that is not known.
    pub small_cost: f64,
    /// What the big model's answer cost, or would have.
    pub big_cost: f64,
}

/// How good two answers to one question are, from 0 to 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Quality {
    /// The small model's.
    pub small: f32,
    /// The big model's.
    pub big: f32,
}

/// Who judged a draft.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The answers are of a kind that can be compared.
    Agreement,
    /// Two texts of mostly the same words.
    Overlap,
    /// A model.
    Judge,
    /// Nobody could: they were compared in vain.
    Unlabelled,
    /// The caller.
    Feedback,
    /// Whoever recorded the row that it was read from.
    Recorded,
}

impl Source {
    /// The name in files and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Overlap => "overlap",
            Self::Judge => "judge",
            Self::Unlabelled => "unlabelled",
            Self::Feedback => "feedback",
            Self::Recorded => "recorded",
        }
    }
}

/// A line of a file of labels.
#[derive(Deserialize, Serialize)]
struct Line {
    label: String,
    at: u64,
    source: Source,
    family: String,
    prior: f32,
    score: f64,
    accepted: bool,
    propensity: Option<f64>,
    quality: Option<Quality>,
    small_cost: f64,
    big_cost: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<(usize, f32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered: Option<String>,
    numbers: Vec<Option<f32>>,
    grams: Vec<u32>,
    #[serde(default, skip_serializing_if = "is_false")]
    vetoed: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    early: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beginnings: Option<Vec<Begun>>,
}

/// A beginning in a line.
#[derive(Deserialize, Serialize)]
struct Begun {
    length: usize,
    prior: f32,
    numbers: Vec<Option<f32>>,
    grams: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_false(told: &bool) -> bool {
    !*told
}

/// What is not known is NaN here and null there.
fn known(numbers: &[f32]) -> Vec<Option<f32>> {
    let known = |n: &f32| Some(*n).filter(|n| n.is_finite());
    numbers.iter().map(known).collect()
}

fn vector(numbers: Vec<Option<f32>>, grams: Vec<u32>) -> Vector {
    let numbers = numbers.into_iter().map(|n| n.unwrap_or(f32::NAN));
    Vector {
        numbers: numbers.collect(),
        grams,
    }
}

impl Label {
    /// Its line, with the line's end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let begun = |b: &Beginning| Begun {
            length: b.length,
            prior: b.prior,
            numbers: known(&b.vector.numbers),
            grams: b.vector.grams.clone(),
        };
        let beginnings = self.beginnings.as_ref();
        let line = Line {
            label: self.id.clone(),
            at: self.at,
            source: self.source,
            family: self.family.as_str().to_owned(),
            prior: self.prior,
            score: self.score,
            accepted: self.accepted,
            propensity: self.propensity,
            quality: self.quality,
            small_cost: self.small_cost,
            big_cost: self.big_cost,
            asked: self.asked.map(|asked| (asked.grams, asked.shift)),
            answered: self.answered.map(|tier| tier.as_str().to_owned()),
            numbers: known(&self.vector.numbers),
            grams: self.vector.grams.clone(),
            vetoed: self.vetoed,
            early: self.early,
            beginnings: beginnings.map(|all| all.iter().map(begun).collect()),
        };
        // Numbers and texts always can be written.
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a line; `None` where it is no label, or one of a kind of task that this version does not know.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        let family = Family::ALL
            .into_iter()
            .find(|f| f.as_str() == line.family)?;
        let begun = |b: Begun| Beginning {
            length: b.length,
            prior: b.prior,
            vector: vector(b.numbers, b.grams),
        };
        let answered = match line.answered {
            Some(tier) => Some(tier.parse().ok()?),
            None => None,
        };
        Some(Self {
            id: line.label,
            at: line.at,
            source: line.source,
            vector: vector(line.numbers, line.grams),
            vetoed: line.vetoed,
            early: line.early,
            beginnings: line
                .beginnings
                .map(|all| all.into_iter().map(begun).collect()),
            prior: line.prior,
            family,
            score: line.score,
            accepted: line.accepted,
            propensity: line.propensity,
            quality: line.quality,
            asked: line.asked.map(|(grams, shift)| Graded { grams, shift }),
            answered,
            small_cost: line.small_cost,
            big_cost: line.big_cost,
        })
    }

    /// As the cascade's model learns from it; `None` where nobody could tell how good it was, or it was no draft.
    #[must_use]
    pub fn labelled(&self) -> Option<Labelled> {
        let quality = self.quality.filter(|_| self.answered.is_none())?;
        Some(Labelled {
            vector: self.vector.clone(),
            prior: self.prior,
            family: self.family,
            small: quality.small,
            big: quality.big,
        })
    }

    /// Its beginnings as a model of those learns from them.
    pub fn begun(&self) -> impl Iterator<Item = Labelled> + '_ {
        let begun = self.beginnings.iter().flatten();
        begun.filter_map(|beginning| {
            let quality = self.quality?;
            Some(Labelled {
                vector: beginning.vector.clone(),
                prior: beginning.prior,
                family: self.family,
                small: quality.small,
                big: quality.big,
            })
        })
    }

    /// Whether keeping the draft would be harm: the big model's answer was better. Where nobody could tell, it counts as harm, lest a
    /// promise stand on the answers alone that are easy to compare.
    #[must_use]
    pub fn is_harm(&self) -> bool {
        self.quality.is_none_or(|q| q.big > q.small)
    }

    /// What two labels of one call say together: a caller's word is the last one on how good an answer was, but tells nothing about how
    /// the call came to be compared.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let (mut word, other) = match (self.source, later.source) {
            (Source::Feedback, source) if source != Source::Feedback => (self, later),
            _ => (later, self),
        };
        if word.source == Source::Feedback {
            word.propensity = word.propensity.or(other.propensity);
            word.beginnings = word.beginnings.or(other.beginnings);
            word.small_cost = word.small_cost.max(other.small_cost);
            word.big_cost = word.big_cost.max(other.big_cost);
        }
        word
    }
}

/// One label a call, in the order in which the calls were first labelled.
#[must_use]
pub fn one_a_call(labels: impl IntoIterator<Item = Label>) -> Vec<Label> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut calls: Vec<Label> = Vec::new();
    for label in labels {
        match places.get(&label.id).and_then(|at| calls.get_mut(*at)) {
            Some(first) => *first = first.clone().and(label),
            None => {
                places.insert(label.id.clone(), calls.len());
                calls.push(label);
            }
        }
    }
    calls
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A label of which `x` is the one number.
    pub(in crate::labels) fn label(id: &str, x: f32, small: f32) -> Label {
        Label {
            id: id.to_owned(),
            at: 1,
            source: Source::Agreement,
            vector: Vector {
                numbers: vec![x, f32::NAN],
                grams: vec![3, 70],
            },
            prior: 0.5,
            family: Family::Math,
            score: 0.75,
            accepted: true,
            vetoed: false,
            early: false,
            beginnings: None,
            propensity: Some(0.5),
            quality: Some(Quality { small, big: 1.0 }),
            asked: Some(Graded {
                grams: 1,
                shift: 0.5,
            }),
            answered: None,
            small_cost: 1e-6,
            big_cost: 2e-5,
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let written = label("a", 2.5, 0.0);
        let line = written.to_line();
        assert!(
            line.ends_with("}\n") && line.contains("[2.5,null]"),
            "{line}"
        );
        let mut begun = written.clone();
        begun.beginnings = Some(vec![Beginning {
            length: 60,
            vector: Vector {
                numbers: vec![1.5],
                grams: vec![9],
            },
            prior: -0.5,
        }]);
        begun.early = true;
        let again = Label::from_line(&begun.to_line()).unwrap();
        assert_eq!((again.beginnings, again.early), (begun.beginnings, true));
        let mut read = Label::from_line(&line).unwrap();
        assert!(read.vector.numbers[1].is_nan() && read.is_harm());
        read.vector.numbers.pop();
        let mut written = written;
        written.vector.numbers.pop();
        assert_eq!(read, written);
        assert_eq!(Label::from_line("{\"label\":\"a\"}"), None);
    }

    #[test]
    fn a_callers_word_is_the_last_one() {
        let judged = label("a", 1.0, 0.0);
        let mut told = label("a", 1.0, 1.0);
        (told.source, told.propensity, told.big_cost) = (Source::Feedback, None, 0.0);
        for both in [vec![judged.clone(), told.clone()], vec![told, judged]] {
            let calls = one_a_call(both);
            assert_eq!(calls.len(), 1);
            assert_eq!(calls[0].source, Source::Feedback);
            assert_eq!(calls[0].propensity, Some(0.5));
            assert!(!calls[0].is_harm() && calls[0].big_cost > 0.0);
        }
    }
}
