//! Reading labelled rows: requests that both models have answered, and how well.
//!
//! One JSON object a line:
//! ```json
//! {"id": "gsm8k:3", "set": "routellm/gsm8k", "request": {"model": "mixtral-8x7b", "messages": []},
//!  "small": {"model": "mixtral-8x7b", "response": {}, "correct": 1.0, "cost_usd": 0.00016},
//!  "big": {"model": "gpt-4", "correct": 1.0, "cost_usd": 0.0086},
//!  "signals": {"p_true": 0.9, "verify_cost": 0.00004}}
//! ```
//! `request` and `response` are chat bodies as a gateway sees them. `set`, `response` and `signals` may be absent; other keys are ignored.
use super::measures::Outcome;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::HashSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// A request with the answers of both models judged.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// Its name, unique within the set.
    pub id: String,
    /// The set it is part of, which is measured by itself; the file's name without its ending where the row does not say.
    #[serde(default)]
    pub set: String,
    /// The chat request.
    pub request: Box<RawValue>,
    /// The small model's answer.
    pub small: Arm,
    /// The big model's answer.
    pub big: Arm,
    /// What a gateway might have found out about the small model's answer.
    #[serde(default)]
    pub signals: Signals,
}

/// One model's answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Arm {
    /// The model's name.
    pub model: String,
    /// The chat response, where it is known.
    #[serde(default)]
    pub response: Option<Box<RawValue>>,
    /// How good it is, from 0 to 1.
    pub correct: f64,
    /// What it cost, in US dollars.
    pub cost_usd: f64,
}

/// Signals that cost something to get.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
pub struct Signals {
    /// The probability of "true" when the small model is asked whether its answer is.
    #[serde(default)]
    pub p_true: Option<f64>,
    /// Which share of two more samples agrees with the answer.
    #[serde(default)]
    pub sc3: Option<f64>,
    /// The price of `p_true` or of the samples, in US dollars.
    #[serde(default)]
    pub verify_cost: Option<f64>,
}

/// What is wrong with a file, and where.
#[derive(Debug)]
pub struct Problem {
    file: PathBuf,
    // from 1; none: the whole file
    line: Option<usize>,
    what: String,
}

/// Reads files of rows, in their order.
///
/// # Errors
/// At the first file that cannot be read, and at the first line that is no row, has a quality outside 0..1 or a price that is not finite
/// and at least 0, or an id that its set already has.
pub fn read(files: &[PathBuf]) -> Result<Vec<Row>, Problem> {
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        each_line(file, |text| {
            let mut row: Row = serde_json::from_str(text).map_err(|error| error.to_string())?;
            if row.set.is_empty() {
                row.set = stem.clone().into_owned();
            }
            row.check()?;
            if !seen.insert((row.set.clone(), row.id.clone())) {
                return Err(format!("`{}` is already in the set `{}`", row.id, row.set));
            }
            rows.push(row);
            Ok(())
        })?;
    }
    Ok(rows)
}

/// Hands each line of a file that is not blank to `take`.
pub(super) fn each_line(
    file: &Path,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Problem> {
    let text = fs::read_to_string(file).map_err(|error| Problem::of_file(file, &error))?;
    for (number, line) in (1..).zip(text.lines()) {
        if !line.trim().is_empty() {
            take(line).map_err(|what| Problem {
                file: file.to_owned(),
                line: Some(number),
                what,
            })?;
        }
    }
    Ok(())
}

// === impl Row ===

impl Row {
    /// Qualities and prices. `verified`: the score that is measured used the paid signals.
    ///
    /// Without a price of their own, two more samples cost twice the small model's answer.
    #[must_use]
    pub fn outcome(&self, verified: bool) -> Outcome {
        let Self {
            small,
            big,
            signals,
            ..
        } = self;
        let samples = signals.sc3.map(|_| 2.0 * small.cost_usd);
        let verify_cost = signals.verify_cost.or(samples).filter(|_| verified);
        Outcome {
            small: small.correct,
            big: big.correct,
            small_cost: small.cost_usd,
            big_cost: big.cost_usd,
            verify_cost: verify_cost.unwrap_or(0.0),
        }
    }

    fn check(&self) -> Result<(), String> {
        for (name, arm) in [("small", &self.small), ("big", &self.big)] {
            if !(0.0..=1.0).contains(&arm.correct) {
                return Err(format!(
                    "{name}.correct is {}, not from 0 to 1",
                    arm.correct
                ));
            }
            check_price(&format!("{name}.cost_usd"), arm.cost_usd)?;
        }
        check_price(
            "signals.verify_cost",
            self.signals.verify_cost.unwrap_or(0.0),
        )
    }
}

fn check_price(name: &str, price: f64) -> Result<(), String> {
    if price.is_finite() && price >= 0.0 {
        Ok(())
    } else {
        Err(format!("{name} is {price}, which is no price"))
    }
}

// === impl Problem ===

impl Problem {
    fn of_file(file: &Path, error: &io::Error) -> Self {
        Self::new(file, error.to_string())
    }
    /// A problem of a whole file.
    pub(super) fn new(file: &Path, what: String) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            what,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"id":"a","request":{"x":1},"small":{"model":"s","correct":0.5,"cost_usd":1,"y":2},"big":{"model":"b","correct":1,"cost_usd":20},"z":3}"#;

    fn read_text(text: &str) -> Result<Vec<Row>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.jsonl");
        fs::write(&file, text).unwrap();
        let name = format!("{}:", file.display());
        read(&[file]).map_err(|p| p.to_string().replace(&name, ""))
    }

    #[test]
    fn a_row() {
        let rows = read_text(&format!("{ROW}\n\n")).unwrap();
        assert_eq!((rows[0].id.as_str(), rows[0].set.as_str()), ("a", "mine"));
        assert_eq!(rows[0].request.get(), r#"{"x":1}"#);
        assert_eq!(rows[0].signals, Signals::default());
    }

    #[test]
    fn the_price_of_signals() {
        let with = |signals: &str| {
            let text = ROW.replace(r#""z":3"#, &format!(r#""signals":{signals}"#));
            read_text(&text).unwrap().remove(0)
        };
        let samples = with(r#"{"sc3":1}"#);
        assert!((samples.outcome(true).verify_cost - 2.0).abs() < 1e-12);
        assert!(samples.outcome(false).verify_cost.abs() < 1e-12);
        let asked = with(r#"{"sc3":1,"p_true":null,"verify_cost":3}"#);
        assert!((asked.outcome(true).verify_cost - 3.0).abs() < 1e-12);
    }

    #[test]
    fn problems_name_file_and_line() {
        let second = |row: &str| read_text(&format!("{ROW}\n{row}")).unwrap_err();
        assert_eq!(second(ROW), "2: `a` is already in the set `mine`");
        assert_eq!(
            second(&ROW.replace("0.5", "1.5")),
            "2: small.correct is 1.5, not from 0 to 1"
        );
        assert_eq!(
            second(&ROW.replace("20}", "-1}")),
            "2: big.cost_usd is -1, which is no price"
        );
        assert!(second("{}").starts_with("2: missing field `id`"));
        let gone = read(&["gone.jsonl".into()]).unwrap_err().to_string();
        assert!(gone.starts_with("gone.jsonl: "), "{gone}");
    }
}
