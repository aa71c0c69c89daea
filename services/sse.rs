//! Server-sent events, cut from a byte stream without copying what is whole.
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, fmt};

/// One event: the name after `event:` and the payload after `data:`, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's name, where it has one.
    pub name: Option<&'a str>,
    /// Its data. An event with several `data:` lines (which no provider sends) yields the first.
    pub data: &'a str,
}

impl<'a> Event<'a> {
    /// Reads the lines of one event, comments and unknown fields aside. `None` for an event without data (a comment, a lone blank line).
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut event = Self {
            name: None,
            data: "",
        };
        let mut found = false;
        for line in bytes.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(value) = field(line, b"data:") {
                if !found {
                    event.data = value?;
                    found = true;
                }
            } else if let Some(value) = field(line, b"event:") {
                event.name = value;
            }
        }
        found.then_some(event)
    }
}

/// The value of a field line; the inner option is `None` where it is not UTF-8.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<Option<&'a str>> {
    let value = line.strip_prefix(name)?;
    Some(std::str::from_utf8(value.strip_prefix(b" ").unwrap_or(value)).ok())
}

/// An event that grew over the limit without ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLong(());

impl fmt::Display for EventTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream sent an event over the size limit")
    }
}
impl std::error::Error for EventTooLong {}

/// Cuts a byte stream into whole events, whatever chunks it arrives in.
///
/// What comes out are slices of what went in, each ending at an event's blank line; only an event that straddles two chunks is copied, to
/// join its halves.
///
/// ```
/// use tierway_services::sse::{Event, Splitter};
/// let mut splitter = Splitter::new(1024);
/// splitter.push("event: ping\ndata: {}\n\ndata: ha".into()).unwrap();
/// let ping = splitter.next().unwrap();
/// assert_eq!(Event::parse(&ping), Some(Event { name: Some("ping"), data: "{}" }));
/// assert_eq!(splitter.next(), None);
/// splitter.push("lf\r\n\r\n".into()).unwrap();
/// assert_eq!(Event::parse(&splitter.next().unwrap()), Some(Event { name: None, data: "half" }));
/// ```
#[derive(Debug)]
pub struct Splitter {
    ready: VecDeque<Bytes>,
    rest: BytesMut,
    limit: usize,
}

impl Splitter {
    /// A splitter that refuses events over `limit` bytes.
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
    /// [`EventTooLong`] where an event is over the limit; those before it are there.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), EventTooLong> {
        if !self.rest.is_empty() {
            // Only the event that straddles the seam is copied.
            let Some(end) = seam(&self.rest, &chunk).or_else(|| boundary(&chunk)) else {
                self.rest.extend_from_slice(&chunk);
                return self.check();
            };
            self.rest.extend_from_slice(&chunk.split_to(end));
            self.check()?;
            self.ready
                .push_back(std::mem::take(&mut self.rest).freeze());
        }
        while !chunk.is_empty() {
            let Some(end) = boundary(&chunk) else {
                self.rest.extend_from_slice(&chunk);
                return self.check();
            };
            // However its bytes arrived: what is too long in pieces is too long at once.
            if end > self.limit {
                return Err(EventTooLong(()));
            }
            self.ready.push_back(chunk.split_to(end));
        }
        Ok(())
    }

    /// The bytes after the last blank line: an event that never ended.
    #[must_use]
    pub fn remainder(&self) -> &[u8] {
        &self.rest
    }

    fn check(&self) -> Result<(), EventTooLong> {
        if self.rest.len() > self.limit {
            Err(EventTooLong(()))
        } else {
            Ok(())
        }
    }
}

impl Iterator for Splitter {
    type Item = Bytes;
    /// The next whole event, its blank line included.
    fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }
}

/// The end of a blank line that began in `rest` and ends in `chunk`.
fn seam(rest: &[u8], chunk: &[u8]) -> Option<usize> {
    match chunk {
        [b'\n', ..] if rest.ends_with(b"\n") || rest.ends_with(b"\n\r") => Some(1),
        [b'\r', b'\n', ..] if rest.ends_with(b"\n") => Some(2),
        _ => None,
    }
}

/// The end of the first blank line.
fn boundary(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(i) = memchr::memchr(b'\n', bytes.get(at..)?) {
        let next = at + i + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "event: a\ndata: {\"x\":\"\u{e9}\"}\n\n: comment\n\ndata: b\r\n\r\ndata:c\nid: 7\n\nevent: d\ndata: \n\n";

    fn cut(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut splitter = Splitter::new(1024);
        let mut out = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk)).unwrap();
            out.extend(splitter.by_ref());
        }
        assert_eq!(splitter.remainder(), b"");
        out
    }

    #[test]
    fn events_come_out_whole() {
        let events = cut(&[STREAM.as_bytes()]);
        assert_eq!(events.concat(), STREAM.as_bytes());
        let parsed: Vec<_> = events
            .iter()
            .filter_map(|e| Event::parse(e))
            .map(|e| (e.name, e.data))
            .collect();
        assert_eq!(
            parsed,
            [
                (Some("a"), "{\"x\":\"\u{e9}\"}"),
                (None, "b"),
                (None, "c"),
                (Some("d"), "")
            ]
        );
    }

    #[test]
    fn whole_events_are_slices_of_the_chunk() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let mut splitter = Splitter::new(64);
        splitter.push(chunk.clone()).unwrap();
        assert_eq!(splitter.next().unwrap().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn an_event_that_is_too_long_is_refused_however_it_arrives() {
        for (chunks, before) in [
            (&["data: 123456789"][..], 0),
            (&["data: 1\n\ndata: 123456789\n\ndata: 2\n\n"], 1),
            (&["data: 1234", "5678\n\n"], 0),
        ] {
            let mut splitter = Splitter::new(9);
            let refused = chunks
                .iter()
                .any(|chunk| splitter.push(Bytes::from_static(chunk.as_bytes())).is_err());
            assert!(refused, "{chunks:?}");
            assert_eq!(splitter.count(), before);
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(cuts in proptest::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let bytes = STREAM.as_bytes();
            let chunks: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(cut(&chunks), cut(&[bytes]));
        }
    }
}
