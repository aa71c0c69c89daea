//! What is saved, measured by a hold-out: with an interval, and nothing assumed.
//!
//! Conversations (and calls that belong to none) are divided by chance, so the mean cost of one that was held out estimates, without bias,
//! what any other would have cost at the baseline: the difference in means of a randomized experiment (Neyman 1923; Imbens and Rubin,
//! *Causal Inference*, 2015, chapter 6), with Neyman's conservative variance, the sum of the two sides' own. The unit that is drawn is the
//! unit that is compared, as calls of one conversation are anything but independent (Deng, Knoblich, Lu, *Applying the Delta Method in
//! Metric Analytics*, KDD 2018, arXiv 1803.06336). The saved share is one less the ratio of the means; its interval is taken on the ratio's
//! logarithm by the delta method. Both intervals use Student's t with Welch's degrees of freedom.
use super::query::Unit;
use serde::Serialize;

/// With fewer conversations on a side no interval is told: costs are skewed, and their means far from normal.
const FEWEST: usize = 20;

/// An estimate, and the interval that holds the truth 95 times of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// From here,
    pub low: f64,
    /// to here.
    pub high: f64,
}

/// What a hold-out says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Conversations that the gateway chose for,
    pub gateway: usize,
    /// and those that were held out.
    pub held_out: usize,
    /// The mean cost of the former, in dollars,
    pub gateway_mean: f64,
    /// and of the latter.
    pub held_out_mean: f64,
    /// The share that is saved of what a conversation costs at the baseline; `None` where there are too few.
    pub share: Option<Estimate>,
    /// What all conversations that the gateway chose for have saved together, in dollars.
    pub saved: Option<Estimate>,
}

/// One side's numbers.
struct Side {
    n: f64,
    mean: f64,
    /// The variance of the mean.
    variance: f64,
}

impl Side {
    fn new(costs: &[f64]) -> Self {
        let n = costs.len() as f64;
        let mean = costs.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = costs.iter().map(|c| (c - mean).powi(2)).sum();
        Self {
            n,
            mean,
            variance: squares / (n - 1.0).max(1.0) / n.max(1.0),
        }
    }
}

/// What these conversations say; `None` where there is no hold-out among them.
#[must_use]
pub fn measure(units: &[Unit]) -> Option<Measured> {
    let costs = |held: bool| {
        let side = units.iter().filter(|unit| unit.held_out == held);
        side.map(|unit| unit.cost.as_dollars()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (costs(false), costs(true));
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    let (gateway, held) = (Side::new(&ours), Side::new(&theirs));
    let enough = ours.len() >= FEWEST && theirs.len() >= FEWEST;
    Some(Measured {
        gateway: ours.len(),
        held_out: theirs.len(),
        gateway_mean: gateway.mean,
        held_out_mean: held.mean,
        share: share(&gateway, &held).filter(|_| enough),
        saved: Some(total(&gateway, &held)).filter(|_| enough),
    })
}

fn share(gateway: &Side, held: &Side) -> Option<Estimate> {
    if gateway.mean <= 0.0 || held.mean <= 0.0 {
        return None;
    }
    let ratio = gateway.mean / held.mean;
    let relative = |side: &Side| side.variance / side.mean.powi(2);
    let (a, b) = (relative(gateway), relative(held));
    let margin = quantile(freedom(a, gateway.n, b, held.n)) * (a + b).sqrt();
    Some(Estimate {
        value: 1.0 - ratio,
        low: 1.0 - ratio * margin.exp(),
        high: 1.0 - ratio * (-margin).exp(),
    })
}

fn total(gateway: &Side, held: &Side) -> Estimate {
    let value = (held.mean - gateway.mean) * gateway.n;
    let freedom = freedom(gateway.variance, gateway.n, held.variance, held.n);
    let margin = quantile(freedom) * (gateway.variance + held.variance).sqrt() * gateway.n;
    Estimate {
        value,
        low: value - margin,
        high: value + margin,
    }
}

/// Welch's and Satterthwaite's degrees of freedom for a sum of two variances of means.
fn freedom(a: f64, n: f64, b: f64, m: f64) -> f64 {
    let parts = a.powi(2) / (n - 1.0).max(1.0) + b.powi(2) / (m - 1.0).max(1.0);
    if parts > 0.0 {
        (a + b).powi(2) / parts
    } else {
        f64::INFINITY
    }
}

/// The 97.5 % quantile of Student's t, by its expansion around the normal's (Abramowitz and Stegun 26.7.5); good to a thousandth from ten
/// degrees on.
fn quantile(freedom: f64) -> f64 {
    const Z: f64 = 1.959_963_985;
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    let first = (z3 + Z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / 384.0;
    Z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::random::Random;
    use tierway_services::chat::Usd;

    fn unit(held_out: bool, cost: f64) -> Unit {
        Unit {
            held_out,
            calls: 1,
            cost: Usd::from_dollars(cost),
        }
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, table) in [(10.0, 2.228), (19.0, 2.093), (30.0, 2.042), (1e9, 1.960)] {
            assert!((quantile(freedom) - table).abs() < 1e-3, "{freedom}");
        }
    }

    #[test]
    fn few_conversations_give_no_interval() {
        assert_eq!(measure(&[unit(false, 1.0)]), None);
        let few: Vec<Unit> = (0..30).map(|n| unit(n % 3 == 0, 1.0)).collect();
        let few = measure(&few).unwrap();
        assert_eq!((few.gateway, few.held_out, few.share), (20, 10, None));
    }

    /// Costs as they are: skewed, most small and some large.
    fn cost(random: &mut Random, mean: f64) -> f64 {
        let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        (normal * 0.8 - 0.32).exp() * mean
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut random = Random::new(7);
        let (mut share, mut saved) = (0, 0);
        for _ in 0..400 {
            let mut units: Vec<Unit> = (0..1000)
                .map(|_| unit(false, cost(&mut random, 0.4)))
                .collect();
            units.extend((0..100).map(|_| unit(true, cost(&mut random, 1.0))));
            let measured = measure(&units).unwrap();
            let holds = |e: Estimate, truth: f64| u32::from(e.low <= truth && truth <= e.high);
            share += holds(measured.share.unwrap(), 0.6);
            saved += holds(measured.saved.unwrap(), 600.0);
        }
        // 95 % of 400 is 380.
        assert!((366..=396).contains(&share), "{share}");
        assert!((366..=396).contains(&saved), "{saved}");
    }
}
