//! Events that are like the one before but for their text, as almost all of a stream are.
use crate::dialect::literal::literal_len;

/// An event longer than this is no model for others: it would be kept as long as the stream is.
const LONGEST: usize = 1024;
/// After so many models that fitted nothing it is left: something changes with every event.
const CHANCES: u8 = 8;

/// What the event before was, around one string.
#[derive(Debug)]
pub(super) struct Repeat {
    before: Vec<u8>,
    after: Vec<u8>,
    /// The bytes of output that stand beside the string.
    beside: usize,
    /// Whether any event fitted since the model was taken.
    fitted: bool,
    chances: u8,
}

impl Default for Repeat {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            beside: 0,
            fitted: false,
            chances: CHANCES,
        }
    }
}

impl Repeat {
    /// The bytes of output in `event`, where it is the model with another text. Then whatever else is true of the model is true of it.
    pub(super) fn fits(&mut self, event: &[u8]) -> Option<usize> {
        if self.after.is_empty() {
            return None;
        }
        let rest = event.strip_prefix(&*self.before)?;
        let length = literal_len(rest)?;
        // The model is UTF-8, so that this leaves but the text to be checked.
        let text = rest.get(1..=length)?;
        let is_text = text.is_ascii() || std::str::from_utf8(text).is_ok();
        if rest.get(length + 2..)? != self.after || !is_text {
            return None;
        }
        self.fitted = true;
        Some(self.beside + length)
    }

    /// Takes `event`, which brings so many bytes of output, for a model: the string at `at` is what others may differ in.
    pub(super) fn take(&mut self, event: &[u8], at: usize, brought: usize) {
        let whole = event.ends_with(b"\n\n") && event.len() <= LONGEST && self.chances > 0;
        let parts = event.split_at_checked(at).filter(|_| whole);
        let Some((before, rest)) = parts else {
            return;
        };
        let Some(length) = literal_len(rest) else {
            return;
        };
        self.chances = if std::mem::take(&mut self.fitted) {
            CHANCES
        } else {
            self.chances - 1
        };
        self.before.clear();
        self.after.clear();
        self.before.extend_from_slice(before);
        self.after
            .extend_from_slice(rest.get(length + 2..).unwrap_or_default());
        self.beside = brought - length.min(brought);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_fits_and_nothing_else() {
        let mut repeat = Repeat::default();
        let event = |text: &str, n: u8| format!("data: {{\"n\":{n},\"text\":\"{text}\"}}\n\n");
        let model = event("hi", 1);
        assert_eq!(repeat.fits(model.as_bytes()), None);
        repeat.take(model.as_bytes(), 20, 5);
        for (other, fits) in [
            (event("hi", 1), Some(5)),
            (event("", 1), Some(3)),
            (event("\u{e9}\\\"\\\\", 1), Some(9)),
            (event("hi", 2), None),
            (event("hi\",\"usage\":\"", 1), None),
            (event("hi\\", 1), None),
            (event("hi", 1) + ":", None),
            (event("hi", 1).trim_end().to_owned(), None),
        ] {
            assert_eq!(repeat.fits(other.as_bytes()), fits, "{other}");
        }
        let mut broken = event("h?", 1).into_bytes();
        broken[21] = 0xff;
        assert_eq!(repeat.fits(&broken), None);
    }

    #[test]
    fn what_never_fits_is_left() {
        let mut repeat = Repeat::default();
        for _ in 0..CHANCES {
            repeat.take(b"data: \"a\"\n\n", 6, 1);
        }
        repeat.take(b"other: \"a\"\n\n", 7, 1);
        assert_eq!(repeat.fits(b"other: \"b\"\n\n"), None);
        assert_eq!(repeat.fits(b"data: \"b\"\n\n"), Some(1));
        repeat.take(b"other: \"a\"\n\n", 7, 1);
        assert_eq!(repeat.fits(b"other: \"b\"\n\n"), None);
    }
}
