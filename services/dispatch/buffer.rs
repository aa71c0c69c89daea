//! How much of answers that are read whole is held at a time, over all calls.
use super::{body::EVENT_LIMIT, collect::WHOLE};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bytes that are held, and how many may be. A clone counts together with its original.
#[derive(Clone, Debug)]
pub(super) struct Buffer(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    held: AtomicUsize,
    most: AtomicUsize,
    /// The longest answer that is read whole, and the longest event.
    answer: AtomicUsize,
    event: AtomicUsize,
}

/// What one answer holds, until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    buffer: &'a Buffer,
    bytes: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self(Arc::new(Counts {
            held: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
            answer: AtomicUsize::new(WHOLE),
            event: AtomicUsize::new(EVENT_LIMIT),
        }))
    }
}

impl Buffer {
    pub(super) fn at_most(&self, bytes: usize) {
        self.0.most.store(bytes, Ordering::Relaxed);
    }
    pub(super) fn answers_at_most(&self, bytes: usize) {
        self.0.answer.store(bytes.min(WHOLE), Ordering::Relaxed);
    }
    pub(super) fn events_at_most(&self, bytes: usize) {
        self.0
            .event
            .store(bytes.min(EVENT_LIMIT), Ordering::Relaxed);
    }
    /// How long an answer may be that is read whole.
    pub(super) fn answer(&self) -> usize {
        self.0.answer.load(Ordering::Relaxed)
    }
    /// How long an event may be.
    pub(super) fn event(&self) -> usize {
        self.0.event.load(Ordering::Relaxed)
    }
    /// Nothing yet.
    pub(super) const fn hold(&self) -> Held<'_> {
        Held {
            buffer: self,
            bytes: 0,
        }
    }
}

impl Held<'_> {
    /// So much more, if there is room for it.
    pub(super) fn more(&mut self, bytes: usize) -> bool {
        let counts = &*self.buffer.0;
        self.bytes += bytes;
        let held = counts.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        held <= counts.most.load(Ordering::Relaxed)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.buffer.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
