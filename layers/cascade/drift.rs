//! Does the promise still hold? A sequential test on the labels that come in.
//!
//! A bettor who starts with 1 stakes on each label that harm is more frequent than `alpha`. Against a promise that holds no strategy is
//! expected to win, so a fortune is evidence. For a suspected rate `q > alpha` the wealth is multiplied by
//!
//! ```text
//! q / alpha               where the label is harm
//! (1 - q) / (1 - alpha)   where it is not          = 1 + lambda (x - alpha), lambda = (q - alpha) / (alpha (1 - alpha))
//! ```
//!
//! whose mean is at most 1 as long as the probability of harm, given the past, is at most `alpha`. Since neither `q` nor the moment of a
//! drift is known, the money is spread: evenly over the four rates 1.5, 2, 3 and 5 times `alpha`, and for each over the labels at which to
//! begin, the `j`-th with share `1 / (j (j + 1))`. A sum of such fortunes is again one (an *e-process*), and takes constant work:
//! `M <- (M + 1 / (j (j + 1))) * factor`, plus the `1 / (j + 1)` not yet staked.
//!
//! # Guarantee
//! As long as each label is harm with probability at most `alpha` given those before it, the wealth *ever* reaches `1 / epsilon` with
//! probability at most `epsilon` (Ville's inequality), over all time and however often one looks. Nothing else is assumed.
//!
//! Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", arXiv 2010.09686 (capital processes and
//! their mixtures); the spreading over beginnings is Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532.

/// The suspected rates, in multiples of what is promised.
const SUSPECTS: [f64; 4] = [1.5, 2.0, 3.0, 5.0];

/// Watches whether harm stays at what was promised.
///
/// Feed it one label for each call of a random sample. A call that was deferred cannot be harm and counts as none; where only *kept*
/// answers are sampled, promise `alpha / share of calls kept` instead.
///
/// ```
/// use tierway_layers::cascade::Drift;
/// let mut drift = Drift::new(0.05, 0.01);
/// for label in 0..1000 {
///     drift.observe(label % 25 == 0); // 4 % harm: as promised
/// }
/// assert!(!drift.alarmed());
/// let alarm = (0..1000).find(|label| { drift.observe(label % 5 == 0); drift.alarmed() }); // 20 %
/// assert!(alarm.unwrap() < 200);
/// ```
#[derive(Clone, Debug)]
pub struct Drift {
    alpha: f64,
    epsilon: f64,
    labels: u64,
    harms: u64,
    // What the rate began with so far has become; in all, without what is not yet staked.
    wealth: [f64; SUSPECTS.len()],
    alarmed: bool,
}

impl Drift {
    /// Watches a promise of at most `alpha` harm; false alarms have probability `epsilon`, for all time. Both are kept between 1e-9 and
    /// `1 - 1e-9`.
    #[must_use]
    pub fn new(alpha: f64, epsilon: f64) -> Self {
        let inside = |x: f64| x.clamp(1e-9, 1.0 - 1e-9);
        Self {
            alpha: inside(alpha),
            epsilon: inside(epsilon),
            labels: 0,
            harms: 0,
            wealth: [0.0; SUSPECTS.len()],
            alarmed: false,
        }
    }

    /// Takes the next label. An alarm stays until a new certificate brings a new `Drift`.
    pub fn observe(&mut self, harm: bool) {
        self.labels += 1;
        self.harms += u64::from(harm);
        let j = self.labels as f64;
        for (wealth, times) in self.wealth.iter_mut().zip(SUSPECTS) {
            // A rate beyond the middle of alpha and 1 would bet all on the next label.
            let q = (times * self.alpha).min(f64::midpoint(self.alpha, 1.0));
            let factor = if harm {
                q / self.alpha
            } else {
                (1.0 - q) / (1.0 - self.alpha)
            };
            // Bounded, so that long runs after an alarm do not end at infinity.
            *wealth = ((*wealth + 1.0 / (j * (j + 1.0))) * factor).min(1e300);
        }
        self.alarmed |= self.evidence() >= 1.0 / self.epsilon;
    }

    /// The bettor's wealth: how many times over the labels speak against the promise. 1 at the start.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let staked = self.wealth.iter().sum::<f64>() / SUSPECTS.len() as f64;
        staked + 1.0 / (self.labels as f64 + 1.0)
    }

    /// Whether the promise has been found broken.
    #[must_use]
    pub const fn alarmed(&self) -> bool {
        self.alarmed
    }

    /// How many labels it has seen, and how many of them were harm.
    #[must_use]
    pub const fn seen(&self) -> (u64, u64) {
        (self.labels, self.harms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harm(state: &mut u64, rate: f64) -> bool {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64) < rate
    }

    /// How many of 1,000 runs of 2,000 labels raise an alarm.
    fn alarms(alpha: f64, epsilon: f64, rate: f64) -> usize {
        let mut state = 11;
        (0..1000)
            .filter(|_| {
                let mut drift = Drift::new(alpha, epsilon);
                (0..2000).for_each(|_| drift.observe(harm(&mut state, rate)));
                drift.alarmed()
            })
            .count()
    }

    #[test]
    fn false_alarms_are_as_rare_as_promised() {
        // three standard deviations above 1000 * epsilon
        for (alpha, epsilon, most) in [(0.05, 0.1, 128), (0.05, 0.01, 19), (0.3, 0.05, 71)] {
            let seen = alarms(alpha, epsilon, alpha);
            assert!(seen <= most, "{seen} false alarms at {alpha}, {epsilon}");
        }
    }

    #[test]
    fn each_bet_is_fair() {
        for alpha in [0.001, 0.05, 0.3, 0.9] {
            for labels in [0, 1, 10] {
                let mut before = Drift::new(alpha, 0.01);
                (0..labels).for_each(|i| before.observe(i % 2 == 0));
                let after = |harm| {
                    let mut next = before.clone();
                    next.observe(harm);
                    next.evidence()
                };
                let mean = alpha * after(true) + (1.0 - alpha) * after(false);
                assert!((mean / before.evidence() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_late_drift_is_found_soon() {
        let mut state = 3;
        let mut delays: Vec<usize> = (0..200)
            .map(|_| {
                let mut drift = Drift::new(0.05, 0.01);
                while drift.seen().0 < 1000 {
                    drift.observe(harm(&mut state, 0.03));
                }
                let late = (1..5000).find(|_| {
                    drift.observe(harm(&mut state, 0.15));
                    drift.alarmed()
                });
                late.unwrap_or(5000)
            })
            .collect();
        delays.sort_unstable();
        assert!(delays[100] < 350, "median delay {}", delays[100]);
    }

    #[test]
    fn an_alarm_stays() {
        let mut drift = Drift::new(0.05, 0.01);
        (0..100).for_each(|_| drift.observe(true));
        (0..100_000).for_each(|_| drift.observe(false));
        assert!(drift.alarmed());
        assert_eq!(drift.seen(), (100_100, 100));
        assert!(drift.evidence().is_finite());
    }
}
