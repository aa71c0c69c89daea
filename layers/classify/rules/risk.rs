//! Work where a mistake is dear, told from talk about it.
//!
//! A risk is a small grammar, not a keyword: in one sentence, a verb that does something and an object that it is dear to do it to, a dozen
//! words apart at most. No risk is in a question ("what is a migration?"), in a thing that only borrows the object's name (a payment
//! *icon*, a production *build*, a *secret* Santa), in a change of how something looks or reads, in code, in a diff, or in what is *not*
//! to be done.
use super::words::{self, Part};
use std::{fmt, ops::Range};

/// Work where a mistake is dear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Risk {
    /// Secrets are rotated, moved, leaked.
    Secrets,
    /// Money moves, or what moves it is changed.
    Payments,
    /// Data changes its shape or its place, or is deleted.
    Migrations,
    /// Something is done to the system that customers use.
    Production,
}

/// Words between a verb and its object, at most.
const NEAR: usize = 12;
/// Bytes of a sentence that are read on either side of what was found in it.
const REACH: usize = 320;
/// Words of a sentence that are read.
const WORDS: usize = 96;

impl Risk {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Secrets,
        Self::Payments,
        Self::Migrations,
        Self::Production,
    ];

    /// Its name: `secrets`, `payments`, `migrations`, `production`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Payments => "payments",
            Self::Migrations => "migrations",
            Self::Production => "production",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|risk| risk.as_str() == name)
    }

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// What it may be about: without one of these words there is no such risk.
    pub(super) fn objects(self) -> impl Iterator<Item = &'static str> {
        words::all(match self {
            Self::Secrets => Part::SECRET.or(Part::KEY),
            Self::Payments => Part::MONEY,
            Self::Migrations => Part::MIGRATION.or(Part::TABLE).or(Part::DATA),
            Self::Production => Part::PROD.or(Part::LIVE),
        })
    }

    /// Whether this sentence of `text` asks for such work.
    pub(super) fn is_work(self, text: &str, sentence: Range<usize>) -> bool {
        if is_shown(text, sentence.start) {
            return false;
        }
        let read = Sentence::of(text.get(sentence).unwrap_or_default());
        match self {
            Self::Secrets => read.secrets(),
            Self::Payments => read.payments(),
            Self::Migrations => read.migrations(),
            Self::Production => read.production(),
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sentence around `at`, or as much of it as is read.
pub(super) fn sentence(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let ends = |i: usize| match bytes.get(i) {
        Some(b'\n' | b'!' | b'?' | b';') => true,
        // A point within a name or a number ends nothing.
        Some(b'.') => bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace),
        _ => false,
    };
    let least = at.saturating_sub(REACH);
    let start = (least..at)
        .rev()
        .find(|i| ends(*i))
        .map_or(least, |i| i + 1);
    let most = text.len().min(at + REACH);
    let end = (at..most).find(|i| ends(*i)).unwrap_or(most);
    let start = (start..=at).find(|i| text.is_char_boundary(*i));
    let end = (end..=text.len()).find(|i| text.is_char_boundary(*i));
    start.unwrap_or(at)..end.unwrap_or(text.len())
}

/// Whether what begins at `start` is shown rather than said: in a fence, in a diff, quoted, or indented like code.
fn is_shown(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    if memchr::memmem::find_iter(before.as_bytes(), b"```").count() % 2 == 1 {
        return true;
    }
    let line = before.rfind('\n').map_or(0, |i| i + 1);
    let line = text.get(line..).unwrap_or_default();
    let mut first = line.bytes();
    match (first.next(), first.next()) {
        (Some(b'+' | b'>' | b'@' | b'|'), _) | (Some(b' ' | b'\t'), _) => {
            // Indented items of a list are said.
            !line.trim_start().starts_with(['-', '*', '\u{2022}'])
                && !line.trim_start().starts_with(|c: char| c.is_ascii_digit())
        }
        (Some(b'-'), Some(after)) => after != b' ',
        _ => false,
    }
}

/// A sentence, as the parts that its words play.
struct Sentence {
    parts: [Part; WORDS],
    len: usize,
    /// Whether it asks rather than tells.
    asks: bool,
    /// Whether it asks why.
    asks_why: bool,
}

impl Sentence {
    fn of(text: &str) -> Self {
        let mut read = Self {
            parts: [Part::default(); WORDS],
            len: 0,
            asks: false,
            asks_why: false,
        };
        let mut opened = false;
        let mut maybe = false;
        let mut quoted = false;
        let mut before = b' ';
        let mut rest = text;
        while let Some(from) = rest.find(|c: char| c.is_alphanumeric()) {
            let between = rest.get(..from).unwrap_or_default();
            quoted ^= between.bytes().filter(|b| *b == b'`').count() % 2 == 1;
            before = between.bytes().next_back().unwrap_or(before);
            let word = rest.get(from..).unwrap_or_default();
            let end = word.find(|c: char| !c.is_alphanumeric());
            let (word, after) = word.split_at(end.unwrap_or(word.len()));
            rest = after;
            let mut part = words::part(word);
            if !opened && !part.is(Part::FILLER) {
                read.asks = part.is(Part::QUESTION);
                read.asks_why = word.eq_ignore_ascii_case("why");
                maybe = part.is(Part::MAYBE);
                opened = true;
            } else if maybe {
                // "can we drop it" asks, "can you drop it" tells.
                let who = ["i", "we", "it", "this", "that", "they", "the", "one"];
                read.asks |= who.iter().any(|w| w.eq_ignore_ascii_case(word));
                maybe = false;
            }
            // A name out of a program, or a file's, does nothing.
            let name = quoted || before == b'_' || after.starts_with('_');
            let stem = before == b'/' && after.starts_with('.');
            if name || before == b'/' {
                part = part.only_object();
            }
            if stem || name && !quoted {
                part = part.without(Part::PROD);
            }
            if (word.eq_ignore_ascii_case("roll") || word.eq_ignore_ascii_case("rolling"))
                && starts_with_word(after, "back")
            {
                part = words::part("rollback");
            }
            let vcs = ["git", "actions"];
            if word.eq_ignore_ascii_case("checkout") && read.last_word_is(text, after, &vcs) {
                part = Part::default();
            }
            if word.eq_ignore_ascii_case("drop") && starts_with_word(after, "down") {
                part = Part::default();
            }
            let Some(slot) = read.parts.get_mut(read.len) else {
                break;
            };
            *slot = part;
            read.len += 1;
            before = b' ';
        }
        read
    }

    /// Whether the word before the one that ends where `after` begins is one of these.
    fn last_word_is(&self, text: &str, after: &str, few: &[&str]) -> bool {
        let upto = text.len() - after.len();
        let mut words = text
            .get(..upto)
            .unwrap_or_default()
            .rsplit(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty());
        self.len > 0
            && words
                .nth(1)
                .is_some_and(|w| few.iter().any(|f| f.eq_ignore_ascii_case(w)))
    }

    fn part(&self, i: usize) -> Part {
        self.parts.get(i).copied().unwrap_or_default()
    }

    fn has(&self, any: Part) -> bool {
        (0..self.len).any(|i| self.part(i).is(any))
    }

    /// Whether the word at `i` does something: no article before it, and nobody says not to.
    fn does(&self, i: usize, verb: Part) -> bool {
        let taken_back = (i.saturating_sub(3)..i).any(|j| self.part(j).is(Part::NOT));
        let noun = i > 0 && self.part(i - 1).is(Part::ARTICLE);
        self.part(i).is(verb) && !taken_back && !noun
    }

    /// Whether the word at `i` is the thing itself and not a part of another thing's name.
    fn is_thing(&self, i: usize, object: Part) -> bool {
        let taken_back = (i.saturating_sub(3)..i).any(|j| self.part(j).is(Part::NEVER));
        self.part(i).is(object) && !self.part(i + 1).is(Part::HEAD) && !taken_back
    }

    /// Whether a verb is near an object that `is` one.
    fn near(&self, verb: Part, is: impl Fn(&Self, usize) -> bool) -> bool {
        (0..self.len).filter(|o| is(self, *o)).any(|o| {
            let near = o.saturating_sub(NEAR)..self.len.min(o + NEAR + 1);
            near.into_iter().any(|v| v != o && self.does(v, verb))
        })
    }

    /// Either a verb that says it all, or one that does where the sentence is not about how something looks.
    fn work(&self, verb: Part, weak: Part, is: impl Fn(&Self, usize) -> bool) -> bool {
        !self.asks && (self.near(verb, &is) || (!self.has(Part::LOOK) && self.near(weak, &is)))
    }

    fn secrets(&self) -> bool {
        self.work(Part::SECRET_VERB, Part::SECRET_WEAK, |s, i| {
            s.is_thing(i, Part::SECRET)
                || (s.is_thing(i, Part::KEY) && i > 0 && s.part(i - 1).is(Part::KEY_KIND))
                || (s.part(i).is(Part::KEY) && s.part(i + 1).is(Part::SECRET_VERB))
        })
    }

    fn payments(&self) -> bool {
        self.work(Part::PAY_VERB, Part::PAY_WEAK, |s, i| {
            s.is_thing(i, Part::MONEY)
        })
    }

    fn migrations(&self) -> bool {
        if self.asks || self.has(Part::SHEET) {
            return false;
        }
        let looks = self.has(Part::LOOK);
        self.near(Part::DROP, |s, i| s.is_thing(i, Part::TABLE))
            || self.near(Part::MOVE, |s, i| s.is_thing(i, Part::TABLE.or(Part::DATA)))
            || (!looks && self.near(Part::RUN, |s, i| s.is_thing(i, Part::MIGRATION)))
            || (!looks && self.near(Part::RENAME, |s, i| s.is_thing(i, Part::TABLE)))
            || (!looks
                && self.near(Part::DELETE, |s, i| {
                    s.is_thing(i, Part::DATA) && s.part(i).is(Part::TABLE)
                }))
    }

    fn production(&self) -> bool {
        if self.has(Part::STAGE) {
            return false;
        }
        let is_prod = |s: &Self, i: usize| {
            s.is_thing(i, Part::PROD)
                || (s.part(i).is(Part::LIVE) && s.part(i + 1).is(Part::SYSTEM))
        };
        let down = (0..self.len)
            .any(|i| is_prod(self, i) && (i + 1..i + 4).any(|j| self.part(j).is(Part::DOWN)));
        (down && (!self.asks || self.asks_why))
            || self.work(Part::PROD_VERB, Part::PROD_WEAK, is_prod)
    }
}

/// Whether `text` goes on with this word.
fn starts_with_word(text: &str, word: &str) -> bool {
    let text = text.trim_start_matches([' ', '-']);
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
        && !text
            .get(word.len()..)
            .is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
}
