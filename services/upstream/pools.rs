//! Which connections a call goes by.
use super::{Connector, Https};
use crate::chat::Pieces;
use foldhash::fast::RandomState;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::runtime::{Handle, Id};

/// Calls at a time in one pool. Where the provider speaks HTTP/2 a pool is one connection, on which a call too many waits, unseen, until
/// another ends; servers are advised to take a hundred at least (RFC 9113, section 6.5.2).
const CALLS: u16 = 100;
/// Bytes of an HTTP/2 answer that may be on their way to a caller who does not read. A connection has room for as much of each of its calls,
/// so that none of them holds up another.
const WINDOW: u32 = 256 << 10;
/// Idle connections kept per pool. Bursts above it open more and let them go.
const IDLE_CONNECTIONS: usize = 256;
/// Idle connections are let go after this time; most servers do so after 60 s or more.
const IDLE_FOR: Duration = Duration::from_secs(55);
/// The other end of an HTTP/2 connection is asked so often whether it is still there.
const PING: Duration = Duration::from_secs(60);

type Pool = legacy::Client<Connector, Pieces>;

/// Pools of connections: each runtime has its own, because a connection is driven by the runtime that opened it, and each call by way of
/// another would wake a thread; and as many of them as its calls at a time take.
pub(super) struct Pools {
    connector: Connector,
    of: RwLock<HashMap<Id, Vec<Lane>, RandomState>>,
}

/// A pool, and who has a place in it.
struct Lane {
    pool: Pool,
    seats: Seat,
}

/// A place in a pool, taken for as long as it is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat(Arc<()>);

impl Pools {
    pub(super) fn new(inner: Https, limit: Duration) -> Self {
        Self {
            connector: Connector {
                inner: Arc::new(inner),
                limit,
            },
            of: RwLock::default(),
        }
    }
    /// How long a connection may take to stand.
    pub(super) const fn connect_timeout(&self) -> Duration {
        self.connector.limit
    }

    /// By the first pool of this runtime that has a place left: the later ones rest when the calls are fewer again.
    pub(super) fn with<T>(&self, then: impl FnOnce(&Pool, Seat) -> T) -> T {
        let runtime = Handle::current().id();
        let all = self.of.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = all.get(&runtime).and_then(|lanes| free(lanes)) {
            return then(&lane.pool, lane.seats.clone());
        }
        drop(all);
        // Where two threads of a runtime get here at once it has one more than it needs.
        let lane = Lane {
            pool: pool(self.connector.clone()),
            seats: Seat::default(),
        };
        let told = then(&lane.pool, lane.seats.clone());
        let mut all = self.of.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(runtime).or_default().push(lane);
        told
    }
}

fn free(lanes: &[Lane]) -> Option<&Lane> {
    // One is the lane's own.
    lanes
        .iter()
        .find(|lane| Arc::strong_count(&lane.seats.0) <= usize::from(CALLS))
}

fn pool(connector: Connector) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_keep_alive_interval(PING)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW * u32::from(CALLS))
        .retry_canceled_requests(true)
        .build(connector)
}
