//! The model behind [`Learned`](super::Learned): what labels of a deployment's own traffic say about its drafts.
mod heads;
mod order;

use self::heads::Heads;
use super::{Family, Promise, signals};
use crate::learn::{Vector, sigmoid};
use std::collections::BTreeMap;

/// A draft that has been judged against the big model's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// What was seen of question and draft, see [`signals::see`].
    pub vector: Vector,
    /// What was believed of it before any label, see [`signals::prior`].
    pub prior: f32,
    /// Its kind of task.
    pub family: Family,
    /// How good the draft was, from 0 to 1.
    pub small: f32,
    /// How good the big model's answer was.
    pub big: f32,
}

/// Scores drafts. Without labels by what is believed beforehand; with labels by two heads, the chance that the small answer is good and
/// that the big one is: where both fail, asking the big model buys nothing.
///
/// ```
/// use tierway_layers::cascade::{Family, Labelled, Model};
/// use tierway_layers::learn::Vector;
/// let labelled = |x: f32| Labelled {
///     vector: Vector { numbers: vec![x], grams: vec![] }, prior: 0.0, family: Family::Prose, small: x, big: 1.0,
/// };
/// let labels: Vec<_> = (0..100).map(|i| labelled((i % 2) as f32)).collect();
/// let model = Model::learn(&labels);
/// assert!(model.confidence(&labels[1]) > model.confidence(&labels[0]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Model {
    heads: Option<Heads>,
    operating: BTreeMap<&'static str, Operating>,
    labels: usize,
    revision: u64,
    early: Option<Box<Self>>,
}

/// Where a family's drafts are kept, and what is promised of those that are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operating {
    /// The confidence from which a draft is kept.
    pub threshold: f64,
    /// The promise, where one could be certified.
    pub certified: Option<Promise>,
}

impl Model {
    /// What is believed without any label.
    #[must_use]
    pub fn prior() -> Self {
        Self::default()
    }

    /// Learns from `labels`; the same ones in the same order give the same model.
    #[must_use]
    pub fn learn(labels: &[Labelled]) -> Self {
        Self {
            heads: (!labels.is_empty()).then(|| Heads::learn(labels)),
            operating: BTreeMap::new(),
            labels: labels.len(),
            revision: 0,
            early: None,
        }
    }

    /// With this model of [beginnings](super::Beginning). Its operating points are those of drafts that may be kept for their beginnings:
    /// such a draft is kept as soon as a beginning of it, or all of it, reaches the threshold.
    #[must_use]
    pub fn with_early(mut self, early: Option<Self>) -> Self {
        self.early = early.map(Box::new);
        self
    }

    /// The model of beginnings, where there is one.
    #[must_use]
    pub fn early(&self) -> Option<&Self> {
        self.early.as_deref()
    }

    /// Where drafts of this family that may be kept for their beginnings are kept, if that is certified.
    #[must_use]
    pub fn early_of(&self, family: Family) -> Option<(Operating, Promise)> {
        let operating = self.early.as_ref()?.operating_of(family)?;
        Some((operating, operating.certified?))
    }

    /// With this operating point for a family.
    #[must_use]
    pub fn operating(mut self, family: Family, operating: Operating) -> Self {
        self.operating.insert(family.as_str(), operating);
        self
    }

    /// The same operating point without its promise, where there was one: what was certified no longer holds.
    #[must_use]
    pub fn uncertified(mut self, family: Family) -> Self {
        if let Some(operating) = self.operating.get_mut(family.as_str()) {
            operating.certified = None;
        }
        self
    }

    /// With this revision: how often it was learned or calibrated anew.
    #[must_use]
    pub const fn with_revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }

    /// How often it was learned or calibrated anew.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Where this family's drafts are kept, if it was calibrated.
    #[must_use]
    pub fn operating_of(&self, family: Family) -> Option<Operating> {
        self.operating.get(family.as_str()).copied()
    }

    /// From how many labels it was learned.
    #[must_use]
    pub const fn labels(&self) -> usize {
        self.labels
    }

    /// The confidence in a draft, from 0 to 1; its judgements are not read.
    #[must_use]
    pub fn confidence(&self, draft: &Labelled) -> f64 {
        self.score(&draft.vector, draft.prior)
    }

    /// The same of a draft that has no judgement: the share of the labels that it was learned from which this draft beats. So it says
    /// the same whatever model was learned, and about as large a share of calls is deferred as the threshold says. Without labels, the
    /// probability that is believed beforehand.
    #[must_use]
    pub fn score(&self, vector: &Vector, prior: f32) -> f64 {
        match &self.heads {
            Some(heads) => heads.rank(vector, prior),
            None => f64::from(sigmoid(prior)),
        }
    }

    /// The chance that a draft is good, from 0 to 1, whatever the big model's is: a probability, where [`score`](Self::score) is a rank.
    #[must_use]
    pub fn good(&self, vector: &Vector, prior: f32) -> f64 {
        let learned = self.heads.as_ref().map_or(0.0, |h| h.small.logit(vector));
        f64::from(sigmoid(prior + learned))
    }

    /// What each thing that was seen adds to the log-odds that the draft is good, the strongest first, at most `most` of them.
    #[must_use]
    pub fn explain(&self, vector: &Vector, most: usize) -> Vec<(&'static str, f32)> {
        let Some(heads) = &self.heads else {
            return Vec::new();
        };
        let (numbers, grams) = heads.small.parts(vector);
        let mut parts: Vec<_> = signals::names().zip(numbers).collect();
        parts.push(("words", grams));
        parts.retain(|(_, part)| part.abs() > 0.01);
        parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        parts.truncate(most);
        parts
    }

    /// Writes the model as text, see [`Model::from_text`].
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut sections = vec![format!("{VERSION} {} {}", self.labels, self.revision)];
        for (family, operating) in &self.operating {
            let certified = operating
                .certified
                .map_or_else(String::new, |p| format!(" {} {}", p.alpha(), p.delta()));
            sections.push(format!("keep {family} {}{certified}", operating.threshold));
        }
        if let Some(heads) = &self.heads {
            sections.extend(heads.to_sections());
        }
        let mut text = sections.join(NEXT);
        if let Some(early) = &self.early {
            text += EARLY;
            text += &early.to_text();
        }
        text
    }

    /// Reads what [`Model::to_text`] wrote; `None` where it is not that, or was written by a version whose numbers mean something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (text, early) = match text.split_once(EARLY) {
            Some((text, early)) => (text, Some(Box::new(Self::from_text(early)?))),
            None => (text, None),
        };
        let mut sections = text.split(NEXT).peekable();
        let mut counts = sections.next()?.strip_prefix(VERSION)?.split_whitespace();
        let labels = counts.next()?.parse().ok()?;
        let revision = counts.next().map_or(Some(0), |n| n.parse().ok())?;
        let mut operating = BTreeMap::new();
        while let Some(keep) = sections.next_if(|s| s.starts_with("keep ")) {
            let mut fields = keep.split(' ').skip(1);
            let name = fields.next()?;
            let family = Family::ALL.into_iter().find(|f| f.as_str() == name)?;
            let threshold = fields.next()?.parse().ok()?;
            let certified = match (fields.next(), fields.next()) {
                (Some(alpha), Some(delta)) => {
                    Promise::new(alpha.parse().ok()?, delta.parse().ok()?)
                }
                _ => None,
            };
            operating.insert(
                family.as_str(),
                Operating {
                    threshold,
                    certified,
                },
            );
        }
        let heads = match sections.peek() {
            None => None,
            Some(_) => Some(Heads::from_sections(sections)?),
        };
        Some(Self {
            heads,
            operating,
            labels,
            revision,
            early,
        })
    }
}

/// Moves with whatever changes what a number or a bucket means.
const VERSION: &str = "tierway-cascade-model 3";
const NEXT: &str = "\n--\n";
/// Before the model of beginnings.
const EARLY: &str = "\n==\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn label(x: f32, prior: f32, small: f32, big: f32) -> Labelled {
        Labelled {
            vector: Vector {
                numbers: vec![x],
                grams: vec![5],
            },
            prior,
            family: Family::Math,
            small,
            big,
        }
    }

    #[test]
    fn without_labels_it_is_the_prior() {
        let model = Model::prior();
        assert!((model.confidence(&label(0.0, 2.0, 0.0, 0.0)) - 0.8808).abs() < 1e-3);
        assert_eq!(Model::learn(&[]).labels(), 0);
    }

    #[test]
    fn a_draft_that_both_fail_is_kept_sooner_than_one_that_the_big_model_saves() {
        // At 1 the small model fails and the big one does not; at 0 both fail.
        let labels: Vec<_> = (0..200)
            .map(|i| match i % 3 {
                0 => label(0.0, 0.0, 0.0, 0.0),
                1 => label(1.0, 0.0, 0.0, 1.0),
                _ => label(2.0, 0.0, 1.0, 1.0),
            })
            .collect();
        let model = Model::learn(&labels);
        let at = |x: f32| model.confidence(&label(x, 0.0, 0.0, 0.0));
        assert!(at(0.0) > at(1.0) && at(2.0) > at(1.0));
    }

    #[test]
    fn text_round_trip() {
        let labels: Vec<_> = (0..60)
            .map(|i| label((i % 2) as f32, 0.5, (i % 2) as f32, 1.0))
            .collect();
        let operating = Operating {
            threshold: 0.625,
            certified: Promise::new(0.05, 0.1),
        };
        let model = Model::learn(&labels)
            .operating(Family::Math, operating)
            .with_revision(3);
        let model = model.clone().with_early(Some(model));
        let read = Model::from_text(&model.to_text()).unwrap();
        assert_eq!(
            (read.labels(), read.operating_of(Family::Math)),
            (60, Some(operating))
        );
        assert_eq!(read.revision(), 3);
        let (early, _) = read.early_of(Family::Math).unwrap();
        assert_eq!((early, read.early().unwrap().labels()), (operating, 60));
        let gone = read.clone().uncertified(Family::Math);
        let left = gone.operating_of(Family::Math).unwrap();
        assert_eq!((left.threshold, left.certified), (0.625, None));
        assert!((read.confidence(&labels[1]) - model.confidence(&labels[1])).abs() < 0.02);
        assert_eq!(
            Model::from_text(&Model::prior().to_text()).map(|m| m.labels()),
            Some(0)
        );
        for wrong in [
            "",
            "tierway-cascade-model 1 5",
            "tierway-cascade-model 3 5\n--\nweight 1\n--\nintercept 0",
        ] {
            assert!(Model::from_text(wrong).is_none(), "{wrong}");
        }
    }
}
