//! How good a score is at telling which calls need the big model.
//!
//! Notation: `s`, `b` are the quality of the small and the big model's answer, from 0 to 1; `c_s`, `c_b`, `v` the cost of small, big and
//! verification; `f` the score, high where the small model will do. Calls with `f < t` are *deferred* to the big model; `d` is their share.
//!
//! ```text
//! Q(d)      = E[s 1(f >= t) + b 1(f < t)]                                      quality
//! C(d)      = E[c_s 1(f >= t) + c_b 1(f < t)]                                  cost of a route: one or the other
//! C(d)      = E[c_s] + E[v] + E[c_b 1(f < t)]                                  cost of a cascade: the small one always
//! PGR(d)    = (Q(d) - E s) / (E b - E s)                                       performance gap recovered
//! APGR      = integral of PGR over d from 0 to 1                               0.5: random; above 1 where the models complement each other
//! CPT(p)    = least d with PGR(d) >= p                                         call-performance threshold
//! AUC       = integral of Q over d from 0 to 1                                 deferral curve
//! N         = (APGR - 1/2) / (APGR of f = s - 1/2)                             0: random, 1: the score knows s
//! cost-APGR = mean of PGR over budgets from E c_s to E c_b, 0 where the budget does not pay for v
//! AUROC     = P(f of a right answer > f of a wrong one) + P(equal) / 2
//! ```
//!
//! Calls with equal scores count at their expectation when ties are broken at random, which is a straight piece of the curve; a score of
//! few values would else look better than it is. All integrals are exact.
//!
//! Sources: PGR, APGR and CPT are Ong et al., "RouteLLM", arXiv 2406.18665 (there the trapezoid over ten quantiles); the deferral curve is
//! Gupta et al., "Language model cascades: token-level uncertainty and beyond", ICLR 2024; cost-APGR is the area under the cost-quality
//! curve as in Hu et al., "RouterBench", arXiv 2403.12031 (there AIQ), on the scale of APGR.
use super::polyline::{mean_height, reach};
use serde::Serialize;

/// Qualities and prices of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Quality of the small model's answer, from 0 to 1.
    pub small: f64,
    /// Quality of the big model's answer, from 0 to 1.
    pub big: f64,
    /// Cost of the small model's answer; all costs in the same currency.
    pub small_cost: f64,
    /// Cost of the big model's answer.
    pub big_cost: f64,
    /// Cost of judging the small model's answer.
    pub verify_cost: f64,
}

/// Who pays for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The score is known before any call: small or big is paid.
    Route,
    /// The score needs the small model's answer: small and verification are paid always, big for what is deferred.
    Cascade,
}

/// One place on the way from deferring nothing to deferring everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The share deferred.
    pub share: f64,
    /// The mean quality.
    pub quality: f64,
    /// The mean cost.
    pub cost: f64,
}

/// Calls in the order in which a rising threshold defers them.
#[derive(Clone, Debug)]
pub struct Ranked<'a> {
    outcomes: &'a [Outcome],
    order: Vec<usize>,
    // Where in `order` each run of equal scores ends.
    ends: Vec<usize>,
}

/// Quality and cost for every share deferred; between two points, calls with equal scores are deferred at random.
#[derive(Clone, Debug)]
pub struct Curve {
    points: Vec<Point>,
    // E c_s and E c_b: the budgets of the two models alone
    small_cost: f64,
    big_cost: f64,
}

/// All measures of a score. None where one is not defined: no gap between the models, nothing right or nothing wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// The area under PGR over the share deferred.
    pub apgr: Option<f64>,
    /// The area under PGR over budgets.
    pub cost_apgr: Option<f64>,
    /// The least share of big calls that recovers half of the gap.
    pub cpt50: Option<f64>,
    /// The least share of big calls that recovers four fifths of the gap.
    pub cpt80: Option<f64>,
    /// How well the score tells right small answers (`s >= 1/2`) from wrong ones, for a route and a cascade alike.
    pub auroc: Option<f64>,
    /// How well it tells calls where the big model is no better (`b <= s`) from those where it is.
    pub gain_auroc: Option<f64>,
    /// APGR on the scale where a score that knows `s` has 1.
    pub normalised: Option<f64>,
    /// The area under the quality.
    pub deferral_auc: Option<f64>,
}

/// What a threshold does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// The share of calls the small model's answer is kept for.
    pub kept: f64,
    /// The share of all calls that are kept although the big model's answer is better: `P(f >= t, b > s)`.
    pub harm: f64,
    /// The share of all calls that are kept and better than the big model's answer: `P(f >= t, s > b)`.
    pub rescue: f64,
    /// The mean quality.
    pub quality: f64,
    /// The share saved of the bill of always-big: `1 - C / E c_b`.
    pub saving: f64,
}

/// What happens at the threshold `t` on these scores; what is no number is deferred.
#[must_use]
pub fn operate(scores: &[f64], outcomes: &[Outcome], threshold: f64, way: Way) -> Operation {
    let n = outcomes.len().max(1) as f64;
    let (mut kept, mut harm, mut rescue, mut quality) = (0.0, 0.0, 0.0, 0.0);
    let (mut cost, mut all_big) = (0.0, 0.0);
    for (score, outcome) in scores.iter().zip(outcomes) {
        let keep = *score >= threshold;
        kept += f64::from(u8::from(keep));
        harm += f64::from(u8::from(keep && outcome.big > outcome.small));
        rescue += f64::from(u8::from(keep && outcome.small > outcome.big));
        quality += if keep { outcome.small } else { outcome.big };
        cost += outcome.cost(way, keep);
        all_big += outcome.big_cost;
    }
    Operation {
        kept: kept / n,
        harm: harm / n,
        rescue: rescue / n,
        quality: quality / n,
        saving: 1.0 - cost / all_big,
    }
}

// === impl Outcome ===

impl Outcome {
    /// What the call costs, kept or deferred.
    #[must_use]
    pub fn cost(&self, way: Way, keep: bool) -> f64 {
        match (way, keep) {
            (Way::Route, true) => self.small_cost,
            (Way::Route, false) => self.big_cost,
            (Way::Cascade, true) => self.small_cost + self.verify_cost,
            (Way::Cascade, false) => self.small_cost + self.verify_cost + self.big_cost,
        }
    }
}

// === impl Ranked ===

impl<'a> Ranked<'a> {
    /// Ranks calls by their scores, of which there must be as many; what is no number counts as the lowest.
    #[must_use]
    pub fn new(scores: &[f64], outcomes: &'a [Outcome]) -> Self {
        let score = |i: usize| match scores.get(i) {
            Some(score) if !score.is_nan() => *score,
            _ => f64::NEG_INFINITY,
        };
        let mut order: Vec<usize> = (0..outcomes.len()).collect();
        order.sort_by(|i, j| score(*i).total_cmp(&score(*j)));
        let ends = (1..=order.len())
            .filter(|end| *end == order.len() || score(order[*end]) != score(order[end - 1]))
            .collect();
        Self {
            outcomes,
            order,
            ends,
        }
    }

    /// Calls with equal scores, from those deferred first.
    fn ties(&self) -> impl Iterator<Item = &[usize]> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        begins
            .zip(&self.ends)
            .map(|(begin, end)| &self.order[begin..*end])
    }

    /// The curve, each call counted as often as its weight says.
    #[must_use]
    pub fn curve(&self, way: Way, weights: &[f64]) -> Curve {
        let (mut total, mut quality, mut cost, mut small_cost, mut big_cost) =
            (0.0, 0.0, 0.0, 0.0, 0.0);
        for (outcome, weight) in self.outcomes.iter().zip(weights) {
            total += weight;
            quality += weight * outcome.small;
            cost += weight * outcome.cost(way, true);
            small_cost += weight * outcome.small_cost;
            big_cost += weight * outcome.big_cost;
        }
        let mut points = Vec::with_capacity(self.ends.len() + 1);
        let mut deferred = 0.0;
        let point = |deferred: f64, quality: f64, cost: f64| Point {
            share: deferred / total,
            quality: quality / total,
            cost: cost / total,
        };
        points.push(point(deferred, quality, cost));
        for tie in self.ties() {
            for i in tie {
                let (outcome, weight) = (&self.outcomes[*i], weights[*i]);
                deferred += weight;
                quality += weight * (outcome.big - outcome.small);
                cost += weight * (outcome.cost(way, false) - outcome.cost(way, true));
            }
            points.push(point(deferred, quality, cost));
        }
        Curve {
            points,
            small_cost: small_cost / total,
            big_cost: big_cost / total,
        }
    }

    /// How well the ranking tells calls for which `right` holds from the others: P(higher) + P(equal) / 2 over all pairs of the two.
    #[must_use]
    pub fn auroc(&self, right: impl Fn(&Outcome) -> bool, weights: &[f64]) -> Option<f64> {
        let (mut rights, mut wrongs, mut pairs) = (0.0, 0.0, 0.0);
        for tie in self.ties() {
            let (mut right_here, mut wrong_here) = (0.0, 0.0);
            for i in tie {
                if right(&self.outcomes[*i]) {
                    right_here += weights[*i];
                } else {
                    wrong_here += weights[*i];
                }
            }
            pairs += right_here * (wrongs + wrong_here / 2.0);
            rights += right_here;
            wrongs += wrong_here;
        }
        (rights > 0.0 && wrongs > 0.0).then(|| pairs / (rights * wrongs))
    }

    /// All measures, each call counted as often as its weight says. `perfect` is the ranking of the same outcomes by `s`.
    #[must_use]
    pub fn measures(&self, way: Way, perfect: &Ranked<'_>, weights: &[f64]) -> Measures {
        let curve = self.curve(way, weights);
        let apgr = curve.apgr();
        let ceiling = perfect.curve(way, weights).apgr();
        Measures {
            apgr,
            cost_apgr: curve.cost_apgr(),
            cpt50: curve.cpt(0.5),
            cpt80: curve.cpt(0.8),
            auroc: self.auroc(|o| o.small >= 0.5, weights),
            gain_auroc: self.auroc(|o| o.big <= o.small, weights),
            normalised: apgr
                .zip(ceiling)
                .filter(|(_, ceiling)| *ceiling != 0.5)
                .map(|(apgr, ceiling)| (apgr - 0.5) / (ceiling - 0.5)),
            deferral_auc: curve.deferral_auc(),
        }
    }
}

// === impl Curve ===

impl Curve {
    /// From nothing deferred to all.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The mean cost of the small and of the big model alone.
    #[must_use]
    pub const fn budgets(&self) -> (f64, f64) {
        (self.small_cost, self.big_cost)
    }

    /// The mean quality of the small and of the big model alone.
    #[must_use]
    pub fn qualities(&self) -> (f64, f64) {
        let quality = |point: Option<&Point>| point.map_or(f64::NAN, |p| p.quality);
        (quality(self.points.first()), quality(self.points.last()))
    }

    /// Points as (x, PGR). None where the big model is no better: there is no gap to recover.
    fn recovered(&self, x: fn(&Point) -> f64) -> Option<impl Iterator<Item = (f64, f64)>> {
        let (small, big) = self.qualities();
        (big > small).then(|| {
            self.points
                .iter()
                .map(move |point| (x(point), (point.quality - small) / (big - small)))
        })
    }

    /// The area under PGR over the share deferred.
    #[must_use]
    pub fn apgr(&self) -> Option<f64> {
        mean_height(self.recovered(|p| p.share)?, 0.0, 1.0)
    }

    /// The area under PGR over budgets from the small model's cost to the big one's, as a share of them.
    #[must_use]
    pub fn cost_apgr(&self) -> Option<f64> {
        mean_height(self.recovered(|p| p.cost)?, self.small_cost, self.big_cost)
    }

    /// The least share of big calls that recovers `share` of the gap.
    #[must_use]
    pub fn cpt(&self, share: f64) -> Option<f64> {
        reach(self.recovered(|p| p.share)?, share)
    }

    /// The area under the quality over the share deferred.
    #[must_use]
    pub fn deferral_auc(&self) -> Option<f64> {
        let quality = self.points.iter().map(|p| (p.share, p.quality));
        // of no calls there is only the first point
        mean_height(quality, 0.0, 1.0).filter(|_| self.points.len() > 1)
    }
}

#[cfg(test)]
mod tests;
