//! What a policy decides, and who had a part in it.
use super::Learning;
use std::{borrow::Cow, fmt};
use tierway_services::chat::Tier;

/// Reasons of calls that are no part of a conversation.
const ASIDE: [&str; 2] = ["side_request", "probe"];

/// A tier, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The tier.
    pub tier: Tier,
    /// What decided it first, in one word that is the same for every call decided alike.
    pub reason: Cow<'static, str>,
    /// How demanding the call looked, from 0 to 1. Comparable only between decisions of one policy.
    pub score: f32,
    /// How likely the model of each tier suffices, cheapest tier first; `None` where nobody estimated it.
    pub suffices: Option<[f32; 4]>,
    /// What the weights that made it were learned from beside what is shipped; `None` where they are the shipped ones.
    pub learning: Option<Learning>,
    /// Who spoke after the first, in order: rules, guards, the conversation. Mostly empty.
    pub notes: Vec<Note>,
}

/// The reason of a decision that the caller made.
const ASKED: &str = "asked";

/// One who had a say after the first, whether it moved the tier or confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its name: `floor:payments`, `guard:context`, `session`. Visible ASCII, without `;`.
    pub name: Cow<'static, str>,
    /// The tier before.
    pub from: Tier,
    /// The tier after.
    pub to: Tier,
}

impl Decision {
    /// A decision, scored at the middle of its tier.
    #[must_use]
    pub fn new(tier: Tier, reason: impl Into<Cow<'static, str>>) -> Self {
        let score = match tier {
            Tier::Simple => 0.125,
            Tier::Medium => 0.375,
            Tier::Complex => 0.625,
            Tier::Reasoning => 0.875,
        };
        Self {
            tier,
            reason: reason.into(),
            score,
            suffices: None,
            learning: None,
            notes: Vec::new(),
        }
    }

    /// The caller's own decision: a tier asked for by name or by header. Rules that raise leave it alone.
    ///
    /// ```
    /// use tierway_layers::classify::Decision;
    /// use tierway_services::chat::Tier;
    /// assert!(Decision::asked(Tier::Simple).is_asked() && !Decision::new(Tier::Simple, "short").is_asked());
    /// ```
    #[must_use]
    pub fn asked(tier: Tier) -> Self {
        Self::new(tier, ASKED)
    }

    /// Whether the caller made it.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.reason == ASKED
    }

    /// Whether the call is beside the conversation whose name it carries, as far as the reason tells: a client's side request or probe.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        ASIDE.contains(&&*self.reason)
    }

    /// With this score.
    #[must_use]
    pub const fn with_score(mut self, score: f32) -> Self {
        self.score = score;
        self
    }

    /// Moved to `tier` by whoever has this name, or left there: either way it is said.
    ///
    /// ```
    /// use tierway_layers::classify::Decision;
    /// use tierway_services::chat::Tier;
    /// let decision = Decision::new(Tier::Simple, "short").moved(Tier::Complex, "floor:payments");
    /// assert_eq!((decision.tier, decision.to_string()), (Tier::Complex, "short; floor:payments".to_owned()));
    /// ```
    #[must_use]
    pub fn moved(mut self, tier: Tier, name: impl Into<Cow<'static, str>>) -> Self {
        self.notes.push(Note {
            name: name.into(),
            from: self.tier,
            to: tier,
        });
        self.tier = tier;
        self
    }
}

/// The value of `x-tierway-reason`: the first reason, the revision and the labels of what was learned here, then the names of who spoke
/// after it.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(Learning { revision, labels }) = self.learning {
            write!(f, "; learned:{revision}/{labels}")?;
        }
        self.notes
            .iter()
            .try_for_each(|note| write!(f, "; {}", note.name))
    }
}
