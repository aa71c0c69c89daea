//! Judging a draft.
use super::Draft;
use std::{
    fmt,
    future::{Future, ready},
};

/// What a predicate makes of a draft.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// How sure it is that the draft is good enough, from 0 to 1.
    pub confidence: f64,
    /// Why, in one word that is the same for every draft judged alike: it goes into a header and a metric's label.
    pub reason: &'static str,
    /// The confidence that is enough, where the predicate knows better than the layer: one that was calibrated does.
    pub threshold: Option<f64>,
    /// What is promised of the drafts that are kept; `None` where nobody has certified anything.
    pub certified: Option<Certified>,
}

/// A promise about the drafts that a predicate keeps: that the big model's answer would have been better for at most `alpha` of all calls
/// judged, said with confidence 1 - `delta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certified {
    /// The share of harm, from 0 to 1.
    pub alpha: f64,
    /// The probability that the promise itself is wrong, from 0 to 1.
    pub delta: f64,
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
    /// Judges `draft`, which is complete.
    fn judge(&self, draft: &Draft<'_>) -> impl Future<Output = Verdict> + Send;

    /// Why `draft`, of which only a beginning has come, will be rejected whatever follows; `None` where that is not certain. Asked again
    /// and again while a stream arrives, at lengths that grow by an eighth, so it may read all of the text but not wait.
    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        let _ = draft;
        None
    }

    /// Judges `draft` by its beginning; `None` unless this predicate is *certified* for beginnings of this length: what is kept now cannot be
    /// taken back. By default none is.
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let _ = draft;
        None
    }

    /// Hears of a draft, or the beginning of one, that another predicate has [vetoed](Self::vetoed_by): it will not be asked about it.
    fn vetoed(&self, draft: &Draft<'_>) {
        let _ = draft;
    }

    /// Hears of the whole of a draft whose beginning was kept.
    fn committed(&self, draft: &Draft<'_>) {
        let _ = draft;
    }

    /// Sure only where both are: `other` is asked where this one is not already certain of the contrary (confidence 0), and the lower
    /// verdict stands.
    fn and<C: Confidence>(self, other: C) -> super::And<Self, C>
    where
        Self: Sized,
    {
        super::And::new(self, other)
    }

    /// This one's verdict, unless `veto` is certain of the contrary (confidence 0). It is asked first, and is never surer than that.
    fn vetoed_by<C: Confidence>(self, veto: C) -> super::Vetoed<Self, C>
    where
        Self: Sized,
    {
        super::Vetoed::new(self, veto)
    }

    /// The mean of both, in which this one has `weight` (from 0 to 1) and `other` the rest. The reason is that of the one that pulls down.
    fn weighted<C: Confidence>(self, weight: f64, other: C) -> super::Weighted<Self, C>
    where
        Self: Sized,
    {
        super::Weighted::new(self, weight, other)
    }

    /// This one's verdict where it is decided: at or under `low`, at or over `high`. Else that of `other`, which may be dearer.
    fn first_decided<C: Confidence>(
        self,
        low: f64,
        high: f64,
        other: C,
    ) -> super::FirstDecided<Self, C>
    where
        Self: Sized,
    {
        super::FirstDecided::new(self, low, high, other)
    }
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
        Self {
            confidence,
            reason,
            threshold: None,
            certified: None,
        }
    }

    /// With the confidence that is enough, whatever the layer was told.
    #[must_use]
    pub const fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// With a promise about what is kept.
    #[must_use]
    pub const fn certified(mut self, alpha: f64, delta: f64) -> Self {
        self.certified = Some(Certified { alpha, delta });
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_a_number_from_0_to_1() {
        for (given, kept) in [(2.0, 1.0), (-1.0, 0.0), (f64::NAN, 0.0), (0.5, 0.5)] {
            assert!((Verdict::new(given, "x").confidence - kept).abs() < f64::EPSILON);
        }
    }
}
