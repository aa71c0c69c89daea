//! The weights that are shipped.
//!
//! Learned by `layers/examples/learn_prior.rs`; the same inputs give the same weights. Three heads tell whether a tier's model suffices, and
//! come from asks that were written and labelled for it. The fourth tells whether a small model gets a question right, and comes from
//! outcomes of public sets whose licences allow it (RouteLLM's, Apache-2.0; LLMRouter's, MIT). The tier is chosen by the first three
//! alone: what makes an exam question hard says little about a developer's day.
use crate::learn::{Head, Vector, sigmoid};
use std::sync::LazyLock;

/// The shipped heads.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    /// Whether the simple, the medium, the complex tier's model suffices.
    tiers: [Head; 3],
    /// Whether a small model's answer is right.
    right: Head,
}

static SHIPPED: LazyLock<Option<Prior>> =
    LazyLock::new(|| Prior::from_text(include_str!("prior.txt")));

/// Between two heads in the text.
const NEXT: &str = "\n--\n";

impl Prior {
    /// The shipped one.
    pub(super) fn shipped() -> Option<&'static Self> {
        SHIPPED.as_ref()
    }

    /// Reads heads, those of the tiers first, cheapest first; `None` where the text is not that.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut heads = text.split(NEXT).map(Head::from_text);
        Some(Self {
            tiers: [heads.next()??, heads.next()??, heads.next()??],
            right: heads.next()??,
        })
    }

    /// The chance that each tier's model suffices, after `shift` had its say on every log-odds. A dearer tier suffices where a cheaper one
    /// does, and the dearest always: there is nothing above it.
    pub(super) fn suffices(&self, vector: &Vector, shift: impl Fn(f32) -> f32) -> [f32; 4] {
        let mut chance = [1.0; 4];
        let mut at_least: f32 = 0.0;
        for (slot, head) in chance.iter_mut().zip(&self.tiers) {
            let logit = shift(head.logit(vector));
            at_least = at_least.max(sigmoid(logit));
            *slot = at_least;
        }
        chance
    }

    /// The chance that a small model gets it right, after `shift` had its say on the log-odds.
    pub(super) fn right(&self, vector: &Vector, shift: impl Fn(f32) -> f32) -> f32 {
        sigmoid(shift(self.right.logit(vector)))
    }
}
