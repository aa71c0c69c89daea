//! One pass over the user's ask for the phrases of all rules, and for what a risk may be about.
use super::{super::said::asked, Risk, risk};
use aho_corasick::{AhoCorasick, MatchKind};
use tierway_services::chat::Prompt;

/// The phrases of all rules, as one automaton.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    /// `None` where no rule reads the ask, or where the phrases are more than an automaton can hold.
    automaton: Option<AhoCorasick>,
    owners: Vec<Owner>,
}

/// Whose a pattern is.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Rule(usize),
    Risk(Risk),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rules: Vec<usize>,
    risks: u8,
}

// === impl Seen ===

impl Seen {
    /// Whether a phrase of this rule was.
    pub(super) fn rule(&self, i: usize) -> bool {
        self.rules.contains(&i)
    }
    /// Whether work of this risk was.
    pub(super) const fn risk(&self, risk: Risk) -> bool {
        self.risks & risk.bit() != 0
    }
}

// === impl Phrases ===

impl Phrases {
    /// The phrases of each rule, and its risk.
    pub(super) fn new<'r>(rules: impl Iterator<Item = (&'r [String], Option<Risk>)>) -> Self {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for (i, (phrases, risk)) in rules.enumerate() {
            for phrase in phrases.iter().filter(|p| !p.trim().is_empty()) {
                patterns.push(phrase.trim());
                owners.push(Owner::Rule(i));
            }
            for object in risk.iter().flat_map(|risk| risk.objects()) {
                patterns.push(object);
                owners.extend(risk.map(Owner::Risk));
            }
        }
        let automaton = (!patterns.is_empty()).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .build(&patterns)
                .ok()
        });
        Self {
            automaton: automaton.flatten(),
            owners,
        }
    }

    /// Looks through the user's newest ask.
    pub(super) fn look(&self, prompt: &Prompt) -> Seen {
        let mut seen = Seen::default();
        if let Some(automaton) = &self.automaton {
            asked(prompt, |words| self.read(automaton, words, &mut seen));
        }
        seen
    }

    fn read(&self, automaton: &AhoCorasick, text: &str, seen: &mut Seen) {
        // Where the sentences end in which risks have already been looked for, risk by risk.
        let mut judged = [0; Risk::ALL.len()];
        for found in automaton.find_overlapping_iter(text) {
            let owner = self.owners.get(found.pattern().as_usize());
            match owner {
                Some(Owner::Rule(i))
                    if !seen.rule(*i) && is_whole(text, found.start(), found.end(), false) =>
                {
                    seen.rules.push(*i);
                }
                Some(Owner::Risk(risk)) if !seen.risk(*risk) => {
                    let Some(judged) = judged.get_mut(*risk as usize) else {
                        continue;
                    };
                    if found.end() <= *judged || !is_whole(text, found.start(), found.end(), true) {
                        continue;
                    }
                    let sentence = risk::sentence(text, found.start());
                    *judged = sentence.end;
                    if risk.is_work(text, sentence) {
                        seen.risks |= risk.bit();
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether what stands at `start..end` begins and ends where words do. In a name out of a program, an underscore ends a word or does not.
fn is_whole(text: &str, start: usize, end: usize, underscore_ends: bool) -> bool {
    let inside = |c: char| c.is_alphanumeric() || (c == '_' && !underscore_ends);
    let before = text.get(..start).and_then(|t| t.chars().next_back());
    let after = text.get(end..).and_then(|t| t.chars().next());
    !before.is_some_and(inside) && !after.is_some_and(inside)
}
