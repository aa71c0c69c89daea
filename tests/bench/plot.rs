//! The tables as pictures: bars, drawn by hand, for there is nothing to them.
use crate::{
    report::{Figures, Outcome, Spread},
    targets::Target,
};
use std::{fmt::Write as _, fs, path::Path};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const BAR: f64 = 18.0;

/// One bar: its name, and how long it is.
struct Bar {
    name: String,
    value: Spread,
    ours: bool,
}

/// Draws a picture of each kind that there are figures for.
pub(crate) fn all(folder: &Path, outcomes: &[Outcome]) {
    let bars = |title: &str, rate: bool, of: fn(&Figures) -> f64| {
        let mut groups: Vec<(String, Vec<Bar>)> = Vec::new();
        for outcome in outcomes {
            let fits = outcome.case.title == title
                && outcome.case.rate.is_some() == rate
                && (rate || outcome.case.connections == 16);
            if fits {
                let shown = outcome
                    .columns
                    .iter()
                    .filter(|c| rate || c.target != Target::Direct);
                let bar = |column: &crate::report::Column| Bar {
                    name: column.target.name().to_owned(),
                    value: column.spread(of),
                    ours: matches!(column.target, Target::Tierway(_)),
                };
                groups.push((outcome.name(), shown.map(bar).collect()));
            }
        }
        groups
    };
    let processor = |f: &Figures| f.processor;
    let cpu = "Microseconds of processor time for each request";
    for (file, title, heading, logarithmic, groups) in [
        (
            "bench-same-dialect.svg",
            "same dialect",
            cpu,
            false,
            bars("same dialect", false, processor),
        ),
        (
            "bench-translated.svg",
            "translated",
            cpu,
            false,
            bars("translated", false, processor),
        ),
        (
            "bench-cache.svg",
            "from the cache",
            cpu,
            false,
            bars("from the cache", false, processor),
        ),
        (
            "bench-settings.svg",
            "settings",
            cpu,
            false,
            bars("settings", false, processor),
        ),
        (
            "bench-peers.svg",
            "peers",
            "Microseconds of processor time for each request (logarithmic)",
            true,
            bars("peers", false, processor),
        ),
        (
            "bench-open-loop.svg",
            "open loop",
            "Milliseconds to the answer, 99th percentile",
            false,
            bars("open loop", true, |f| f.p99),
        ),
    ] {
        if !groups.is_empty() {
            fs::write(
                folder.join(file),
                draw(title, heading, logarithmic, &groups),
            )
            .unwrap();
        }
    }
}

fn draw(title: &str, heading: &str, logarithmic: bool, groups: &[(String, Vec<Bar>)]) -> String {
    let all = || groups.iter().flat_map(|(_, bars)| bars);
    let most = all()
        .map(|b| b.value.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let room = WIDTH - LEFT - 110.0;
    let length = |value: f64| match logarithmic {
        true => (value.max(1.0).ln() / most.max(2.0).ln() * room).max(1.0),
        false => (value / most * room).max(1.0),
    };
    let rows: usize = groups.iter().map(|(_, bars)| bars.len() + 2).sum();
    let height = 56.0 + rows as f64 * (BAR + 4.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"{title}: {heading}\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n<text x=\"12\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n<text x=\"12\" y=\"42\" fill=\"#555\">{heading}; whiskers from the smallest round to the largest</text>\n"
    );
    let mut y = 56.0;
    for (name, bars) in groups {
        let _ = writeln!(
            out,
            "<text x=\"12\" y=\"{}\" font-weight=\"bold\">{name}</text>",
            y + 16.0
        );
        y += BAR + 4.0;
        for Bar { name, value, ours } in bars {
            let fill = if *ours { "#2563eb" } else { "#94a3b8" };
            let (middle, end) = (y + BAR / 2.0, LEFT + length(value.median));
            let (from, to) = (LEFT + length(value.least), LEFT + length(value.most));
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{fill}\"/><path d=\"M{from:.1} {middle}H{to:.1}\" stroke=\"#0f172a\"/><text x=\"{:.1}\" y=\"{}\">{:.*}</text>",
                LEFT - 8.0,
                y + 13.0,
                end - LEFT,
                to.max(end) + 6.0,
                y + 13.0,
                if value.median < 10.0 { 2 } else { 0 },
                value.median
            );
            y += BAR + 4.0;
        }
        y += BAR + 4.0;
    }
    out + "</svg>\n"
}
