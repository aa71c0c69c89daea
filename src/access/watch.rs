//! Looks for changes, in a thread of its own.
use super::{CHANGES, Keyed, ring::Ring, store::Store};
use crate::{blocking::wait, ledger::Place};
use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};
use tierway_layers::redis::Redis;

/// How often Redis is asked whether anything has changed, and whether a first key has been made.
const TICK: Duration = Duration::from_millis(250);
/// How often the database is asked.
const EVERY: Duration = Duration::from_millis(900);
/// How often it is written down when keys were used.
const USED: Duration = Duration::from_secs(10);
/// How long the gateway waits for the first look.
const FIRST: Duration = Duration::from_secs(5);

/// What has been seen.
#[derive(Default)]
struct Seen {
    store: Option<Store>,
    version: Option<i64>,
    told: Option<Vec<u8>>,
    looked: Option<Instant>,
    wrote: Option<Instant>,
    failing: bool,
}

/// Runs `work` on a thread with a small runtime.
fn apart<T: Send + 'static>(
    name: &str,
    work: impl AsyncFnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (done, waited) = channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                let _ = done.send(wait(&runtime, work()));
            }
            Err(error) => tracing::warn!(%error, "no runtime for the keys"),
        }
    };
    let thread = thread::Builder::new().name(name.to_owned());
    if let Err(error) = thread.spawn(run) {
        tracing::warn!(%error, "no thread for the keys");
    }
    waited
}

/// Keeps `ring` as the database is, for as long as somebody else holds it.
pub(super) fn start(place: &Place, ring: &Ring, redis: Option<Redis>, keyed: Option<Keyed>) {
    let (first, looked) = channel();
    let (place, ring) = (place.clone(), ring.downgrade());
    let mut first = Some(first);
    drop(apart("keys", async move || {
        let mut seen = Seen::default();
        while let Some(ring) = ring.upgrade() {
            match look(&place, &ring, redis.as_ref(), keyed.as_ref(), &mut seen).await {
                Ok(()) => seen.failing = false,
                Err(error) => {
                    // Said once; what is known goes on to hold.
                    if !seen.failing {
                        tracing::warn!(%error, "the keys cannot be looked at; those that are known go on");
                    }
                    seen.failing = true;
                    seen.store = None;
                }
            }
            drop(ring);
            if let Some(first) = first.take() {
                let _ = first.send(());
            }
            tokio::time::sleep(TICK).await;
        }
    }));
    if looked.recv_timeout(FIRST).is_err() {
        tracing::warn!(
            "the keys have not been looked at yet: nobody who holds one is known before that"
        );
    }
}

async fn look(
    place: &Place,
    ring: &Ring,
    redis: Option<&Redis>,
    keyed: Option<&Keyed>,
    seen: &mut Seen,
) -> sqlx::Result<()> {
    if seen.store.is_none() {
        seen.store = match keyed {
            Some(keyed) => {
                let store = Store::open(place).await?;
                keyed(&store.secret().await?);
                Some(store)
            }
            None => Store::find(place).await?,
        };
        seen.version = None;
    }
    let Some(store) = &seen.store else {
        return Ok(());
    };
    let mut due = seen.looked.is_none_or(|at| at.elapsed() >= EVERY);
    if let Some(redis) = redis {
        // One that does not answer has nothing to tell.
        if let Some(told) = redis.get(CHANGES).await {
            due |= told != seen.told;
            seen.told = told;
        }
    }
    if due || seen.version.is_none() {
        let version = store.version().await?;
        if seen.version != Some(version) {
            ring.set(store.all().await?);
            seen.version = Some(version);
        }
        seen.looked = Some(Instant::now());
    }
    if seen.wrote.is_none_or(|at| at.elapsed() >= USED) {
        let used = ring.used();
        if !used.is_empty() {
            store.used(&used).await?;
            ring.written(&used);
        }
        seen.wrote = Some(Instant::now());
    }
    Ok(())
}

/// Writes down when keys were last used, for at most this long.
pub(super) fn write_down(place: &Place, ring: &Ring, limit: Duration) {
    let used = ring.used();
    if used.is_empty() {
        return;
    }
    let (place, ring) = (place.clone(), ring.clone());
    let done = apart("keys-close", async move || {
        let store = Store::find(&place).await.ok().flatten();
        if let Some(store) = store
            && store.used(&used).await.is_ok()
        {
            ring.written(&used);
        }
    });
    let _ = done.recv_timeout(limit);
}
