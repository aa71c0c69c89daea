//! Learning heads from labelled vectors.
use super::{
    BUCKETS, Head, Vector,
    head::{Number, gram_scale},
    minimize::minimize,
};

/// One labelled vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What was seen.
    pub vector: Vector,
    /// Which intercept it has: examples of different origin may share all weights and still have base rates of their own.
    pub intercept: usize,
    /// How true the label is, from 0 to 1: a grade of 0.5 counts half as a yes and half as a no.
    pub positive: f32,
    /// How much it counts.
    pub weight: f32,
    /// The log-odds that were believed before: weights are learned on top of it.
    pub offset: f32,
}

/// How heads are learned: the penalised maximum of the likelihood (ridge; the prior's weights, where there are any, are its centre).
#[derive(Clone, Debug)]
pub struct Fit {
    penalty: f64,
    intercept_penalty: f64,
    iterations: usize,
    prior: Option<Head>,
}

/// What was learned: weights that all examples share, and an intercept for each origin.
#[derive(Clone, Debug)]
pub struct Fitted {
    shared: Head,
    intercepts: Vec<f32>,
}

/// How much a standardised number of one deviation counts before learning, against the penalty.
const NUMBER_SCALE: f32 = 0.3;
/// The same for a text's n-grams together, where each is as rare as one in fifty.
pub(super) const GRAM_SCALE: f32 = 4.5;
/// A spread below this is that of a number that never changes.
const LEAST_SPREAD: f32 = 0.01;

impl Default for Fit {
    fn default() -> Self {
        Self {
            penalty: 10.0,
            intercept_penalty: 0.0,
            iterations: 80,
            prior: None,
        }
    }
}

impl Fit {
    /// How strongly weights are held at the prior's, or at zero: worth about as many labels. 10 by default.
    #[must_use]
    pub const fn penalty(mut self, penalty: f64) -> Self {
        self.penalty = penalty;
        self
    }

    /// How strongly intercepts are held at the prior's, or at zero: not at all by default, for a base rate is learned before all else.
    #[must_use]
    pub const fn intercept_penalty(mut self, penalty: f64) -> Self {
        self.intercept_penalty = penalty;
        self
    }

    /// Starts from these weights and moves away from them only as far as the labels pull: the maximum a posteriori, with a normal
    /// distribution around the prior's weights.
    #[must_use]
    pub fn prior(mut self, prior: Head) -> Self {
        self.prior = Some(prior);
        self
    }

    /// Learns from `examples`; the same examples give the same heads.
    #[must_use]
    pub fn fit(&self, examples: &[Example]) -> Fitted {
        let numbers = self.standards(examples);
        let buckets = Buckets::of(examples);
        let prior = self.prior.as_ref();
        let row = |e| Row::new(e, &numbers, &buckets, prior);
        let rows: Vec<Row> = examples.iter().map(row).collect();
        let origins = examples.iter().map(|e| e.intercept + 1).max().unwrap_or(1);
        let problem = Problem {
            buckets,
            numbers: numbers.len(),
            origins,
            penalty: self.penalty,
            intercept_penalty: self.intercept_penalty,
            prior: self.prior.as_ref(),
            rows,
        };
        let loss = |weights: &[f64], gradient: &mut [f64]| problem.loss(weights, gradient);
        let weights = minimize(loss, vec![0.0; problem.len()], self.iterations);
        problem.fitted(&weights, numbers)
    }

    /// Mean and spread of each number: the prior's, whose weights are in its units, or the examples' own.
    fn standards(&self, examples: &[Example]) -> Vec<Number> {
        if let Some(prior) = &self.prior {
            return prior.numbers.clone();
        }
        let count = examples.first().map_or(0, |e| e.vector.numbers.len());
        (0..count).map(|at| standard(examples, at)).collect()
    }
}

fn standard(examples: &[Example], at: usize) -> Number {
    let known = || {
        let values = examples.iter();
        values.filter_map(|e| {
            let value = *e.vector.numbers.get(at)?;
            (!value.is_nan()).then_some((f64::from(value), f64::from(e.weight)))
        })
    };
    let weight: f64 = known().map(|(_, w)| w).sum::<f64>().max(f64::MIN_POSITIVE);
    let mean = known().map(|(v, w)| v * w).sum::<f64>() / weight;
    let variance = known().map(|(v, w)| w * (v - mean).powi(2)).sum::<f64>() / weight;
    Number {
        mean: mean as f32,
        spread: (variance.sqrt() as f32).max(LEAST_SPREAD),
        weight: 0.0,
    }
}

/// The buckets that occur: most do not, and need no weight.
struct Buckets {
    /// In their order.
    occurring: Vec<u32>,
    /// The place of each bucket among them; meaningless for one that does not occur.
    place: Vec<u32>,
    /// How much each that occurs counts before learning: the square root of its inverse document frequency (Sparck Jones, 1972), 1 for
    /// what occurs in one text of fifty. What is in every text tells them apart least.
    rarity: Vec<f64>,
}

impl Buckets {
    fn of(examples: &[Example]) -> Self {
        const UNIT: f64 = 4.0;
        let mut occurs = vec![0_u32; BUCKETS];
        for gram in examples.iter().flat_map(|e| &e.vector.grams) {
            if let Some(count) = occurs.get_mut(*gram as usize) {
                *count += 1;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let texts = (examples.len() + 1) as f64;
        let rare = |count: u32| ((texts / f64::from(count + 1)).ln() / UNIT).max(0.0).sqrt();
        let (mut occurring, mut rarity) = (Vec::new(), Vec::new());
        let mut place = vec![0; BUCKETS];
        for (bucket, (count, place)) in (0..).zip(occurs.into_iter().zip(&mut place)) {
            if count > 0 {
                *place = occurring.len() as u32;
                occurring.push(bucket);
                rarity.push(rare(count));
            }
        }
        Self {
            occurring,
            place,
            rarity,
        }
    }

    /// The places of a text's buckets.
    fn places(&self, grams: &[u32]) -> Vec<u32> {
        let places = grams.iter().filter_map(|g| self.place.get(*g as usize));
        places.copied().collect()
    }

    const fn len(&self) -> usize {
        self.occurring.len()
    }
}

impl Fitted {
    /// The head of one origin.
    #[must_use]
    pub fn head(&self, origin: usize) -> Head {
        let mut head = self.shared.clone();
        head.intercept = self.intercepts.get(origin).copied().unwrap_or_default();
        head
    }

    /// The head of a new origin, of which nothing is known: the mean of the others'.
    #[must_use]
    pub fn average(&self) -> Head {
        let mut head = self.shared.clone();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let count = self.intercepts.len().max(1) as f32;
        head.intercept = self.intercepts.iter().sum::<f32>() / count;
        head
    }

    /// The intercepts, by origin.
    #[must_use]
    pub fn intercepts(&self) -> &[f32] {
        &self.intercepts
    }
}

// === the problem ===

/// An example in the units of the weights.
struct Row {
    numbers: Vec<f32>,
    /// Places of its buckets.
    grams: Vec<u32>,
    gram: f32,
    intercept: usize,
    positive: f64,
    weight: f64,
    /// What was believed before, and what the prior says of it.
    offset: f64,
}

impl Row {
    fn new(
        example: &Example,
        standards: &[Number],
        buckets: &Buckets,
        prior: Option<&Head>,
    ) -> Self {
        let mut offset = f64::from(example.offset);
        let gram = gram_scale(example.vector.grams.len());
        let numbers = standards
            .iter()
            .zip(&example.vector.numbers)
            .map(|(n, value)| {
                let z = n.standard(*value);
                offset += f64::from(n.weight * z);
                NUMBER_SCALE * z
            })
            .collect();
        if let Some(prior) = prior {
            let grams = example.vector.grams.iter();
            let known = grams.filter_map(|g| prior.grams.get(*g as usize));
            offset += f64::from(prior.intercept);
            offset += known.map(|w| f64::from(*w)).sum::<f64>() * f64::from(gram);
        }
        Self {
            numbers,
            grams: buckets.places(&example.vector.grams),
            gram,
            intercept: example.intercept,
            positive: f64::from(example.positive),
            weight: f64::from(example.weight),
            offset,
        }
    }
}

/// Weights stand in one vector: numbers, buckets that occur, intercepts.
struct Problem<'a> {
    buckets: Buckets,
    numbers: usize,
    origins: usize,
    penalty: f64,
    intercept_penalty: f64,
    prior: Option<&'a Head>,
    rows: Vec<Row>,
}

impl Problem<'_> {
    const fn len(&self) -> usize {
        self.numbers + self.buckets.len() + self.origins
    }

    /// The penalised loss at `weights`; its gradient is written to `gradient`.
    fn loss(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let (numbers, rest) = weights.split_at(self.numbers);
        let (grams, intercepts) = rest.split_at(self.buckets.len());
        let rarity = &self.buckets.rarity;
        let mut loss = 0.0;
        let penalised = self.numbers + self.buckets.len();
        for (at, (slope, weight)) in gradient.iter_mut().zip(weights).enumerate() {
            let penalty = if at < penalised {
                self.penalty
            } else {
                self.intercept_penalty
            };
            *slope = penalty * weight;
            loss += 0.5 * penalty * weight * weight;
        }
        for row in &self.rows {
            let dot = |values: &[f32]| -> f64 {
                let pairs = values.iter().zip(numbers);
                pairs.map(|(v, w)| f64::from(*v) * w).sum()
            };
            let weighted = |g: &u32| Some(grams.get(*g as usize)? * rarity.get(*g as usize)?);
            let sum: f64 = row.grams.iter().filter_map(weighted).sum();
            let intercept = intercepts.get(row.intercept).copied().unwrap_or_default();
            let logit = row.offset + dot(&row.numbers) + f64::from(row.gram) * sum + intercept;
            // log(1 + e^x) without overflow.
            let soft = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
            loss += row.weight * (soft - row.positive * logit);
            let slope = row.weight * (1.0 / (1.0 + (-logit).exp()) - row.positive);
            for (to, value) in gradient.iter_mut().zip(&row.numbers) {
                *to += slope * f64::from(*value);
            }
            let each = slope * f64::from(row.gram);
            for gram in &row.grams {
                let at = *gram as usize;
                if let (Some(to), Some(rarity)) =
                    (gradient.get_mut(self.numbers + at), rarity.get(at))
                {
                    *to += each * rarity;
                }
            }
            if let Some(to) = gradient.get_mut(penalised + row.intercept) {
                *to += slope;
            }
        }
        loss
    }

    fn fitted(&self, weights: &[f64], mut numbers: Vec<Number>) -> Fitted {
        let (own, rest) = weights.split_at(self.numbers);
        let (learned, intercepts) = rest.split_at(self.buckets.len());
        for (number, weight) in numbers.iter_mut().zip(own) {
            number.weight += NUMBER_SCALE * *weight as f32;
        }
        let before = self.prior.map_or(0.0, |prior| prior.intercept);
        let mut grams = self
            .prior
            .map_or_else(|| vec![0.0; BUCKETS], |prior| prior.grams.clone());
        let learned = learned.iter().zip(&self.buckets.rarity);
        for (bucket, (weight, rarity)) in self.buckets.occurring.iter().zip(learned) {
            if let Some(to) = grams.get_mut(*bucket as usize) {
                *to += (weight * rarity) as f32;
            }
        }
        Fitted {
            shared: Head {
                intercept: 0.0,
                numbers,
                grams,
            },
            intercepts: intercepts.iter().map(|w| before + *w as f32).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(x: f32, gram: u32, positive: f32) -> Example {
        Example {
            vector: Vector {
                numbers: vec![x],
                grams: vec![gram],
            },
            intercept: 0,
            positive,
            weight: 1.0,
            offset: 0.0,
        }
    }

    #[test]
    fn without_features_it_is_the_base_rate() {
        let examples: Vec<_> = (0..100)
            .map(|i| example(1.0, 1, f32::from(u8::from(i < 30))))
            .collect();
        let head = Fit::default().fit(&examples).head(0);
        let p = head.probability(&examples[0].vector);
        assert!((p - 0.3).abs() < 1e-3, "{p}");
    }

    #[test]
    fn grades_count_in_part_and_weights_as_copies() {
        let graded = vec![example(1.0, 1, 0.25); 40];
        let head = Fit::default().fit(&graded).head(0);
        assert!((head.probability(&graded[0].vector) - 0.25).abs() < 1e-3);
        // Without n-grams, whose rarity is counted in texts, not in weight.
        let plain = |x: f32, positive: f32| {
            let mut example = example(x, 0, positive);
            example.vector.grams.clear();
            example
        };
        let mut heavy = vec![plain(0.0, 1.0), plain(1.0, 0.0)];
        heavy[0].weight = 5.0;
        let mut copied = vec![plain(0.0, 1.0); 5];
        copied.push(plain(1.0, 0.0));
        let logit =
            |examples: &[Example]| Fit::default().fit(examples).head(0).logit(&heavy[0].vector);
        assert!((logit(&heavy) - logit(&copied)).abs() < 1e-3);
    }

    #[test]
    fn a_prior_stands_until_labels_pull() {
        let learned = Fit::default()
            .fit(
                &(0..200)
                    .map(|i| example((i % 2) as f32, 9, (i % 2) as f32))
                    .collect::<Vec<_>>(),
            )
            .head(0);
        let few = vec![example(1.0, 9, 1.0), example(0.0, 9, 0.0)];
        let with = Fit::default().prior(learned.clone()).fit(&few).head(0);
        let without = Fit::default().fit(&few).head(0);
        let apart = |head: &Head| head.logit(&few[0].vector) - head.logit(&few[1].vector);
        assert!(apart(&with) > 0.9 * apart(&learned) && apart(&without) < apart(&learned));
    }

    #[test]
    fn origins_have_base_rates_of_their_own() {
        let mut examples = vec![example(0.0, 1, 0.9); 50];
        examples.extend(vec![example(0.0, 1, 0.1); 50]);
        examples[50..].iter_mut().for_each(|e| e.intercept = 1);
        let fitted = Fit::default().fit(&examples);
        assert!(fitted.intercepts()[0] > 2.0 && fitted.intercepts()[1] < -2.0);
    }
}
