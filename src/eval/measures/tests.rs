use super::*;
use crate::eval::random::Random;
use proptest::prelude::*;

fn outcome(small: f64, big: f64) -> Outcome {
    Outcome {
        small,
        big,
        small_cost: 1.0,
        big_cost: 10.0,
        verify_cost: 0.0,
    }
}

fn all(scores: &[f64], outcomes: &[Outcome], way: Way) -> Measures {
    let perfect: Vec<f64> = outcomes.iter().map(|o| o.small).collect();
    let ones = vec![1.0; outcomes.len()];
    Ranked::new(scores, outcomes).measures(way, &Ranked::new(&perfect, outcomes), &ones)
}

fn near(a: Option<f64>, b: Option<f64>, within: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= within,
        (a, b) => a == b,
    }
}

/// Scores of few values, so that many are equal, with outcomes of which the big model's are better on the whole.
fn sets() -> impl Strategy<Value = (Vec<f64>, Vec<Outcome>)> {
    let call = (0u8..6, 0u8..3, 0u8..3, 1u8..5, 6u8..40, 0u8..4);
    proptest::collection::vec(call, 2..12).prop_map(|calls| {
        let scores = calls.iter().map(|c| f64::from(c.0)).collect();
        let outcomes = calls.iter().map(|c| Outcome {
            small: f64::from(c.1) / 2.0,
            big: f64::from(c.2) / 2.0,
            small_cost: f64::from(c.3),
            big_cost: f64::from(c.4),
            verify_cost: f64::from(c.5),
        });
        (scores, outcomes.collect())
    })
}

/// APGR and cost-APGR from the definitions: one call after another is deferred, in the order given; budgets in so many steps.
fn by_hand(order: &[usize], outcomes: &[Outcome], way: Way, steps: u32) -> Option<(f64, f64)> {
    let n = outcomes.len() as f64;
    let mean = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / n;
    let (small, big) = (mean(&|o| o.small), mean(&|o| o.big));
    let (low, high) = (mean(&|o| o.small_cost), mean(&|o| o.big_cost));
    if big <= small {
        return None;
    }
    let at = |deferred: usize| {
        let (mut quality, mut cost) = (0.0, 0.0);
        for (rank, i) in order.iter().enumerate() {
            let keep = rank >= deferred;
            quality += if keep {
                outcomes[*i].small
            } else {
                outcomes[*i].big
            } / n;
            cost += outcomes[*i].cost(way, keep) / n;
        }
        (cost, (quality - small) / (big - small))
    };
    let way_points: Vec<(f64, f64)> = (0..=order.len()).map(at).collect();
    let apgr = way_points
        .windows(2)
        .map(|w| (w[0].1 + w[1].1) / 2.0 / n)
        .sum();
    // budgets in fine steps, each spent as far as it goes
    let budgets = (0..steps).map(|i| low + (high - low) * (f64::from(i) + 0.5) / f64::from(steps));
    let recovered = budgets.map(|budget| {
        let piece = way_points
            .windows(2)
            .find(|w| w[0].0 <= budget && budget < w[1].0);
        piece.map_or(0.0, |w| {
            w[0].1 + (w[1].1 - w[0].1) * (budget - w[0].0) / (w[1].0 - w[0].0)
        })
    });
    Some((apgr, recovered.sum::<f64>() / f64::from(steps.max(1))))
}

#[test]
fn by_the_definitions() {
    // f = 1, 2, 3, 4; the first two are worth deferring, the last is the other way round
    let outcomes = [
        outcome(0.0, 1.0),
        outcome(0.0, 1.0),
        outcome(1.0, 1.0),
        outcome(1.0, 0.0),
    ];
    let got = all(&[1.0, 2.0, 3.0, 4.0], &outcomes, Way::Route);
    // Q = .5, .75, 1, 1, .75; PGR = 0, 1, 2, 2, 1
    assert_eq!(got.apgr, Some((0.5 + 1.5 + 2.0 + 1.5) / 4.0));
    assert_eq!(got.cost_apgr, got.apgr, "equal prices are shares");
    assert_eq!((got.cpt50, got.cpt80), (Some(0.125), Some(0.2)));
    assert_eq!(got.deferral_auc, Some(0.5 + 0.25 * 5.5 / 4.0));
    assert_eq!((got.auroc, got.gain_auroc), (Some(1.0), Some(1.0)));
    // by s alone the last two are equal: PGR = 0, 1, 2, 1.5, 1, whose area is 1.25
    assert!(near(got.normalised, Some(0.875 / 0.75), 1e-12));
    let cascade = all(&[1.0, 2.0, 3.0, 4.0], &outcomes, Way::Cascade);
    assert_eq!(cascade.apgr, got.apgr);
    // costs 1, 3.5, 6, 8.5, 11; the budget ends at 10, where PGR is 1.4
    let area = 2.5 * (0.5 + 1.5 + 2.0) + 1.5 * (2.0 + 1.4) / 2.0;
    assert!(near(cascade.cost_apgr, Some(area / 9.0), 1e-12));
}

#[test]
fn what_is_not_defined() {
    let no_gap = all(
        &[1.0, 2.0],
        &[outcome(1.0, 0.0), outcome(1.0, 1.0)],
        Way::Cascade,
    );
    assert_eq!(
        (no_gap.apgr, no_gap.cost_apgr, no_gap.cpt50, no_gap.auroc),
        (None, None, None, None)
    );
    assert_eq!(all(&[], &[], Way::Route), Measures::default());
}

#[test]
fn what_is_no_number_is_deferred_first() {
    let outcomes = [outcome(1.0, 1.0), outcome(0.0, 1.0)];
    assert_eq!(
        all(&[0.1, f64::NAN], &outcomes, Way::Route).auroc,
        Some(1.0)
    );
    assert_eq!(
        operate(&[0.1, f64::NAN], &outcomes, 0.0, Way::Route).kept,
        0.5
    );
}

#[test]
fn a_threshold() {
    let outcomes = [
        outcome(0.0, 1.0),
        outcome(1.0, 0.0),
        outcome(1.0, 1.0),
        outcome(0.0, 1.0),
    ];
    let got = operate(&[0.9, 0.8, 0.7, 0.1], &outcomes, 0.7, Way::Cascade);
    assert_eq!(
        (got.kept, got.harm, got.rescue, got.quality),
        (0.75, 0.25, 0.25, 0.75)
    );
    assert!((got.saving - (0.75 - 1.0 / 10.0)).abs() < 1e-12); // a - c_s / c_b
}

#[test]
fn random_scores_are_worth_one_half() {
    let mut random = Random::new(5);
    let outcomes: Vec<Outcome> = (0..50)
        .map(|i| outcome(f64::from(i % 3 == 0), f64::from(i % 4 != 0)))
        .collect();
    let runs = 4000;
    let (mut apgr, mut cost) = (0.0, 0.0);
    for _ in 0..runs {
        let scores: Vec<f64> = outcomes.iter().map(|_| random.unit()).collect();
        let got = all(&scores, &outcomes, Way::Route);
        apgr += got.apgr.unwrap() / f64::from(runs);
        cost += got.cost_apgr.unwrap() / f64::from(runs);
    }
    assert!(
        (apgr - 0.5).abs() < 0.01 && (cost - 0.5).abs() < 0.01,
        "{apgr} {cost}"
    );
    let constant = all(&[0.3; 50], &outcomes, Way::Route);
    assert!(near(constant.apgr, Some(0.5), 1e-12) && near(constant.cost_apgr, Some(0.5), 1e-12));
    assert_eq!(constant.auroc, Some(0.5));
}

proptest! {
    #[test]
    fn ties_are_the_mean_over_all_orders((scores, outcomes) in sets()) {
        let mut random = Random::new(1);
        for way in [Way::Route, Way::Cascade] {
            let got = all(&scores, &outcomes, way);
            let mut mean = (0.0, 0.0);
            let runs = 200;
            for _ in 0..runs {
                let mut order: Vec<usize> = (0..scores.len()).collect();
                random.shuffle(&mut order);
                order.sort_by(|i, j| scores[*i].total_cmp(&scores[*j]));
                let Some((apgr, _)) = by_hand(&order, &outcomes, way, 0) else {
                    prop_assert_eq!(got.apgr, None);
                    return Ok(());
                };
                mean.0 += apgr / f64::from(runs);
                mean.1 += apgr * apgr / f64::from(runs);
            }
            let error = ((mean.1 - mean.0 * mean.0).max(0.0) / f64::from(runs)).sqrt();
            prop_assert!(near(got.apgr, Some(mean.0), 5.0 * error + 1e-9), "{:?} {:?} {}", got.apgr, mean.0, error);
        }
    }

    #[test]
    fn without_ties_by_the_definitions((scores, outcomes) in sets()) {
        let scores: Vec<f64> = scores.iter().enumerate().map(|(i, s)| s + i as f64 / 100.0).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|i, j| scores[*i].total_cmp(&scores[*j]));
        for way in [Way::Route, Way::Cascade] {
            let (apgr, cost) = by_hand(&order, &outcomes, way, 4000).unzip();
            let got = all(&scores, &outcomes, way);
            prop_assert!(near(got.apgr, apgr, 1e-9));
            let steepest = outcomes.len() as f64;
            prop_assert!(near(got.cost_apgr, cost, 1e-2 * steepest), "{:?} {:?}", got.cost_apgr, cost);
        }
    }

    #[test]
    fn only_the_order_counts((scores, outcomes) in sets()) {
        let other: Vec<f64> = scores.iter().map(|s| (s * 0.7 - 3.0).exp()).collect();
        prop_assert_eq!(all(&scores, &outcomes, Way::Cascade), all(&other, &outcomes, Way::Cascade));
    }

    #[test]
    fn no_order_beats_the_gain_itself((scores, outcomes) in sets()) {
        let gain: Vec<f64> = outcomes.iter().map(|o| o.small - o.big).collect();
        let (got, best) = (all(&scores, &outcomes, Way::Route), all(&gain, &outcomes, Way::Route));
        prop_assert!(got.apgr.is_none_or(|apgr| apgr <= best.apgr.unwrap() + 1e-9));
        let small: Vec<f64> = outcomes.iter().map(|o| o.small).collect();
        let perfect = all(&small, &outcomes, Way::Route);
        prop_assert!(perfect.normalised.is_none_or(|n| (n - 1.0).abs() < 1e-9));
        prop_assert!(perfect.auroc.is_none_or(|auroc| auroc == 1.0));
    }

    #[test]
    fn pairs_by_the_definition((scores, outcomes) in sets()) {
        let (mut pairs, mut count) = (0.0, 0.0);
        for (f, _) in scores.iter().zip(&outcomes).filter(|(_, o)| o.small >= 0.5) {
            for (g, _) in scores.iter().zip(&outcomes).filter(|(_, o)| o.small < 0.5) {
                pairs += if f > g { 1.0 } else if f == g { 0.5 } else { 0.0 };
                count += 1.0;
            }
        }
        let expected = (count > 0.0).then_some(pairs / count);
        prop_assert!(near(all(&scores, &outcomes, Way::Route).auroc, expected, 1e-12));
    }

    #[test]
    fn a_weight_is_so_many_copies((scores, outcomes) in sets(), weights in proptest::collection::vec(0u8..4, 12)) {
        let weights: Vec<usize> = weights.into_iter().map(usize::from).take(outcomes.len()).collect();
        let copies = |i: usize| std::iter::repeat_n(i, weights[i]);
        let picked: Vec<usize> = (0..outcomes.len()).flat_map(copies).collect();
        let many: Vec<Outcome> = picked.iter().map(|i| outcomes[*i]).collect();
        let many_scores: Vec<f64> = picked.iter().map(|i| scores[*i]).collect();
        let small: Vec<f64> = outcomes.iter().map(|o| o.small).collect();
        let weights: Vec<f64> = weights.iter().map(|w| *w as f64).collect();
        let got = Ranked::new(&scores, &outcomes).measures(Way::Cascade, &Ranked::new(&small, &outcomes), &weights);
        let expected = all(&many_scores, &many, Way::Cascade);
        for (got, expected) in [(got.apgr, expected.apgr), (got.cost_apgr, expected.cost_apgr), (got.cpt80, expected.cpt80), (got.auroc, expected.auroc)] {
            prop_assert!(near(got, expected, 1e-9), "{:?} {:?}", got, expected);
        }
    }
}
