//! One upstream call for all who ask the same at the same time.
//!
//! The call belongs to nobody alone: whoever of those aboard is polled drives it on, and all see what comes. So a caller who leaves takes
//! nothing along. One of them *pays*: in its journal stand the upstream calls; where it leaves, another one takes that over. When all have
//! left, the upstream call is dropped with the last of them, since nobody would read what it costs.
//!
//! Frames are held until everybody has them, and for whoever may still come aboard, but never more than the bound on an answer that is kept.
//! Beyond it nobody comes aboard any more, and who is behind by more than that loses the answer, so that nobody waits for the slowest;
//! only the one who pays is waited for.
mod errors;
mod seat;
mod upstream;
mod wakers;

use self::{upstream::Flight, wakers::Wakers};
use super::{Entry, Key, eligible::Form};
use http::response::Parts;
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tierway_services::chat::{self, Journal};

/// The upstream call up to its head.
pub(super) type Start = Pin<Box<dyn Future<Output = Result<Answered, AnyError>> + Send>>;
/// An error of the inner service, which is given to the one who pays as it is.
pub(super) type AnyError = Box<dyn Any + Send>;
/// Where the answer is put once it is kept.
pub(super) type Slot = Arc<OnceLock<Entry>>;

/// What came of an upstream call.
pub(super) struct Answered {
    pub(super) response: chat::Response,
    /// Whether it is one to be kept, as far as its head tells; if it is whole, it is kept already.
    pub(super) keeps: bool,
}

const SHARDS: usize = 256;

/// The upstream calls under way.
pub(super) struct Flights {
    under_way: Mutex<HashMap<Key, Arc<Flight>>>,
    /// How many have ended, by the first byte of their keys: who looked into the store before that has to look again.
    landed: [AtomicU64; SHARDS],
}

/// What becomes of a call that might share another one's upstream call.
pub(super) enum Boarding {
    /// It makes the upstream call.
    Lead(Seat),
    /// It shares one.
    Follow(Seat),
    /// One has ended in the meantime.
    Landed,
    /// There is one that cannot be shared in the form that is wanted.
    Apart,
}

/// What somebody aboard gets.
pub(super) enum Told {
    /// The answer as it is, for the one who pays.
    Own(Result<chat::Response, AnyError>),
    /// The head of a stream, whose frames [`Seat::poll_frame`] gives.
    Streams(Parts),
    /// The answer that was kept.
    Kept(Entry),
    /// Nothing that could be shared.
    Nothing,
}

/// A caller's part in an upstream call. Dropping it leaves.
pub(super) struct Seat {
    flight: Arc<Flight>,
    id: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Flights ===

impl Default for Flights {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            landed: [const { AtomicU64::new(0) }; SHARDS],
        }
    }
}

impl Flights {
    /// To be read before the store is asked, and shown to [`board`](Self::board).
    pub(super) fn landed(&self, key: &Key) -> u64 {
        self.shard(key).load(Ordering::Acquire)
    }

    fn shard(&self, key: &Key) -> &AtomicU64 {
        let [first, ..] = key.as_bytes();
        &self.landed[usize::from(*first)]
    }

    pub(super) fn board(
        self: &Arc<Self>,
        key: Key,
        seen: u64,
        form: Form,
        journal: Option<&Journal>,
        bound: usize,
    ) -> Boarding {
        let flight = {
            let mut under_way = lock(&self.under_way);
            match under_way.get(&key) {
                Some(flight) => flight.clone(),
                None if self.landed(&key) != seen => return Boarding::Landed,
                None => {
                    let flight = Arc::new(Flight::new(key, self.clone(), form, journal, bound));
                    under_way.insert(key, flight.clone());
                    return Boarding::Lead(Seat { flight, id: 0 });
                }
            }
        };
        flight.follow(form, journal)
    }

    fn land(&self, flight: &Flight) {
        let mut under_way = lock(&self.under_way);
        let same = |f: &Arc<Flight>| std::ptr::eq(&**f, flight);
        if under_way.get(&flight.key).is_some_and(same) {
            under_way.remove(&flight.key);
        }
        self.shard(&flight.key).fetch_add(1, Ordering::Release);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.under_way).len()
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}
