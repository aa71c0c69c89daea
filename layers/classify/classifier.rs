//! The policy that is shipped: the user's own ask, graded by linear heads over named numbers and n-grams; no network.
//!
//! What does **not** count: the system prompt, the number of tools, `thinking`, and whatever else a harness adds to every request; the
//! same ask is in the same tier bare and wrapped.
use super::{
    Decision, Explanation, LearnedTiers, Policy,
    grade::{self, Grade},
    numbers,
};
use crate::names::{Names, Wish};
use tierway_services::chat::{self, Operation, Tier};

/// Chooses the tier by the user's own ask.
///
/// ```
/// use tierway_layers::{classify::{TierClassifier, Policy}, names::Names};
/// use tierway_services::{chat::{Operation, Prompt, Request, Tier}, dialect::Dialect};
/// let tier = |ask: &str| {
///     let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": ask}]}).to_string();
///     let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
///     TierClassifier::new(Names::default()).classify(&Request::new(prompt)).unwrap().tier
/// };
/// assert_eq!(tier("hi"), Tier::Simple);
/// assert_eq!(tier("Add an author field to the Book class"), Tier::Simple); // an author is no authentication
/// assert_eq!(tier("Refactor the entire ingestion pipeline"), Tier::Complex);
/// assert_eq!(tier("Find the root cause of the deadlock in the worker pool"), Tier::Reasoning);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TierClassifier {
    names: Names,
    learned: LearnedTiers,
}

impl TierClassifier {
    /// Classifies what `names` take for a wish to be routed, or for a tier; any other name is left to [`Bind`](crate::bind::Bind).
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            learned: LearnedTiers::default(),
        }
    }

    /// Grades by these weights, which may be replaced while calls are under way; by the shipped ones by default.
    #[must_use]
    pub fn learned(mut self, learned: LearnedTiers) -> Self {
        self.learned = learned;
        self
    }

    fn decide(&self, req: &chat::Request) -> Decision {
        let model = self.learned.model();
        let mut decision = Grade::of(req, &model).decide();
        // Which models can see is not known here, but the smallest mostly cannot.
        if decision.tier == Tier::Simple && req.body().facts().has_images() {
            decision = Decision::new(Tier::Medium, "image");
        }
        decision.learning = Some(model.learning()).filter(|l| l.revision > 0);
        decision
    }
}

impl Policy for TierClassifier {
    fn classify(&self, req: &chat::Request) -> Option<Decision> {
        if req.body().facts().operation == Operation::Embed {
            // Vectors of different models cannot be compared, so none is as good as another.
            return None;
        }
        match self.names.resolve(&req.body().facts().model)? {
            Wish::Target(_) => None,
            Wish::Tier(tier) => Some(Decision::asked(tier)),
            Wish::Auto => Some(self.decide(req)),
        }
    }

    fn explain(&self, req: &chat::Request) -> Explanation {
        let vector = grade::vector(req.body());
        Explanation {
            decision: self.classify(req),
            features: vector.map_or_else(Vec::new, |vector| numbers::named(&vector)),
        }
    }
}
