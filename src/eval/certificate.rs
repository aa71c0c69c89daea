//! A certified threshold, and whether such certificates keep what they promise.
//!
//! The rows of one half are the labels; the grid is made of the *scores* of the other half, whose judgements then tell how much harm the
//! certified threshold does where nobody looked. The statistics are [`tierway_layers::cascade::certify`].
use super::{
    measures::{Operation, Outcome, Way, operate},
    random::Random,
};
use serde::Serialize;
use tierway_layers::cascade::{Label, Promise, certify, least_deferred, quantile_grid};

/// How many thresholds are tried at most.
const STEPS: usize = 100;
/// How many labels each trial of a promise draws, and how many trials there are.
const TRIAL_LABELS: usize = 200;
const TRIALS: usize = 500;

/// What can be promised of a set's scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertificateReport {
    /// The harm that may be done.
    pub alpha: f64,
    /// The probability that the promise is wrong.
    pub delta: f64,
    /// How many labels there were: one half of the rows.
    pub labels: usize,
    /// The certified threshold, or none.
    pub threshold: Option<f64>,
    /// The upper bound of its harm.
    pub bound: Option<f64>,
    /// The share of the labels' calls that it keeps.
    pub kept: Option<f64>,
    /// The share of the always-big bill that it saves on the labels' calls.
    pub saving: Option<f64>,
    /// Where nothing can be promised: how many more labels that takes at best.
    pub missing: Option<usize>,
    /// What the threshold does on the other half.
    pub held_out: Option<Operation>,
    /// The least share of calls that any score has to defer to keep the promise.
    pub least_deferred: f64,
    /// The promise tried 500 times, each with labels drawn anew from the whole set.
    pub trials: Trials,
}

/// What became of a promise that was made again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Trials {
    /// How many trials.
    pub trials: usize,
    /// How many labels in each.
    pub labels: usize,
    /// The share of trials in which something could be promised.
    pub certified: f64,
    /// The share of trials whose threshold does more harm than promised; delta is what it may be.
    pub violated: f64,
    /// The mean harm; none where nothing is certified.
    pub harm: f64,
    /// The mean share kept.
    pub kept: f64,
    /// The mean saving; without a certificate a draft is paid in a cascade, and nothing is saved on a route.
    pub saving: f64,
}

/// Certifies a threshold on the rows whose `half` is 0 and tells what it does on the others.
#[must_use]
pub fn certificate(
    scores: &[f64],
    outcomes: &[Outcome],
    half: &[usize],
    way: Way,
    promise: Promise,
    seed: u64,
) -> CertificateReport {
    let pick = |h: usize| {
        (0..half.len())
            .filter(move |i| half[*i] == h)
            .map(|i| (scores[i], outcomes[i]))
    };
    let (scores_here, outcomes_here): (Vec<f64>, Vec<Outcome>) = pick(0).unzip();
    let labels: Vec<Label> = pick(0).map(|(score, o)| label(score, &o)).collect();
    let (other_scores, other_outcomes): (Vec<f64>, Vec<Outcome>) = pick(1).unzip();
    let found = certify(&labels, &quantile_grid(&other_scores, STEPS), promise);
    let base = operate(scores, outcomes, f64::NEG_INFINITY, way).harm;
    let certified = found.as_ref().ok();
    CertificateReport {
        alpha: promise.alpha(),
        delta: promise.delta(),
        labels: labels.len(),
        threshold: certified.map(|c| c.threshold),
        bound: certified.map(|c| c.bound),
        kept: certified.map(|c| c.kept),
        saving: certified.map(|c| operate(&scores_here, &outcomes_here, c.threshold, way).saving),
        missing: found.as_ref().err().and_then(|short| short.missing),
        held_out: certified.map(|c| operate(&other_scores, &other_outcomes, c.threshold, way)),
        least_deferred: least_deferred(base, promise),
        trials: trials(scores, outcomes, way, promise, seed),
    }
}

/// Takes the set for the whole truth, draws labels from it with replacement, certifies, and looks up the true harm.
#[must_use]
pub fn trials(
    scores: &[f64],
    outcomes: &[Outcome],
    way: Way,
    promise: Promise,
    seed: u64,
) -> Trials {
    let grid = quantile_grid(scores, STEPS);
    let truth: Vec<Operation> = grid
        .iter()
        .map(|threshold| operate(scores, outcomes, *threshold, way))
        .collect();
    let nothing = operate(scores, outcomes, f64::INFINITY, way);
    let all: Vec<Label> = scores
        .iter()
        .zip(outcomes)
        .map(|(score, outcome)| label(*score, outcome))
        .collect();
    let mut random = Random::new(seed);
    let mut sum = Trials {
        trials: TRIALS,
        labels: TRIAL_LABELS,
        ..Trials::default()
    };
    let one = 1.0 / TRIALS as f64;
    for _ in 0..TRIALS {
        let drawn: Vec<Label> = (0..TRIAL_LABELS)
            .filter_map(|_| all.get(random.below(all.len())).copied())
            .collect();
        let found = certify(&drawn, &grid, promise).ok();
        let place = found.and_then(|found| grid.iter().position(|t| *t == found.threshold));
        let does = place.map_or(&nothing, |place| &truth[place]);
        sum.certified += if place.is_some() { one } else { 0.0 };
        sum.violated += if does.harm > promise.alpha() {
            one
        } else {
            0.0
        };
        sum.harm += does.harm * one;
        sum.kept += does.kept * one;
        sum.saving += does.saving * one;
    }
    sum
}

fn label(score: f64, outcome: &Outcome) -> Label {
    Label {
        score,
        harm: outcome.big > outcome.small,
        small_cost: outcome.cost(Way::Cascade, true),
        big_cost: outcome.big_cost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The score is the probability of harm turned round, in steps.
    fn set(n: usize) -> (Vec<f64>, Vec<Outcome>) {
        let mut random = Random::new(4);
        (0..n)
            .map(|_| {
                let score = (random.unit() * 50.0).floor() / 50.0;
                let outcome = Outcome {
                    small: f64::from(random.unit() > (1.0 - score) / 2.0),
                    big: 1.0,
                    small_cost: 1.0,
                    big_cost: 20.0,
                    verify_cost: 0.0,
                };
                (score, outcome)
            })
            .unzip()
    }

    #[test]
    fn certified_on_one_half_and_shown_on_the_other() {
        let promise = Promise::new(0.05, 0.1).unwrap();
        let (scores, outcomes) = set(2000);
        let half: Vec<usize> = (0..2000).map(|i| i % 2).collect();
        for way in [Way::Cascade, Way::Route] {
            let got = certificate(&scores, &outcomes, &half, way, promise, 1);
            assert_eq!((got.labels, got.missing), (1000, None));
            let held_out = got.held_out.unwrap();
            // harm(t) = (1 - t)^2 / 4 is 5 % at 0.55
            assert!((0.55..0.7).contains(&got.threshold.unwrap()), "{got:?}");
            assert!(got.bound.unwrap() <= 0.05 && held_out.harm < 0.065);
            assert!((held_out.saving - got.saving.unwrap()).abs() < 0.05);
            // a quarter is harm in all: (.25 - .05) / .95
            assert!((got.least_deferred - 0.21).abs() < 0.03);
            let Trials {
                violated,
                certified,
                ..
            } = got.trials;
            assert!(violated <= 0.14 && certified > 0.9, "{:?}", got.trials);
        }
    }

    #[test]
    fn too_few() {
        let (scores, outcomes) = set(40);
        let half: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let promise = Promise::new(0.05, 0.1).unwrap();
        let got = certificate(&scores, &outcomes, &half, Way::Cascade, promise, 1);
        assert_eq!((got.threshold, got.held_out), (None, None));
        assert!(got.missing.unwrap() >= 25, "{got:?}");
    }
}
