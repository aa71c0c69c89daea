//! Figures, and the table.
use crate::{cases::Case, load::Seen, targets::Target};
use std::{fmt::Write as _, time::Duration};

/// One round of one target.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Milliseconds to the first byte of the body, the median.
    pub(crate) first_byte: f64,
    /// Microseconds of processor time for each request.
    pub(crate) processor: f64,
}

impl Figures {
    pub(crate) fn of(seen: &Seen, processor: Duration) -> Self {
        let requests = seen.latencies.len().max(1) as f64;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            per_second: requests / seen.took.as_secs_f64(),
            p50: ms(seen.quantile(0.5)),
            p90: ms(seen.quantile(0.9)),
            p99: ms(seen.quantile(0.99)),
            p999: ms(seen.quantile(0.999)),
            first_byte: ms(crate::load::quantile(&seen.first_bytes, 0.5)),
            processor: processor.as_secs_f64() * 1e6 / requests,
        }
    }
}

/// The rounds of one target in one case.
pub(crate) struct Column {
    pub(crate) target: Target,
    pub(crate) rounds: Vec<Figures>,
    /// The most memory that was resident, in bytes.
    pub(crate) memory: Option<u64>,
}

/// A finished case.
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) columns: Vec<Column>,
}

/// The smallest, the median and the largest.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        Self {
            least: at(0.0),
            median: at(0.5),
            most: at(1.0),
        }
    }
}

impl Column {
    pub(crate) fn spread(&self, of: impl Fn(&Figures) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(of))
    }
    /// Round by round against `other`, which ran right before or after: what slowed one down has slowed down both.
    pub(crate) fn ratio(&self, other: &Self, of: impl Fn(&Figures) -> f64) -> Spread {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(a, b)| of(a) / of(b).max(f64::MIN_POSITIVE)))
    }
}

impl Outcome {
    /// The case as a table of its own.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("\n### {}\n\n", self.name());
        out += "| target | requests/s | p50 ms | p90 ms | p99 ms | p99.9 ms | first byte ms | CPU us/request | CPU ratio | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        let first = &self.columns[0];
        for column in &self.columns {
            let median = |of: fn(&Figures) -> f64| column.spread(of).median;
            let cpu = column.spread(|f| f.processor);
            let ratio = column.ratio(first, |f| f.processor);
            let memory = column
                .memory
                .map(|bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)));
            let _ = writeln!(
                out,
                "| {} | {:.0} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.1} ({:.1} to {:.1}) | {:.2} ({:.2} to {:.2}) | {} |",
                column.target.name(),
                median(|f| f.per_second),
                median(|f| f.p50),
                median(|f| f.p90),
                median(|f| f.p99),
                median(|f| f.p999),
                median(|f| f.first_byte),
                cpu.median,
                cpu.least,
                cpu.most,
                ratio.median,
                ratio.least,
                ratio.most,
                memory.unwrap_or_else(|| "-".into()),
            );
        }
        out
    }

    pub(crate) fn name(&self) -> String {
        let how = match self.case.rate {
            Some(rate) => format!("{rate} requests/s"),
            None => format!("{} at a time", self.case.connections),
        };
        format!("{}, {}, {how}", self.case.title, self.case.workload.name())
    }

    pub(crate) fn column(&self, target: Target) -> Option<&Column> {
        self.columns.iter().find(|c| c.target == target)
    }

    /// Every round as a line of tab-separated values.
    pub(crate) fn lines(&self) -> String {
        let mut out = String::new();
        for column in &self.columns {
            for (round, f) in column.rounds.iter().enumerate() {
                let _ = writeln!(
                    out,
                    "{}\t{}\t{round}\t{:.1}\t{:.4}\t{:.4}\t{:.4}\t{:.4}\t{:.4}\t{:.2}",
                    self.name(),
                    column.target.name(),
                    f.per_second,
                    f.p50,
                    f.p90,
                    f.p99,
                    f.p999,
                    f.first_byte,
                    f.processor
                );
            }
        }
        out
    }
}

pub(crate) const COLUMNS: &str =
    "case\ttarget\tround\trequests/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tfirst byte ms\tCPU us\n";
