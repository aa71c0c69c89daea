//! The framing against its test vectors (those of Amazon's Rust SDK, Apache-2.0), and against every way to cut a stream.
use super::*;
use bytes::BufMut;
use proptest::prelude::*;

const NO_HEADERS: &[u8] =
    b"\x00\x00\x00\x24\x00\x00\x00\x00\x51\x63\x56\xadanother test payload\x8d\xf8\x0e\x65";
const EMPTY_PAYLOAD: &[u8] =
    b"\x00\x00\x00\x1f\x00\x00\x00\x0f\x17\x2d\xc2\xab\x0bsome-header\x03\x01\xf4\x93\x3c\x5c\xad";
/// Every type of value that a header can have.
const ALL_HEADERS: &[u8] = b"\x00\x00\x00\x96\x00\x00\x00\x7a\x8b\xb4\x95\xfb\x04true\x00\x05false\x01\x04byte\x022\x05short\x03N \x03int\x04\x00\x07\xa1 \x04long\x05\x00\x00\x00\x0b\xa4;t\x00\x05bytes\x06\x00\x0asome bytes\x03str\x07\x00\x08some str\x04time\x08\x00\x00\x00\x01*\x05\xf2\x00\x04uuid\x09\xb7\x9b\xc9\x14\xde!N\x13\xb8\xb2\xbcG\xe8[\x7f\x0bsome payload\x01\xa0X`";

/// A message of these headers, all strings.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut told = Vec::new();
    for (name, value) in headers {
        told.put_u8(u8::try_from(name.len()).unwrap());
        told.put_slice(name.as_bytes());
        told.put_u8(STRING);
        told.put_u16(u16::try_from(value.len()).unwrap());
        told.put_slice(value.as_bytes());
    }
    let mut out = Vec::new();
    out.put_u32(u32::try_from(SHORTEST + told.len() + payload.len()).unwrap());
    out.put_u32(u32::try_from(told.len()).unwrap());
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(&told);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out
}

fn event(name: &str, payload: &[u8]) -> Vec<u8> {
    frame(
        &[
            (":event-type", name),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        payload,
    )
}

fn cut(chunks: &[&[u8]], limit: usize) -> (Vec<Message>, Result<(), Broken>) {
    let mut splitter = Splitter::new(limit);
    let mut end = Ok(());
    for chunk in chunks {
        end = splitter.push(Bytes::copy_from_slice(chunk));
    }
    (splitter.collect(), end)
}

#[test]
fn the_vectors_are_read() {
    for (bytes, payload) in [
        (NO_HEADERS, "another test payload"),
        (EMPTY_PAYLOAD, ""),
        (ALL_HEADERS, "some payload"),
    ] {
        let (messages, end) = cut(&[bytes], 1024);
        assert_eq!(end, Ok(()));
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].payload, payload);
        // What the tests write is what the vectors say.
        if bytes == NO_HEADERS {
            assert_eq!(frame(&[], payload.as_bytes()), bytes);
        }
    }
}

#[test]
fn what_is_broken_is_told_and_nothing_after_it_read() {
    let flipped = |at: usize| {
        let mut bytes = ALL_HEADERS.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let last = ALL_HEADERS.len() - 1;
    for (bytes, why) in [
        (flipped(0), Broken::Prelude),
        (flipped(6), Broken::Prelude),
        (flipped(9), Broken::Prelude),
        (flipped(20), Broken::Checksum),
        (flipped(last), Broken::Checksum),
        (frame(&[("", "x")], b""), Broken::Malformed),
    ] {
        let mut splitter = Splitter::new(1024);
        splitter.push(NO_HEADERS.into()).unwrap();
        assert_eq!(splitter.push(bytes.into()), Err(why));
        assert_eq!(splitter.push(NO_HEADERS.into()), Err(why));
        assert_eq!(splitter.count(), 1);
    }
    // Headers longer than the message, with checksums that fit.
    let mut lying = Vec::new();
    lying.put_u32(16);
    lying.put_u32(1);
    lying.put_u32(crc32fast::hash(&lying));
    assert_eq!(cut(&[&lying], 1024).1, Err(Broken::Malformed));
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_prelude() {
    let long = event("chunk", &[b'x'; 200]);
    assert_eq!(cut(&[&long[..PRELUDE]], 100).1, Err(Broken::TooLong));
    assert_eq!(cut(&[&long[..PRELUDE]], long.len()).1, Ok(()));
}

#[test]
fn exceptions_are_told_apart() {
    let bytes = frame(
        &[
            (":exception-type", "throttlingException"),
            (":message-type", "exception"),
        ],
        b"{}",
    );
    let (messages, _) = cut(&[&bytes], 1024);
    assert_eq!(messages[0].kind, MessageKind::Exception);
    assert_eq!(messages[0].name, "throttlingException");
    let bytes = frame(
        &[
            (":error-code", "InternalError"),
            (":error-message", "broken"),
            (":message-type", "error"),
        ],
        b"",
    );
    let (messages, _) = cut(&[&bytes], 1024);
    assert_eq!(messages[0].kind, MessageKind::Error);
    assert_eq!(messages[0].words, "broken");
}

#[test]
fn a_message_that_arrives_whole_is_not_copied() {
    let bytes = Bytes::from(event("chunk", b"{}"));
    let mut splitter = Splitter::new(1024);
    splitter.push(bytes.clone()).unwrap();
    let payload = splitter.next().unwrap().payload;
    let range = bytes.as_ptr_range();
    assert!(range.contains(&payload.as_ptr()));
}

proptest! {
    #[test]
    fn any_chunking_is_the_same_stream(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
        cuts in prop::collection::vec(0usize..400, 0..12),
    ) {
        let all: Vec<u8> = payloads.iter().flat_map(|p| event("chunk", p)).collect();
        let mut places: Vec<usize> = cuts.into_iter().map(|c| c.min(all.len())).collect();
        places.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for place in places {
            chunks.push(&all[from..place]);
            from = place;
        }
        chunks.push(&all[from..]);
        let (messages, end) = cut(&chunks, 1024);
        prop_assert_eq!(end, Ok(()));
        let read: Vec<Vec<u8>> = messages.iter().map(|m| m.payload.to_vec()).collect();
        prop_assert_eq!(read, payloads);
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = cut(&[&bytes], 64);
    }
}
