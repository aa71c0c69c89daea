//! What the first words of a text say about whether a client asks it on its own account.
use super::{Class, Side};

/// What a word may be here: each a bit, so that a text is gone through once, whatever is asked about it.
mod kind {
    use crate::classify::table::Table;
    use std::sync::LazyLock;

    pub(super) const TALK: u32 = 1 << 0;
    pub(super) const CONVERSATION: u32 = 1 << 1;
    pub(super) const CONVERSATIONS: u32 = 1 << 2;
    pub(super) const SESSION: u32 = 1 << 3;
    pub(super) const MAKE: u32 = 1 << 4;
    /// A title is followed by what it is for; a title bar is not.
    pub(super) const LEAD: u32 = 1 << 5;
    pub(super) const NAMING: u32 = 1 << 6;
    pub(super) const TITLE: u32 = 1 << 7;
    pub(super) const TASK: u32 = 1 << 8;
    pub(super) const SUMMARY: u32 = 1 << 9;
    pub(super) const SUMMARIZING: u32 = 1 << 10;
    pub(super) const LABEL: u32 = 1 << 11;
    pub(super) const TAGS: u32 = 1 << 12;
    pub(super) const FOLLOW: u32 = 1 << 13;
    pub(super) const UP: u32 = 1 << 14;
    pub(super) const COMMIT: u32 = 1 << 15;
    pub(super) const MESSAGE: u32 = 1 << 16;
    pub(super) const QUERIES: u32 = 1 << 17;
    pub(super) const HISTORY: u32 = 1 << 18;
    pub(super) const SO: u32 = 1 << 19;
    pub(super) const FAR: u32 = 1 << 20;
    pub(super) const ABOVE: u32 = 1 << 21;
    pub(super) const PARTIAL: u32 = 1 << 22;
    pub(super) const NUMBER: u32 = 1 << 23;
    /// What a limit counts.
    pub(super) const UNIT: u32 = 1 << 24;

    /// The words that are of any kind; one may be of several.
    const WORDS: &[(u32, &str)] = &[
        (
            TALK,
            "chat chats thread threads sessions session conversation conversations",
        ),
        (CONVERSATION, "conversation"),
        (CONVERSATIONS, "conversations"),
        (SESSION, "session"),
        (
            MAKE,
            "give write reply craft create output writing provide suggest respond extract produce generate crafting generates generating",
        ),
        (
            LEAD,
            "of to in for with that based which summarising summarizing",
        ),
        (NAMING, "naming"),
        (TITLE, "title titles"),
        (TASK, "task prompt"),
        (SUMMARY, "summary summarize summarise summarizing"),
        (SUMMARIZING, "summarizing"),
        (LABEL, "name recap label description"),
        (TAGS, "tags"),
        (FOLLOW, "follow"),
        (UP, "up ups"),
        (COMMIT, "commit"),
        (MESSAGE, "message messages"),
        (QUERIES, "queries"),
        (HISTORY, "history"),
        (SO, "so"),
        (FAR, "far"),
        (ABOVE, "above"),
        (PARTIAL, "partial"),
        (UNIT, "word words character characters"),
    ];

    static TABLE: LazyLock<Table<u32>> =
        LazyLock::new(|| Table::new(WORDS.iter().copied(), |kind, other| kind | other));

    /// What this word is, however it is capitalized; nothing where it is none of ours.
    pub(super) fn of(word: &[u8]) -> u32 {
        match TABLE.find_in_any_case(word) {
            Some(kinds) => kinds,
            None if word.iter().all(u8::is_ascii_digit) => NUMBER,
            None => 0,
        }
    }

    #[test]
    fn none_is_longer_than_is_looked_up() {
        use crate::classify::table::LONGEST;
        let mut words = TABLE.words().iter();
        assert!(words.all(|(word, _)| word.len() <= LONGEST));
    }
}

/// What the first words of a text are, as it stands in the JSON.
pub(super) struct Words {
    kinds: [u32; 56],
    pub(super) len: usize,
    /// What any of them is.
    all: u32,
}

impl Words {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut found = Self {
            kinds: [0; 56],
            len: 0,
            all: 0,
        };
        let mut from = 0;
        let mut at = 0;
        while at <= text.len() {
            let byte = text.get(at).copied().unwrap_or(b'"');
            if byte.is_ascii_alphanumeric() || !byte.is_ascii() {
                at += 1;
                continue;
            }
            if from < at
                && let Some(word) = text.get(from..at)
            {
                let Some(slot) = found.kinds.get_mut(found.len) else {
                    break;
                };
                *slot = kind::of(word);
                found.all |= *slot;
                found.len += 1;
            }
            // An escape is no letter of the word after it.
            at += match (byte, text.get(at + 1)) {
                (b'\\', Some(b'u')) => 6,
                (b'\\', _) => 2,
                _ => 1,
            };
            from = at;
        }
        found
    }

    fn is(&self, i: usize, kinds: u32) -> bool {
        self.kinds.get(i).is_some_and(|kind| kind & kinds != 0)
    }

    /// The first of these kinds at or after `from`, within `near` words.
    fn find(&self, from: usize, near: usize, kinds: u32) -> Option<usize> {
        if !self.has(kinds) {
            return None;
        }
        (from..self.len.min(from.saturating_add(near))).find(|i| self.is(*i, kinds))
    }

    const fn has(&self, kinds: u32) -> bool {
        self.all & kinds != 0
    }

    /// What a text that begins so asks for on a client's own account, if anything.
    pub(super) fn asks(&self) -> Option<(Class, Option<Side>)> {
        use kind::*;
        let side = |side| Some((Class::Side, Some(side)));
        let makes = |near: usize, what: u32| {
            let from = self.find(0, usize::MAX, MAKE)?;
            self.find(from, near, what)
        };
        if let Some(naming) = self.find(0, 8, NAMING)
            && self.find(naming, 5, TALK).is_some()
        {
            return side(Side::Title);
        }
        if let Some(at) = makes(11, TITLE)
            && self.is(at + 1, LEAD)
            && (self.find(at, 14, TALK).is_some() || self.find(at, 4, TASK).is_some())
        {
            return side(Side::Title);
        }
        let talks = self.has(TALK);
        if talks && self.has(SUMMARY | LABEL) && self.pair(NUMBER, UNIT) {
            return side(Side::Title);
        }
        if talks && makes(9, TAGS).is_some() {
            return side(Side::Title);
        }
        if talks
            && let Some(at) = makes(12, FOLLOW)
            && self.is(at + 1, UP)
        {
            return side(Side::Suggestion);
        }
        if let Some(at) = makes(9, COMMIT)
            && self.is(at + 1, MESSAGE)
        {
            return side(Side::Commit);
        }
        if talks && makes(6, QUERIES).is_some() && self.find(0, 8, HISTORY).is_some() {
            return side(Side::Auxiliary);
        }
        let whole = self.pair(SO, FAR)
            || self.pair(CONVERSATION, ABOVE)
            || self.pair(PARTIAL, CONVERSATION)
            || self.pair(SUMMARIZING, CONVERSATIONS);
        (whole && self.has(SUMMARY) && self.has(CONVERSATION | CONVERSATIONS | SESSION))
            .then_some((Class::Compaction, None))
    }

    /// Whether one of the first kinds is followed by one of the second.
    fn pair(&self, first: u32, second: u32) -> bool {
        self.has(first)
            && self.has(second)
            && (0..self.len).any(|i| self.is(i, first) && self.is(i + 1, second))
    }
}
