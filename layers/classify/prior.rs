//! The weights that are shipped.
//!
//! Learned by `layers/examples/learn_prior.rs` from asks that were written and labelled for it, and from outcomes of public sets whose
//! licences allow it (RouteLLM's, Apache-2.0; LLMRouter's, MIT). The same inputs give the same weights.
use crate::learn::{Head, Vector};
use std::sync::LazyLock;

/// The chance that the simple, medium and complex tier's model suffices, as linear heads.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    heads: [Head; 3],
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

    /// Reads heads, cheapest tier first; `None` where the text is not that.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut heads = text.split(NEXT).map(Head::from_text);
        Some(Self {
            heads: [heads.next()??, heads.next()??, heads.next()??],
        })
    }

    /// The chance that each tier's model suffices, after `shift` had its say on every log-odds. A dearer tier suffices where a cheaper one
    /// does, and the dearest always: there is nothing above it.
    pub(super) fn suffices(&self, vector: &Vector, shift: impl Fn(f32) -> f32) -> [f32; 4] {
        let mut chance = [1.0; 4];
        let mut at_least: f32 = 0.0;
        for (slot, head) in chance.iter_mut().zip(&self.heads) {
            let logit = shift(head.logit(vector));
            at_least = at_least.max(1.0 / (1.0 + (-logit).exp()));
            *slot = at_least;
        }
        chance
    }
}
