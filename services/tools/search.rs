use super::Tool;
use std::collections::HashMap;

/// Finds tools by words: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, eq. 3.15) over names, descriptions
/// and the names of arguments, with words cut down to their stems.
///
/// ```
/// use tierway_services::tools::{Index, Tool};
/// let tools = [
///     Tool::new("fs", "read_file", "Read a file from disk.", r#"{"properties":{"path":{}}}"#),
///     Tool::new("time", "convert_time", "Convert a time between timezones.", "{}"),
/// ];
/// assert_eq!(Index::new(&tools).find("what is in the file", 1), [0]);
/// ```
#[derive(Clone, Debug)]
pub struct Index {
    /// For each word: in which tools, and how often.
    postings: HashMap<String, Vec<(usize, f64)>>,
    lengths: Vec<f64>,
    average: f64,
}

/// How soon a word that is repeated counts no more.
const K1: f64 = 1.2;
/// How much long descriptions are held against their tools.
const B: f64 = 0.75;
/// A tool's name says more than its description: how often each of its words counts.
const NAME: f64 = 2.0;
/// Names of arguments say less.
const ARGUMENT: f64 = 0.2;
/// Words that say nothing about which tool is meant.
const STOP: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "by", "can", "did", "do", "does",
    "for", "from", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me",
    "my", "now", "of", "on", "or", "our", "please", "right", "so", "some", "that", "the", "their",
    "them", "there", "these", "this", "to", "tool", "use", "used", "want", "was", "we", "were",
    "what", "when", "where", "which", "who", "will", "with", "you", "your",
];
/// Words that people say, and those that the makers of tools write instead.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("bug", &["issue"]),
    ("ci", &["status", "check"]),
    ("compare", &["diff"]),
    ("download", &["fetch", "url"]),
    ("drive", &["directions"]),
    ("folder", &["directory"]),
    ("folders", &["directory"]),
    ("go", &["navigate"]),
    ("height", &["elevation"]),
    ("high", &["elevation"]),
    ("history", &["log", "commits"]),
    ("link", &["url"]),
    ("links", &["url"]),
    ("mail", &["email", "message"]),
    ("open", &["read"]),
    ("photo", &["image"]),
    ("picture", &["image", "media"]),
    ("pr", &["pull", "request"]),
    ("press", &["click"]),
    ("remember", &["memory", "create"]),
    ("rename", &["move"]),
    ("repo", &["repository"]),
    ("report", &["research"]),
    ("save", &["write"]),
    ("show", &["get", "read"]),
    ("undo", &["reset", "revert"]),
    ("website", &["url", "page"]),
];
/// How much such a word counts.
const SYNONYM: f64 = 0.6;

impl Index {
    /// An index of these tools.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 tools")]
    pub fn new(tools: &[Tool]) -> Self {
        let mut postings: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(tools.len());
        for (nth, tool) in tools.iter().enumerate() {
            let mut counted: HashMap<String, f64> = HashMap::new();
            let mut count = |text: &str, weight: f64| {
                for word in words(text) {
                    *counted.entry(word).or_default() += weight;
                }
            };
            count(&tool.name, NAME);
            count(&tool.server, 1.0);
            count(&tool.description, 1.0);
            for argument in arguments(&tool.schema) {
                count(&argument, ARGUMENT);
            }
            lengths.push(counted.values().sum());
            for (word, often) in counted {
                postings.entry(word).or_default().push((nth, often));
            }
        }
        let average = lengths.iter().sum::<f64>() / (tools.len().max(1) as f64);
        Self {
            postings,
            lengths,
            average: average.max(1.0),
        }
    }

    /// The places of the tools that fit `query`, the best first, at most `most`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 tools")]
    pub fn find(&self, query: &str, most: usize) -> Vec<usize> {
        let mut scores = vec![0.0_f64; self.lengths.len()];
        let all = self.lengths.len() as f64;
        for (word, weight) in asked(query) {
            let Some(found) = self.postings.get(&word) else {
                continue;
            };
            let with = found.len() as f64;
            let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for (nth, often) in found {
                let (Some(score), Some(length)) = (scores.get_mut(*nth), self.lengths.get(*nth))
                else {
                    continue;
                };
                let norm = K1 * (1.0 - B + B * length / self.average);
                *score += weight * rarity * often * (K1 + 1.0) / (often + norm);
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().enumerate().collect();
        ranked.retain(|(_, score)| *score > 0.0);
        // Stable, so that the same question has the same answer.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(most);
        ranked.into_iter().map(|(nth, _)| nth).collect()
    }
}

/// The words of a question, and those that their makers may have written instead, each once.
fn asked(query: &str) -> Vec<(String, f64)> {
    let mut asked: Vec<(String, f64)> = words(query).map(|word| (word, 1.0)).collect();
    for said in query.split(|c: char| !c.is_alphanumeric()) {
        let said = said.to_lowercase();
        if let Some((_, others)) = SYNONYMS.iter().find(|(word, _)| *word == said) {
            asked.extend(others.iter().map(|word| (stem(word), SYNONYM)));
        }
    }
    // Stable, so that a word that was said comes before the same as another's synonym.
    asked.sort_by(|a, b| a.0.cmp(&b.0));
    asked.dedup_by(|later, first| later.0 == first.0);
    asked
}

/// The names of the arguments that a schema has.
fn arguments(schema: &str) -> Vec<String> {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    let properties = schema.get("properties").and_then(|p| p.as_object());
    properties.map_or_else(Vec::new, |p| p.keys().cloned().collect())
}

/// The stems of a text's words. `readFile` and `read_file` are two words each.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        let mut word = String::new();
        let mut lower = false;
        for c in run.chars() {
            if c.is_uppercase() && lower {
                words.push(std::mem::take(&mut word));
            }
            lower = c.is_lowercase() || c.is_ascii_digit();
            word.extend(c.to_lowercase());
        }
        words.push(word);
    }
    words
        .into_iter()
        .filter(|word| !word.is_empty() && !STOP.contains(&word.as_str()))
        .map(|word| stem(&word))
}

/// A word without the endings that English gives it; rough, but the same for question and tool.
fn stem(word: &str) -> String {
    const ENDINGS: &[(&str, &str, usize)] = &[
        ("ies", "y", 2),
        ("sses", "ss", 2),
        ("ches", "ch", 2),
        ("shes", "sh", 2),
        ("ations", "", 4),
        ("ation", "", 4),
        ("ings", "", 3),
        ("ing", "", 3),
        ("ions", "", 4),
        ("ion", "", 4),
        ("ment", "", 4),
        ("ed", "", 3),
        ("es", "", 3),
        ("s", "", 3),
    ];
    let mut stem = word.to_owned();
    for (ending, instead, least) in ENDINGS {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.chars().count() >= *least
            && !(*ending == "s" && rest.ends_with('s'))
        {
            stem = format!("{rest}{instead}");
            break;
        }
    }
    // create, creating, created; commit, committing.
    if stem.len() > 3 {
        if let Some(rest) = stem.strip_suffix('e') {
            stem = rest.to_owned();
        } else {
            let mut end = stem.chars().rev();
            let (last, before) = (end.next(), end.next());
            if last == before && !matches!(last, Some('l' | 's' | 'z' | 'e' | 'o')) {
                stem.pop();
            }
        }
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_meets_its_other_forms() {
        for (one, other) in [
            ("file", "files"),
            ("create", "creating"),
            ("query", "queries"),
            ("commit", "committing"),
            ("search", "searches"),
            ("convert", "conversion"),
        ] {
            let same = stem(one) == stem(other);
            assert_eq!(same, one != "convert", "{one} {other}");
        }
        let split: Vec<String> = words("readTextFile list_directory").collect();
        assert_eq!(split, ["read", "text", "fil", "list", "directory"]);
    }

    #[test]
    fn what_nobody_has_is_not_found() {
        let tools = [Tool::new("a", "b", "c", "{}")];
        assert!(Index::new(&tools).find("zebra", 5).is_empty());
        assert!(Index::new(&[]).find("zebra", 5).is_empty());
        assert!(Index::new(&tools).find("the and of", 5).is_empty());
    }
}
