//! Lines of JSON: however a stream is cut into chunks, its lines come out, without their breaks and the white space around them.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tierway_services::ndjson::Splitter;

const LIMIT: usize = 1 << 10;

fuzz_target!(|bytes: &[u8]| {
    let mut all: Vec<_> = bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    let rest = all.pop();
    all.retain(|line| !line.is_empty());
    let longest = bytes.split(|b| *b == b'\n').map(<[u8]>::len).max();
    for size in [1, 2, 3, 17, usize::MAX] {
        let mut splitter = Splitter::new(LIMIT);
        let mut lines = Vec::new();
        let mut fits = true;
        for chunk in bytes.chunks(size) {
            fits = splitter.push(Bytes::copy_from_slice(chunk)).is_ok();
            lines.extend(splitter.by_ref());
            if !fits {
                break;
            }
        }
        if fits {
            assert_eq!(lines, all);
            assert_eq!(Some(splitter.remainder()), rest);
        } else {
            // A line counts with its break; what came before it is there.
            assert!(longest >= Some(LIMIT));
            assert_eq!(lines, all[..lines.len()]);
        }
    }
});
