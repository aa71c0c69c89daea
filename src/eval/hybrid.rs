//! Route, then cascade: two thresholds, fitted on one half of the calls and measured on the other.
//!
//! A call whose route score is below `t_r` goes to the big model at once and pays `c_b`. The others get a draft, which is judged and kept
//! from `t_c` up; they pay `c_s + v`, and `c_b` on top where the draft is not kept. Where `t_c` keeps everything nothing needs to be
//! judged and `v` is not paid.
//!
//! Of the grid of both thresholds, quantiles of the scores of the fitting half, the best policy for each budget is a corner of the upper
//! concave hull of (cost, quality); between two corners the two policies are mixed at random. The corners are then *measured on the other
//! half*, so that the many policies tried are not paid for with optimism. Each half is fitted once and measured once; figures are means.
use super::{
    measures::{Outcome, Way},
    polyline::{height_at, mean_height, reach},
};
use tierway_layers::cascade::quantile_grid;

/// The most thresholds of each kind, and how many calls of the fitting half there are for one.
const GRID: usize = 24;
const CALLS_PER_THRESHOLD: usize = 20;

/// A call's two scores; the second is that of the draft.
pub type Scores = (f64, f64);

/// What the budget of a frontier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The share of calls that the big model answers.
    Share,
    /// The mean cost.
    Cost,
}

/// Which of the two thresholds may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Only the route.
    Route,
    /// Only the cascade.
    Cascade,
    /// Both.
    Both,
}

/// Two thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// From this route score up a call gets a draft.
    pub draft: f64,
    /// From this draft score up it is kept.
    pub keep: f64,
}

/// What a policy costs and gives, as means over calls.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spot {
    budget: f64,
    quality: f64,
}

/// Policies from always-small to always-big, each the best for its budget where it was fitted.
#[derive(Clone, Debug)]
pub struct Frontier {
    policies: Vec<Policy>,
}

impl Policy {
    const SMALL: Self = Self {
        draft: f64::NEG_INFINITY,
        keep: f64::NEG_INFINITY,
    };
    const BIG: Self = Self {
        draft: f64::INFINITY,
        keep: f64::INFINITY,
    };

    /// The quality and the budget used for one call.
    fn act(self, scores: Scores, outcome: &Outcome, axis: Axis) -> Spot {
        let draft = scores.0 >= self.draft;
        let keep = draft && (scores.1 >= self.keep || self.keep == f64::NEG_INFINITY);
        let way = match (draft, self.keep == f64::NEG_INFINITY) {
            (true, false) => Way::Cascade,
            (true, true) | (false, _) => Way::Route,
        };
        Spot {
            budget: match axis {
                Axis::Share => f64::from(u8::from(!keep)),
                Axis::Cost => outcome.cost(way, keep),
            },
            quality: if keep { outcome.small } else { outcome.big },
        }
    }
}

impl Frontier {
    /// Fits the policies.
    #[must_use]
    pub fn fit(scores: &[Scores], outcomes: &[Outcome], axis: Axis, means: Means) -> Self {
        let steps = (scores.len() / CALLS_PER_THRESHOLD).clamp(2, GRID);
        let grid = |used: bool, score: fn(&Scores) -> f64| {
            let mut grid = vec![f64::NEG_INFINITY];
            if used {
                let scores: Vec<f64> = scores.iter().map(score).collect();
                grid.extend(quantile_grid(&scores, steps));
            }
            grid
        };
        let drafts = grid(means != Means::Cascade, |s| s.0);
        let keeps = grid(means != Means::Route, |s| s.1);
        let mut tried: Vec<(Spot, Policy)> = drafts
            .iter()
            .flat_map(|draft| {
                keeps.iter().map(|keep| Policy {
                    draft: *draft,
                    keep: *keep,
                })
            })
            .map(|policy| (spot(policy, scores, outcomes, axis), policy))
            .collect();
        let small = spot(Policy::SMALL, scores, outcomes, axis);
        let big = spot(Policy::BIG, scores, outcomes, axis);
        tried.retain(|(spot, _)| spot.budget > small.budget && spot.budget < big.budget);
        tried.push((small, Policy::SMALL));
        tried.push((big, Policy::BIG));
        tried.sort_by(|(a, _), (b, _)| {
            a.budget
                .total_cmp(&b.budget)
                .then(a.quality.total_cmp(&b.quality))
        });
        let mut hull: Vec<(Spot, Policy)> = Vec::new();
        for (next, policy) in tried {
            // a corner that lies on or below the line from the one before it to the next is none
            while let [.., (a, _), (b, _)] = hull.as_slice() {
                let below = (b.quality - a.quality) * (next.budget - a.budget)
                    <= (next.quality - a.quality) * (b.budget - a.budget);
                if !below {
                    break;
                }
                hull.pop();
            }
            hull.push((next, policy));
        }
        Self {
            policies: hull.into_iter().map(|(_, policy)| policy).collect(),
        }
    }

    /// The policies, from always-small to always-big.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }
}

fn spot(policy: Policy, scores: &[Scores], outcomes: &[Outcome], axis: Axis) -> Spot {
    let n = outcomes.len() as f64;
    let (mut budget, mut quality) = (0.0, 0.0);
    for (scores, outcome) in scores.iter().zip(outcomes) {
        let done = policy.act(*scores, outcome, axis);
        budget += done.budget;
        quality += done.quality;
    }
    Spot {
        budget: budget / n,
        quality: quality / n,
    }
}

/// Policies that were fitted on one half, and what they do to each call of the other.
#[derive(Clone, Debug)]
struct Half {
    rows: Vec<usize>,
    // for each policy, from always-small to always-big
    done: Vec<Vec<Spot>>,
}

/// Both halves: each fitted, and measured on the other.
#[derive(Clone, Debug)]
pub struct Halves([Half; 2]);

/// (budget, PGR) of the corners on each half, the budget as a share of the way from always-small to always-big.
#[derive(Clone, Debug)]
pub struct Chains([Vec<(f64, f64)>; 2]);

// === impl Halves ===

impl Halves {
    /// Fits on each half; `half` says for each call whether it is in the first or the second one (0 or 1).
    #[must_use]
    pub fn fit(
        scores: &[Scores],
        outcomes: &[Outcome],
        half: &[usize],
        axis: Axis,
        means: Means,
    ) -> Self {
        let pick = |h: usize| {
            let rows: Vec<usize> = (0..half.len()).filter(|i| half[*i] == h).collect();
            let scores: Vec<Scores> = rows.iter().map(|i| scores[*i]).collect();
            let outcomes: Vec<Outcome> = rows.iter().map(|i| outcomes[*i]).collect();
            (rows, scores, outcomes)
        };
        Self([(0, 1), (1, 0)].map(|(here, other)| {
            let (_, fit_scores, fit_outcomes) = pick(other);
            let frontier = Frontier::fit(&fit_scores, &fit_outcomes, axis, means);
            let (rows, scores, outcomes) = pick(here);
            let acts = |policy: &Policy| {
                let calls = scores.iter().zip(&outcomes);
                calls.map(|(s, o)| policy.act(*s, o, axis)).collect()
            };
            Half {
                rows,
                done: frontier.policies.iter().map(acts).collect(),
            }
        }))
    }

    /// What the policies do, each call counted as often as its weight says. None where on one of the halves the big model is no better or
    /// no dearer.
    #[must_use]
    pub fn measure(&self, weights: &[f64]) -> Option<Chains> {
        let [first, second] = &self.0;
        Some(Chains([first.chain(weights)?, second.chain(weights)?]))
    }
}

impl Half {
    fn chain(&self, weights: &[f64]) -> Option<Vec<(f64, f64)>> {
        let sum = |done: &Vec<Spot>| {
            let mut sum = (0.0, 0.0);
            for (spot, row) in done.iter().zip(&self.rows) {
                sum.0 += weights[*row] * spot.budget;
                sum.1 += weights[*row] * spot.quality;
            }
            sum
        };
        let sums: Vec<(f64, f64)> = self.done.iter().map(sum).collect();
        let (small, big) = (*sums.first()?, *sums.last()?);
        let (dearer, better) = (big.0 - small.0, big.1 - small.1);
        let place = |sum: &(f64, f64)| ((sum.0 - small.0) / dearer, (sum.1 - small.1) / better);
        (dearer > 0.0 && better > 0.0).then(|| sums.iter().map(place).collect())
    }
}

// === impl Chains ===

impl Chains {
    /// The area under PGR over the budget, the mean of both halves: APGR by share, cost-APGR by cost.
    #[must_use]
    pub fn area(&self) -> Option<f64> {
        self.both(|chain| mean_height(chain.iter().copied(), 0.0, 1.0))
    }

    /// The least budget that recovers this share of the gap, the mean of both halves.
    #[must_use]
    pub fn reach(&self, share: f64) -> Option<f64> {
        self.both(|chain| reach(chain.iter().copied(), share))
    }

    /// PGR at budgets in `steps` steps from 0 to 1, the mean of both halves.
    #[must_use]
    pub fn curve(&self, steps: usize) -> Vec<(f64, f64)> {
        let mut chains = self.0.clone();
        // measured elsewhere, a dearer policy may turn out the cheaper one
        for chain in &mut chains {
            chain.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let at = |i: usize| {
            let budget = i as f64 / steps.max(1) as f64;
            let [first, second] = chains.each_ref().map(|chain| height_at(chain, budget));
            (budget, f64::midpoint(first, second))
        };
        (0..=steps).map(at).collect()
    }

    fn both(&self, of: impl Fn(&[(f64, f64)]) -> Option<f64>) -> Option<f64> {
        Some(f64::midpoint(of(&self.0[0])?, of(&self.0[1])?))
    }
}

#[cfg(test)]
mod tests;
