//! What is learned: two linear heads, and how they make a score.
use super::{Labelled, order::Order};
use crate::learn::{Example, Fit, Head, Vector};

/// How strongly weights are held where they were, worth about as many labels. One value for all: chosen anew by cross-validation it made
/// every set on which that was tried worse; 5 to 15 are about the same on all, less dilutes a strong sign, more learns little from 200 labels.
const PENALTY: f64 = 10.0;

/// Into how many parts labels are divided to find out which way ranks better.
const PARTS: usize = 5;

/// From so many labels on there is something to find out.
const ENOUGH: usize = 50;

/// The difference in what two ways recover, as a share of the gap between the models, that sets one against the other by 2.7 to 1. About
/// the standard error of a difference on 1,000 labels: a choice that is no better than chance is none.
const TEMPERATURE: f64 = 0.015;

/// How much of what was learned counts where drafts are ranked by their own signs.
const HALF: f64 = 0.5;

#[derive(Clone, Debug)]
pub(super) struct Heads {
    /// Whether a draft is good, on top of what was believed before.
    pub(super) small: Head,
    /// Whether the big model's answer is.
    big: Head,
    /// Ranks by what deferring gains: the chance that the draft is good less the chance that the big model's answer is.
    gain: Order,
    /// Ranks by the draft's own signs: what was believed before, and half of what was learned. Better where one sign, such as
    /// log-probabilities, says more than all else: it is not diluted.
    signs: Order,
    /// How much the first rank counts, from 0 to 1; the second has the rest.
    weight: f64,
    /// Ranks their mean.
    mean: Order,
}

impl Heads {
    /// Learns from `labels`. Which rank to trust is found out by cross-validation among them.
    pub(super) fn learn(labels: &[Labelled]) -> Self {
        let weight = Self::weigh(labels);
        Self::fit(&labels.iter().collect::<Vec<_>>(), weight)
    }

    fn fit(labels: &[&Labelled], weight: f64) -> Self {
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
            Fit::default().penalty(PENALTY).fit(&examples).head(0)
        };
        let none = || Order::of(Vec::new());
        let mut heads = Self {
            small: head(|l| l.small, |l| l.prior),
            big: head(|l| l.big, |_| 0.0),
            gain: none(),
            signs: none(),
            weight,
            mean: none(),
        };
        let raw: Vec<[f64; 2]> = labels
            .iter()
            .map(|l| heads.raw(&l.vector, l.prior))
            .collect();
        heads.gain = Order::of(raw.iter().map(|[gain, _]| *gain).collect());
        heads.signs = Order::of(raw.iter().map(|[_, signs]| *signs).collect());
        heads.mean = Order::of(raw.iter().map(|raw| heads.blend(*raw)).collect());
        heads
    }

    /// How much ranks by gain count, by what both recover on labels that the heads have not seen.
    fn weigh(labels: &[Labelled]) -> f64 {
        // Without a sign that was known before there is none to keep undiluted.
        let varies = labels.windows(2).any(|pair| match pair {
            [a, b] => (a.prior - b.prior).abs() > f32::EPSILON,
            _ => false,
        });
        if labels.len() < ENOUGH || !varies {
            return 1.0;
        }
        let mut ranks = [vec![0.0; labels.len()], vec![0.0; labels.len()]];
        for part in 0..PARTS {
            let numbered = || labels.iter().enumerate();
            let rest = numbered().filter(|(i, _)| i % PARTS != part);
            let rest: Vec<&Labelled> = rest.map(|(_, label)| label).collect();
            let heads = Self::fit(&rest, 1.0);
            for (i, label) in numbered().filter(|(i, _)| i % PARTS == part) {
                let [gain, signs] = heads.raw(&label.vector, label.prior);
                for (to, rank) in ranks
                    .iter_mut()
                    .zip([heads.gain.rank(gain), heads.signs.rank(signs)])
                {
                    if let Some(to) = to.get_mut(i) {
                        *to = rank;
                    }
                }
            }
        }
        let [gain, signs] = ranks.map(|ranks| recovered(&ranks, labels));
        // What deferring everything gains, in the same unit: the difference becomes a share of the gap between the models.
        let all: f64 = labels.iter().map(|l| f64::from(l.big - l.small)).sum();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let all = (all.abs() * labels.len() as f64).max(f64::MIN_POSITIVE);
        chance((gain - signs) / all / TEMPERATURE)
    }

    /// The raw score by gain, and that by signs.
    fn raw(&self, vector: &Vector, prior: f32) -> [f64; 2] {
        let prior = f64::from(prior);
        let small = prior + f64::from(self.small.logit(vector));
        let gain = chance(small) - chance(f64::from(self.big.logit(vector)));
        let signs = HALF.mul_add(f64::from(self.small.difference(vector)), prior);
        [gain, signs]
    }

    fn blend(&self, [gain, signs]: [f64; 2]) -> f64 {
        let (gain, signs) = (self.gain.rank(gain), self.signs.rank(signs));
        self.weight.mul_add(gain - signs, signs)
    }

    /// The share of the labels learned from that this draft beats.
    pub(super) fn rank(&self, vector: &Vector, prior: f32) -> f64 {
        self.mean.rank(self.blend(self.raw(vector, prior)))
    }

    /// Writes them as texts, see [`Heads::from_sections`].
    pub(super) fn to_sections(&self) -> Vec<String> {
        let orders = [&self.gain, &self.signs, &self.mean].map(Order::to_text);
        let heads = [&self.small, &self.big].map(Head::to_text);
        let weight = [format!("weight {}", self.weight)];
        weight.into_iter().chain(orders).chain(heads).collect()
    }

    /// Reads what [`Heads::to_sections`] wrote; `None` where it is not that.
    pub(super) fn from_sections<'a>(mut sections: impl Iterator<Item = &'a str>) -> Option<Self> {
        let weight = sections.next()?.strip_prefix("weight ")?.parse().ok()?;
        let mut order = || Order::from_text(sections.next()?);
        let (gain, signs, mean) = (order()?, order()?, order()?);
        let mut head = || Head::from_text(sections.next()?);
        let (small, big) = (head()?, head()?);
        let heads = Self {
            small,
            big,
            gain,
            signs,
            weight,
            mean,
        };
        sections.next().is_none().then_some(heads)
    }
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
        assert!(heads.weight < 1.0, "{}", heads.weight);
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
