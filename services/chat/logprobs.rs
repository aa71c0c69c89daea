//! The side way by which log-probabilities travel.
use super::{Logprob, Notes};
use std::sync::{Arc, Mutex, PoisonError};

/// So many tokens are kept; more would be an answer that nobody judges by its tokens.
const MOST: usize = 1 << 16;

/// The wish to know a model's log-probabilities, and the place where they are put as they come.
///
/// It rides in a request's [`Notes`]. The leaf asks for them where the model gives them, puts them here, and takes out of the answer what
/// its caller did not ask for; so they arrive whatever dialect the answer is in. Clones share the place.
///
/// ```
/// use tierway_services::chat::{Logprob, Logprobs};
/// let wish = Logprobs::default();
/// wish.clone().extend([Logprob { token: "Paris".into(), logprob: -0.1, runner_up: None }]);
/// assert_eq!(wish.take().len(), 1);
/// assert!(wish.take().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Logprobs(Arc<Mutex<Vec<Logprob>>>);

impl Logprobs {
    /// The wish on `req`, if any.
    #[must_use]
    pub fn of<B>(req: &http::Request<B>) -> Option<&Self> {
        Notes::of(req).logprobs.as_ref()
    }
    /// Adds what has come; beyond some ten thousands of tokens nothing is kept.
    pub fn extend(&self, more: impl IntoIterator<Item = Logprob>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(all.len());
        all.extend(more.into_iter().take(room));
    }
    /// What has come since it was last asked.
    #[must_use]
    pub fn take(&self) -> Vec<Logprob> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
