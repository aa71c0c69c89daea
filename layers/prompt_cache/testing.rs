//! What the tests of several stores share.
use super::{Entry, Key, Recorded};
use crate::testing::ask;
use http::{HeaderValue, header::CONTENT_TYPE};
use std::time::SystemTime;
use tierway_services::{
    chat::{Target, Usage},
    dialect::Dialect,
};

pub(super) fn entry_of(size: usize, stored_at: SystemTime) -> Entry {
    // Nothing that compresses well.
    let mut state = size as u64 + 1;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(size)
    .collect();
    let usage = Usage {
        input: 1,
        output: 2,
        cache_read: 3,
        cache_write: 4,
        cache_write_1h: 5,
        reasoning: 6,
        ..Usage::default()
    };
    Entry {
        dialect: Dialect::Messages,
        headers: vec![(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))],
        body: Recorded::Events(body.into()),
        usage: Some(usage),
        target: Some(Target::new("p", "m")),
        stored_at,
    }
}

pub(super) fn entry(size: usize) -> Entry {
    entry_of(size, SystemTime::now())
}

pub(super) fn key(text: &str) -> Key {
    Key::of(&ask("m", text)).unwrap()
}
