//! BERT's tokens: lower-case words without accents, cut into the longest pieces that the vocabulary has.
use std::collections::HashMap;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A word of more characters is unknown.
const LONGEST_WORD: usize = 100;

pub(super) struct WordPiece {
    ids: HashMap<Box<str>, u32>,
    unknown: u32,
    begin: u32,
    end: u32,
}

impl WordPiece {
    /// From the lines of a `vocab.txt`; `None` where its marks are not there.
    pub(super) fn new(vocabulary: &str) -> Option<Self> {
        let ids: HashMap<Box<str>, u32> = vocabulary.lines().map(Box::from).zip(0..).collect();
        let id = |mark: &str| ids.get(mark).copied();
        Some(Self {
            unknown: id("[UNK]")?,
            begin: id("[CLS]")?,
            end: id("[SEP]")?,
            ids,
        })
    }

    /// The tokens of `text`, its marks included, at most `most`.
    pub(super) fn tokens(&self, text: &str, most: usize) -> Vec<u32> {
        let mut tokens = vec![self.begin];
        for word in words(text) {
            self.word(&word, &mut tokens);
        }
        tokens.truncate(most.saturating_sub(1));
        tokens.push(self.end);
        tokens
    }

    fn word(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = word;
        let mut piece = String::new();
        if word.chars().count() > LONGEST_WORD {
            tokens.push(self.unknown);
            return;
        }
        while !rest.is_empty() {
            let mut ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let found = ends.find_map(|end| {
                piece.clear();
                if rest.len() < word.len() {
                    piece.push_str("##");
                }
                piece.push_str(rest.get(..end)?);
                Some((end, *self.ids.get(&*piece)?))
            });
            let Some((end, id)) = found else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(id);
            rest = rest.get(end..).unwrap_or_default();
        }
    }
}

/// The words of a text: between spaces, and every mark and every Chinese character for itself.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let lower = text.to_lowercase();
    let seen = |c: &char| {
        c.is_whitespace() || !(is_combining_mark(*c) || c.is_control() || *c == '\u{fffd}')
    };
    for c in lower.nfd().filter(seen) {
        if c.is_whitespace() {
            words.push(String::new());
        } else if is_mark(c) || is_ideograph(c) {
            words.push(c.to_string());
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_mark(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(
            c,
            '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        )
        || matches!(u32::from(c), 0x2010..=0x2027 | 0x2030..=0x205e | 0x3001..=0x3003 | 0x3008..=0x3011 | 0xff01..=0xff0f | 0xff1a..=0xff20)
}

fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x2fa1f)
}
