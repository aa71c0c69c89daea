//! Server-sent events: however a stream is cut into chunks, the same events come out, and no byte is lost.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tierway_services::sse::{Event, Splitter};

/// What a limit of 64 KiB makes of these chunks: the events, and what is left. `None` where one is too long.
fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<Bytes>, Vec<u8>)> {
    let mut splitter = Splitter::new(1 << 16);
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk)).ok()?;
        events.extend(splitter.by_ref());
    }
    let rest = splitter.remainder().to_vec();
    Some((events, rest))
}

fuzz_target!(|bytes: &[u8]| {
    let whole = split(std::iter::once(bytes));
    for size in [1, 2, 3, 17] {
        let cut = split(bytes.chunks(size));
        if let (Some((whole, rest)), Some((cut, left))) = (&whole, &cut) {
            assert_eq!((whole, rest), (cut, left));
            let mut all = whole.concat();
            all.extend_from_slice(rest);
            assert_eq!(all, bytes);
        }
    }
    for event in whole.iter().flat_map(|(events, _)| events) {
        let _ = Event::parse(event);
    }
});
