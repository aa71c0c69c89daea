//! Judging a draft.
use std::{
    fmt,
    future::{Future, ready},
    time::Duration,
};
use tierway_services::chat::{self, Answer};

/// A small model's answer, complete and not yet shown to anybody.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    answer: &'a Answer,
    request: &'a chat::Request,
    elapsed: Duration,
}

/// What a predicate makes of a draft.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// How sure it is that the draft is good enough, from 0 to 1.
    pub confidence: f64,
    /// Why, in one word that is the same for every draft judged alike: it goes into a header and a metric's label.
    pub reason: &'static str,
}

/// Judges whether a small model's draft is good enough.
///
/// It may take its time (ask another model, look something up), but the caller is waiting; when the caller leaves, the future is dropped.
///
/// ```
/// use tierway_layers::cascade::{Confidence, Draft, Verdict};
///
/// /// Sure of short answers.
/// struct Brief;
/// impl Confidence for Brief {
///     async fn judge(&self, draft: &Draft<'_>) -> Verdict {
///         match draft.answer().text.len() {
///             0..400 => Verdict::new(0.95, "brief"),
///             _ => Verdict::new(0.3, "long"),
///         }
///     }
/// }
/// ```
pub trait Confidence {
    /// Judges `draft`.
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send;

    /// Sure only where both are: `other` is asked where this one is not already certain of the contrary (confidence 0), and the lower
    /// verdict stands.
    fn and<C: Confidence>(self, other: C) -> And<Self, C>
    where
        Self: Sized,
    {
        And {
            first: self,
            second: other,
        }
    }
}

/// Two predicates, both of which must be sure; made by [`Confidence::and`].
#[derive(Clone, Copy, Debug)]
pub struct And<A, B> {
    first: A,
    second: B,
}

/// A closure as a predicate; made by [`confidence_fn`].
#[derive(Clone, Copy)]
pub struct ConfidenceFn<F> {
    judge: F,
}

/// Makes a predicate of a closure that needs nothing but the draft.
///
/// ```
/// use tierway_layers::cascade::{Draft, Verdict, confidence_fn};
/// let never_code = confidence_fn(|draft: &Draft<'_>| match draft.answer().text.contains("```") {
///     true => Verdict::new(0.0, "code"),
///     false => Verdict::new(0.9, "prose"),
/// });
/// ```
pub const fn confidence_fn<F>(judge: F) -> ConfidenceFn<F>
where
    F: Fn(&Draft<'_>) -> Verdict,
{
    ConfidenceFn { judge }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// A draft: `answer` to `request`, after `elapsed`. Made by the layer; public so that a predicate can be tested.
    #[must_use]
    pub const fn new(answer: &'a Answer, request: &'a chat::Request, elapsed: Duration) -> Self {
        Self {
            answer,
            request,
            elapsed,
        }
    }
    /// The answer, freed of its dialect.
    #[must_use]
    pub const fn answer(&self) -> &'a Answer {
        self.answer
    }
    /// What was asked.
    #[must_use]
    pub const fn request(&self) -> &'a chat::Request {
        self.request
    }
    /// How long the small model took.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

// === impl Verdict ===

impl Verdict {
    /// A verdict. What is not a number from 0 to 1 counts as the nearest one that is, and what is no number as 0.
    #[must_use]
    pub const fn new(confidence: f64, reason: &'static str) -> Self {
        let confidence = if confidence >= 1.0 {
            1.0
        } else if confidence > 0.0 {
            confidence
        } else {
            0.0
        };
        Self { confidence, reason }
    }
}

// === impl ConfidenceFn ===

impl<F: Fn(&Draft<'_>) -> Verdict> Confidence for ConfidenceFn<F> {
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send {
        ready((self.judge)(draft))
    }
}

impl<F> fmt::Debug for ConfidenceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfidenceFn").finish_non_exhaustive()
    }
}

// === impl And ===

impl<A: Confidence + Sync, B: Confidence + Sync> Confidence for And<A, B> {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let first = self.first.judge(draft).await;
        if first.confidence <= 0.0 {
            return first;
        }
        let second = self.second.judge(draft).await;
        if second.confidence < first.confidence {
            second
        } else {
            first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;

    async fn judged(predicate: impl Confidence) -> Verdict {
        let (answer, request) = (Answer::default(), ask("m", "hi"));
        let draft = Draft::new(&answer, &request, Duration::ZERO);
        predicate.judge(&draft).await
    }

    fn says(confidence: f64, reason: &'static str) -> impl Confidence + Sync {
        confidence_fn(move |_: &Draft<'_>| Verdict::new(confidence, reason))
    }

    #[tokio::test]
    async fn and_takes_the_lower_and_skips_what_cannot_matter() {
        let never = || confidence_fn(|_: &Draft<'_>| unreachable!("the first was certain"));
        assert_eq!(judged(says(0.0, "a").and(never())).await.reason, "a");
        assert_eq!(judged(says(0.9, "a").and(says(0.4, "b"))).await.reason, "b");
        assert_eq!(judged(says(0.4, "a").and(says(0.9, "b"))).await.reason, "a");
    }

    #[test]
    fn confidence_is_a_number_from_0_to_1() {
        for (given, kept) in [(2.0, 1.0), (-1.0, 0.0), (f64::NAN, 0.0), (0.5, 0.5)] {
            assert!((Verdict::new(given, "x").confidence - kept).abs() < f64::EPSILON);
        }
    }
}
