//! Measuring routing and cascades on requests whose answers by both models have been judged.
//!
//! [`evaluate`] takes [`Row`]s and a [`Scorer`], which is trained on all folds but one and asked about that one, in turn, so that no row is
//! scored by what has seen it. The scores are then measured set by set ([`measures`]) with bootstrap intervals ([`bootstrap`]): as a route,
//! as a cascade, and as a route before a cascade ([`hybrid`]); a threshold is certified ([`certificate`]). [`report`] prints it, [`curve`]
//! draws it.
//!
//! ```
//! use tierway::eval::{Options, Row, Scorer, evaluate};
//!
//! /// Short questions are easy.
//! struct Short;
//! impl Scorer for Short {
//!     fn fit(&mut self, _: &[&Row]) {}
//!     fn route(&self, row: &Row) -> f64 {
//!         -(row.request.get().len() as f64)
//!     }
//!     fn cascade(&self, _: &Row) -> Option<f64> {
//!         None
//!     }
//! }
//!
//! let row = |i: usize| {
//!     let (question, right) = ("why? ".repeat(i % 7), u8::from(i % 7 < 4));
//!     serde_json::from_value(serde_json::json!({
//!         "id": i.to_string(), "set": "mine", "request": {"messages": [{"role": "user", "content": format!("{i}{question}")}]},
//!         "small": {"model": "s", "correct": right, "cost_usd": 0.001}, "big": {"model": "b", "correct": 1, "cost_usd": 0.02},
//!     })).unwrap()
//! };
//! let rows: Vec<Row> = (0..70).map(row).collect();
//! let report = evaluate(&rows, &mut Short, &Options::default());
//! assert!(report.sets[0].route.apgr.value.unwrap() > 0.75);
//! ```
pub mod bootstrap;
pub mod certificate;
pub mod curve;
pub mod folds;
pub mod hybrid;
pub mod measures;
pub mod polyline;
pub mod random;
pub mod report;
pub mod rows;
pub mod scores;
pub mod table;

pub use self::{
    report::{Report, SetReport},
    rows::{Problem, Row},
    scores::GivenScores,
};

use self::{
    bootstrap::{Bootstrap, Figure},
    hybrid::{Axis, Halves, Means},
    measures::{Measures, Outcome, Ranked, Way},
    report::{HeldOut, Line, Lines},
};
use tierway_layers::cascade::Promise;

/// Says of a request whether the small model will do.
pub trait Scorer {
    /// Learns from rows, whose judgements it may read. Called anew for each fold: what was learned before must be forgotten.
    fn fit(&mut self, train: &[&Row]);

    /// Before any call: the higher, the sooner the small model will do. Reads the request alone.
    fn route(&self, row: &Row) -> f64;

    /// After the small model's answer: the higher, the sooner it will do. None where there is no answer to judge.
    fn cascade(&self, row: &Row) -> Option<f64>;

    /// Whether [`cascade`](Self::cascade) uses the signals that cost something, so that a cascade is charged for them; yes by default.
    fn verifies(&self) -> bool {
        true
    }
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Into how many folds a set is divided; less than 2: the scorer is not trained.
    pub folds: usize,
    /// The seed of folds, halves and draws.
    pub seed: u64,
    /// How often the bootstrap draws.
    pub draws: usize,
    /// What is to be certified, if anything.
    pub promise: Option<Promise>,
}

impl Default for Options {
    /// Five folds, seed 0, 1,000 draws, and 5 % harm with confidence 90 %.
    fn default() -> Self {
        Self {
            folds: 5,
            seed: 0,
            draws: 1000,
            promise: Promise::new(0.05, 0.1),
        }
    }
}

/// Scores of the rows of a set, each by a scorer that has not seen its question.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// What [`Scorer::route`] said.
    pub route: Vec<f64>,
    /// What [`Scorer::cascade`] said; none for a row counts as the lowest, and none for all rows means there is no cascade.
    pub cascade: Option<Vec<f64>>,
}

/// Measures `scorer` on each set of `rows`, in the order in which the sets begin.
pub fn evaluate(rows: &[Row], scorer: &mut dyn Scorer, options: &Options) -> Report {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.set.as_str()) {
            names.push(&row.set);
        }
    }
    let sets = names.into_iter().map(|name| {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.set == name).collect();
        let questions = folds::questions(&rows);
        let scored = cross_validate(&rows, &questions, scorer, options);
        let verified = scorer.verifies();
        let outcomes: Vec<Outcome> = rows.iter().map(|row| row.outcome(verified)).collect();
        measure(name, &scored, &outcomes, &questions, options)
    });
    Report {
        sets: sets.collect(),
    }
}

/// Scores each row with a scorer that was fitted on the other folds.
pub fn cross_validate(
    rows: &[&Row],
    questions: &[usize],
    scorer: &mut dyn Scorer,
    options: &Options,
) -> Scored {
    let fold_of = folds::folds(questions, options.folds, options.seed);
    let mut route = vec![f64::NAN; rows.len()];
    let mut cascade = vec![None; rows.len()];
    for fold in 0..options.folds.max(1) {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            if fold_of[i] == fold {
                test.push(i);
            } else {
                train.push(*row);
            }
        }
        if options.folds >= 2 {
            scorer.fit(&train);
        }
        for i in test {
            route[i] = scorer.route(rows[i]);
            cascade[i] = scorer.cascade(rows[i]);
        }
    }
    let any = cascade.iter().any(Option::is_some);
    let cascade = cascade.into_iter().map(|score| score.unwrap_or(f64::NAN));
    Scored {
        route,
        cascade: any.then(|| cascade.collect()),
    }
}

/// Measures scores on one set. `questions` numbers the questions from 0, see [`folds::questions`].
#[must_use]
pub fn measure(
    name: &str,
    scored: &Scored,
    outcomes: &[Outcome],
    questions: &[usize],
    options: &Options,
) -> SetReport {
    let n = outcomes.len().max(1) as f64;
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / n;
    let scores_of = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).collect::<Vec<f64>>();
    let ones = vec![1.0; outcomes.len()];
    let perfect = Ranked::new(&scores_of(|o| o.small), outcomes);
    let oracle = Ranked::new(&scores_of(|o| o.small - o.big), outcomes);
    let half = folds::folds(questions, 2, options.seed.wrapping_add(1));
    // Each way gets the same draws.
    let bootstrap = || Bootstrap::new(questions, options.seed.wrapping_add(2));

    let line = |scores: &[f64], way: Way| {
        let ranked = Ranked::new(scores, outcomes);
        let figures = bootstrap().figures(options.draws, |weights| {
            ranked.measures(way, &perfect, weights).into()
        });
        (Line::new(figures), ranked.curve(way, &ones))
    };
    let (route, route_curve) = line(&scored.route, Way::Route);
    let cascade = scored.cascade.as_ref();
    let (cascade_line, cascade_curve) = cascade.map(|s| line(s, Way::Cascade)).unzip();

    let pairs: Option<Vec<hybrid::Scores>> = cascade.map(|c| {
        scored
            .route
            .iter()
            .copied()
            .zip(c.iter().copied())
            .collect()
    });
    let halves = |axis, means| {
        let pairs = pairs.as_ref()?;
        Some(Halves::fit(pairs, outcomes, &half, axis, means))
    };
    let by_cost = halves(Axis::Cost, Means::Both);
    let by_share = halves(Axis::Share, Means::Both);
    let both = by_cost
        .as_ref()
        .zip(by_share.as_ref())
        .map(|(cost, share)| {
            let figures = bootstrap().figures(options.draws, |weights| {
                let (cost, share) = (cost.measure(weights), share.measure(weights));
                let share = share.as_ref();
                [
                    share.and_then(hybrid::Chains::area),
                    cost.and_then(|c| c.area()),
                    share.and_then(|c| c.reach(0.5)),
                    share.and_then(|c| c.reach(0.8)),
                ]
            });
            let [apgr, cost_apgr, cpt50, cpt80] = figures;
            let none = Figure::default();
            Line::new([apgr, cost_apgr, cpt50, cpt80, none, none, none, none])
        });
    let held_out = pairs.is_some().then(|| {
        let area = |means| halves(Axis::Cost, means)?.measure(&ones)?.area();
        HeldOut {
            route: area(Means::Route),
            cascade: area(Means::Cascade),
            both: area(Means::Both),
        }
    });

    let (decisive, way) = match cascade {
        Some(scores) => (scores, Way::Cascade),
        None => (&scored.route, Way::Route),
    };
    SetReport {
        name: name.to_owned(),
        rows: outcomes.len(),
        questions: questions.iter().max().map_or(0, |most| most + 1),
        small: mean(|o| o.small),
        big: mean(|o| o.big),
        ratio: mean(|o| o.big_cost) / mean(|o| o.small_cost),
        perfect_apgr: perfect.curve(Way::Route, &ones).apgr(),
        oracle_apgr: oracle.curve(Way::Route, &ones).apgr(),
        route,
        cascade: cascade_line,
        both,
        held_out,
        certificate: options.promise.map(|promise| {
            certificate::certificate(decisive, outcomes, &half, way, promise, options.seed)
        }),
        lines: Lines::new(
            outcomes,
            &route_curve,
            cascade_curve.as_ref(),
            by_cost.and_then(|halves| halves.measure(&ones)).as_ref(),
        ),
    }
}

impl From<Measures> for [Option<f64>; 8] {
    fn from(m: Measures) -> Self {
        [
            m.apgr,
            m.cost_apgr,
            m.cpt50,
            m.cpt80,
            m.auroc,
            m.gain_auroc,
            m.normalised,
            m.deferral_auc,
        ]
    }
}

#[cfg(test)]
mod tests;
