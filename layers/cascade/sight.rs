//! What a predicate saw of a draft, for whoever stands above the cascade.
use super::{Draft, Family};
use crate::learn::Vector;
use std::sync::{Arc, Mutex, PoisonError};
use tierway_services::chat::Answer;

/// A place for what [`Learned`](super::Learned) sees of a call's draft.
///
/// Whoever wants to know lays one into the request's extensions above the cascade and looks into it once the head of the answer is there.
/// It stays empty where nobody drafted, where the draft was plainly broken, and where another predicate judged.
#[derive(Clone, Debug, Default)]
pub struct Sight(Arc<Mutex<Option<Sighted>>>);

/// A whole draft as it was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighted {
    /// The draft itself.
    pub answer: Answer,
    /// What was seen of question and draft, see [`signals::see`](super::signals::see).
    pub vector: Vector,
    /// What was believed of it before any label, see [`signals::prior`](super::signals::prior).
    pub prior: f32,
    /// Its kind of task.
    pub family: Family,
    /// The confidence in it, from 0 to 1.
    pub confidence: f64,
    /// Whether another predicate has vetoed it, so that nothing was seen of it but the question, and the answer or what had come of it.
    pub vetoed: bool,
    /// Whether it could be kept for its beginning.
    pub early: bool,
}

impl Sight {
    /// The place that somebody laid into the request of this draft.
    pub(super) fn of<'d>(draft: &Draft<'d>) -> Option<&'d Self> {
        draft.request().extensions().get()
    }
    pub(super) fn set(&self, seen: Sighted) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
    /// What was seen, if anything was; it is gone thereafter.
    #[must_use]
    pub fn take(&self) -> Option<Sighted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
