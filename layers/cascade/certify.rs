//! A threshold with a guarantee: Learn then Test.
//!
//! Of all thresholds `t` on a score, pick the most lenient one that may be *promised* to do little harm. Harm at `t` is the probability
//! that a draft is kept (`score >= t`) although the big model would have been better; it counts over all calls, kept or not:
//!
//! ```text
//! harm(t) = P(score >= t and big better)          promise: harm(t) <= alpha, with confidence 1 - delta
//! ```
//!
//! For each threshold the hypothesis `harm(t) > alpha` is tested with the exact binomial p-value: of `n` labelled calls `k` were harmed,
//! so `p = P(Bin(n, alpha) <= k)`. The thresholds of a grid *that was fixed before the labels were seen* are tested one after another from
//! strict to lenient, each at level `delta`, until the first that cannot be rejected (fixed sequence testing); the last one rejected is
//! the answer. With probability `1 - delta` over the draw of the labels its true harm is at most `alpha`, whatever the score is worth and
//! however large the grid, because a false promise needs the first true hypothesis of the sequence to be rejected.
//!
//! What it needs: labels that are a random sample of the calls for which the promise is made. Another model, another kind of prompt, or
//! traffic that drifts is another promise; [`Drift`](super::Drift) watches for it.
//!
//! Source: Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control",
//! arXiv 2110.01052 (theorem 1 and section on fixed sequence testing); the interval is Clopper and Pearson, Biometrika 26, 1934.
use std::{error::Error, fmt};

/// A call whose outcome with either model is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// What the predicate said of the small model's draft; a higher one is kept sooner, and what is no number never.
    pub score: f64,
    /// Whether keeping the draft is harm: the big model's answer would have been better.
    pub harm: bool,
    /// What the draft and its judgement cost, in any currency.
    pub small_cost: f64,
    /// What the big model's answer costs, in the same currency.
    pub big_cost: f64,
}

/// How much harm is allowed, and how often the promise may be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    alpha: f64,
    delta: f64,
}

/// A threshold and what is promised of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// Drafts with at least this score may be kept.
    pub threshold: f64,
    /// What was promised.
    pub promise: Promise,
    /// How many labels it stands on.
    pub labels: usize,
    /// How many of them would have been kept and were harm.
    pub harms: usize,
    /// The exact binomial p-value of "harm is above alpha".
    pub p_value: f64,
    /// The upper end of the one-sided Clopper-Pearson interval of the harm, with confidence `1 - delta`; never above alpha.
    pub bound: f64,
    /// The share of the labelled calls whose draft would have been kept.
    pub kept: f64,
    /// The share of an always-big bill that would have been saved on the labelled calls: `1 - (small + big of the deferred) / big`.
    /// Negative where drafts cost more than they spare.
    pub saving: f64,
}

/// Nothing can be promised of any threshold that keeps a draft.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shortfall {
    /// What was to be promised.
    pub promise: Promise,
    /// How many labels there are.
    pub labels: usize,
    /// Harms among them at the strictest threshold that could not be promised.
    pub harms: usize,
    /// How many more labels it takes at best, that is if none of them is harm. None: no threshold of the grid keeps a single draft.
    pub missing: Option<usize>,
}

/// The most lenient threshold of `grid` of which `promise` can be made.
///
/// `grid` must have been fixed without a look at these labels ([`even_grid`], or [`quantile_grid`] of other calls' scores); its order does
/// not matter.
///
/// # Errors
/// With [`Shortfall`] where no threshold that keeps a draft can be promised. The honest action is then to defer, or to say "uncertified".
///
/// # Example
/// ```
/// use tierway_layers::cascade::{Label, Promise, certify, even_grid};
///
/// // drafts scored above 0.5 are never harm, the others one time in five
/// let label = |i: u32| Label {
///     score: f64::from(i % 10) / 10.0,
///     harm: i % 10 < 5 && i % 5 == 0,
///     small_cost: 1.0,
///     big_cost: 20.0,
/// };
/// let promise = Promise::new(0.05, 0.1).unwrap();
/// let found = certify(&(0..200).map(label).collect::<Vec<_>>(), &even_grid(100), promise).unwrap();
/// assert!(found.bound <= 0.05 && found.kept >= 0.5);
///
/// let few = certify(&(0..40).map(label).collect::<Vec<_>>(), &even_grid(100), promise).unwrap_err();
/// assert_eq!(few.missing, Some(5)); // 45 = ln(0.1) / ln(0.95), rounded up
/// ```
pub fn certify(labels: &[Label], grid: &[f64], promise: Promise) -> Result<Certificate, Shortfall> {
    let n = labels.len();
    let mut ranked: Vec<&Label> = labels.iter().filter(|l| !l.score.is_nan()).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut grid: Vec<f64> = grid.iter().copied().filter(|t| !t.is_nan()).collect();
    grid.sort_by(|a, b| b.total_cmp(a));
    let all_small: f64 = labels.iter().map(|l| l.small_cost).sum();
    let all_big: f64 = labels.iter().map(|l| l.big_cost).sum();

    let (mut kept, mut harms, mut spared) = (0, 0, 0.0);
    let mut found = None;
    for threshold in grid {
        while let Some(next) = ranked.get(kept).filter(|l| l.score >= threshold) {
            kept += 1;
            harms += usize::from(next.harm);
            spared += next.big_cost;
        }
        let p_value = binomial_cdf(harms, n, promise.alpha);
        if p_value > promise.delta {
            let missing = Some(labels_needed(harms, promise).saturating_sub(n));
            return found.ok_or(Shortfall {
                promise,
                labels: n,
                harms,
                missing,
            });
        }
        if kept > 0 {
            found = Some(Certificate {
                threshold,
                promise,
                labels: n,
                harms,
                p_value,
                bound: harm_bound(harms, n, promise.delta),
                kept: kept as f64 / n as f64,
                saving: (spared - all_small) / all_big,
            });
        }
    }
    found.ok_or(Shortfall {
        promise,
        labels: n,
        harms,
        missing: None,
    })
}

/// `steps + 1` thresholds from 1 down to 0: for scores that are probabilities.
#[must_use]
pub fn even_grid(steps: usize) -> Vec<f64> {
    let steps = steps.max(1);
    (0..=steps).rev().map(|i| i as f64 / steps as f64).collect()
}

/// At most `steps + 1` thresholds, the quantiles of `scores` from high to low: for scores on a scale of their own.
///
/// The scores must be of other calls than the labels, else the grid was not fixed beforehand.
#[must_use]
pub fn quantile_grid(scores: &[f64], steps: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| !s.is_nan()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    let steps = steps.max(1);
    let mut grid: Vec<f64> = (0..=steps).map(|i| sorted[last * i / steps]).collect();
    grid.dedup();
    grid
}

/// The least number of labels with which `promise` can be made if `harms` of them are harm.
///
/// Without harm it is `ln(delta) / ln(1 - alpha)`, rounded up: 45 for 0.05 and 0.1, 114 for 0.02 and 0.1.
#[must_use]
pub fn labels_needed(harms: usize, promise: Promise) -> usize {
    let enough = |n: usize| binomial_cdf(harms, n, promise.alpha) <= promise.delta;
    // With n labels alpha * n harms are expected; a doubling from `harms` soon has far more than it needs.
    let mut high = harms + 1;
    while !enough(high) {
        high *= 2;
    }
    let mut low = harms;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The upper end of the one-sided Clopper-Pearson interval with confidence `1 - delta`, for `harms` of `labels`: the rate at which so few
/// harms, or fewer, have probability `delta`.
#[must_use]
pub fn harm_bound(harms: usize, labels: usize, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    if harms >= labels {
        return high;
    }
    // 60 halvings are beyond what a double can tell apart.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if binomial_cdf(harms, labels, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The least share of calls that has to be deferred, whatever the score, if the promise is to hold and the small model does harm in
/// `harm` of all its answers: `(harm - alpha) / (1 - alpha)` (arXiv 2606.29054), or none.
#[must_use]
pub fn least_deferred(harm: f64, promise: Promise) -> f64 {
    ((harm - promise.alpha) / (1.0 - promise.alpha)).max(0.0)
}

/// `P(Bin(n, p) <= k)`, summed term by term in logarithms, so that no `n` underflows.
#[must_use]
pub fn binomial_cdf(k: usize, n: usize, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let odds = p.ln() - (-p).ln_1p();
    let mut term = n as f64 * (-p).ln_1p();
    let mut sum = term.exp();
    for i in 0..k {
        term += ((n - i) as f64 / (i + 1) as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

// === impl Promise ===

impl Promise {
    /// At most `alpha` harm, with confidence `1 - delta`. None where one of them is not between 0 and 1.
    #[must_use]
    pub fn new(alpha: f64, delta: f64) -> Option<Self> {
        let inside = |x: f64| x > 0.0 && x < 1.0;
        (inside(alpha) && inside(delta)).then_some(Self { alpha, delta })
    }
    /// The share of calls that may be harmed.
    #[must_use]
    pub const fn alpha(self) -> f64 {
        self.alpha
    }
    /// The probability that the promise is wrong.
    #[must_use]
    pub const fn delta(self) -> f64 {
        self.delta
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.alpha, self.delta)
    }
}

// === impl Shortfall ===

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            promise,
            labels,
            harms,
            missing,
        } = self;
        write!(
            f,
            "nothing can be certified at {promise} with {labels} labels, {harms} of them harm: "
        )?;
        match missing {
            Some(missing) => write!(f, "at least {missing} more are needed"),
            None => write!(f, "no threshold keeps a draft"),
        }
    }
}

impl Error for Shortfall {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn promise() -> Promise {
        Promise::new(0.05, 0.1).unwrap()
    }

    fn label(score: f64, harm: bool) -> Label {
        Label {
            score,
            harm,
            small_cost: 1.0,
            big_cost: 10.0,
        }
    }

    /// A generator good enough for simulations: SplitMix64.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn tables_of_the_binomial() {
        // scipy.stats.binom.cdf and beta.ppf
        for (k, n, p, cdf) in [
            (0, 45, 0.05, 0.099_440_257_2),
            (3, 100, 0.05, 0.257_838_659_4),
            (9, 20, 0.5, 0.411_901_474),
            (480, 10_000, 0.05, 0.185_824_496_6),
        ] {
            assert!(
                (binomial_cdf(k, n, p) - cdf).abs() < 1e-9,
                "{k} {n} {p}: {}",
                binomial_cdf(k, n, p)
            );
        }
        for (k, n, bound) in [
            (0, 45, 0.049_881_492_7),
            (5, 200, 0.045_878_690_4),
            (7, 7, 1.0),
        ] {
            assert!(
                (harm_bound(k, n, 0.1) - bound).abs() < 1e-9,
                "{k} {n}: {}",
                harm_bound(k, n, 0.1)
            );
        }
    }

    #[test]
    fn labels_that_are_needed() {
        assert_eq!(labels_needed(0, promise()), 45);
        assert_eq!(labels_needed(0, Promise::new(0.02, 0.1).unwrap()), 114);
        for harms in 1..20 {
            let n = labels_needed(harms, promise());
            assert!(binomial_cdf(harms, n, 0.05) <= 0.1);
            assert!(binomial_cdf(harms, n - 1, 0.05) > 0.1);
        }
    }

    #[test]
    fn says_what_is_missing() {
        let clean: Vec<Label> = (0..30).map(|_| label(0.9, false)).collect();
        let few = certify(&clean, &even_grid(10), promise()).unwrap_err();
        assert_eq!((few.harms, few.missing), (0, Some(15)));
        assert_eq!(
            few.to_string(),
            "nothing can be certified at 0.05/0.1 with 30 labels, 0 of them harm: at least 15 more are needed"
        );
        let bad: Vec<Label> = (0..100).map(|i| label(0.9, i % 10 == 0)).collect();
        let bad = certify(&bad, &even_grid(10), promise()).unwrap_err();
        assert_eq!(bad.missing, Some(labels_needed(10, promise()) - 100));
        let low: Vec<Label> = (0..100).map(|_| label(0.1, false)).collect();
        assert_eq!(certify(&low, &[0.5], promise()).unwrap_err().missing, None);
        assert!(certify(&[], &even_grid(10), promise()).is_err());
    }

    #[test]
    fn what_is_no_number_is_never_kept() {
        let labels: Vec<Label> = (0..100)
            .map(|i| label(if i < 50 { f64::NAN } else { 0.7 }, i < 50))
            .collect();
        let found = certify(&labels, &even_grid(10), promise()).unwrap();
        assert_eq!((found.harms, found.threshold), (0, 0.0));
        assert!((found.kept - 0.5).abs() < 1e-12);
        assert!((found.saving - 0.4).abs() < 1e-12); // half of the big bill, less a tenth for drafts
    }

    #[test]
    fn the_bill_of_the_least_deferred() {
        assert!((least_deferred(0.24, promise()) - 0.2).abs() < 1e-12);
        assert!(least_deferred(0.01, promise()).abs() < 1e-12);
    }

    /// The promise itself: over 500 draws of labels at most delta of the thresholds do more harm than alpha, up to the noise of 500 draws.
    #[test]
    fn the_promise_holds() {
        // Scores are uniform and P(harm | score) = (1 - score)^power / 2: harm(t) = (1 - t)^(power + 1) / (2 power + 2).
        for (power, n) in [(1, 60), (1, 200), (1, 400), (3, 200)] {
            let mut state = 7;
            let (mut wrong, mut kept) = (0, 0.0);
            for _ in 0..500 {
                let labels: Vec<Label> = (0..n)
                    .map(|_| {
                        let score = uniform(&mut state);
                        label(score, uniform(&mut state) < (1.0 - score).powi(power) / 2.0)
                    })
                    .collect();
                if let Ok(found) = certify(&labels, &even_grid(100), promise()) {
                    let harm = (1.0 - found.threshold).powi(power + 1) / f64::from(2 * power + 2);
                    wrong += usize::from(harm > 0.05);
                    kept += found.kept / 500.0;
                }
            }
            // 500 * 0.1 and three standard deviations
            assert!(wrong <= 70, "{wrong} of 500 wrong with {n} labels");
            assert!(n < 100 || kept > 0.2, "keeps but {kept} with {n} labels");
        }
    }

    proptest! {
        #[test]
        fn never_promises_more_than_it_may(labels in proptest::collection::vec((0u8..20, any::<bool>()), 0..150), alpha in 0.01..0.5f64) {
            let promise = Promise::new(alpha, 0.1).unwrap();
            let labels: Vec<Label> = labels.iter().map(|&(s, h)| label(f64::from(s) / 20.0, h)).collect();
            let grid = even_grid(20);
            let at = |t: f64| labels.iter().filter(|l| l.score >= t && l.harm).count();
            match certify(&labels, &grid, promise) {
                Ok(found) => {
                    prop_assert_eq!(found.harms, at(found.threshold));
                    prop_assert!(found.bound <= alpha + 1e-9 && found.p_value <= 0.1);
                    // nothing more lenient could be had
                    let next = grid.iter().copied().find(|t| *t < found.threshold);
                    prop_assert!(next.is_none_or(|t| binomial_cdf(at(t), labels.len(), alpha) > 0.1));
                }
                Err(short) => if let Some(missing) = short.missing {
                    prop_assert!(missing > 0);
                    prop_assert!(binomial_cdf(short.harms, labels.len() + missing, alpha) <= 0.1);
                }
            }
        }
    }
}
