//! L-BFGS.

/// How many steps the curvature is remembered from.
const MEMORY: usize = 8;

/// The minimum of a smooth convex loss, by L-BFGS with backtracking (Nocedal and Wright, *Numerical Optimization*, 2006, algorithm 7.4).
///
/// `loss_at` says how large it is at a place and writes the gradient there to its second argument.
pub(super) fn minimize(
    loss_at: impl Fn(&[f64], &mut [f64]) -> f64,
    mut at: Vec<f64>,
    iterations: usize,
) -> Vec<f64> {
    let mut gradient = vec![0.0; at.len()];
    let mut loss = loss_at(&at, &mut gradient);
    let mut steps: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::with_capacity(MEMORY + 1);
    for _ in 0..iterations {
        let direction = descent(&gradient, &steps);
        let slope = dot(&direction, &gradient);
        if slope > -1e-9 * (1.0 + loss.abs()) {
            break;
        }
        let mut length = if steps.is_empty() {
            1.0 / dot(&gradient, &gradient).sqrt().max(1.0)
        } else {
            1.0
        };
        let mut next_gradient = vec![0.0; at.len()];
        let next = loop {
            let next: Vec<f64> = at
                .iter()
                .zip(&direction)
                .map(|(x, d)| x + length * d)
                .collect();
            let next_loss = loss_at(&next, &mut next_gradient);
            if next_loss <= loss + 1e-4 * length * slope {
                loss = next_loss;
                break Some(next);
            }
            length /= 2.0;
            if length < 1e-10 {
                break None;
            }
        };
        let Some(next) = next else { break };
        let step: Vec<f64> = next.iter().zip(&at).map(|(n, x)| n - x).collect();
        let turn: Vec<f64> = next_gradient
            .iter()
            .zip(&gradient)
            .map(|(n, g)| n - g)
            .collect();
        let curvature = dot(&step, &turn);
        if curvature > 0.0 {
            steps.push((step, turn, curvature));
            if steps.len() > MEMORY {
                steps.remove(0);
            }
        }
        (at, gradient) = (next, next_gradient);
    }
    at
}

/// The direction of descent: the gradient, bent by the curvature of the last steps (the two-loop recursion).
fn descent(gradient: &[f64], steps: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(steps.len());
    for (step, turn, curvature) in steps.iter().rev() {
        let share = dot(step, &direction) / curvature;
        add(&mut direction, turn, -share);
        shares.push(share);
    }
    if let Some((_, turn, curvature)) = steps.last() {
        let scale = curvature / dot(turn, turn);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, turn, curvature), share) in steps.iter().zip(shares.iter().rev()) {
        let back = dot(turn, &direction) / curvature;
        add(&mut direction, step, share - back);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], what: &[f64], times: f64) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += times * what;
    }
}
