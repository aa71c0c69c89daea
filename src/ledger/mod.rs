//! What every call cost and saved, kept: one row a call, one for each upstream call that it made. No word of a prompt, unless that is
//! turned on.
//!
//! [`Ledger`] takes what telemetry shows and hands it to a thread of its own, which writes it in batches to SQLite or PostgreSQL; no call
//! waits for it. What the database cannot take at once goes to a bounded file and from there to the database later. After a `kill -9`
//! the last half second is missing. [`Reader`] answers questions about it.
//!
//! A row carries everything that its call's price was made of, so that sums over rows are what the metrics count, to the picodollar.
mod database;
mod filter;
mod holdout;
mod inbox;
mod query;
mod record;
mod redact;
mod replay;
mod row;
mod spent;
mod spill;
mod sqlite;
mod store;
mod sums;
mod tallies;
mod text;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    filter::Filter,
    holdout::{Estimate, Measured, measure},
    query::{By, Reader, Unit},
    replay::{Replay, Replayed, ReplayedTier},
    row::{Attempt, Call, Row, ToolRun},
    spent::spent,
    store::Place,
    sums::{Group, Point},
    tallies::{BINS, Bin, Drafts, ProviderTally, TierCount},
    text::Text,
};

use crate::{blocking::wait, config};
use inbox::{Inbox, Returned};
use record::Ids;
pub(crate) use redact::redacted;
use spill::Spill;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};
pub(crate) use store::{connect_and_migrate, is_there};
use tierway_layers::telemetry::{BesideRecord, CallRecord, names};
use tierway_services::chat;
use writer::Writer;

/// So many rows may wait for the writer. It takes them as they come, whatever the database does.
const WAITING: usize = 8192;

/// Where rows come in. Clones are the same.
#[derive(Clone)]
pub struct Ledger {
    ids: Arc<Ids>,
    inbox: Arc<Inbox>,
    spill: Option<Arc<Mutex<Spill>>>,
    stopped: Arc<Mutex<Receiver<()>>>,
}

impl Ledger {
    /// Starts the thread that writes; `None` where the configuration wants none.
    #[must_use]
    pub fn open(told: &config::Ledger) -> Option<Self> {
        let place = told.place()?;
        let ids = Arc::new(Ids::default());
        let spill = told.spill.clone().map(|folder| {
            let spill = Spill::new(folder, &ids.process(), told.max_spill);
            Arc::new(Mutex::new(spill))
        });
        for outcome in ["written", "spilled", "lost"] {
            names::ledger_rows(outcome).increment(0);
        }
        let inbox = Arc::new(Inbox::new(WAITING, writer::BATCH));
        let rows = inbox.clone();
        let (stop, stopped) = sync_channel(1);
        let retention = Some(told.retention).filter(|r| !r.is_zero());
        let writer = Writer::new(place, spill.clone(), retention, told.asks_retention);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .thread_name("ledger-sqlite")
                .build();
            match runtime {
                Ok(runtime) => {
                    wait(&runtime, writer.run(rows));
                    // A write that took too long is nobody's, and its rows are in a file.
                    runtime.shutdown_background();
                }
                Err(error) => tracing::warn!(%error, "there is no ledger: no runtime for it"),
            }
            let _ = stop.send(());
        };
        let thread = thread::Builder::new().name("ledger".to_owned());
        if let Err(error) = thread.spawn(run) {
            tracing::warn!(%error, "there is no ledger: no thread for it");
            return None;
        }
        Some(Self {
            ids,
            inbox,
            spill,
            stopped: Arc::new(Mutex::new(stopped)),
        })
    }

    /// Writes down a call that has ended.
    pub fn call(&self, record: &CallRecord<'_>) {
        self.send(record::call(&self.ids, record));
    }

    /// Writes down what was done beside calls.
    pub fn beside(&self, record: &BesideRecord<'_>) {
        self.send(record::beside(&self.ids, record));
    }

    /// Writes down a tool that a caller ran by itself.
    pub fn tool(&self, tenant: &str, client: Option<&str>, run: &chat::ToolRun) {
        self.send(record::tool(&self.ids, tenant, client, run));
    }

    fn send(&self, row: Row) {
        match self.inbox.put(row) {
            Ok(()) => {}
            Err(Returned::Full(row)) => self.overflow(*row),
            Err(Returned::Closed) => writer::count(0, 1),
        }
    }

    /// The writer gets no time on this machine. The file is written by whoever may block; a call may not.
    fn overflow(&self, row: Row) {
        let (Some(spill), Ok(runtime)) = (&self.spill, tokio::runtime::Handle::try_current())
        else {
            return writer::count(0, 1);
        };
        let spill = spill.clone();
        runtime.spawn_blocking(move || {
            let spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = spill.add(&[row]);
            writer::count(taken, 1 - taken);
        });
    }

    /// Writes what is waiting, for at most this long; to be called when no more calls will come.
    pub fn close(&self, limit: Duration) {
        self.inbox.close();
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if stopped.recv_timeout(limit).is_err() {
            tracing::warn!("the ledger was not closed in time");
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
