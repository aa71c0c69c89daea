//! Amazon's event streams: however a stream is cut into chunks, the same messages come out, and the same fault is found; a message with the
//! right checksums and headers that can be told is read as it was written.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tierway_services::event_stream::{Broken, Message, Splitter};

const LIMIT: usize = 1 << 12;

/// A header whose value is a string, or of another type, with a value of a length that may be wrong.
type Header = (Vec<u8>, u8, Vec<u8>);

/// What comes of these chunks: the messages, what is wrong, and whether they end within a message.
fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Broken>, bool) {
    let mut splitter = Splitter::new(LIMIT);
    let mut messages = Vec::new();
    let mut broken = None;
    for chunk in chunks {
        let pushed = splitter.push(Bytes::copy_from_slice(chunk));
        messages.extend(splitter.by_ref());
        broken = broken.or(pushed.err());
    }
    (messages, broken, splitter.is_within())
}

fn framed(headers: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let all = u32::try_from(16 + headers.len() + payload.len()).ok()?;
    let mut out = all.to_be_bytes().to_vec();
    out.extend(u32::try_from(headers.len()).ok()?.to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    Some(out)
}

fn written(headers: &[Header]) -> Vec<u8> {
    const NAMES: [&[u8]; 5] = [
        b":message-type",
        b":event-type",
        b":exception-type",
        b":error-code",
        b":error-message",
    ];
    let mut out = Vec::new();
    for (name, kind, value) in headers {
        // Names that mean something are not to be waited for.
        let name = match name.first() {
            Some(first) if usize::from(*first) < NAMES.len() => NAMES[usize::from(*first)],
            _ => name,
        };
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend(name);
        let kind = kind % 11;
        out.push(kind);
        if matches!(kind, 6 | 7) {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            out.extend(length.to_be_bytes());
        }
        out.extend(value);
    }
    out
}

fuzz_target!(|data: (Vec<(Vec<Header>, Vec<u8>)>, Vec<u8>, u8)| {
    let (messages, tail, step) = data;
    let mut bytes = Vec::new();
    let mut payloads = Vec::new();
    for (headers, payload) in &messages {
        bytes.extend(framed(&written(headers), payload).unwrap_or_default());
        payloads.push(payload);
    }
    bytes.extend(tail);
    let whole = split(std::iter::once(&bytes[..]));
    let cut = split(bytes.chunks(usize::from(step % 23) + 1));
    assert_eq!(whole, cut);
    let (read, _, _) = whole;
    for (message, payload) in read.iter().zip(payloads) {
        assert_eq!(message.payload, payload);
    }
});
