//! Amazon's event stream, cut from a byte stream message by message.
//!
//! A message is a prelude (its length, its headers' length, a checksum of both), headers, a payload, and a checksum of all before it, all
//! numbers in big-endian order. Both checksums are looked at: what is wrong with a length is found before anybody waits for so many bytes.
mod retold;

pub(crate) use retold::retold;

use bytes::{Buf, Bytes, BytesMut};
use std::{collections::VecDeque, fmt};

/// The prelude: two lengths and their checksum.
const PRELUDE: usize = 12;
/// What a message without headers and payload is long.
const SHORTEST: usize = PRELUDE + CHECKSUM;
const CHECKSUM: usize = 4;
/// The type of a header's value that is a string.
const STRING: u8 = 7;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind of message it is.
    pub kind: MessageKind,
    /// The name of its event or of its exception: `:event-type`, `:exception-type` or `:error-code`.
    pub name: String,
    /// The words of an error (`:error-message`), which has no payload.
    pub words: String,
    /// What it brings, most often JSON: a slice of the bytes that it was read from.
    pub payload: Bytes,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// Part of the answer.
    #[default]
    Event,
    /// An error that the service foresees; the stream ends with it.
    Exception,
    /// An error that it does not.
    Error,
}

/// Why a byte stream is no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// A message is over the limit.
    TooLong,
    /// The checksum of a prelude does not fit it.
    Prelude,
    /// The checksum of a message does not fit it.
    Checksum,
    /// A length or a header is impossible.
    Malformed,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "sent an event over the size limit",
            Self::Prelude | Self::Checksum => "sent an event whose checksum does not fit",
            Self::Malformed => "sent an event that cannot be read",
        })
    }
}
impl std::error::Error for Broken {}

/// Cuts a byte stream into messages, whatever chunks it arrives in. A message that arrives whole is not copied.
///
/// ```
/// use tierway_services::event_stream::Splitter;
/// // A message without headers, from the framing's test vectors.
/// let bytes = b"\x00\x00\x00\x24\x00\x00\x00\x00\x51\x63\x56\xadanother test payload\x8d\xf8\x0e\x65";
/// let mut splitter = Splitter::new(1024);
/// splitter.push(bytes[..20].to_vec().into()).unwrap();
/// assert!(splitter.next().is_none());
/// splitter.push(bytes[20..].to_vec().into()).unwrap();
/// assert_eq!(splitter.next().unwrap().payload, "another test payload");
/// ```
#[derive(Debug)]
pub struct Splitter {
    ready: VecDeque<Message>,
    rest: BytesMut,
    limit: usize,
    broken: Option<Broken>,
}

impl Splitter {
    /// A splitter that refuses messages over `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            rest: BytesMut::new(),
            limit,
            broken: None,
        }
    }

    /// Takes a chunk. After an error nothing more is taken: there is no telling where the next message begins.
    ///
    /// # Errors
    /// [`Broken`] where this is no event stream, or a message is over the limit. The messages before it can still be had.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let cut = self.cut(chunk);
        if let Err(broken) = cut {
            self.broken = Some(broken);
            self.rest.clear();
        }
        cut
    }

    /// Whether the bytes end within a message.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.rest.is_empty()
    }

    fn cut(&mut self, mut chunk: Bytes) -> Result<(), Broken> {
        while !chunk.is_empty() {
            if self.rest.is_empty()
                && let Some(length) = length(&chunk, self.limit)?
                && chunk.len() >= length
            {
                self.ready.push_back(read(chunk.split_to(length))?);
                continue;
            }
            // Of a message that straddles chunks, the prelude first, and then as much as it says.
            let wanted = length(&self.rest, self.limit)?.unwrap_or(PRELUDE);
            let missing = wanted.saturating_sub(self.rest.len()).min(chunk.len());
            self.rest.extend_from_slice(&chunk.split_to(missing));
            if let Some(length) = length(&self.rest, self.limit)?
                && self.rest.len() == length
            {
                let whole = std::mem::take(&mut self.rest).freeze();
                self.ready.push_back(read(whole)?);
            }
        }
        Ok(())
    }
}

impl Iterator for Splitter {
    type Item = Message;
    /// The next whole message.
    fn next(&mut self) -> Option<Message> {
        self.ready.pop_front()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*four))
}

/// The length of the message that begins here; `None` while its prelude is not whole.
fn length(bytes: &[u8], limit: usize) -> Result<Option<usize>, Broken> {
    let (Some(all), Some(headers), Some(sum), Some(covered)) = (
        number(bytes, 0),
        number(bytes, 4),
        number(bytes, 8),
        bytes.get(..8),
    ) else {
        return Ok(None);
    };
    if crc32fast::hash(covered) != sum {
        return Err(Broken::Prelude);
    }
    let (all, headers) = (all as usize, headers as usize);
    if headers.saturating_add(SHORTEST) > all {
        return Err(Broken::Malformed);
    }
    if all > limit {
        return Err(Broken::TooLong);
    }
    Ok(Some(all))
}

/// Reads a whole message, whose prelude is known to be right.
fn read(mut message: Bytes) -> Result<Message, Broken> {
    let sum = message.split_off(message.len().saturating_sub(CHECKSUM));
    if number(&sum, 0) != Some(crc32fast::hash(&message)) {
        return Err(Broken::Checksum);
    }
    let headers = number(&message, 4).ok_or(Broken::Malformed)? as usize;
    let end = PRELUDE + headers;
    if end > message.len() {
        return Err(Broken::Malformed);
    }
    let payload = message.split_off(end);
    message.advance(PRELUDE);
    let mut read = Message {
        kind: MessageKind::Event,
        name: String::new(),
        words: String::new(),
        payload,
    };
    let mut rest = &message[..];
    while !rest.is_empty() {
        let (name, value) = header(&mut rest).ok_or(Broken::Malformed)?;
        let text = || value.map(|v| String::from_utf8_lossy(v).into_owned());
        match name {
            b":message-type" => {
                read.kind = match value {
                    Some(b"exception") => MessageKind::Exception,
                    Some(b"error") => MessageKind::Error,
                    _ => MessageKind::Event,
                }
            }
            b":event-type" | b":exception-type" | b":error-code" => {
                read.name = text().unwrap_or_default();
            }
            b":error-message" => read.words = text().unwrap_or_default(),
            _ => {}
        }
    }
    Ok(read)
}

/// Takes a header off the front: its name, and its value where that is a string.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let length = take(rest, 1)?.first().copied()?;
    if length == 0 {
        return None;
    }
    let name = take(rest, length.into())?;
    let kind = take(rest, 1)?.first().copied()?;
    let length = match kind {
        // True, false.
        0 | 1 => 0,
        // Integers of one, two, four and eight bytes; a point in time.
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        // Bytes and strings tell their own length.
        6 | STRING => u16::from_be_bytes(*take(rest, 2)?.first_chunk()?).into(),
        // A UUID.
        9 => 16,
        _ => return None,
    };
    let value = take(rest, length)?;
    Some((name, (kind == STRING).then_some(value)))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
pub(crate) mod tests;
