//! How much of an answer is wanted, and how exactly the place of an edit is named.
//!
//! "One liner", "yes or no", "line 88 should be (src, dst)": who asks so wants little, whatever words stand around it. And "just" is no
//! such sign: people write it before the largest things.

/// What a word may be here, each a bit.
mod kind {
    pub(super) const ONE: u32 = 1;
    pub(super) const YES: u32 = 1 << 1;
    /// "yes or", which is no word of its own.
    pub(super) const YES_OR: u32 = 1 << 2;
    pub(super) const SHORT: u32 = 1 << 3;
    pub(super) const QUICK: u32 = 1 << 4;
    pub(super) const LINE: u32 = 1 << 5;
    pub(super) const SHOULD: u32 = 1 << 6;
    pub(super) const INSTEAD: u32 = 1 << 7;
    pub(super) const NTH: u32 = 1 << 8;
    /// What gives the next word its meaning.
    pub(super) const OPENS: u32 = (1 << 9) - 1;
    /// Asks for a short answer by itself.
    pub(super) const BRIEF: u32 = 1 << 9;
    /// After "one".
    pub(super) const UNIT: u32 = 1 << 10;
    pub(super) const OR: u32 = 1 << 11;
    pub(super) const NO: u32 = 1 << 12;
    /// Stands for "no" in "y n".
    pub(super) const N: u32 = 1 << 13;
    /// After "short".
    pub(super) const ANSWER: u32 = 1 << 14;
    /// After "quick".
    pub(super) const QUESTION: u32 = 1 << 15;
    /// After "should".
    pub(super) const BE: u32 = 1 << 16;
    pub(super) const OF: u32 = 1 << 17;
    pub(super) const TIME: u32 = 1 << 18;
    pub(super) const PICK: u32 = 1 << 19;
}
use kind::*;

/// The words that are of any kind; one may be of several.
pub(super) const WORDS: &[(u32, &str)] = &[
    (ONE, "one 1 single"),
    (YES, "yes y"),
    (SHORT, "short brief"),
    (QUICK, "quick"),
    (LINE, "line lines row rows cell l"),
    (SHOULD, "should shall"),
    (INSTEAD, "instead"),
    (NTH, "third fourth fifth every each many"),
    (BRIEF, "oneliner oneline tldr briefly eli5"),
    (UNIT, "liner line sentence word paragraph command number"),
    (OR, "or"),
    (NO, "no"),
    (N, "n"),
    (ANSWER, "answer version explanation summary"),
    (QUESTION, "question answer check one"),
    (BE, "be say read"),
    (OF, "of"),
    (TIME, "time times attempt"),
    (
        PICK,
        "option options variant first second third former latter both neither either one",
    ),
];

/// Signs that little is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    /// Phrases that ask for a short answer.
    pub(super) brief: u32,
    /// Places named by their line or row.
    pub(super) places: u32,
    /// What is to become what: arrows, "should be", "instead of".
    pub(super) becomes: u32,
    /// Things quoted.
    pub(super) quoted: u32,
    /// Words that pick one of several: "option", "both", "the second".
    pub(super) picks: u32,
    /// "The fourth time", "every time": how often something is said to have happened.
    pub(super) times: u32,
    /// What the word before was, as far as it matters.
    last: u32,
}

impl Wants {
    /// Reads the next word, in lower case without apostrophes, which is of these `kinds`.
    pub(super) fn word(&mut self, kinds: u32, word: &[u8]) {
        let last = std::mem::take(&mut self.last);
        let numbered = word.first().is_some_and(u8::is_ascii_digit);
        if kinds == 0 && !numbered {
            return;
        }
        let is = |these: u32| kinds & these != 0;
        let after = |before: u32, these: u32| last & before != 0 && is(these);
        let brief = is(BRIEF)
            || after(ONE, UNIT)
            || after(YES, NO | N)
            || after(YES_OR, NO)
            || after(SHORT, ANSWER)
            || after(QUICK, QUESTION);
        let place = last & LINE != 0 && numbered && word.iter().all(u8::is_ascii_digit);
        self.brief += u32::from(brief);
        self.places += u32::from(place);
        self.becomes += u32::from(after(SHOULD, BE) || after(INSTEAD, OF));
        self.times += u32::from(after(NTH, TIME));
        self.picks += u32::from(is(PICK));
        self.last = match word {
            _ if after(YES, OR) => YES_OR,
            _ if is(OPENS) => kinds & OPENS,
            [b'0'..=b'9', .., b'h' | b'd'] => NTH,
            _ => 0,
        };
    }

    /// Reads what stands between two blanks and is no word.
    pub(super) fn sign(&mut self, chunk: &str) {
        self.becomes += u32::from(matches!(
            chunk,
            "->" | "=>" | "-->" | "\u{2192}" | "\u{21d2}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::lexicon::look_up, *};

    fn of(text: &str) -> (u32, u32, u32) {
        let mut wants = Wants::default();
        for chunk in text.split(' ') {
            wants.sign(chunk);
            wants.word(look_up(chunk.as_bytes()).wants, chunk.as_bytes());
        }
        (wants.brief, wants.places, wants.becomes)
    }

    #[test]
    fn little_is_wanted() {
        for (text, expected) in [
            ("stop all containers one liner", (1, 0, 0)),
            ("is it committed yes or no", (1, 0, 0)),
            ("is it committed y n", (1, 0, 0)),
            ("the call on line 88 should be fixed", (0, 1, 1)),
            ("Submit -> Send", (0, 0, 1)),
            ("in one go rewrite each line of it", (0, 0, 0)),
            ("just rewrite the storage engine", (0, 0, 0)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
