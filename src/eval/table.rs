//! A report as text.
use super::{
    bootstrap::Figure,
    certificate::CertificateReport,
    report::{Line, Report, SetReport},
};
use std::fmt;

const HEAD: [&str; 9] = [
    "set",
    "way",
    "APGR",
    "95 %",
    "cost-APGR",
    "CPT50",
    "CPT80",
    "AUROC",
    "N",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEAD.map(str::to_owned)];
        for set in &self.sets {
            for (way, line) in ways(set) {
                let name = if way == "route" {
                    set.name.as_str()
                } else {
                    ""
                };
                lines.push(cells(name, way, line));
            }
        }
        if self.sets.len() > 1 {
            for way in ["route", "cascade", "both"] {
                let of_way = |set| ways(set).into_iter().find(|(w, _)| *w == way);
                let found: Vec<&Line> = self.sets.iter().filter_map(of_way).map(|w| w.1).collect();
                if !found.is_empty() {
                    lines.push(cells(
                        &format!("mean of {}", found.len()),
                        way,
                        &mean(&found),
                    ));
                }
            }
        }
        for set in &self.sets {
            writeln!(
                f,
                "{}: {} rows, {} questions; small {:.3}, big {:.3}, {:.1} times dearer; APGR at best {} (knows the small answer), {} (knows both)",
                set.name,
                set.rows,
                set.questions,
                set.small,
                set.big,
                set.ratio,
                number(set.perfect_apgr),
                number(set.oracle_apgr),
            )?;
            if let Some(h) = set.held_out {
                writeln!(
                    f,
                    "  cost-APGR fitted on one half, measured on the other: route {}, cascade {}, both {}",
                    number(h.route),
                    number(h.cascade),
                    number(h.both),
                )?;
            }
            if let Some(certificate) = &set.certificate {
                promised(f, certificate)?;
            }
        }
        writeln!(f)?;
        let widths: [usize; 9] = std::array::from_fn(|column| {
            let width = |line: &[String; 9]| line[column].chars().count();
            lines.iter().map(width).max().unwrap_or(0)
        });
        for line in &lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                // names to the left, numbers to the right
                if column < 2 {
                    text.push_str(&format!("{cell:<width$}  "));
                } else {
                    text.push_str(&format!("{cell:>width$}  "));
                }
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn promised(f: &mut fmt::Formatter<'_>, c: &CertificateReport) -> fmt::Result {
    write!(
        f,
        "  harm at most {} with confidence {:.0} %: ",
        c.alpha,
        100.0 * (1.0 - c.delta)
    )?;
    match (c.threshold, c.held_out) {
        (Some(threshold), Some(elsewhere)) => write!(
            f,
            "keep from {threshold:.4} up (bound {}, {} labels, keeps {}, saves {}); on the other half harm {:.3}, rescue {:.3}, keeps {:.2}, saves {:.2}",
            number(c.bound),
            c.labels,
            short(c.kept),
            short(c.saving),
            elsewhere.harm,
            elsewhere.rescue,
            elsewhere.kept,
            elsewhere.saving,
        )?,
        _ => match c.missing {
            Some(missing) => write!(
                f,
                "not to be had of {} labels, at least {missing} more are needed",
                c.labels
            )?,
            None => write!(f, "not to be had, no threshold keeps anything")?,
        },
    }
    let t = c.trials;
    writeln!(
        f,
        "; broken in {:.1} % of {} trials with {} labels (certified {:.0} %, harm {:.3}, keeps {:.2}, saves {:.2}); any score defers at least {:.2}",
        100.0 * t.violated,
        t.trials,
        t.labels,
        100.0 * t.certified,
        t.harm,
        t.kept,
        t.saving,
        c.least_deferred,
    )
}

fn ways(set: &SetReport) -> Vec<(&'static str, &Line)> {
    let cascade = set.cascade.as_ref().map(|line| ("cascade", line));
    let both = set.both.as_ref().map(|line| ("both", line));
    [Some(("route", &set.route)), cascade, both]
        .into_iter()
        .flatten()
        .collect()
}

fn cells(name: &str, way: &str, line: &Line) -> [String; 9] {
    let interval = match (line.apgr.low, line.apgr.high) {
        (Some(low), Some(high)) => format!("{low:.3} .. {high:.3}"),
        _ => String::new(),
    };
    [
        name.to_owned(),
        way.to_owned(),
        number(line.apgr.value),
        interval,
        number(line.cost_apgr.value),
        number(line.cpt50.value),
        number(line.cpt80.value),
        number(line.auroc.value),
        short(line.normalised.value),
    ]
}

/// The mean of each figure over the sets where it is defined; means of intervals would be none.
fn mean(lines: &[&Line]) -> Line {
    let of = |figure: fn(&Line) -> Figure| {
        let values: Vec<f64> = lines.iter().filter_map(|line| figure(line).value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Figure {
            value: (!values.is_empty()).then_some(mean),
            ..Figure::default()
        }
    };
    Line::new([
        of(|l| l.apgr),
        of(|l| l.cost_apgr),
        of(|l| l.cpt50),
        of(|l| l.cpt80),
        of(|l| l.auroc),
        of(|l| l.gain_auroc),
        of(|l| l.normalised),
        of(|l| l.deferral_auc),
    ])
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn short(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}
