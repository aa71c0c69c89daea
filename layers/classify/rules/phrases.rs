//! One pass over the user's ask for the phrases of all rules, and for what a risk may be about.
use super::{super::said::asked, Risk, risk};
use aho_corasick::{AhoCorasick, MatchKind};
use std::{collections::BTreeMap, ops::Range};
use tierway_services::chat::Prompt;

/// The phrases of all rules, as one automaton, and as another what their risks may be about.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    /// `None` where no rule has a phrase, or where the phrases are more than an automaton can hold.
    phrases: Option<AhoCorasick>,
    /// The rule of each phrase.
    rules: Vec<usize>,
    /// `None` where no rule has a risk.
    objects: Option<AhoCorasick>,
    /// The risks that each object is of, as bits.
    risks: Vec<u8>,
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
        let (mut phrases, mut owners) = (Vec::new(), Vec::new());
        let mut objects = BTreeMap::new();
        for (i, (own, risk)) in rules.enumerate() {
            for phrase in own.iter().filter(|p| !p.trim().is_empty()) {
                phrases.push(phrase.trim());
                owners.push(i);
            }
            for (risk, object) in risk.iter().flat_map(|r| r.objects().map(move |o| (r, o))) {
                *objects.entry(object).or_default() |= risk.bit();
            }
        }
        Self {
            phrases: automaton(&phrases, MatchKind::Standard),
            rules: owners,
            // All are words of letters alone: where one stands as a whole word, it is the longest that begins there.
            objects: automaton(objects.keys(), MatchKind::LeftmostLongest),
            risks: objects.into_values().collect(),
        }
    }

    /// Looks through the user's newest ask.
    pub(super) fn look(&self, prompt: &Prompt) -> Seen {
        let mut seen = Seen::default();
        if self.phrases.is_some() || self.objects.is_some() {
            asked(prompt, |words| self.read(words, &mut seen));
        }
        seen
    }

    fn read(&self, text: &str, seen: &mut Seen) {
        let phrases = self.phrases.iter();
        for found in phrases.flat_map(|phrases| phrases.find_overlapping_iter(text)) {
            if let Some(rule) = self.rules.get(found.pattern().as_usize())
                && !seen.rule(*rule)
                && is_whole(text, found.range(), false)
            {
                seen.rules.push(*rule);
            }
        }
        // Where the sentences end in which risks have already been looked for, risk by risk.
        let mut judged = [0; Risk::ALL.len()];
        let objects = self.objects.iter();
        for found in objects.flat_map(|objects| objects.find_iter(text)) {
            let about = self.risks.get(found.pattern().as_usize());
            let about = about.map_or(0, |about| about & !seen.risks);
            if about == 0 || !is_whole(text, found.range(), true) {
                continue;
            }
            for (risk, judged) in Risk::ALL.into_iter().zip(&mut judged) {
                if about & risk.bit() == 0 || found.end() <= *judged {
                    continue;
                }
                let sentence = risk::sentence(text, found.start());
                *judged = sentence.end;
                if risk.is_work(text, sentence) {
                    seen.risks |= risk.bit();
                }
            }
        }
    }
}

fn automaton<P: AsRef<[u8]>>(
    patterns: impl IntoIterator<Item = P>,
    kind: MatchKind,
) -> Option<AhoCorasick> {
    let mut builder = AhoCorasick::builder();
    let automaton = builder.ascii_case_insensitive(true).match_kind(kind);
    let automaton = automaton.build(patterns).ok();
    automaton.filter(|automaton| automaton.patterns_len() > 0)
}

/// Whether what stands `at` this place begins and ends where words do. In a name out of a program, an underscore ends a word or does not.
fn is_whole(text: &str, at: Range<usize>, underscore_ends: bool) -> bool {
    let inside = |c: char| c.is_alphanumeric() || (c == '_' && !underscore_ends);
    let before = text.get(..at.start).and_then(|t| t.chars().next_back());
    let after = text.get(at.end..).and_then(|t| t.chars().next());
    !before.is_some_and(inside) && !after.is_some_and(inside)
}
