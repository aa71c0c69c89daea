//! What a gateway has spent and saved so far, read from its metrics.
use std::fmt;

/// Sums over all series, money in USD. The difference of two is what came in between.
///
/// ```
/// use tierway::wrap::Bill;
/// let metrics = "# TYPE tierway_requests_total counter\n\
///     tierway_requests_total{outcome=\"ok\"} 2\n\
///     tierway_cost_usd_total{role=\"only\"} 0.01\ntierway_cost_usd_total{role=\"small\"} 0.002\n\
///     tierway_baseline_usd_total 0.06\n";
/// let bill = Bill::read(metrics);
/// assert_eq!(bill.to_string(), "2 calls, $0.0120 spent, $0.0480 saved (80 %)");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bill {
    /// Calls, refused and cancelled ones included.
    pub calls: f64,
    /// What was spent.
    pub cost: f64,
    /// What the same answers would have cost without the gateway.
    pub baseline: f64,
    /// Tokens whose price nobody knows.
    pub unpriced: f64,
}

impl Bill {
    /// Reads the Prometheus text `metrics`.
    #[must_use]
    pub fn read(metrics: &str) -> Self {
        let mut bill = Self::default();
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = series.split_once('{').map_or(series, |(name, _)| name);
            let sum = match name {
                "tierway_requests_total" => &mut bill.calls,
                "tierway_cost_usd_total" => &mut bill.cost,
                "tierway_baseline_usd_total" => &mut bill.baseline,
                "tierway_unpriced_tokens_total" => &mut bill.unpriced,
                _ => continue,
            };
            *sum += value.parse::<f64>().unwrap_or(0.0);
        }
        bill
    }

    /// What came after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            cost: self.cost - before.cost,
            baseline: self.baseline - before.baseline,
            unpriced: self.unpriced - before.unpriced,
        }
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.calls == 1.0 { "" } else { "s" };
        let saved = self.baseline - self.cost;
        write!(f, "{} call{plural}, ${:.4} spent", self.calls, self.cost)?;
        // What was dearer than asked for is said too: the sum is the whole truth.
        if saved >= 0.0 {
            write!(f, ", ${saved:.4} saved")?;
        } else {
            write!(f, ", ${:.4} more than asked for", -saved)?;
        }
        if self.baseline > 0.0 && saved > 0.0 {
            write!(f, " ({:.0} %)", 100.0 * saved / self.baseline)?;
        }
        if self.unpriced > 0.0 {
            write!(f, "; {} tokens of unknown price", self.unpriced)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_what_came_in_between() {
        let bill = |calls, cost, baseline, unpriced| Bill {
            calls,
            cost,
            baseline,
            unpriced,
        };
        let between = bill(3.0, 0.5, 0.75, 7.0).since(bill(2.0, 0.25, 0.25, 0.0));
        assert_eq!(between, bill(1.0, 0.25, 0.5, 7.0));
        assert_eq!(
            between.to_string(),
            "1 call, $0.2500 spent, $0.2500 saved (50 %); 7 tokens of unknown price"
        );
    }

    #[test]
    fn a_loss_is_called_one() {
        let bill = Bill {
            calls: 1.0,
            cost: 0.2,
            baseline: 0.1,
            unpriced: 0.0,
        };
        assert_eq!(
            bill.to_string(),
            "1 call, $0.2000 spent, $0.1000 more than asked for"
        );
    }

    #[test]
    fn what_is_no_number_is_no_money() {
        assert_eq!(
            Bill::read("tierway_cost_usd_total x\n\nnonsense"),
            Bill::default()
        );
    }
}
