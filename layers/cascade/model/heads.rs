//! What is learned: two linear heads, and how they make a score.
use super::{Labelled, order::Order};
use crate::learn::{Example, Fit, Head, Vector};

/// How strongly weights are held where they were, worth about as many labels. One value for all: chosen anew by cross-validation it made
/// every set on which that was tried worse; 5 to 15 are about the same on all, less dilutes a strong sign, more learns little from 200 labels.
const PENALTY: f64 = 10.0;

/// The same where no sign was known beforehand that more labels could dilute, as for a question alone: so much times the square root of
/// how many labels there are, 20 from 1,000. A penalty that grows so is what the theory of ridge regression asks for where nothing is
/// known of the target (Caponnetto and De Vito, *Optimal Rates for the Regularized Least-Squares Algorithm*, 2007).
const PENALTY_UNKNOWN: f64 = 0.625;

/// Into how many parts labels are divided to find out which way ranks better.
const PARTS: usize = 5;

/// From so many labels on there is something to find out.
const ENOUGH: usize = 50;

/// The standard error of a difference in what two ways recover, as a share of the gap between the models, on 1,000 labels: about. From fewer
/// it is larger, but held to that, what 200 labels teach would be thrown away.
const ERROR: f64 = 0.015;

/// One way to rank drafts.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By what deferring gains: the chance that the draft is good less the chance that the big model's answer is.
    Gain,
    /// By the draft's own signs: what was believed before, and so much of what was learned. Better where one sign, such as
    /// log-probabilities, says more than all else: it is not diluted.
    Signs(f64),
}

/// All of them, in the order in which they were learned more.
const WAYS: [Way; 3] = [Way::Gain, Way::Signs(0.5), Way::Signs(0.0)];

#[derive(Clone, Debug)]
pub(super) struct Heads {
    /// Whether a draft is good, on top of what was believed before.
    pub(super) small: Head,
    /// Whether the big model's answer is.
    big: Head,
    /// How much the rank of each way counts, together 1, and its order.
    ways: [(f64, Order); WAYS.len()],
    /// Ranks their mean.
    mean: Order,
}

impl Heads {
    /// Learns from `labels`. Which ranks to trust is found out by cross-validation among them.
    pub(super) fn learn(labels: &[Labelled]) -> Self {
        let weights = Self::weigh(labels);
        Self::fit(&labels.iter().collect::<Vec<_>>(), weights)
    }

    fn fit(labels: &[&Labelled], weights: [f64; WAYS.len()]) -> Self {
        let penalty = if varies(labels) {
            PENALTY
        } else {
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let count = labels.len() as f64;
            PENALTY_UNKNOWN * count.sqrt()
        };
        let head = |positive: fn(&Labelled) -> f32, offset: fn(&Labelled) -> f32| {
            let example = |label: &&Labelled| Example {
                vector: label.vector.clone(),
                // One for all kinds of task: what tells them apart is seen, and few labels of a kind make a poor base rate.
                intercept: 0,
                positive: positive(label),
                weight: 1.0,
                offset: offset(label),
            };
            let examples: Vec<Example> = labels.iter().map(example).collect();
            Fit::default().penalty(penalty).fit(&examples).head(0)
        };
        let mut heads = Self {
            small: head(|l| l.small, |l| l.prior),
            big: head(|l| l.big, |_| 0.0),
            ways: weights.map(|weight| (weight, Order::of(Vec::new()))),
            mean: Order::of(Vec::new()),
        };
        let orders = WAYS.map(|way| {
            let raw = labels.iter().map(|l| heads.raw(way, &l.vector, l.prior));
            Order::of(raw.collect())
        });
        for (way, order) in heads.ways.iter_mut().zip(orders) {
            way.1 = order;
        }
        let means = labels.iter().map(|l| heads.blend(&l.vector, l.prior));
        heads.mean = Order::of(means.collect());
        heads
    }

    /// How much the rank of each way counts, by what they recover on labels that the heads have not seen.
    ///
    /// Where nothing that was learned recovers more than the signs alone by a standard error, the signs alone rank: of models that cannot be
    /// told apart the simplest (the one-standard-error rule of Breiman and others, *Classification and Regression Trees*, 1984). Else what
    /// was learned does, one way against the other by 2.7 to 1 for each standard error.
    fn weigh(labels: &[Labelled]) -> [f64; WAYS.len()] {
        // Without a sign that was known before there is none to keep undiluted.
        if !varies(&labels.iter().collect::<Vec<_>>()) {
            return [1.0, 0.0, 0.0];
        }
        if labels.len() < ENOUGH {
            return [0.0, 0.0, 1.0];
        }
        let mut ranks = WAYS.map(|_| vec![0.0; labels.len()]);
        for part in 0..PARTS {
            let numbered = || labels.iter().enumerate();
            let rest = numbered().filter(|(i, _)| i % PARTS != part);
            let rest: Vec<&Labelled> = rest.map(|(_, label)| label).collect();
            let heads = Self::fit(&rest, [1.0; WAYS.len()]);
            for (i, label) in numbered().filter(|(i, _)| i % PARTS == part) {
                let own = heads.ranks(&label.vector, label.prior);
                for (ranks, rank) in ranks.iter_mut().zip(own) {
                    if let Some(to) = ranks.get_mut(i) {
                        *to = rank;
                    }
                }
            }
        }
        let [gain, half, signs] = ranks.map(|ranks| recovered(&ranks, labels));
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let count = labels.len() as f64;
        // What deferring everything gains, in the same unit: differences become shares of the gap between the models.
        let all: f64 = labels.iter().map(|l| f64::from(l.big - l.small)).sum();
        let all = (all.abs() * count).max(f64::MIN_POSITIVE);
        if (gain.max(half) - signs) / all < ERROR {
            return [0.0, 0.0, 1.0];
        }
        let gain = chance((gain - half) / all / ERROR);
        [gain, 1.0 - gain, 0.0]
    }

    /// The raw score by one way.
    fn raw(&self, way: Way, vector: &Vector, prior: f32) -> f64 {
        let prior = f64::from(prior);
        match way {
            Way::Gain => {
                let small = prior + f64::from(self.small.logit(vector));
                chance(small) - chance(f64::from(self.big.logit(vector)))
            }
            Way::Signs(learned) => learned.mul_add(f64::from(self.small.difference(vector)), prior),
        }
    }

    fn ranks(&self, vector: &Vector, prior: f32) -> impl Iterator<Item = f64> {
        let ways = WAYS.iter().zip(&self.ways);
        ways.map(move |(way, (_, order))| order.rank(self.raw(*way, vector, prior)))
    }

    fn blend(&self, vector: &Vector, prior: f32) -> f64 {
        let weights = self.ways.iter().map(|(weight, _)| weight);
        let ranks = self.ranks(vector, prior).zip(weights);
        ranks.map(|(rank, weight)| rank * weight).sum()
    }

    /// The share of the labels learned from that this draft beats.
    pub(super) fn rank(&self, vector: &Vector, prior: f32) -> f64 {
        self.mean.rank(self.blend(vector, prior))
    }

    /// Writes them as texts, see [`Heads::from_sections`].
    pub(super) fn to_sections(&self) -> Vec<String> {
        let weights = self.ways.each_ref().map(|(weight, _)| weight.to_string());
        let mut sections = vec![format!("weights {}", weights.join(" "))];
        sections.extend(self.ways.iter().map(|(_, order)| order.to_text()));
        sections.push(self.mean.to_text());
        sections.extend([&self.small, &self.big].map(Head::to_text));
        sections
    }

    /// Reads what [`Heads::to_sections`] wrote; `None` where it is not that.
    pub(super) fn from_sections<'a>(mut sections: impl Iterator<Item = &'a str>) -> Option<Self> {
        let weights = sections.next()?.strip_prefix("weights ")?.split(' ');
        let weights: Vec<f64> = weights.map(str::parse).collect::<Result<_, _>>().ok()?;
        let mut ways = Vec::new();
        for weight in weights {
            ways.push((weight, Order::from_text(sections.next()?)?));
        }
        let heads = Self {
            ways: ways.try_into().ok()?,
            mean: Order::from_text(sections.next()?)?,
            small: Head::from_text(sections.next()?)?,
            big: Head::from_text(sections.next()?)?,
        };
        sections.next().is_none().then_some(heads)
    }
}

/// Whether something was believed beforehand that tells these drafts apart.
fn varies(labels: &[&Labelled]) -> bool {
    labels.windows(2).any(|pair| match pair {
        [a, b] => (a.prior - b.prior).abs() > f32::EPSILON,
        _ => false,
    })
}

/// The logistic function. In 64 bits: in 32, all log-odds above 17 are one.
fn chance(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// What is gained when drafts are deferred from the lowest rank up, averaged over the share that is deferred; equal ranks in any order.
fn recovered(ranks: &[f64], labels: &[Labelled]) -> f64 {
    let mut order: Vec<(f64, f64)> = ranks
        .iter()
        .zip(labels)
        .map(|(rank, l)| (*rank, f64::from(l.big - l.small)))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut sum) = (0.0, 0.0);
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let count = equal.len() as f64;
        let gain: f64 = equal.iter().map(|(_, gain)| gain).sum();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let left = order.len() as f64 - below - count / 2.0;
        sum += gain * left;
        below += count;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cascade::Family;

    fn label(x: f32, prior: f32, small: f32, big: f32) -> Labelled {
        Labelled {
            vector: Vector {
                numbers: vec![x],
                grams: vec![],
            },
            prior,
            family: Family::Choice,
            small,
            big,
        }
    }

    #[test]
    fn a_strong_sign_is_not_diluted() {
        // The prior tells all of the small model; a number tells of the big one, which is right nearly always.
        let labels: Vec<_> = (0..200)
            .map(|i| {
                let good = f32::from(u8::from(i % 3 > 0));
                let noise = ((i * 37) % 11) as f32;
                label(
                    noise,
                    4.0 * good - 2.0,
                    good,
                    f32::from(u8::from(i % 17 > 0)),
                )
            })
            .collect();
        let heads = Heads::learn(&labels);
        let rank = |prior: f32| heads.rank(&label(3.0, 0.0, 0.0, 0.0).vector, prior);
        assert!(rank(2.0) > rank(-2.0));
        // Nothing is better than that sign, so nothing else ranks.
        assert!(heads.ways[2].0 > 0.99, "{:?}", heads.ways);
    }

    #[test]
    fn what_both_fail_is_kept_sooner_where_gain_ranks() {
        // At 1 the small model fails and the big one does not; at 0 both fail.
        let labels: Vec<_> = (0..200)
            .map(|i| match i % 3 {
                0 => label(0.0, 0.0, 0.0, 0.0),
                1 => label(1.0, 0.0, 0.0, 1.0),
                _ => label(2.0, 0.0, 1.0, 1.0),
            })
            .collect();
        let heads = Heads::learn(&labels);
        let rank = |x: f32| heads.rank(&label(x, 0.0, 0.0, 0.0).vector, 0.0);
        assert!(rank(0.0) > rank(1.0) && rank(2.0) > rank(1.0));
    }

    #[test]
    fn the_area_is_that_of_the_curve() {
        // The draft that gains is deferred first, last, or at any time.
        let labels = [label(0.0, 0.0, 0.0, 1.0), label(0.0, 0.0, 1.0, 1.0)];
        assert!((recovered(&[0.1, 0.9], &labels) - 1.5).abs() < 1e-12);
        assert!((recovered(&[0.9, 0.1], &labels) - 0.5).abs() < 1e-12);
        assert!((recovered(&[0.5, 0.5], &labels) - 1.0).abs() < 1e-12);
    }
}
