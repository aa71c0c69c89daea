//! One thing that was looked at.
use std::fmt;

/// How it stands with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should be.
    Good,
    /// Works, but somebody may want to know.
    Doubtful,
    /// Calls will fail.
    Bad,
}

/// What was found of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub health: Health,
    /// What was looked at.
    pub subject: String,
    /// What was seen.
    pub told: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// Findings under a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// What was found.
    pub findings: Vec<Finding>,
}

// === impl Finding ===

impl Finding {
    /// All is well.
    pub fn good(subject: impl Into<String>, told: impl Into<String>) -> Self {
        Self {
            health: Health::Good,
            subject: subject.into(),
            told: told.into(),
            cure: None,
        }
    }
    /// It works, but.
    pub fn doubtful(
        subject: impl Into<String>,
        told: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            health: Health::Doubtful,
            cure: Some(cure.into()),
            ..Self::good(subject, told)
        }
    }
    /// It does not work.
    pub fn bad(
        subject: impl Into<String>,
        told: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            health: Health::Bad,
            ..Self::doubtful(subject, told, cure)
        }
    }
}

// === impl Section ===

impl Section {
    /// The worst of its findings.
    #[must_use]
    pub fn health(&self) -> Health {
        let all = self.findings.iter().map(|finding| finding.health);
        all.max().unwrap_or(Health::Good)
    }

    /// The section as text, with the colours of a terminal if asked for.
    ///
    /// ```
    /// use tierway::doctor::{Finding, Section};
    /// let section = Section { title: "providers", findings: vec![Finding::bad("local", "nobody listens", "start it")] };
    /// assert_eq!(section.render(false), "providers\n  ✗ local  nobody listens\n           → start it\n");
    /// ```
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        use fmt::Write;
        let width = self.findings.iter().map(|f| f.subject.chars().count());
        let width = width.max().unwrap_or_default();
        let (bold, reset) = if colour {
            ("\u{1b}[1m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let mut text = format!("{bold}{}{reset}\n", self.title);
        for finding in &self.findings {
            let (mark, paint) = match finding.health {
                Health::Good => ('✓', "\u{1b}[32m"),
                Health::Doubtful => ('!', "\u{1b}[33m"),
                Health::Bad => ('✗', "\u{1b}[31m"),
            };
            let paint = if colour { paint } else { "" };
            let (subject, told) = (&finding.subject, &finding.told);
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "  {paint}{mark}{reset} {subject:<width$}  {told}");
            if let Some(cure) = &finding.cure {
                let _ = writeln!(text, "    {:<width$}  → {cure}", "");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_tells() {
        let mut section = Section {
            title: "x",
            findings: vec![],
        };
        assert_eq!(section.health(), Health::Good);
        section.findings.push(Finding::bad("a", "b", "c"));
        section.findings.push(Finding::doubtful("a", "b", "c"));
        assert_eq!(section.health(), Health::Bad);
    }

    #[test]
    fn subjects_are_aligned() {
        let section = Section {
            title: "x",
            findings: vec![
                Finding::good("long name", "fine"),
                Finding::doubtful("é", "odd", "look"),
            ],
        };
        insta::assert_snapshot!(section.render(false), @r"
        x
          ✓ long name  fine
          ! é          odd
                       → look
        ");
    }
}
