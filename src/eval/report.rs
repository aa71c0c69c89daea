//! What was measured, as data; [`table`](super::table) makes text of it.
use super::{
    bootstrap::Figure,
    certificate::CertificateReport,
    hybrid::Chains,
    measures::{Curve, Outcome, Ranked, Way},
    polyline::height_at,
};
use serde::Serialize;

/// How many pieces a drawn line has.
const PIECES: usize = 200;

/// All sets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// One for each set, in the order in which they begin.
    pub sets: Vec<SetReport>,
}

/// One set.
#[derive(Clone, Debug, Serialize)]
pub struct SetReport {
    /// The set's name.
    pub name: String,
    /// How many rows it has.
    pub rows: usize,
    /// How many questions they are about.
    pub questions: usize,
    /// The mean quality of the small model's answers.
    pub small: f64,
    /// The mean quality of the big model's answers.
    pub big: f64,
    /// How many times dearer the big model is.
    pub ratio: f64,
    /// APGR of a score that knows the quality of the small model's answer.
    pub perfect_apgr: Option<f64>,
    /// APGR of a score that knows how much better the big model's answer is.
    pub oracle_apgr: Option<f64>,
    /// Decided before any call.
    pub route: Line,
    /// Decided after the small model's answer.
    pub cascade: Option<Line>,
    /// Routed, then cascaded: fitted on one half, measured on the other. AUROC and what follows are not defined for two scores.
    pub both: Option<Line>,
    /// cost-APGR of all three, fitted on one half and measured on the other, so that they compare.
    pub held_out: Option<HeldOut>,
    /// The threshold that can be promised, of the cascade or, without one, of the route.
    pub certificate: Option<CertificateReport>,
    /// What is drawn.
    #[serde(skip)]
    pub lines: Lines,
}

/// The measures of one way; see [`Measures`](super::measures::Measures).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// The area under PGR over the share of big calls.
    pub apgr: Figure,
    /// The area under PGR over budgets.
    pub cost_apgr: Figure,
    /// The share of big calls that recovers half of the gap.
    pub cpt50: Figure,
    /// The share of big calls that recovers four fifths of the gap.
    pub cpt80: Figure,
    /// Right small answers told from wrong ones.
    pub auroc: Figure,
    /// Calls where the big model is no better told from those where it is.
    pub gain_auroc: Figure,
    /// APGR where 0 is random and 1 knows the quality of the small model's answer.
    pub normalised: Figure,
    /// The area under the quality.
    pub deferral_auc: Figure,
}

/// cost-APGR where it was not fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HeldOut {
    /// One threshold, on the route.
    pub route: Option<f64>,
    /// One threshold, on the cascade.
    pub cascade: Option<f64>,
    /// Both thresholds.
    pub both: Option<f64>,
}

/// Quality over cost, to be drawn: both in the units of the rows, as means over calls.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The small model alone: cost and quality.
    pub small: (f64, f64),
    /// The big model alone.
    pub big: (f64, f64),
    /// The route.
    pub route: Vec<(f64, f64)>,
    /// The cascade.
    pub cascade: Option<Vec<(f64, f64)>>,
    /// Route, then cascade, on calls that it was not fitted on.
    pub both: Option<Vec<(f64, f64)>>,
    /// A router that knows both answers beforehand and buys where the most quality is to be had for the money.
    pub oracle: Vec<(f64, f64)>,
}

// === impl Line ===

impl Line {
    /// The measures in their order.
    #[must_use]
    pub const fn new(figures: [Figure; 8]) -> Self {
        let [
            apgr,
            cost_apgr,
            cpt50,
            cpt80,
            auroc,
            gain_auroc,
            normalised,
            deferral_auc,
        ] = figures;
        Self {
            apgr,
            cost_apgr,
            cpt50,
            cpt80,
            auroc,
            gain_auroc,
            normalised,
            deferral_auc,
        }
    }
}

// === impl Lines ===

impl Lines {
    /// The lines of a set; `both` is by cost.
    #[must_use]
    pub fn new(
        outcomes: &[Outcome],
        route: &Curve,
        cascade: Option<&Curve>,
        both: Option<&Chains>,
    ) -> Self {
        let (small_cost, big_cost) = route.budgets();
        let (small, big) = route.qualities();
        let dearer = |o: &Outcome| (o.big_cost - o.small_cost).max(f64::MIN_POSITIVE);
        let worth: Vec<f64> = outcomes
            .iter()
            .map(|o| (o.small - o.big) / dearer(o))
            .collect();
        let ones = vec![1.0; outcomes.len()];
        let oracle = Ranked::new(&worth, outcomes).curve(Way::Route, &ones);
        let place = |(budget, recovered): (f64, f64)| {
            (
                small_cost + budget * (big_cost - small_cost),
                small + recovered * (big - small),
            )
        };
        Self {
            small: (small_cost, small),
            big: (big_cost, big),
            route: drawn(route),
            cascade: cascade.map(drawn),
            both: both.map(|both| both.curve(PIECES).into_iter().map(place).collect()),
            oracle: drawn(&oracle),
        }
    }
}

/// A curve at even steps of its cost, since a set of many rows has more points than can be seen.
fn drawn(curve: &Curve) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = curve.points().iter().map(|p| (p.cost, p.quality)).collect();
    if all.len() <= PIECES + 1 {
        return all;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return all;
    };
    let (low, high) = (first.0, last.0);
    (0..=PIECES)
        .map(|i| low + (high - low) * i as f64 / PIECES as f64)
        .map(|cost| (cost, height_at(&all, cost)))
        .collect()
}
