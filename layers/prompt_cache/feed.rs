//! What goes into a key.
use memchr::memmem::Finder;
use std::{borrow::Cow, sync::LazyLock};

/// So much is hashed at once. BLAKE3 takes chunks of 1 KiB side by side, which is several times as fast as one piece after the other, and
/// most pieces of a conversation are shorter.
const AT_ONCE: usize = 64 * 1024;

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

    /// What a JSON string says, however it is written.
    pub(super) fn string(&mut self, kind: u8, literal: &[u8]) {
        self.framed(kind, &plainly(literal));
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

/// A JSON string as it is written with no escape that could be spared: the same for all that say the same. One that stands for no text
/// (half a surrogate pair) counts as written.
fn plainly(literal: &[u8]) -> Cow<'_, [u8]> {
    // Without these two there is but one way to write a text.
    static SPARED: LazyLock<[Finder<'_>; 2]> = LazyLock::new(|| ["\\u", "\\/"].map(Finder::new));
    if SPARED.iter().all(|escape| escape.find(literal).is_none()) {
        return literal.into();
    }
    let text = serde_json::from_slice::<String>(literal);
    let plain = text.and_then(|text| serde_json::to_vec(&text));
    plain.map_or(literal.into(), Cow::Owned)
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
            hasher.update(&(text.len() as u64 + 4).to_le_bytes());
            hasher.update(format!("\"{text}\\n\"").as_bytes());
        }
        assert_eq!(feed.finish(), *hasher.finalize().as_bytes());
    }

    #[test]
    fn texts_are_the_same_however_they_are_written() {
        let plain = |literal: &str| String::from_utf8(plainly(literal.as_bytes()).into()).unwrap();
        for (literal, plainest) in [
            (r#""\u0061\/\u000a""#, r#""a/\n""#),
            (
                r#""\u0022\u005C\u001F\u007f\b""#,
                "\"\\\"\\\\\\u001f\u{7f}\\b\"",
            ),
            (r#""\ud83d\ude00\n""#, "\"\u{1f600}\\n\""),
            (r#""C:\\users \"a\/b\"""#, r#""C:\\users \"a/b\"""#),
        ] {
            assert_eq!(plain(literal), plainest);
            assert_eq!(plain(plainest), plainest);
            let said = |literal| serde_json::from_str::<String>(literal).unwrap();
            assert_eq!(said(literal), said(plainest));
        }
        for as_it_is in [r#""""#, r#""a\tb""#, r#""\ud83d""#] {
            assert_eq!(plain(as_it_is), as_it_is);
        }
    }
}
