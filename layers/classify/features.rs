//! What an ask consists of, counted in one pass.
//!
//! Prose is cut into words; code (fenced, inline, or plainly code by its lines), quotations, paths and identifiers are counted as what
//! they are and their words are not read: renaming `prove_theorem` is no proof. Nothing is allocated per word.
use super::{
    chunk::Chunk,
    lexicon::{Known, LONGEST, Mark, look_up},
    lines::{Line, Lines},
    wants::Wants,
};
use crate::learn::Ngrams;

/// Words that are looked up in one ask; what is longer has long been told by its beginning.
const MAX_WORDS: u32 = 2_000;

/// Characters within which inline code or a quotation must end to be one.
const MAX_QUOTATION: usize = 500;

/// Words between "still" or "same" and what fails ("it still does not work").
const PERSISTS: u32 = 3;

/// Words between two that belong together ("audit this module for vulnerabilities").
const NEAR: u32 = 7;

/// What an ask consists of.
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    /// Words of prose.
    pub(super) words: u32,
    /// Words that only greet.
    pub(super) greetings: u32,
    /// Words that go on with what was asked before.
    pub(super) affirmations: u32,
    /// Words that say nothing by themselves.
    pub(super) fillers: u32,
    /// Whether it opens with "what is" or the like.
    pub(super) definitional: bool,
    /// Whether it goes on with "the".
    pub(super) definite: bool,
    /// The weightiest verb.
    pub(super) verb: u8,
    /// Different verbs that ask for real work.
    pub(super) tasks: u32,
    /// Whether an edit is asked for.
    pub(super) edit: bool,
    /// Objects that are small.
    pub(super) small_objects: u32,
    /// Objects that are large.
    pub(super) large_objects: u32,
    /// Pieces of programs.
    pub(super) pieces: u32,
    /// Words of reach.
    pub(super) scope: u32,
    /// Hard matters.
    pub(super) hard: u32,
    /// Mathematical words.
    pub(super) math: u32,
    /// Faults that hide.
    pub(super) hidden_faults: u32,
    /// "intermittent" and the like.
    pub(super) elusive: u32,
    /// Puzzles.
    pub(super) puzzles: u32,
    /// "still failing".
    pub(super) error_loop: bool,
    /// The phrase that asks for long inference, if any.
    pub(super) phrase: Option<&'static str>,
    /// "derive", "show that": a proof if mathematics is near.
    pub(super) shows: bool,
    /// Lines of code.
    pub(super) code_lines: u32,
    /// Whether a diff is shown.
    pub(super) diff: bool,
    /// Whether a stack trace is shown.
    pub(super) trace: bool,
    /// Files named.
    pub(super) paths: u32,
    /// List items.
    pub(super) bullets: u32,
    /// Bytes of words in scripts that have no blanks, such as Chinese.
    pub(super) dense: u32,
    /// How much is wanted.
    pub(super) wants: Wants,
    /// The words of prose as n-grams, with marks where something stands that is no prose.
    pub(super) grams: Ngrams,
    previous: [Option<Mark>; 2],
    verbs: [usize; 8],
    persists_at: Option<u32>,
    security_at: Option<u32>,
    audit_at: Option<u32>,
}

impl Features {
    /// Counts a stretch of the ask.
    pub(super) fn read(&mut self, text: &str) {
        let mut lines = Lines::default();
        for line in text.lines() {
            match lines.next(line) {
                Line::Prose => self.prose(line.trim()),
                // What is quoted is not what is asked.
                Line::Silent => {}
                pasted => {
                    // "format this: {...}"
                    if let Some(ask) = before_code(line) {
                        self.prose(ask);
                    }
                    if self.code_lines == 0 {
                        self.grams.mark("code");
                    }
                    self.code_lines += 1;
                    self.diff |= pasted == Line::Diff;
                    self.trace |= pasted == Line::Trace;
                }
            }
            self.grams.stop();
        }
    }

    /// Whether nothing was asked.
    pub(super) const fn is_empty(&self) -> bool {
        self.words == 0 && self.code_lines == 0 && self.paths == 0 && self.dense == 0
    }

    /// Whether it only picks one of what the model offered: few words, and no work named in them ("option 2", "the second one").
    pub(super) const fn is_reply(&self) -> bool {
        let asks = self.verb > 0
            || self.edit
            || self.definitional
            || self.phrase.is_some()
            || self.math > 0;
        self.wants.picks > 0
            && self.words + self.dense / 3 <= 6
            && self.greetings == 0
            && !asks
            && self.code_lines == 0
            && self.paths == 0
    }

    /// Whether all that it says is where to look.
    pub(super) const fn only_points(&self) -> bool {
        let known = self.greetings + self.affirmations + self.fillers;
        self.paths > 0 && known == self.words && self.code_lines == 0
    }

    /// Whether all of it is greeting, consent and filling.
    pub(super) const fn is_small_talk(&self) -> bool {
        let known = self.greetings + self.affirmations + self.fillers;
        let shown = self.code_lines > 0 || self.paths > 0;
        self.words > 0 && self.words <= 8 && known == self.words && !shown
    }

    fn prose(&mut self, line: &str) {
        let bullet = line.trim_start_matches(|c: char| c.is_ascii_digit());
        self.bullets += u32::from(
            bullet.starts_with("- ")
                || bullet.starts_with("* ")
                || (bullet.len() < line.len() && bullet.starts_with(['.', ')'])),
        );
        let mut rest = line;
        while self.words < MAX_WORDS {
            rest = behind_blanks(rest);
            let Some(first) = rest.chars().next() else {
                break;
            };
            if let Some(after) = self.quotation(first, rest) {
                rest = after;
                continue;
            }
            let (chunk, after) = Chunk::first(rest);
            self.chunk(chunk);
            rest = after;
        }
    }

    /// What follows the inline code or quotation that begins here, if one does and also ends.
    fn quotation<'a>(&mut self, first: char, rest: &'a str) -> Option<&'a str> {
        let close = match first {
            '`' => '`',
            // An ask that begins with a quotation mark is as like as not quoted whole.
            '"' if self.words > 0 => '"',
            '\u{201c}' if self.words > 0 => '\u{201d}',
            _ => return None,
        };
        let inside = rest.get(first.len_utf8()..)?;
        let (end, _) = inside
            .char_indices()
            .take(MAX_QUOTATION)
            .find(|(_, c)| *c == close)?;
        self.previous = [None, None];
        self.wants.quoted += 1;
        self.grams.mark("quotation");
        inside.get(end + close.len_utf8()..)
    }

    /// Counts what stands between two blanks.
    fn chunk(&mut self, chunk: Chunk<'_>) {
        if chunk.is_plain() {
            let word = chunk.text.as_bytes();
            self.grams.word(word);
            self.word(Some(word).filter(|word| word.len() <= LONGEST));
            return;
        }
        if chunk.is_address() {
            self.paths += 1;
            self.grams.mark("address");
            return;
        }
        let bare = chunk.bare();
        if bare.is_some_and(Chunk::is_path) {
            self.paths += 1;
            self.previous = [None, None];
            self.grams.mark("path");
            return;
        }
        if bare.is_some_and(Chunk::is_identifier) {
            self.words += 1;
            self.previous = [None, None];
            self.grams.mark("identifier");
            return;
        }
        let chunk = chunk.text;
        self.wants.sign(chunk);
        self.grams.chunk(chunk);
        let mut word = [0_u8; LONGEST];
        let mut len = 0;
        for byte in chunk.bytes() {
            match byte {
                b'\'' => {}
                b if b.is_ascii_alphanumeric() => {
                    if let Some(slot) = word.get_mut(len) {
                        *slot = b.to_ascii_lowercase();
                    }
                    len += 1;
                }
                b if !b.is_ascii() => {
                    self.dense += u32::from(b >= 0xe0);
                    len += usize::from(b >= 0xc0 || len > 0);
                    // A word with other letters in it is none that is known.
                    if let Some(slot) = word.get_mut(len.saturating_sub(1)) {
                        *slot = b;
                    }
                }
                _ => {
                    self.word(word.get(..len));
                    len = 0;
                }
            }
            if self.words >= MAX_WORDS {
                return;
            }
        }
        self.word(word.get(..len));
        if matches!(chunk.as_bytes().last(), Some(b'.' | b'!' | b'?' | b';')) {
            self.previous = [None, None];
            self.grams.stop();
        }
    }

    /// Counts a word; `None` is one that is longer than any that says something.
    fn word(&mut self, word: Option<&[u8]>) {
        if word.is_some_and(<[u8]>::is_empty) {
            return;
        }
        let word = word.unwrap_or_default();
        let Known { mark, wants, id } = look_up(word);
        self.wants.word(wants, word);
        self.words += 1;
        match mark {
            Mark::Greeting => self.greetings += 1,
            Mark::Affirmation => self.affirmations += 1,
            Mark::Filler => self.fillers += 1,
            Mark::Verb(weight) => self.work(weight, id),
            Mark::Edit => self.edit = true,
            Mark::SmallObject => self.small_objects += 1,
            Mark::LargeObject => self.large_objects += 1,
            Mark::Scope => self.scope += 1,
            Mark::Port if self.words == 1 => self.work(36, id),
            Mark::Port => self.small_objects += 1,
            Mark::Piece => self.pieces += 1,
            Mark::Hard => self.hard += 1,
            Mark::Math => self.math += 1,
            Mark::HiddenFault => self.hidden_faults += 1,
            Mark::Elusive => self.elusive += 1,
            Mark::Puzzle => self.puzzles += 1,
            Mark::Ultrathink => self.phrase = Some("ultrathink"),
            Mark::Derive => self.shows = true,
            Mark::Show => self.work(8, id),
            Mark::Security | Mark::Threat => self.security_at = Some(self.words),
            Mark::Audit => {
                self.work(33, id);
                self.audit_at = Some(self.words);
            }
            Mark::Prove | Mark::Think => self.work(10, id),
            _ => {}
        }
        self.phrases(mark, word);
        self.previous = [self.previous[1], Some(mark)];
    }

    fn work(&mut self, weight: u8, id: usize) {
        self.verb = self.verb.max(weight);
        if weight >= 22 && !self.verbs.contains(&(id + 1)) {
            if let Some(slot) = self.verbs.get_mut(self.tasks as usize) {
                *slot = id + 1;
            }
            self.tasks += 1;
        }
    }

    /// What this word means after those before it.
    fn phrases(&mut self, mark: Mark, word: &[u8]) {
        let last = self.previous[1];
        if self.words == 2 {
            self.definitional |= last == Some(Mark::Question) && mark == Mark::Copula;
        }
        // "What is the root cause of this" asks for more than what a root cause is.
        self.definite |= self.words == 3 && self.definitional && word == b"the";
        self.definitional |= self.words == 1 && word == b"whats";
        match mark {
            Mark::Still | Mark::Same => self.persists_at = Some(self.words),
            Mark::Failing
                if self
                    .persists_at
                    .is_some_and(|at| self.words - at <= PERSISTS) =>
            {
                self.error_loop = true;
            }
            _ => {}
        }
        match (last, mark) {
            (Some(Mark::Prove), Mark::Claim | Mark::Math)
            | (Some(Mark::Proof), Mark::Claim)
            | (Some(Mark::Formal), Mark::Prove | Mark::Proof) => self.phrase = Some("proof"),
            (Some(Mark::Filler), Mark::Math | Mark::Claim)
                if self.previous[0] == Some(Mark::Prove) =>
            {
                self.phrase = Some("proof");
            }
            (Some(Mark::Formal), _) if word == b"verify" || word == b"verification" => {
                self.phrase = Some("proof");
            }
            (Some(Mark::Show), Mark::Claim) => self.shows = true,
            (Some(Mark::Root), Mark::Cause) => self.phrase = Some("root_cause"),
            (Some(Mark::Think), Mark::Deeply) | (Some(Mark::First), Mark::Principles) => {
                self.phrase = Some("think_hard");
            }
            (Some(Mark::Threat), Mark::Model) => self.phrase = Some("security_audit"),
            _ => {}
        }
        let review = mark == Mark::Verb(29) && word == b"review";
        if review || mark == Mark::Audit {
            self.audit_at = Some(self.words);
        }
        if let (Some(a), Some(b)) = (self.security_at, self.audit_at)
            && a.abs_diff(b) <= NEAR
            && self.small_objects == 0
        {
            self.phrase = Some("security_audit");
        }
    }
}

/// It without the blanks at its head, of which most are one plain blank.
fn behind_blanks(text: &str) -> &str {
    match text.as_bytes() {
        [b' ', next, ..] if next.is_ascii_graphic() => text.get(1..).unwrap_or_default(),
        _ => text.trim_start(),
    }
}

/// What is asked in a line that ends in code, up to the colon before it.
fn before_code(line: &str) -> Option<&str> {
    let letter = |b: &u8| b.is_ascii_alphabetic();
    line.trim_start().as_bytes().first().filter(|b| letter(b))?;
    let sign = |b| matches!(b, b'{' | b'[' | b'(' | b'<' | b'=' | b'`' | b';');
    let code = line.bytes().position(sign)?;
    let (ask, _) = line.get(..code)?.rsplit_once(": ")?;
    let plain = |w: &str| w.bytes().all(|b| letter(&b) || b == b'\'');
    ask.split_ascii_whitespace().all(plain).then_some(ask)
}
