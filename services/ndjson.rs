//! One JSON value a line, cut from a byte stream.
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, fmt};

/// A line that grew over the limit without ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong(());

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream sent a line over the size limit")
    }
}
impl std::error::Error for LineTooLong {}

/// Cuts a byte stream into lines, whatever chunks it arrives in. Blank lines are left out.
///
/// ```
/// use tierway_services::ndjson::Splitter;
/// let mut splitter = Splitter::new(1024);
/// splitter.push("{\"a\":1}\n\n{\"b\"".into()).unwrap();
/// assert_eq!(splitter.next().unwrap(), "{\"a\":1}");
/// assert_eq!(splitter.next(), None);
/// splitter.push(":2}\r\n".into()).unwrap();
/// assert_eq!(splitter.next().unwrap(), "{\"b\":2}");
/// ```
#[derive(Debug)]
pub struct Splitter {
    ready: VecDeque<Bytes>,
    rest: BytesMut,
    limit: usize,
}

impl Splitter {
    /// A splitter that refuses lines over `limit` bytes, their breaks included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            rest: BytesMut::new(),
            limit,
        }
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// [`LineTooLong`] where a line is over the limit; those before it are there.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), LineTooLong> {
        while let Some(end) = memchr::memchr(b'\n', &chunk) {
            let line = chunk.split_to(end + 1);
            let line = if self.rest.is_empty() {
                line
            } else {
                // Only the line that straddles the seam is copied.
                self.rest.extend_from_slice(&line);
                std::mem::take(&mut self.rest).freeze()
            };
            if line.len() > self.limit {
                return Err(LineTooLong(()));
            }
            let trimmed = line.trim_ascii();
            if !trimmed.is_empty() {
                self.ready.push_back(line.slice_ref(trimmed));
            }
        }
        self.rest.extend_from_slice(&chunk);
        if self.rest.len() > self.limit {
            Err(LineTooLong(()))
        } else {
            Ok(())
        }
    }

    /// The bytes after the last line break: a line that never ended.
    #[must_use]
    pub fn remainder(&self) -> &[u8] {
        self.rest.trim_ascii()
    }
}

impl Iterator for Splitter {
    type Item = Bytes;
    /// The next whole line, without its break and the white space around it.
    fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "{\"a\":\"x\"}\r\n \n{\"b\":1}\n{\"c\"";

    #[test]
    fn any_chunking_gives_the_same_lines() {
        for size in 1..=LINES.len() {
            let mut splitter = Splitter::new(64);
            let mut lines = Vec::new();
            for chunk in LINES.as_bytes().chunks(size) {
                splitter.push(Bytes::copy_from_slice(chunk)).unwrap();
                lines.extend(splitter.by_ref());
            }
            assert_eq!(lines, ["{\"a\":\"x\"}", "{\"b\":1}"], "{size}");
            assert_eq!(splitter.remainder(), b"{\"c\"");
        }
    }

    #[test]
    fn whole_lines_are_not_copied_and_long_ones_refused() {
        let chunk = Bytes::from_static(b"{}\n[]\n");
        let mut splitter = Splitter::new(4);
        splitter.push(chunk.clone()).unwrap();
        assert_eq!(splitter.next().unwrap().as_ptr(), chunk.as_ptr());
        assert_eq!(splitter.push("12345".into()), Err(LineTooLong(())));
        let mut splitter = Splitter::new(4);
        assert_eq!(splitter.push("{}\n12345\n".into()), Err(LineTooLong(())));
        assert_eq!(splitter.next().unwrap(), "{}");
    }
}
