use super::*;
use std::time::Instant;

/// Learns which first letters the small model gets right: enough to see that no row is scored by what has seen it.
#[derive(Default)]
struct Letters {
    right: Vec<(String, f64)>,
    seen: Vec<String>,
}

fn letter(row: &Row) -> String {
    row.id.chars().take(1).collect()
}

impl Scorer for Letters {
    fn fit(&mut self, train: &[&Row]) {
        self.seen = train.iter().map(|row| row.id.clone()).collect();
        self.right = train
            .iter()
            .map(|row| (letter(row), row.small.correct))
            .collect();
    }
    fn route(&self, row: &Row) -> f64 {
        assert!(!self.seen.contains(&row.id), "{} was trained on", row.id);
        let same = self.right.iter().filter(|(l, _)| *l == letter(row));
        let (n, sum) = same.fold((0.0, 0.0), |(n, sum), (_, right)| (n + 1.0, sum + right));
        sum / n
    }
    fn cascade(&self, row: &Row) -> Option<f64> {
        row.signals.p_true
    }
}

/// The small model is right where the letter is early, with noise; p_true knows the rest.
fn rows(set: &str, n: usize, p_true: bool) -> Vec<Row> {
    let mut random = random::Random::new(n as u64);
    (0..n)
        .map(|i| {
            let letter = i % 10;
            let right = f64::from(random.unit() > letter as f64 / 10.0);
            let noise = random.unit() * 0.6;
            serde_json::from_value(serde_json::json!({
                "id": format!("{}{i}", char::from(b'a' + letter as u8)), "set": set,
                "request": {"messages": [{"role": "user", "content": format!("question {i}")}]},
                "small": {"model": "s", "correct": right, "cost_usd": 0.001},
                "big": {"model": "b", "correct": f64::from(random.unit() < 0.95), "cost_usd": 0.008},
                "signals": {"p_true": p_true.then_some(right * 0.4 + noise), "verify_cost": 0.0002},
            }))
            .unwrap()
        })
        .collect()
}

#[test]
fn a_learned_route_and_a_cascade() {
    let mut all = rows("one", 600, true);
    all.extend(rows("two", 300, false));
    let options = Options {
        draws: 200,
        ..Options::default()
    };
    let report = evaluate(&all, &mut Letters::default(), &options);
    let [one, two] = report.sets.as_slice() else {
        panic!("two sets")
    };
    assert_eq!(
        (one.name.as_str(), one.rows, one.questions),
        ("one", 600, 600)
    );
    assert!((one.ratio - 8.0).abs() < 1e-9);
    let value = |figure: Figure| figure.value.unwrap();
    assert!(value(one.route.apgr) > 0.65 && value(one.route.auroc) > 0.7);
    let held = one.held_out.unwrap();
    assert!(
        held.both.unwrap() > held.route.unwrap().max(held.cascade.unwrap()) - 0.01,
        "{held:?}"
    );
    for figure in [
        one.route.apgr,
        one.cascade.unwrap().cost_apgr,
        one.both.unwrap().cost_apgr,
    ] {
        assert!(figure.low.unwrap() < value(figure) && value(figure) < figure.high.unwrap());
    }
    assert_eq!((two.cascade, two.both, two.held_out), (None, None, None));
    assert!(two.certificate.is_some());
    let json = |report: &Report| serde_json::to_string(report).unwrap();
    let again = evaluate(&all, &mut Letters::default(), &options);
    assert_eq!(
        json(&report),
        json(&again),
        "the same seed, the same figures"
    );

    let text = report.to_string();
    assert!(text.contains("mean of 2  route"), "{text}");
    assert!(
        text.contains("harm at most 0.05 with confidence 90 %"),
        "{text}"
    );
    let svg = curve::svg(&report).unwrap();
    assert_eq!(svg.matches("route, then cascade (held out)").count(), 1);
    assert_eq!(svg.matches("always small").count(), 2);
}

#[test]
fn a_scorer_that_is_not_trained() {
    struct Never;
    impl Scorer for Never {
        fn fit(&mut self, _: &[&Row]) {
            unreachable!("no folds");
        }
        fn route(&self, _: &Row) -> f64 {
            0.5
        }
        fn cascade(&self, _: &Row) -> Option<f64> {
            None
        }
    }
    let options = Options {
        folds: 1,
        draws: 20,
        promise: None,
        ..Options::default()
    };
    let report = evaluate(&rows("one", 50, false), &mut Never, &options);
    let apgr = report.sets[0].route.apgr;
    assert!(
        [apgr.value, apgr.low, apgr.high]
            .iter()
            .all(|v| (v.unwrap() - 0.5).abs() < 1e-9)
    );
    assert!(evaluate(&[], &mut Never, &options).sets.is_empty());
}

/// A thousand draws of 4,000 rows: well under a second in release; the limit leaves room for debug builds on a busy machine.
#[test]
fn the_bootstrap_is_fast() {
    let outcomes: Vec<Outcome> = rows("one", 4000, true)
        .iter()
        .map(|r| r.outcome(true))
        .collect();
    let mut random = random::Random::new(1);
    let scores: Vec<f64> = outcomes.iter().map(|_| random.unit()).collect();
    let questions: Vec<usize> = (0..4000).collect();
    let began = Instant::now();
    let ranked = Ranked::new(&scores, &outcomes);
    let figures = Bootstrap::new(&questions, 1).figures(1000, |weights| {
        ranked.measures(Way::Cascade, &ranked, weights).into()
    });
    let took = began.elapsed();
    println!("1,000 draws of 4,000 rows: {took:?}");
    let [apgr, ..]: [Figure; 8] = figures;
    assert!(apgr.low.unwrap() < 0.5 && 0.5 < apgr.high.unwrap());
    assert!(took.as_secs() < 30, "{took:?}");
}
