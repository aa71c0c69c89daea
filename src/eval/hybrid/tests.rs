use super::*;
use crate::eval::random::Random;

/// Calls of three kinds: trivial, middling (the draft tells whether it is right) and hopeless, which the route sees coming.
fn calls(n: usize, seed: u64) -> (Vec<Scores>, Vec<Outcome>) {
    let mut random = Random::new(seed);
    (0..n)
        .map(|i| {
            let kind = i % 3;
            let right = match kind {
                0 => true,
                1 => random.unit() < 0.5,
                _ => false,
            };
            let noise = 0.1 * random.unit();
            let outcome = Outcome {
                small: f64::from(right),
                big: 1.0,
                small_cost: 1.0,
                big_cost: 20.0,
                verify_cost: 0.5,
            };
            (
                (
                    1.0 - kind as f64 / 3.0 - noise,
                    f64::from(right) * 0.5 + noise,
                ),
                outcome,
            )
        })
        .unzip()
}

fn halves(n: usize, axis: Axis, means: Means) -> Halves {
    let (scores, outcomes) = calls(n, 3);
    let half: Vec<usize> = (0..n).map(|i| i / 3 % 2).collect();
    Halves::fit(&scores, &outcomes, &half, axis, means)
}

#[test]
fn both_beat_either() {
    let area = |axis, means| {
        halves(1200, axis, means)
            .measure(&vec![1.0; 1200])
            .unwrap()
            .area()
            .unwrap()
    };
    let [route, cascade, both] =
        [Means::Route, Means::Cascade, Means::Both].map(|m| area(Axis::Cost, m));
    assert!(
        both > route + 0.01 && both > cascade + 0.01,
        "{route} {cascade} {both}"
    );
    // by share the draft is free and tells all: half of the calls recover the whole gap
    let both = area(Axis::Share, Means::Both);
    assert!((both - 0.75).abs() < 0.02, "{both}");
    let chains = halves(1200, Axis::Share, Means::Both)
        .measure(&vec![1.0; 1200])
        .unwrap();
    let [half, most] = [0.5, 0.8].map(|share| chains.reach(share));
    assert!(
        (half.unwrap() - 0.25).abs() < 0.03 && (most.unwrap() - 0.4).abs() < 0.03,
        "{half:?} {most:?}"
    );
}

#[test]
fn noise_wins_nothing() {
    let mut random = Random::new(9);
    let (_, outcomes) = calls(600, 3);
    let half: Vec<usize> = (0..600).map(|i| i / 3 % 2).collect();
    let mut mean = 0.0;
    for _ in 0..40 {
        let scores: Vec<Scores> = outcomes
            .iter()
            .map(|_| (random.unit(), random.unit()))
            .collect();
        let halves = Halves::fit(&scores, &outcomes, &half, Axis::Share, Means::Both);
        mean += halves.measure(&vec![1.0; 600]).unwrap().area().unwrap() / 40.0;
    }
    assert!((mean - 0.5).abs() < 0.01, "{mean}");
}

#[test]
fn corners_run_from_small_to_big() {
    let (scores, outcomes) = calls(600, 3);
    let frontier = Frontier::fit(&scores, &outcomes, Axis::Cost, Means::Both);
    assert_eq!(frontier.policies().first(), Some(&Policy::SMALL));
    assert_eq!(frontier.policies().last(), Some(&Policy::BIG));
    let spots: Vec<Spot> = frontier
        .policies()
        .iter()
        .map(|p| spot(*p, &scores, &outcomes, Axis::Cost))
        .collect();
    let slopes: Vec<f64> = spots
        .windows(2)
        .map(|w| (w[1].quality - w[0].quality) / (w[1].budget - w[0].budget))
        .collect();
    assert!(
        slopes.windows(2).all(|w| w[0] > w[1]),
        "concave: {slopes:?}"
    );
    let chain = halves(600, Axis::Cost, Means::Both)
        .measure(&vec![1.0; 600])
        .unwrap()
        .curve(50);
    assert_eq!((chain[0], chain[50]), ((0.0, 0.0), (1.0, 1.0)));
}

#[test]
fn nothing_to_win() {
    let outcomes = vec![
        Outcome {
            small: 1.0,
            big: 1.0,
            small_cost: 1.0,
            big_cost: 2.0,
            verify_cost: 0.0
        };
        8
    ];
    let halves = Halves::fit(
        &[(0.5, 0.5); 8],
        &outcomes,
        &[0, 1, 0, 1, 0, 1, 0, 1],
        Axis::Cost,
        Means::Both,
    );
    assert!(halves.measure(&[1.0; 8]).is_none());
}
