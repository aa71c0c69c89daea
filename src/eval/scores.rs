//! Scores that were made elsewhere: the output of `tierway score`, or of any other program.
//!
//! One JSON object a line, `{"id": "gsm8k:3", "complexity": 0.3, "confidence": 0.8}`; other keys are ignored. `complexity` is how likely
//! the request needs the big model; `confidence`, absent or null without an answer, how likely the small model's answer will do. Where the
//! same id is in several sets, a `set` beside it tells them apart.
use super::{
    Scorer,
    rows::{Problem, Row, each_line},
};
use serde::Deserialize;
use std::{collections::HashMap, path::PathBuf};

/// A scorer that looks its scores up.
#[derive(Clone, Debug, Default)]
pub struct GivenScores {
    // by id, then by set, which may be empty
    scores: HashMap<String, HashMap<String, Given>>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    complexity: f64,
    confidence: Option<f64>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    set: String,
    complexity: f64,
    #[serde(default)]
    confidence: Option<f64>,
}

impl GivenScores {
    /// Reads files of scores.
    ///
    /// # Errors
    /// At the first file that cannot be read, and at the first line that is no score or is of a row that already has one.
    pub fn read(files: &[PathBuf]) -> Result<Self, Problem> {
        let mut given = Self::default();
        for file in files {
            each_line(file, |text| {
                let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
                let scores = Given {
                    complexity: line.complexity,
                    confidence: line.confidence,
                };
                let of_id = given.scores.entry(line.id.clone()).or_default();
                match of_id.insert(line.set, scores) {
                    Some(_) => Err(format!("`{}` already has a score", line.id)),
                    None => Ok(()),
                }
            })?;
        }
        Ok(given)
    }

    /// The first of these rows that has no score.
    #[must_use]
    pub fn missing<'a>(&self, rows: &'a [Row]) -> Option<&'a Row> {
        rows.iter().find(|row| self.of(row).is_none())
    }

    fn of(&self, row: &Row) -> Option<Given> {
        let of_id = self.scores.get(&row.id)?;
        of_id.get(&row.set).or_else(|| of_id.get("")).copied()
    }
}

impl Scorer for GivenScores {
    fn fit(&mut self, _: &[&Row]) {}

    fn route(&self, row: &Row) -> f64 {
        self.of(row)
            .map_or(f64::NAN, |given| 1.0 - given.complexity)
    }

    fn cascade(&self, row: &Row) -> Option<f64> {
        self.of(row)?.confidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, set: &str) -> Row {
        serde_json::from_value(serde_json::json!({
            "id": id, "set": set, "request": {},
            "small": {"model": "s", "correct": 1, "cost_usd": 1}, "big": {"model": "b", "correct": 1, "cost_usd": 2},
        }))
        .unwrap()
    }

    fn read(text: &str) -> Result<GivenScores, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scores.jsonl");
        std::fs::write(&file, text).unwrap();
        GivenScores::read(&[file]).map_err(|problem| problem.to_string())
    }

    #[test]
    fn by_id_and_set() {
        let given = read(concat!(
            "{\"id\":\"a\",\"tier\":\"simple\",\"complexity\":0.25,\"confidence\":null,\"reasons\":[]}\n",
            "{\"id\":\"b\",\"set\":\"x\",\"complexity\":0.5,\"confidence\":0.75}\n",
            "{\"id\":\"b\",\"set\":\"y\",\"complexity\":1}\n",
        ))
        .unwrap();
        let rows = [row("a", "x"), row("b", "x"), row("b", "y")];
        assert_eq!(rows.each_ref().map(|r| given.route(r)), [0.75, 0.5, 0.0]);
        assert_eq!(
            rows.each_ref().map(|r| given.cascade(r)),
            [None, Some(0.75), None]
        );
        assert!(given.missing(&rows).is_none());
        assert_eq!(given.missing(&[row("b", "z")]).unwrap().set, "z");
    }

    #[test]
    fn problems() {
        let twice = "{\"id\":\"a\",\"complexity\":0}\n{\"id\":\"a\",\"complexity\":1}";
        assert!(
            read(twice)
                .unwrap_err()
                .ends_with(":2: `a` already has a score")
        );
        assert!(
            read("{\"id\":\"a\"}")
                .unwrap_err()
                .contains(":1: missing field `complexity`")
        );
    }
}
