//! Curves as chains of straight pieces: their area and where they first reach a height.

/// The integral of the height over the part of the chain whose x lies between `low` and `high`, divided by `high - low`.
///
/// Pieces that run backwards count negatively, so that a detour changes nothing. Where the chain begins right of `low` the height counts
/// as 0 up to there. None where there is no room between the two.
#[must_use]
pub fn mean_height(
    chain: impl IntoIterator<Item = (f64, f64)>,
    low: f64,
    high: f64,
) -> Option<f64> {
    if high <= low {
        return None;
    }
    let mut area = 0.0;
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in chain {
        if let Some((x0, y0)) = last.filter(|(x0, _)| *x0 != x) {
            let height = |at: f64| y0 + (y - y0) * (at - x0) / (x - x0);
            let (from, to) = (x0.clamp(low, high), x.clamp(low, high));
            area += (to - from) * (height(from) + height(to)) / 2.0;
        }
        last = Some((x, y));
    }
    Some(area / (high - low))
}

/// How far a sum of doubles may be from the height that it has on paper.
const ROUNDING: f64 = 1e-9;

/// The x at which the chain first has at least this height, up to rounding.
#[must_use]
pub fn reach(chain: impl IntoIterator<Item = (f64, f64)>, height: f64) -> Option<f64> {
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in chain {
        if y >= height - ROUNDING {
            return Some(match last {
                Some((x0, y0)) => x0 + (x - x0) * ((height - y0) / (y - y0)).min(1.0),
                None => x,
            });
        }
        last = Some((x, y));
    }
    None
}

/// The height at `x`, for a chain that runs from left to right; at its ends outside of it.
#[must_use]
pub fn height_at(chain: &[(f64, f64)], x: f64) -> f64 {
    let right = chain.partition_point(|(other, _)| *other < x);
    match (
        right.checked_sub(1).map(|left| chain[left]),
        chain.get(right),
    ) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some((_, y)), None) => y,
        (None, Some((_, y))) => *y,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENT: [(f64, f64); 3] = [(0.0, 0.0), (1.0, 2.0), (3.0, 0.0)];

    #[test]
    fn heights() {
        assert_eq!(mean_height(TENT, 0.0, 3.0), Some(1.0));
        assert_eq!(mean_height(TENT, 1.0, 2.0), Some(1.5));
        assert_eq!(mean_height(TENT, -3.0, 3.0), Some(0.5));
        assert_eq!(mean_height(TENT, 1.0, 1.0), None);
        let detour = [(0.0, 0.0), (2.0, 4.0), (1.0, 2.0), (2.0, 4.0)];
        assert_eq!(mean_height(detour, 0.0, 2.0), Some(2.0));
        assert_eq!(reach(TENT, 1.0), Some(0.5));
        assert_eq!(reach(TENT, 0.0), Some(0.0));
        assert_eq!(reach(TENT, 2.1), None);
        assert_eq!(reach([(0.0, 0.0), (1.0, 0.7 + 0.1)], 0.8), Some(1.0));
        assert_eq!(
            [-1.0, 0.5, 1.0, 2.0, 9.0].map(|x| height_at(&TENT, x)),
            [0.0, 1.0, 2.0, 1.0, 0.0]
        );
    }
}
