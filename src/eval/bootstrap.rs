//! How sure a figure is: percentile bootstrap over questions.
//!
//! Questions, not rows, are drawn with replacement, since the turns of a conversation and requests of the same text are not independent;
//! a row weighs as often as its question was drawn. The interval is the 2.5 % and 97.5 % quantile of the figure over the draws.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; cluster version as in Davison and Hinkley,
//! "Bootstrap Methods and their Application", 1997, section 3.8.
use super::random::Random;
use serde::Serialize;

/// Draws weights for rows.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    questions: Vec<usize>,
    count: usize,
    random: Random,
}

/// A figure with the ends of its 95 % interval. All of them are None where the figure is not defined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figure {
    /// The figure on all rows.
    pub value: Option<f64>,
    /// 2.5 % of the draws are below.
    pub low: Option<f64>,
    /// 2.5 % of the draws are above.
    pub high: Option<f64>,
}

impl Bootstrap {
    /// Draws for rows of these questions, the same for the same seed.
    #[must_use]
    pub fn new(questions: &[usize], seed: u64) -> Self {
        Self {
            questions: questions.to_vec(),
            count: questions.iter().max().map_or(0, |most| most + 1),
            random: Random::new(seed),
        }
    }

    /// The weight of each row in the next draw.
    pub fn draw(&mut self) -> Vec<f64> {
        let mut times = vec![0.0; self.count];
        for _ in 0..self.count {
            times[self.random.below(self.count)] += 1.0;
        }
        self.questions.iter().map(|q| times[*q]).collect()
    }

    /// The figures that `measure` makes of weights, with their intervals over `draws` draws.
    ///
    /// Draws in which a figure is not defined (no gap between the models) are left out of its interval.
    pub fn figures<const N: usize>(
        &mut self,
        draws: usize,
        measure: impl Fn(&[f64]) -> [Option<f64>; N],
    ) -> [Figure; N] {
        let values = measure(&vec![1.0; self.questions.len()]);
        let mut drawn: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(draws));
        for _ in 0..draws {
            for (all, one) in drawn.iter_mut().zip(measure(&self.draw())) {
                all.extend(one);
            }
        }
        std::array::from_fn(|i| {
            drawn[i].sort_by(f64::total_cmp);
            let defined = drawn[i].as_slice();
            Figure {
                value: values[i],
                low: values[i].and(quantile(defined, 0.025)),
                high: values[i].and(quantile(defined, 0.975)),
            }
        })
    }
}

/// The quantile of sorted numbers, interpolated.
fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let at = p * (sorted.len().checked_sub(1)? as f64);
    let below = sorted.get(at.floor() as usize)?;
    let above = sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(weights: &[f64], values: &[f64]) -> [Option<f64>; 1] {
        let total: f64 = weights.iter().sum();
        [Some(
            weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / total,
        )]
    }

    #[test]
    fn the_interval_of_a_mean() {
        // 400 rows of rate 0.2: the standard error is 0.02
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 5 == 0)).collect();
        let alone: Vec<usize> = (0..400).collect();
        let draw = |questions: &[usize], seed| {
            Bootstrap::new(questions, seed).figures(2000, |w| mean(w, &values))[0]
        };
        let width = |f: Figure| f.high.unwrap() - f.low.unwrap();
        let figure = draw(&alone, 1);
        assert!((figure.value.unwrap() - 0.2).abs() < 1e-12);
        assert!(
            (width(figure) - 2.0 * 1.96 * 0.02).abs() < 0.006,
            "{figure:?}"
        );
        assert_eq!(
            figure,
            draw(&alone, 1),
            "the same seed gives the same figures"
        );
        assert_ne!(
            Bootstrap::new(&alone, 1).draw(),
            Bootstrap::new(&alone, 2).draw()
        );
        // in five rows of one question each: four questions in five are all wrong, one all right
        let mut together = alone.clone();
        together.iter_mut().for_each(|q| *q = *q % 5 * 16 + *q / 25);
        assert!(width(draw(&together, 1)) > 1.8 * width(figure));
    }

    #[test]
    fn not_defined() {
        let figures =
            Bootstrap::new(&[0, 1], 1).figures(10, |w| [None, (w[0] > 0.0).then_some(1.0)]);
        assert_eq!(figures[0], Figure::default());
        assert_eq!((figures[1].low, figures[1].high), (Some(1.0), Some(1.0)));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0, 3.0], 0.25), Some(1.5));
    }
}
