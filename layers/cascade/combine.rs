//! Predicates made of predicates.
use super::{Confidence, Draft, Verdict};

/// Two predicates, both of which must be sure; made by [`Confidence::and`].
#[derive(Clone, Copy, Debug)]
pub struct And<A, B> {
    first: A,
    second: B,
}

/// A predicate under another's veto; made by [`Confidence::vetoed_by`].
#[derive(Clone, Copy, Debug)]
pub struct Vetoed<A, B> {
    judge: A,
    veto: B,
}

/// The weighted mean of two predicates; made by [`Confidence::weighted`].
#[derive(Clone, Copy, Debug)]
pub struct Weighted<A, B> {
    first: A,
    weight: f64,
    second: B,
}

/// A predicate, and another for what it cannot decide; made by [`Confidence::first_decided`].
#[derive(Clone, Copy, Debug)]
pub struct FirstDecided<A, B> {
    first: A,
    low: f64,
    high: f64,
    second: B,
}

/// The verdict that is less sure.
fn lower(first: Verdict, second: Verdict) -> Verdict {
    if second.confidence < first.confidence {
        second
    } else {
        first
    }
}

// === impl And ===

impl<A, B> And<A, B> {
    pub(super) const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Confidence + Sync, B: Confidence + Sync> Confidence for And<A, B> {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let first = self.first.judge(draft).await;
        if first.confidence <= 0.0 {
            return first;
        }
        lower(first, self.second.judge(draft).await)
    }
    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        let first = self.first.reject_prefix(draft);
        first.or_else(|| self.second.reject_prefix(draft))
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let first = self.first.judge_prefix(draft)?;
        Some(lower(first, self.second.judge_prefix(draft)?))
    }
    fn vetoed(&self, draft: &Draft<'_>) {
        self.first.vetoed(draft);
        self.second.vetoed(draft);
    }
    fn committed(&self, draft: &Draft<'_>) {
        self.first.committed(draft);
        self.second.committed(draft);
    }
}

// === impl Vetoed ===

impl<A, B> Vetoed<A, B> {
    pub(super) const fn new(judge: A, veto: B) -> Self {
        Self { judge, veto }
    }
}

impl<A: Confidence + Sync, B: Confidence + Sync> Confidence for Vetoed<A, B> {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let veto = self.veto.judge(draft).await;
        if veto.confidence <= 0.0 {
            self.judge.vetoed(draft);
            return veto;
        }
        self.judge.judge(draft).await
    }
    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        let veto = self.veto.reject_prefix(draft);
        if veto.is_some() {
            self.judge.vetoed(draft);
        }
        veto.or_else(|| self.judge.reject_prefix(draft))
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        self.judge.judge_prefix(draft)
    }
    fn vetoed(&self, draft: &Draft<'_>) {
        self.judge.vetoed(draft);
    }
    fn committed(&self, draft: &Draft<'_>) {
        self.judge.committed(draft);
    }
}

// === impl Weighted ===

impl<A, B> Weighted<A, B> {
    pub(super) const fn new(first: A, weight: f64, second: B) -> Self {
        Self {
            first,
            weight: Verdict::new(weight, "").confidence,
            second,
        }
    }

    /// A promise that was made about one of two scores says nothing of their mean.
    fn mean(&self, first: Verdict, second: Verdict) -> Verdict {
        let rest = 1.0 - self.weight;
        let mean = self
            .weight
            .mul_add(first.confidence, rest * second.confidence);
        let pull = |weight: f64, verdict: Verdict| weight * (1.0 - verdict.confidence);
        let down = if pull(rest, second) > pull(self.weight, first) {
            second
        } else {
            first
        };
        Verdict::new(mean, down.reason)
    }
}

impl<A: Confidence + Sync, B: Confidence + Sync> Confidence for Weighted<A, B> {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let first = self.first.judge(draft).await;
        self.mean(first, self.second.judge(draft).await)
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let first = self.first.judge_prefix(draft)?;
        Some(self.mean(first, self.second.judge_prefix(draft)?))
    }
}

// === impl FirstDecided ===

impl<A, B> FirstDecided<A, B> {
    pub(super) const fn new(first: A, low: f64, high: f64, second: B) -> Self {
        Self {
            first,
            low,
            high,
            second,
        }
    }
    fn decided(&self, verdict: &Verdict) -> bool {
        verdict.confidence <= self.low || verdict.confidence >= self.high
    }
}

impl<A: Confidence + Sync, B: Confidence + Sync> Confidence for FirstDecided<A, B> {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let first = self.first.judge(draft).await;
        if self.decided(&first) {
            return first;
        }
        self.second.judge(draft).await
    }
    fn reject_prefix(&self, draft: &Draft<'_>) -> Option<&'static str> {
        self.first.reject_prefix(draft)
    }
    fn judge_prefix(&self, draft: &Draft<'_>) -> Option<Verdict> {
        let first = self.first.judge_prefix(draft)?;
        if self.decided(&first) {
            return Some(first);
        }
        self.second.judge_prefix(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::confidence_fn, *};
    use crate::testing::ask;
    use std::time::Duration;
    use tierway_services::chat::Answer;

    async fn judged(predicate: impl Confidence) -> Verdict {
        let (answer, request) = (Answer::default(), ask("m", "hi"));
        let draft = Draft::new(&answer, &request, Duration::ZERO);
        predicate.judge(&draft).await
    }

    fn says(confidence: f64, reason: &'static str) -> impl Confidence + Sync {
        confidence_fn(move |_: &Draft<'_>| Verdict::new(confidence, reason))
    }
    fn never() -> impl Confidence + Sync {
        confidence_fn(|_: &Draft<'_>| unreachable!("the first was certain"))
    }

    #[tokio::test]
    async fn and_takes_the_lower_and_skips_what_cannot_matter() {
        assert_eq!(judged(says(0.0, "a").and(never())).await.reason, "a");
        assert_eq!(judged(says(0.9, "a").and(says(0.4, "b"))).await.reason, "b");
        assert_eq!(judged(says(0.4, "a").and(says(0.9, "b"))).await.reason, "a");
    }

    #[tokio::test]
    async fn a_veto_only_rejects() {
        let sure = || confidence_fn(|_: &Draft<'_>| Verdict::new(0.99, "a").certified(0.05, 0.1));
        let kept = judged(sure().vetoed_by(says(0.5, "b"))).await;
        assert_eq!(kept, Verdict::new(0.99, "a").certified(0.05, 0.1));
        let vetoed = judged(never().vetoed_by(says(0.0, "b"))).await;
        assert_eq!(vetoed, Verdict::new(0.0, "b"));
    }

    #[tokio::test]
    async fn the_mean_is_weighted_and_promises_nothing() {
        let mean = judged(says(1.0, "a").weighted(0.25, says(0.5, "b"))).await;
        assert!((mean.confidence - 0.625).abs() < 1e-12);
        assert_eq!((mean.reason, mean.certified), ("b", None));
        let mean = judged(says(0.2, "a").weighted(7.0, says(0.5, "b"))).await;
        assert!((mean.confidence - 0.2).abs() < 1e-12);
    }

    #[tokio::test]
    async fn the_second_is_asked_where_the_first_is_not_decided() {
        for (first, reason) in [(0.1, "a"), (0.5, "b"), (0.9, "a")] {
            let verdict = judged(says(first, "a").first_decided(0.2, 0.8, says(0.7, "b"))).await;
            assert_eq!(verdict.reason, reason, "{first}");
        }
    }
}
