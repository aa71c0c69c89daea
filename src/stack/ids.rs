//! Names of requests: UUIDs of version 4, without asking the operating system for chance each time.
use http::{HeaderValue, Request};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower_http::request_id::{MakeRequestId, RequestId};

/// Names requests by SipHash, keyed by chance, over a number that counts them: nobody guesses the next one who does not know the key, and
/// two processes give the same name with a chance that nobody will live to see.
#[derive(Clone, Default)]
pub(super) struct Ids(Arc<Source>);

#[derive(Default)]
struct Source {
    keys: [RandomState; 2],
    next: AtomicU64,
}

impl Ids {
    fn next(&self) -> [u8; 36] {
        let n = self.0.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = self.0.keys.each_ref().map(|key| key.hash_one(n));
        // The version, 4, and the variant, 10 in binary, are where RFC 9562 has them.
        let high = (high & !0xf000) | 0x4000;
        let low = (low & !(0b11 << 62)) | (0b10 << 62);
        let bits = (u128::from(high) << 64) | u128::from(low);
        // Its 32 digits by hand, the last first: a formatter would take a thousand instructions for them.
        let mut id = *b"00000000-0000-0000-0000-000000000000";
        let digits = id.iter_mut().rev().filter(|byte| **byte != b'-');
        for (digit, at) in digits.zip((0..128).step_by(4)) {
            *digit = b"0123456789abcdef"[(bits >> at) as usize & 0xf];
        }
        id
    }
}

impl MakeRequestId for Ids {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::from_bytes(&self.next())
            .ok()
            .map(RequestId::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_uuids_and_differ() {
        let (one, other) = (Ids::default(), Ids::default());
        let mut seen = HashSet::new();
        for ids in [&one, &other, &one.clone()] {
            for _ in 0..1000 {
                let id = String::from_utf8(ids.next().to_vec()).unwrap();
                let lengths: Vec<usize> = id.split('-').map(str::len).collect();
                assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
                assert_eq!(&id[14..15], "4");
                assert!("89ab".contains(&id[19..20]), "{id}");
                assert!(seen.insert(id));
            }
        }
    }
}
