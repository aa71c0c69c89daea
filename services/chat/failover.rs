//! What a call may do when its model fails: who else may answer, until when, and who has.
use super::{Notes, Target};
use std::{sync::Arc, time::Instant};

/// The other models that may answer a call, the next one to ask first.
///
/// ```
/// use tierway_services::chat::{Alternatives, Notes, Target};
/// let mut req = http::Request::new(());
/// Notes::of_mut(&mut req).alternatives = Some(Alternatives::new([Target::new("b", "y")]));
/// assert_eq!(Alternatives::of(&req), [Target::new("b", "y")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternatives {
    targets: Arc<[Target]>,
    balanced: bool,
}

impl Alternatives {
    /// These models, in this order.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        Self {
            targets: targets.into_iter().collect(),
            balanced: false,
        }
    }
    /// The other models that `Bind` allowed for `req`; none where it did not say.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> &[Target] {
        let others = Notes::of(req).alternatives.as_ref();
        others.map(|others| &*others.targets).unwrap_or_default()
    }
    /// The models.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
    /// As peers of the first rather than its stand-ins: any of them may be asked first.
    #[must_use]
    pub const fn balanced(mut self) -> Self {
        self.balanced = true;
        self
    }
    /// Whether they are peers of the first.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.balanced
    }
}

/// Until when an answer is of use to its caller. What cannot be had by then is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of `req`, if it has one.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<Instant> {
        Notes::of(req).deadline.map(|deadline| deadline.0)
    }
}

/// Marks a refusal of the gateway's own: no model was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined;

/// Marks an answer that is not of the model that was to answer, because that one failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FellBack(pub Target);
