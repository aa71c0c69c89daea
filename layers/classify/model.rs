//! The weights that grade: those that are shipped, and what a deployment's own labels have made of them.
//!
//! The shipped ones are learned by `layers/examples/learn_prior.rs`; the same inputs give the same weights. Three heads tell whether a tier's model
//! suffices, and come from asks that were written and labelled for it. The fourth tells whether a small model gets a question right, and
//! comes from outcomes of public sets whose licences allow it (RouteLLM's, Apache-2.0; LLMRouter's, MIT). The tier is chosen by the first
//! three alone: what makes an exam question hard says little about a developer's day.
use super::numbers;
use crate::learn::{Example, Fit, Head, Vector, sigmoid};
use std::{
    fmt,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};
use tierway_services::chat::Tier;

/// The weights that choose a tier.
///
/// [`TierModel::shipped`] is believed without any label. What a deployment's own calls have shown moves it: the maximum a posteriori, with the
/// shipped weights as the centre, so that few labels move it little and many decide.
///
/// ```
/// use tierway_layers::classify::{Outcome, TierModel, see};
/// use tierway_services::{chat::{Operation, Prompt, Tier}, dialect::Dialect};
/// let body = r#"{"model":"auto","messages":[{"role":"user","content":"Refactor the entire ingestion pipeline"}]}"#;
/// let seen = see(&Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap()).unwrap();
/// // Here the simple tier's model is good at this, 200 times.
/// let outcome = Outcome::new(seen).suffices(Tier::Simple, 1.0);
/// let learned = TierModel::learn(&vec![outcome; 200]);
/// assert_eq!(learned.labels(), 200);
/// assert_eq!(TierModel::from_text(&learned.to_text()).unwrap().labels(), 200);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TierModel {
    /// Whether the simple, the medium, the complex tier's model suffices.
    tiers: [Head; 3],
    /// Whether a small model's answer is right.
    right: Head,
    learning: Learning,
}

/// What weights were learned from beside what is shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Learning {
    /// How often they were learned anew; 0: they are the shipped ones.
    pub revision: u64,
    /// From how many labels of the deployment's own calls.
    pub labels: usize,
}

/// What the classifier sees of a call: its deciding ask.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The ask as numbers and n-grams.
    pub vector: Vector,
    /// What is added by hand to the log-odds of every tier: learned weights stand on top of it.
    pub shift: f32,
}

/// One call whose answers have been judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    seen: Seen,
    suffices: [Option<f32>; 3],
    right: Option<f32>,
    weight: f32,
}

/// A [`TierModel`] that may be replaced while calls are under way. Clones are the same one.
///
/// ```
/// use tierway_layers::classify::{LearnedTiers, TierModel};
/// let learned = LearnedTiers::default();
/// learned.replace(TierModel::shipped().with_revision(7));
/// assert_eq!(learned.clone().model().learning().revision, 7);
/// ```
#[derive(Clone)]
pub struct LearnedTiers(Arc<RwLock<Arc<TierModel>>>);

static SHIPPED: LazyLock<TierModel> =
    LazyLock::new(|| TierModel::from_heads(PRIOR).unwrap_or_default());
const PRIOR: &str = include_str!("prior.txt");

/// How strongly weights are held at the shipped ones: worth about as many labels. As for the cascade's model.
const PENALTY: f64 = 15.0;
/// The same for how much suffices at all: forty labels that all say otherwise move a chance of one in five over one half, ten do not.
const INTERCEPT_PENALTY: f64 = 5.0;

/// Between two heads in the text.
const NEXT: &str = "\n--\n";
/// The first line of a file of learned weights begins with it.
const VERSION: &str = "tierway tiers 1";

// === impl TierModel ===

/// Weights that know nothing: every chance is one half.
impl Default for TierModel {
    fn default() -> Self {
        Self {
            tiers: [const { Head::EMPTY }; 3],
            right: Head::EMPTY,
            learning: Learning::default(),
        }
    }
}

impl TierModel {
    /// What is believed without any label.
    #[must_use]
    pub fn shipped() -> Self {
        SHIPPED.clone()
    }

    /// The shipped weights, moved by `outcomes` in any order; the same ones give the same weights.
    #[must_use]
    pub fn learn(outcomes: &[Outcome]) -> Self {
        let shipped = &*SHIPPED;
        let fit = |head: &Head,
                   read: fn(&Vector) -> Vector,
                   label: &dyn Fn(&Outcome) -> Option<(f32, f32)>| {
            let examples: Vec<Example> = outcomes
                .iter()
                .filter_map(|outcome| {
                    let (positive, offset) = label(outcome)?;
                    Some(Example {
                        vector: read(&numbers::without_setting(&outcome.seen.vector)),
                        intercept: 0,
                        positive,
                        weight: outcome.weight,
                        offset,
                    })
                })
                .collect();
            if examples.is_empty() {
                return head.clone();
            }
            let fit = Fit::default().penalty(PENALTY);
            fit.intercept_penalty(INTERCEPT_PENALTY)
                .prior(head.clone())
                .fit(&examples)
                .head(0)
        };
        let tier = |at: usize| {
            let label = |o: &Outcome| Some((o.suffices.get(at).copied()??, o.seen.shift));
            shipped
                .tiers
                .get(at)
                .map(|head| fit(head, numbers::stepped, &label))
        };
        let [simple, medium, complex] = [0, 1, 2].map(|at| tier(at).unwrap_or_default());
        Self {
            tiers: [simple, medium, complex],
            right: fit(&shipped.right, Vector::clone, &|o| Some((o.right?, 0.0))),
            learning: Learning {
                revision: 0,
                labels: outcomes.len(),
            },
        }
    }

    /// With this revision.
    #[must_use]
    pub const fn with_revision(mut self, revision: u64) -> Self {
        self.learning.revision = revision;
        self
    }

    /// What it was learned from.
    #[must_use]
    pub const fn learning(&self) -> Learning {
        self.learning
    }

    /// From how many labels it was learned.
    #[must_use]
    pub const fn labels(&self) -> usize {
        self.learning.labels
    }

    /// Writes what was learned as text, see [`TierModel::from_text`]: how far the weights are from the shipped ones.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Learning { revision, labels } = self.learning;
        let mut sections = vec![format!("{VERSION} {labels} {revision} {:016x}", centre())];
        let pairs = self.heads().into_iter().zip(SHIPPED.heads());
        sections.extend(pairs.map(|(own, shipped)| own.minus(shipped).to_exact_text()));
        sections.join(NEXT)
    }

    /// Reads what [`TierModel::to_text`] wrote; `None` where it is not that, or was learned on top of other weights than those that are
    /// shipped now.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (first, heads) = text.split_once(NEXT)?;
        let mut fields = first.strip_prefix(VERSION)?.split_whitespace();
        let labels = fields.next()?.parse().ok()?;
        let revision = fields.next()?.parse().ok()?;
        let on = u64::from_str_radix(fields.next()?, 16).ok()?;
        if on != centre() {
            return None;
        }
        let moved = Self::from_heads(heads)?;
        let mut sums = SHIPPED.heads().into_iter().zip(moved.heads());
        let mut sum = || sums.next().map(|(shipped, moved)| shipped.plus(moved));
        Some(Self {
            tiers: [sum()?, sum()?, sum()?],
            right: sum()?,
            learning: Learning { revision, labels },
        })
    }

    /// Reads heads, those of the tiers first, cheapest first; `None` where the text is not that.
    fn from_heads(text: &str) -> Option<Self> {
        let mut heads = text.split(NEXT).map(Head::from_text);
        Some(Self {
            tiers: [heads.next()??, heads.next()??, heads.next()??],
            right: heads.next()??,
            learning: Learning::default(),
        })
    }

    const fn heads(&self) -> [&Head; 4] {
        let [simple, medium, complex] = &self.tiers;
        [simple, medium, complex, &self.right]
    }

    /// The chance that each tier's model suffices, after `shift` was added to every log-odds. A dearer tier suffices where a cheaper one
    /// does, and the dearest always: there is nothing above it.
    pub(super) fn suffices(&self, vector: &Vector, shift: f32) -> [f32; 4] {
        let mut chance = [1.0; 4];
        let mut at_least: f32 = 0.0;
        let vector = numbers::stepped(vector);
        for (slot, head) in chance.iter_mut().zip(&self.tiers) {
            at_least = at_least.max(sigmoid(head.logit(&vector) + shift));
            *slot = at_least;
        }
        chance
    }

    /// The chance that a small model gets it right, after `shift` was added to the log-odds.
    pub(super) fn right(&self, vector: &Vector, shift: f32) -> f32 {
        sigmoid(self.right.logit(vector) + shift)
    }
}

/// The one that is shipped, without a copy.
pub(super) fn shipped() -> &'static TierModel {
    &SHIPPED
}

/// What tells the shipped weights from those of another version: FNV-1a.
fn centre() -> u64 {
    static CENTRE: LazyLock<u64> = LazyLock::new(|| {
        PRIOR.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    });
    *CENTRE
}

// === impl Outcome ===

impl Outcome {
    /// Nothing is known yet of how the call went.
    #[must_use]
    pub const fn new(seen: Seen) -> Self {
        Self {
            seen,
            suffices: [None; 3],
            right: None,
            weight: 1.0,
        }
    }

    /// The model of `tier` sufficed, from 0 (no) to 1: one less the chance that the big model is right, and plus its own. That the
    /// dearest suffices says nothing.
    #[must_use]
    pub fn suffices(mut self, tier: Tier, sufficed: f32) -> Self {
        if let Some(slot) = self.suffices.get_mut(tier as usize) {
            *slot = Some(sufficed.clamp(0.0, 1.0));
        }
        self
    }

    /// How right the small model's answer was, from 0 to 1.
    #[must_use]
    pub const fn right(mut self, right: f32) -> Self {
        self.right = Some(right.clamp(0.0, 1.0));
        self
    }

    /// How much it counts; 1 by default.
    #[must_use]
    pub const fn weight(mut self, weight: f32) -> Self {
        self.weight = weight;
        self
    }

    /// How much it counts.
    #[must_use]
    pub const fn weighs(&self) -> f32 {
        self.weight
    }
}

// === impl LearnedTiers ===

impl Default for LearnedTiers {
    fn default() -> Self {
        Self::new(TierModel::shipped())
    }
}

impl LearnedTiers {
    /// Grades by `model` from now on.
    #[must_use]
    pub fn new(model: TierModel) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(model))))
    }

    /// Whether there is another clone.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Grades by another model from now on; so do all clones.
    pub fn replace(&self, model: TierModel) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }

    /// The model that grades now.
    #[must_use]
    pub fn model(&self) -> Arc<TierModel> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for LearnedTiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let learning = self.model().learning;
        f.debug_tuple("LearnedTiers").field(&learning).finish()
    }
}

#[cfg(test)]
mod tests;
