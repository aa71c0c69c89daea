//! Quality over cost, drawn as SVG: one panel for each set.
//!
//! Cost is the share of the bill of always-big, so that panels compare; a cascade that defers everything pays more than that. Fonts are
//! left to whoever shows the picture, so none is needed here.
use super::report::{Lines, Report, SetReport};
use plotters::prelude::*;
use std::{error::Error, fmt};

const PANEL: (u32, u32) = (640, 440);
const COLUMNS: usize = 2;
/// Told apart also without colours by most eyes (Okabe and Ito, 2008).
const ROUTE: RGBColor = RGBColor(0, 114, 178);
const CASCADE: RGBColor = RGBColor(213, 94, 0);
const BOTH: RGBColor = RGBColor(0, 158, 115);
const ORACLE: RGBColor = RGBColor(204, 121, 167);
const GREY: RGBColor = RGBColor(120, 120, 120);

/// A line, or a single place, with its name.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// Its colour.
    pub colour: RGBColor,
    /// How wide it is drawn.
    pub width: u32,
    /// Cost as a share of always-big, and quality. A single one is drawn as a dot.
    pub points: Vec<(f64, f64)>,
}

/// One picture of several series.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above.
    pub title: String,
    /// What is drawn, the first lowest.
    pub series: Vec<Series>,
}

/// Why nothing was drawn.
#[derive(Debug)]
pub struct DrawError(String);

/// The picture of a report.
///
/// # Errors
/// Where the drawing fails, which takes figures that are not finite.
pub fn svg(report: &Report) -> Result<String, DrawError> {
    let panels: Vec<Panel> = report.sets.iter().map(panel).collect();
    draw(&panels)
}

/// What is drawn of a set.
#[must_use]
pub fn panel(set: &SetReport) -> Panel {
    let Lines {
        small,
        big,
        route,
        cascade,
        both,
        oracle,
    } = &set.lines;
    let share = |points: &[(f64, f64)]| points.iter().map(|(cost, q)| (cost / big.0, *q)).collect();
    let series = |name: &str, colour, width, points: &[(f64, f64)]| Series {
        name: name.to_owned(),
        colour,
        width,
        points: share(points),
    };
    let mut all = vec![
        series("oracle", ORACLE, 1, oracle),
        series("random", GREY, 1, &[*small, *big]),
        series("route", ROUTE, 2, route),
    ];
    if let Some(points) = cascade {
        all.push(series("cascade", CASCADE, 2, points));
    }
    if let Some(points) = both {
        all.push(series("route, then cascade (held out)", BOTH, 2, points));
    }
    all.push(series("always small", GREY, 1, &[*small]));
    all.push(series("always big", BLACK, 1, &[*big]));
    Panel {
        title: format!("{} (n = {})", set.name, set.rows),
        series: all,
    }
}

/// Draws panels, two in a row.
///
/// # Errors
/// Where the drawing fails, which takes figures that are not finite.
pub fn draw(panels: &[Panel]) -> Result<String, DrawError> {
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(DrawError::of)?;
        for (panel, area) in panels.iter().zip(root.split_evenly((rows, columns))) {
            draw_panel(panel, &area)?;
        }
        root.present().map_err(DrawError::of)?;
    }
    Ok(text)
}

fn draw_panel(
    panel: &Panel,
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), DrawError> {
    let points = || panel.series.iter().flat_map(|series| &series.points);
    if points().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return Err(DrawError(format!(
            "`{}` has figures that are not finite",
            panel.title
        )));
    }
    let low = points().map(|p| p.1).fold(1.0, f64::min);
    let high = points().map(|p| p.1).fold(0.0, f64::max);
    let right = points().map(|p| p.0).fold(1.0, f64::max);
    let room = ((high - low) * 0.08).max(0.01);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right * 1.02, low - room..high + room)
        .map_err(DrawError::of)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("cost, share of always big")
        .y_desc("quality")
        .x_label_formatter(&|x| format!("{:.0} %", x * 100.0))
        .y_label_formatter(&|y| format!("{y:.2}"))
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(DrawError::of)?;
    for series in &panel.series {
        let style = series.colour.stroke_width(series.width);
        let colour = series.colour;
        let drawn = match series.points.as_slice() {
            [only] => chart
                .draw_series([Circle::new(*only, 5, colour.filled())])
                .map_err(DrawError::of)?
                .label(&series.name)
                .legend(move |(x, y)| Circle::new((x + 9, y), 4, colour.filled()).into_dyn()),
            line => chart
                .draw_series(LineSeries::new(line.iter().copied(), style))
                .map_err(DrawError::of)?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style).into_dyn()),
        };
        let _ = drawn;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(DrawError::of)
}

// === impl DrawError ===

impl DrawError {
    fn of(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for DrawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the curve cannot be drawn: {}", self.0)
    }
}

impl Error for DrawError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Panel {
        let series = Series {
            name: "a & b".to_owned(),
            colour: ROUTE,
            width: 2,
            points: points.to_vec(),
        };
        Panel {
            title: "mine".to_owned(),
            series: vec![series],
        }
    }

    #[test]
    fn panels_with_titles_axes_and_names() {
        let one = line(&[(0.1, 0.5), (1.0, 0.9)]);
        let dot = line(&[(0.1, 0.5)]);
        let svg = draw(&[one.clone(), dot, one]).unwrap();
        assert!(
            svg.starts_with("<svg width=\"1280\" height=\"880\""),
            "{}",
            &svg[..80]
        );
        assert!(svg.trim_end().ends_with("</svg>"));
        for (what, times) in [
            ("mine", 3),
            ("quality", 3),
            ("cost, share of always big", 3),
            ("a &amp; b", 3),
            ("100 %", 3),
        ] {
            assert_eq!(svg.matches(what).count(), times, "{what}");
        }
    }

    #[test]
    fn nothing_to_draw() {
        assert!(draw(&[]).unwrap().contains("</svg>"));
        let error = draw(&[line(&[(f64::NAN, 1.0), (1.0, 1.0)])]).unwrap_err();
        assert!(error.to_string().contains("not finite"));
    }
}
