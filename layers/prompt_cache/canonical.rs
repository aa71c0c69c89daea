//! Feeding a JSON body to a hash so that what means the same hashes the same.
//!
//! Object keys are sorted, white space is nothing, strings count by their value (`"a"` is `"\u0061"`), numbers by how they are written
//! (`1.0` is not `1`, and no digit is lost). Everything is framed by its length or count, so no two contents give one byte sequence.
//!
//! One pass finds where each value begins and ends, a second hashes; both take linear time, and depth and number of values are bounded, so
//! that no body makes this dear. Where the texts of the conversation end, which are most of it, is known from when it was read.
use super::feed::Feed;
use std::{borrow::Cow, cmp::Reverse, ops::Range};
use tierway_services::json;

/// The deepest nesting; what is deeper is not cached.
const MAX_DEPTH: u32 = 128;
/// The most values; what holds more is not cached.
const MAX_NODES: usize = 1 << 18;

/// A value, or an object's key.
#[derive(Clone, Copy)]
struct Node {
    start: usize,
    end: usize,
    /// The node after this one and all it holds.
    next: usize,
}

/// The values of a JSON text in the order in which they begin; a key stands before its value.
pub(super) struct Tape<'a> {
    raw: &'a [u8],
    nodes: Vec<Node>,
    /// Strings of which the end is known, the first one last.
    texts: Vec<Range<u32>>,
}

impl<'a> Tape<'a> {
    /// Finds the values of `raw`, in which strings stand at `texts`; `None` where it is no JSON that is worth it.
    pub(super) fn of(raw: &'a [u8], mut texts: Vec<Range<u32>>) -> Option<Self> {
        texts.sort_unstable_by_key(|text| Reverse(text.start));
        let mut tape = Self {
            raw,
            nodes: Vec::with_capacity(256),
            texts,
        };
        let end = tape.value(0, 0)?;
        (tape.blank(end) == raw.len()).then_some(tape)
    }

    /// Feeds the whole text, top-level members for which `skip` holds aside.
    pub(super) fn feed_all(&self, feed: &mut Feed, skip: impl Fn(&str) -> bool) {
        let mut members = self.members(0);
        members.retain(|(key, _)| !std::str::from_utf8(key).is_ok_and(&skip));
        feed.count(b'{', members.len());
        for (key, value) in &members {
            feed.framed(b'"', key);
            if **key == *b"system" && self.text(*value).first() == Some(&b'[') {
                self.feed_array(feed, *value, |block| !self.is_billing(block));
            } else {
                self.feed(feed, *value);
            }
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.raw.get(at).copied()
    }

    fn blank(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            at += 1;
        }
        at
    }

    // === finding ===

    /// Notes the value at `at` and what it holds; returns its end.
    fn value(&mut self, at: usize, depth: u32) -> Option<usize> {
        let start = self.blank(at);
        if depth > MAX_DEPTH || self.nodes.len() >= MAX_NODES {
            return None;
        }
        let node = self.nodes.len();
        self.nodes.push(Node {
            start,
            end: start,
            next: node,
        });
        let end = match self.byte(start)? {
            b'"' => self.string_end(start)?,
            b'{' => self.items(start, b'}', depth)?,
            b'[' => self.items(start, b']', depth)?,
            _ => {
                let mut end = start;
                while !matches!(
                    self.byte(end),
                    None | Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
                ) {
                    end += 1;
                }
                end
            }
        };
        let next = self.nodes.len();
        let noted = self.nodes.get_mut(node)?;
        (noted.end, noted.next) = (end, next);
        (end > start).then_some(end)
    }

    fn string_end(&mut self, start: usize) -> Option<usize> {
        let at = |text: &mut Range<u32>| text.start as usize;
        while self.texts.pop_if(|text| at(text) < start).is_some() {}
        match self.texts.pop_if(|text| at(text) == start) {
            Some(text) => Some(text.end as usize),
            None => json::string_end(self.raw, start + 1),
        }
    }

    /// Notes the items between brackets; each of an object's is a key and a value.
    fn items(&mut self, open: usize, close: u8, depth: u32) -> Option<usize> {
        let mut at = self.blank(open + 1);
        if self.byte(at) == Some(close) {
            return Some(at + 1);
        }
        loop {
            if close == b'}' {
                let key = self.blank(at);
                if self.byte(key) != Some(b'"') {
                    return None;
                }
                let end = self.value(key, depth + 1)?;
                at = self.blank(end);
                if self.byte(at) != Some(b':') {
                    return None;
                }
                at += 1;
            }
            let end = self.value(at, depth + 1)?;
            at = self.blank(end);
            match self.byte(at)? {
                b',' => at += 1,
                b if b == close => return Some(at + 1),
                _ => return None,
            }
        }
    }

    // === hashing ===

    fn node(&self, i: usize) -> Node {
        let none = Node {
            start: 0,
            end: 0,
            next: i + 1,
        };
        self.nodes.get(i).copied().unwrap_or(none)
    }

    pub(super) fn text(&self, i: usize) -> &'a [u8] {
        let node = self.node(i);
        self.raw.get(node.start..node.end).unwrap_or_default()
    }

    /// The value of the string at `i`. One that stands for no text (half a surrogate pair) counts as written.
    pub(super) fn string_value(&self, i: usize) -> Cow<'a, [u8]> {
        let literal = self.text(i);
        let inside = literal.get(1..literal.len().saturating_sub(1));
        if memchr::memchr(b'\\', literal).is_none() {
            return inside.unwrap_or_default().into();
        }
        match serde_json::from_slice::<String>(literal) {
            Ok(text) => text.into_bytes().into(),
            Err(_) => literal.into(),
        }
    }

    /// The members of the object at `i`, sorted by key; those of one key stay in order.
    pub(super) fn members(&self, i: usize) -> Vec<(Cow<'a, [u8]>, usize)> {
        let mut members: Vec<_> = self.object(i).into_iter().flatten().collect();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members
    }

    fn elements(&self, i: usize) -> impl Iterator<Item = usize> {
        let end = self.node(i).next;
        std::iter::successors(Some(i + 1), |at| Some(self.node(*at).next))
            .take_while(move |at| *at < end)
    }

    // === looking ===

    /// `i`, where that is a string.
    pub(super) fn string(&self, i: usize) -> Option<usize> {
        (self.text(i).first() == Some(&b'"')).then_some(i)
    }

    /// `i`, where that is a number.
    pub(super) fn number(&self, i: usize) -> Option<usize> {
        let first = self.text(i).first()?;
        (*first == b'-' || first.is_ascii_digit()).then_some(i)
    }

    /// The elements of the array at `i`.
    pub(super) fn array(&self, i: usize) -> Option<impl Iterator<Item = usize>> {
        (self.text(i).first() == Some(&b'[')).then(|| self.elements(i))
    }

    /// The members of the object at `i`, in the order in which they are written.
    pub(super) fn object(&self, i: usize) -> Option<impl Iterator<Item = (Cow<'a, [u8]>, usize)>> {
        let end = self.node(i).next;
        let next = |key: &usize| Some(self.node(key + 1).next);
        let keys = std::iter::successors(Some(i + 1), next).take_while(move |key| *key < end);
        let members = keys.map(|key| (self.string_value(key), key + 1));
        (self.text(i).first() == Some(&b'{')).then_some(members)
    }

    // === feeding ===

    fn feed_object(&self, feed: &mut Feed, members: &[(Cow<'_, [u8]>, usize)]) {
        feed.count(b'{', members.len());
        for (key, value) in members {
            feed.framed(b'"', key);
            self.feed(feed, *value);
        }
    }

    /// Feeds the elements for which `keep` holds; the others do not count, nor are they counted.
    fn feed_array(&self, feed: &mut Feed, i: usize, keep: impl Fn(usize) -> bool) {
        feed.count(b'[', self.elements(i).filter(|e| keep(*e)).count());
        for element in self.elements(i).filter(|e| keep(*e)) {
            self.feed(feed, element);
        }
    }

    fn feed(&self, feed: &mut Feed, i: usize) {
        match self.text(i).first() {
            Some(b'{') => self.feed_object(feed, &self.members(i)),
            Some(b'[') => self.feed_array(feed, i, |_| true),
            Some(b'"') => feed.string(b'"', self.text(i)),
            _ => feed.framed(b'#', self.text(i)),
        }
    }

    /// Whether this is the block of bookkeeping that Claude Code puts into its system prompt, anew for each kind of request.
    fn is_billing(&self, i: usize) -> bool {
        const PREFIX: &[u8] = b"x-anthropic-billing-header:";
        self.text(i).first() == Some(&b'{')
            && self.text(i).len() < 1_024
            && self.members(i).iter().any(|(key, value)| {
                **key == *b"text" && self.string_value(*value).starts_with(PREFIX)
            })
    }
}
