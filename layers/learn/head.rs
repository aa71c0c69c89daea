//! One linear model.
use super::{BUCKETS, Vector};

/// Turns a [`Vector`] into a log-odds: a weight for each number, standardised, and for each bucket, and an intercept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub(super) intercept: f32,
    /// Mean, inverse spread and weight of each number.
    pub(super) numbers: Vec<Number>,
    pub(super) grams: Vec<f32>,
}

/// How one number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Number {
    pub(super) mean: f32,
    pub(super) spread: f32,
    pub(super) weight: f32,
}

/// Standard deviations beyond which a number counts no further: one outlier must not decide alone.
const MOST_DEVIATION: f32 = 4.0;

impl Number {
    /// The standardised value; an unknown one is the mean.
    pub(super) fn standard(&self, value: f32) -> f32 {
        let z = (value - self.mean) / self.spread;
        if z.is_nan() {
            0.0
        } else {
            z.clamp(-MOST_DEVIATION, MOST_DEVIATION)
        }
    }
}

impl Head {
    /// A head without weights: every log-odds is 0.
    pub(crate) const EMPTY: Self = Self {
        intercept: 0.0,
        numbers: Vec::new(),
        grams: Vec::new(),
    };

    /// How many numbers it reads.
    #[must_use]
    pub const fn numbers(&self) -> usize {
        self.numbers.len()
    }

    /// The log-odds of `vector`.
    #[must_use]
    pub fn logit(&self, vector: &Vector) -> f32 {
        self.intercept + self.difference(vector)
    }

    /// The log-odds without the intercept: what this vector adds to the average case.
    #[must_use]
    pub fn difference(&self, vector: &Vector) -> f32 {
        let numbers: f32 = self
            .numbers
            .iter()
            .zip(&vector.numbers)
            .map(|(number, value)| number.weight * number.standard(*value))
            .sum();
        let grams: f32 = vector
            .grams
            .iter()
            .filter_map(|bucket| self.grams.get(*bucket as usize))
            .sum();
        numbers + grams * gram_scale(vector.grams.len())
    }

    /// The probability of `vector`, by the logistic function.
    #[must_use]
    pub fn probability(&self, vector: &Vector) -> f32 {
        sigmoid(self.logit(vector))
    }

    /// What each number adds to the log-odds of `vector`, by its place; and the n-grams together.
    #[must_use]
    pub fn parts(&self, vector: &Vector) -> (Vec<f32>, f32) {
        let numbers: Vec<f32> = self
            .numbers
            .iter()
            .zip(&vector.numbers)
            .map(|(number, value)| number.weight * number.standard(*value))
            .collect();
        let grams = self.difference(vector) - numbers.iter().sum::<f32>();
        (numbers, grams)
    }

    /// Writes the head as text: small, the same on every machine, and diffable.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.text_of_grain(1.0)
    }

    /// The same, a hundred times as exact: for what few labels have moved by little.
    pub(crate) fn to_exact_text(&self) -> String {
        self.text_of_grain(0.01)
    }

    fn text_of_grain(&self, grain: f32) -> String {
        use std::fmt::Write;
        let mut text = format!("intercept {:.4}\n", self.intercept);
        for n in &self.numbers {
            let _ = writeln!(text, "number {:.5} {:.5} {:.5}", n.mean, n.spread, n.weight);
        }
        // Runs of zero are the most of it: a weight is written with its bucket's distance from the one before.
        let mut last = 0;
        for (bucket, weight) in self.grams.iter().enumerate() {
            let steps = (weight * GRAIN / grain).round();
            if steps != 0.0 {
                let _ = match grain < 1.0 {
                    true => writeln!(text, "{} {:.2}", bucket - last, steps * grain),
                    false => writeln!(text, "{} {steps}", bucket - last),
                };
                last = bucket;
            }
        }
        text
    }

    /// These weights without those of `other`, whose numbers have the same means and spreads.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.combined(other, -1.0)
    }

    /// These weights and those of `other`, whose numbers have the same means and spreads.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        self.combined(other, 1.0)
    }

    fn combined(&self, other: &Self, times: f32) -> Self {
        let mut head = self.clone();
        head.intercept += times * other.intercept;
        for (own, other) in head.numbers.iter_mut().zip(&other.numbers) {
            own.weight += times * other.weight;
        }
        for (own, other) in head.grams.iter_mut().zip(&other.grams) {
            *own += times * other;
        }
        head
    }

    /// Reads what [`Head::to_text`] wrote; `None` where it is not that.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let intercept = lines.next()?.strip_prefix("intercept ")?.parse().ok()?;
        let (mut numbers, mut grams, mut bucket) = (Vec::new(), vec![0.0; BUCKETS], 0_usize);
        for line in lines {
            let mut fields = line.split(' ');
            let first = fields.next()?;
            let mut number = || fields.next()?.parse::<f32>().ok();
            if first == "number" {
                numbers.push(Number {
                    mean: number()?,
                    spread: number()?,
                    weight: number()?,
                });
            } else {
                bucket += first.parse::<usize>().ok()?;
                *grams.get_mut(bucket)? = number()? / GRAIN;
            }
        }
        Some(Self {
            intercept,
            numbers,
            grams,
        })
    }
}

/// Steps of a stored weight in one: a hundredth of one n-gram among fifty moves the log-odds by four thousandths.
const GRAIN: f32 = 100.0;

/// Long texts have more n-grams, not more evidence of each: the sum is scaled as a Euclidean norm would.
pub(super) fn gram_scale(count: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "at most BUCKETS")]
    let count = count.max(1) as f32;
    super::fit::GRAM_SCALE / count.sqrt()
}

/// The logistic function.
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let mut grams = vec![0.0; BUCKETS];
        grams[3] = 0.25;
        grams[BUCKETS - 1] = -1.5;
        let head = Head {
            intercept: -0.5,
            numbers: vec![Number {
                mean: 1.0,
                spread: 2.0,
                weight: 0.125,
            }],
            grams,
        };
        assert_eq!(Head::from_text(&head.to_text()), Some(head.clone()));
        for wrong in [
            "",
            "intercept x",
            "intercept 1\nnumber 1 2",
            "intercept 1\n99999 1",
        ] {
            assert_eq!(Head::from_text(wrong), None, "{wrong}");
        }
        let vector = Vector {
            numbers: vec![f32::NAN],
            grams: vec![3],
        };
        assert!((head.difference(&vector) - 0.25 * gram_scale(1)).abs() < 1e-6);
    }
}
