//! What goes into a key.
use tierway_services::json;

/// So much is hashed at once. BLAKE3 takes chunks of 1 KiB side by side, which is several times as fast as one piece after the other, and
/// most pieces of a conversation are shorter.
const AT_ONCE: usize = 64 * 1024;
/// Before each piece: its kind, and its length or number in eight bytes.
const FRAME: usize = 9;

/// A hash, and what is still to be fed to it. Everything is framed by its length or count, so that no two contents give one byte sequence.
pub(super) struct Feed {
    hasher: blake3::Hasher,
    pending: Vec<u8>,
}

impl Feed {
    /// A hash of its own for `context`, that will be fed about so many bytes.
    pub(super) fn new(context: &str, expected: usize) -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key(context),
            pending: Vec::with_capacity((expected + 1024).min(2 * AT_ONCE)),
        }
    }

    /// How many of something follow.
    pub(super) fn count(&mut self, kind: u8, n: usize) {
        self.pending.push(kind);
        self.pending.extend_from_slice(&(n as u64).to_le_bytes());
    }

    /// Bytes with their length, so that what follows cannot be taken for part of them.
    pub(super) fn framed(&mut self, kind: u8, bytes: &[u8]) {
        self.count(kind, bytes.len());
        self.pending.extend_from_slice(bytes);
        self.flush();
    }

    /// What a JSON string says; one that stands for no text (half a surrogate pair) counts as written.
    pub(super) fn string(&mut self, kind: u8, literal: &[u8]) {
        let start = self.pending.len();
        self.count(kind, 0);
        let inside = literal.get(1..literal.len().saturating_sub(1));
        if json::unescape(inside.unwrap_or_default(), &mut self.pending).is_none() {
            self.pending.truncate(start + FRAME);
            self.pending.extend_from_slice(literal);
        }
        let length = self.pending.len() - start - FRAME;
        if let Some(place) = self.pending.get_mut(start + 1..start + FRAME) {
            place.copy_from_slice(&(length as u64).to_le_bytes());
        }
        self.flush();
    }

    fn flush(&mut self) {
        if self.pending.len() >= AT_ONCE {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        self.hasher.update(&self.pending);
        *self.hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_together_are_what_they_are_one_by_one() {
        let long = "x".repeat(200_000);
        let mut feed = Feed::new("test", 10);
        let mut hasher = blake3::Hasher::new_derive_key("test");
        for text in ["", "a", &long, "b", &long[..70_000], "c"] {
            feed.framed(b'f', text.as_bytes());
            feed.count(b'n', 7);
            feed.string(b's', format!("\"{text}\\n\"").as_bytes());
            hasher.update(b"f");
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
            hasher.update(b"n");
            hasher.update(&7_u64.to_le_bytes());
            hasher.update(b"s");
            hasher.update(&(text.len() as u64 + 1).to_le_bytes());
            hasher.update(format!("{text}\n").as_bytes());
        }
        assert_eq!(feed.finish(), *hasher.finalize().as_bytes());
    }
}
