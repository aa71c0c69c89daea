//! Scores of different fits on one scale.

/// How many places of the distribution are kept at most.
const MOST: usize = 128;

/// Scores closer together than this are as good as one.
const LEAST_SPREAD: f64 = 1e-3;

/// Where a raw score stands among those of the labels that were learned from: their empirical distribution, with ties in the middle, joined
/// by straight lines. Raw scores of two fits do not compare: each has its own base rate and spread. Their ranks do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// Raw score and rank, both rising. At least one.
    knots: Vec<(f64, f64)>,
}

impl Order {
    /// The order among `scores`; of none, every score stands in the middle.
    pub(super) fn of(mut scores: Vec<f64>) -> Self {
        scores.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let n = scores.len().max(1) as f64;
        let mut knots: Vec<(f64, f64)> = Vec::new();
        let mut below = 0.0;
        for equal in scores.chunk_by(|a, b| a == b) {
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let count = equal.len() as f64;
            knots.extend(equal.first().map(|s| (*s, (below + count / 2.0) / n)));
            below += count;
        }
        let step = knots.len().div_ceil(MOST).max(1);
        let last = knots.len().saturating_sub(1);
        let mut at = 0..;
        knots.retain(|_| at.next().is_some_and(|i| i % step == 0 || i == last));
        if knots.is_empty() {
            knots.push((0.0, 0.5));
        }
        Self { knots }
    }

    /// The rank of a raw score, between 0 and 1. It rises with the score everywhere, also beyond the labels'.
    pub(super) fn rank(&self, score: f64) -> f64 {
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else {
            return 0.5;
        };
        let spread = (last.0 - first.0).max(LEAST_SPREAD);
        if score <= first.0 {
            return first.1 / (1.0 + (first.0 - score) / spread);
        }
        if score >= last.0 {
            return 1.0 - (1.0 - last.1) / (1.0 + (score - last.0) / spread);
        }
        let after = self.knots.partition_point(|knot| knot.0 <= score);
        match (self.knots.get(after.wrapping_sub(1)), self.knots.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (score - a.0) / (b.0 - a.0),
            _ => 0.5,
        }
    }

    /// Writes it as text, see [`Order::from_text`].
    pub(super) fn to_text(&self) -> String {
        let knot = |(score, rank): &(f64, f64)| format!("{score} {rank}");
        let knots: Vec<String> = self.knots.iter().map(knot).collect();
        knots.join("\n")
    }

    /// Reads what [`Order::to_text`] wrote; `None` where it is not that.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let knot = |line: &str| {
            let (score, rank) = line.split_once(' ')?;
            Some((score.parse::<f64>().ok()?, rank.parse::<f64>().ok()?))
        };
        let knots: Vec<(f64, f64)> = text.lines().map(knot).collect::<Option<_>>()?;
        let rising = knots
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.0 < b.0 && a.1 < b.1));
        (rising && !knots.is_empty()).then_some(Self { knots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_stand_in_the_middle() {
        let order = Order::of(vec![1.0, 3.0, 1.0, 5.0]);
        assert_eq!(order.knots, [(1.0, 0.25), (3.0, 0.625), (5.0, 0.875)]);
        assert!((order.rank(2.0) - 0.4375).abs() < 1e-12);
        assert!((Order::of(Vec::new()).rank(0.0) - 0.5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn it_rises_and_survives_writing(scores in proptest::collection::vec(-5.0f64..5.0, 0..400), at in -9.0f64..9.0, more in 0.001f64..3.0) {
            let order = Order::of(scores);
            let (low, high) = (order.rank(at), order.rank(at + more));
            prop_assert!(0.0 < low && low < high && high < 1.0, "{low} {high}");
            prop_assert_eq!(Order::from_text(&order.to_text()), Some(order));
        }
    }
}
