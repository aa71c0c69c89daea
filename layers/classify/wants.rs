//! How much of an answer is wanted, and how exactly the place of an edit is named.
//!
//! "One liner", "yes or no", "line 88 should be (src, dst)": who asks so wants little, whatever words stand around it. And "just" is no
//! such sign: people write it before the largest things.

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
    /// "The fourth time", "every time": how often something is said to have happened.
    pub(super) times: u32,
    last: Last,
}

/// The word before, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Other,
    One,
    Yes,
    YesOr,
    Short,
    Quick,
    Line,
    Should,
    Instead,
    Nth,
}

impl Wants {
    /// Reads the next word, in lower case without apostrophes.
    pub(super) fn word(&mut self, word: &[u8]) {
        let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        let (brief, place, becomes) = match (self.last, word) {
            (
                Last::One,
                b"liner" | b"line" | b"sentence" | b"word" | b"paragraph" | b"command" | b"number",
            )
            | (Last::YesOr, b"no")
            | (Last::Short, b"answer" | b"version" | b"explanation" | b"summary")
            | (Last::Quick, b"question" | b"answer" | b"check" | b"one")
            | (_, b"oneliner" | b"oneline" | b"tldr" | b"briefly" | b"eli5") => {
                (true, false, false)
            }
            (Last::Line, _) if digits => (false, true, false),
            (Last::Should, b"be" | b"say" | b"read") | (Last::Instead, b"of") => {
                (false, false, true)
            }
            _ => (false, false, false),
        };
        self.times +=
            u32::from(self.last == Last::Nth && matches!(word, b"time" | b"times" | b"attempt"));
        self.brief += u32::from(brief);
        self.places += u32::from(place);
        self.becomes += u32::from(becomes);
        self.last = match (self.last, word) {
            (_, b"one" | b"1" | b"single") => Last::One,
            (_, b"yes" | b"y") => Last::Yes,
            (Last::Yes, b"or") => Last::YesOr,
            (Last::Yes, b"n" | b"no") => {
                self.brief += 1;
                Last::Other
            }
            (_, b"short" | b"brief") => Last::Short,
            (_, b"quick") => Last::Quick,
            (_, b"line" | b"lines" | b"row" | b"rows" | b"cell" | b"l") => Last::Line,
            (_, b"should" | b"shall") => Last::Should,
            (_, b"instead") => Last::Instead,
            (_, b"third" | b"fourth" | b"fifth" | b"every" | b"each" | b"many") => Last::Nth,
            (_, [b'0'..=b'9', .., b'h' | b'd']) => Last::Nth,
            _ => Last::Other,
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
    use super::*;

    fn of(text: &str) -> (u32, u32, u32) {
        let mut wants = Wants::default();
        for chunk in text.split(' ') {
            wants.sign(chunk);
            wants.word(chunk.as_bytes());
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
