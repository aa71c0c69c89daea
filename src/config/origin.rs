//! Where a setting came from, and what is wrong with it.
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// Where the value of a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file, at these bytes.
    File(Range<usize>),
    /// The environment variable of this name.
    Environment(String),
    /// The command line flag of this name, dashes included.
    Flag(&'static str),
    /// Found by looking around at start, because nothing was configured.
    Found,
}

/// One thing that is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Who wrote it.
    pub origin: Origin,
    /// What is wrong, in a sentence without its full stop.
    pub message: String,
    /// What to write instead.
    pub advice: String,
}

/// The configuration file's name, and its text with every secret masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) masked: String,
}

/// Everything that is wrong with a configuration, found in one go.
///
/// [`Display`](fmt::Display) shows each problem with its line; [`render`](Self::render) does it in colour too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub(super) source: Option<Source>,
    pub(super) problems: Vec<Problem>,
}

// === impl Origin ===

impl Origin {
    /// Where a reader should look, given the text of the configuration file.
    pub(super) fn describe(&self, source: Option<&Source>) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File(range) => match source {
                Some(source) => format!("line {}", source.line(range.start)),
                None => "file".to_owned(),
            },
            Self::Environment(name) => format!("environment {name}"),
            Self::Flag(name) => (*name).to_owned(),
            Self::Found => "found".to_owned(),
        }
    }
}

// === impl Source ===

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            masked: super::mask::mask(text),
        }
    }

    /// The number of the line that holds the byte at `offset`, counted from 1.
    fn line(&self, offset: usize) -> usize {
        let before = self.masked.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

// === impl Problems ===

impl Problems {
    /// Problems of this configuration; those of the file first, in the order of its lines.
    pub(super) fn new(source: Option<Source>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match &problem.origin {
            Origin::File(range) => range.start,
            _ => usize::MAX,
        });
        problems.dedup();
        Self { source, problems }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// All of them with the lines they are about, for a terminal; no line shows a secret.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown: Vec<String> = self
            .problems
            .iter()
            .map(|problem| self.render_one(problem, &renderer))
            .collect();
        shown.join("\n\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let group = match (&problem.origin, &self.source) {
            (Origin::File(range), Some(source)) => {
                let here = AnnotationKind::Primary
                    .span(within(range, &source.masked))
                    .label(problem.advice.as_str());
                let path = source.path.to_string_lossy();
                title.element(
                    Snippet::source(source.masked.as_str())
                        .path(path)
                        .annotation(here),
                )
            }
            (Origin::Environment(name), _) => title
                .element(Level::NOTE.message(format!("set by the environment variable {name}")))
                .element(Level::HELP.message(problem.advice.as_str())),
            (Origin::Flag(name), _) => title
                .element(Level::NOTE.message(format!("set by {name} on the command line")))
                .element(Level::HELP.message(problem.advice.as_str())),
            _ => title.element(Level::HELP.message(problem.advice.as_str())),
        };
        renderer.render(&[group])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `range`, cut so that it lies in `text` and marks its first line only: a problem of a whole table is shown at its head.
fn within(range: &Range<usize>, text: &str) -> Range<usize> {
    let start = range.start.min(text.len());
    let end = range.end.clamp(start, text.len());
    let first_line = text.get(start..end).and_then(|part| part.find('\n'));
    start..first_line.map_or(end, |length| start + length)
}
