//! Who writes rows down: one thread with a small runtime of its own, which no call waits for.
//!
//! It takes rows as they come and never waits for the database before it takes the next: a batch is written beside. What a slow or dead
//! database leaves waiting goes to a file, and from there to the database once that answers again.
use super::{
    database::{Database, Worked},
    inbox::{Inbox, Mail},
    row::Row,
    spill::Spill,
    store::Place,
};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tierway_layers::telemetry::names;
use tower::BoxError;

/// How long a row may be in memory alone: with the time that a write takes, well under a second.
const EVERY: Duration = Duration::from_millis(300);
/// So many rows are written together, if they come that fast. Half as many cost a tenth more for each: whatever pages they share are written
/// once for all.
pub(super) const BATCH: usize = 512;
/// So many may wait for a write that is under way; what comes on top is spilled.
const WAITING: usize = 16 * BATCH;
/// How long a dead database is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long one write may take, or a connection with all that makes a database new.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a write may leave rows in memory alone before they are spilled too: with [`EVERY`], under a second.
const SLOW: Duration = Duration::from_millis(600);
/// How often it is looked for what a dead process has left behind.
const ADOPT: Duration = Duration::from_secs(30);
/// How often what is too old is forgotten.
const TIDY: Duration = Duration::from_secs(60 * 60);

/// What a write under way gives back.
struct Done {
    /// Nothing where it is lost, or took too long.
    database: Option<Database>,
    rows: Arc<[Row]>,
    /// How far the spilled file has been read, where they are from there.
    spilled: Option<u64>,
    result: Result<(), BoxError>,
}

type Job = Pin<Box<dyn Future<Output = Done>>>;

/// Writes rows.
pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) spill: Option<Arc<Mutex<Spill>>>,
    pub(super) retention: Option<Duration>,
    pub(super) ask_retention: Duration,
    /// Whoever is at work on it has it.
    database: Option<Database>,
    waiting: Vec<Row>,
    /// The oldest of them came then.
    since: Instant,
    pause: Duration,
    /// A dead database is not asked before.
    not_before: Instant,
    tidied: Option<Instant>,
    adopted: Option<Instant>,
    failing: bool,
    /// What is being written, since when, as long as it is nowhere else.
    writing: Option<(Arc<[Row]>, Instant)>,
    /// Whether what is being written has been spilled too.
    doubled: bool,
}

impl Writer {
    pub(super) fn new(
        place: Place,
        spill: Option<Arc<Mutex<Spill>>>,
        retention: Option<Duration>,
        ask_retention: Duration,
    ) -> Self {
        Self {
            place,
            spill,
            retention,
            ask_retention,
            database: None,
            waiting: Vec::new(),
            since: Instant::now(),
            pause: PAUSE.0,
            not_before: Instant::now(),
            tidied: None,
            adopted: None,
            failing: false,
            writing: None,
            doubled: false,
        }
    }

    /// Until it is told to stop, or nobody is left to tell it anything.
    pub(super) async fn run(mut self, inbox: Arc<Inbox>) {
        let mut tick = tokio::time::interval(EVERY / 2);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut job: Option<Job> = Some(self.connect());
        let mut open = true;
        loop {
            tokio::select! {
                done = run(&mut job), if job.is_some() => {
                    job = None;
                    self.finish(done);
                }
                () = inbox.news() => {}
                _ = tick.tick() => {}
            }
            let mail = inbox.take();
            // Nobody else has it: nobody is left who could put anything in.
            open &= !mail.closed && Arc::strong_count(&inbox) > 1;
            self.take(mail);
            if job.is_some() {
                self.hurry();
            } else {
                job = self.next(open);
                if job.is_none() && !open {
                    return self.leave().await;
                }
            }
            self.bound();
        }
    }

    fn take(&mut self, mail: Mail) {
        if self.waiting.is_empty() {
            self.since = mail.since.unwrap_or_else(Instant::now);
        }
        self.waiting.extend(mail.rows);
    }

    /// What is to be written now, if anything.
    fn next(&mut self, open: bool) -> Option<Job> {
        let dead = self.not_before > Instant::now();
        let due = !open || self.waiting.len() >= BATCH || self.since.elapsed() >= EVERY;
        if dead {
            if due {
                self.spill_waiting();
            }
            return None;
        }
        let Some(database) = &self.database else {
            return Some(self.connect());
        };
        if due && !self.waiting.is_empty() {
            if !database.is_at(&self.place) {
                // What is written to the old one is written to nobody.
                return Some(self.connect());
            }
            let some = self.waiting.len().min(BATCH);
            let rows: Arc<[Row]> = self.waiting.drain(..some).collect();
            self.writing = Some((rows.clone(), self.since));
            self.since = Instant::now();
            return self.write(rows, None);
        }
        if let Some((rows, at)) = self.respilled() {
            return self.write(rows.into(), Some(at));
        }
        if !open {
            return None;
        }
        let late = |at: &Option<Instant>, by| at.is_none_or(|at| at.elapsed() > by);
        if late(&self.adopted, ADOPT) {
            self.adopted = Some(Instant::now());
            if let Some(spill) = &self.spill {
                let spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
                spill.adopt();
            }
        }
        if late(&self.tidied, TIDY) {
            self.tidied = Some(Instant::now());
            return self.tidy();
        }
        None
    }

    /// Rows of the spilled file, and how far it has been read then.
    fn respilled(&self) -> Option<(Vec<Row>, u64)> {
        let spill = self.spill.as_ref()?;
        let spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
        if spill.is_empty() {
            return None;
        }
        spill.read(BATCH).ok()
    }

    fn write(&mut self, rows: Arc<[Row]>, spilled: Option<u64>) -> Option<Job> {
        let work = patiently(self.database.take()?.insert(rows.clone()));
        Some(Box::pin(async move {
            let (database, result) = work.await;
            Done {
                database,
                rows,
                spilled,
                result,
            }
        }))
    }

    fn tidy(&mut self) -> Option<Job> {
        let before = |age: Duration| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            i64::try_from(since.saturating_sub(age).as_millis()).unwrap_or_default()
        };
        let (calls, asks) = (self.retention.map(before), before(self.ask_retention));
        Some(beside(self.database.take()?.forget(calls, asks)))
    }

    /// Opens the database, again where it is open.
    fn connect(&mut self) -> Job {
        let (place, old) = (self.place.clone(), self.database.take());
        beside(async move {
            if let Some(old) = old {
                old.close().await;
            }
            Database::open(&place).await
        })
    }

    fn finish(&mut self, done: Done) {
        self.writing = None;
        let doubled = std::mem::take(&mut self.doubled);
        self.database = done.database;
        match done.result {
            Ok(()) => {
                // What has been spilled too is counted when it has been read again.
                if !done.rows.is_empty() && !doubled {
                    names::ledger_rows("written").increment(done.rows.len() as u64);
                }
                if let (Some(at), Some(spill)) = (done.spilled, &self.spill) {
                    let mut spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
                    spill.read_up_to(at);
                }
                self.pause = PAUSE.0;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the ledger's database answers again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the ledger's database does not take rows; they wait in a file");
                }
                self.not_before = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE.1);
                if done.spilled.is_none() && !doubled {
                    self.spill(&done.rows);
                }
                self.spill_waiting();
            }
        }
    }

    /// What a slow write, or a connection that is still being made, keeps in memory for too long is spilled. What has been written by then
    /// is not written twice, for rows have names.
    fn hurry(&mut self) {
        if !self.waiting.is_empty() && self.since.elapsed() > SLOW {
            self.spill_waiting();
        }
        if let Some((rows, _)) = self.writing.take_if(|(_, since)| since.elapsed() > SLOW) {
            self.spill(&rows);
            self.doubled = true;
        }
    }

    /// Memory is bounded, whatever the database does.
    fn bound(&mut self) {
        if self.waiting.len() > WAITING {
            self.spill_waiting();
        }
    }

    fn spill_waiting(&mut self) {
        let rows = std::mem::take(&mut self.waiting);
        self.spill(&rows);
    }

    fn spill(&self, rows: &[Row]) {
        let room = self.spill.as_ref().map_or(0, |spill| {
            let spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
            spill.add(rows)
        });
        count(room, rows.len() - room);
    }

    async fn leave(mut self) {
        self.spill_waiting();
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// Counts rows that did not go to the database at once.
pub(super) fn count(spilled: usize, lost: usize) {
    for (outcome, rows) in [("spilled", spilled), ("lost", lost)] {
        if rows > 0 {
            names::ledger_rows(outcome).increment(rows as u64);
        }
    }
}

async fn run(job: &mut Option<Job>) -> Done {
    match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    }
}

/// Work on a database that writes no rows.
fn beside(work: impl Future<Output = Worked> + 'static) -> Job {
    Box::pin(async move {
        let (database, result) = patiently(work).await;
        Done {
            database,
            rows: Arc::from([]),
            spilled: None,
            result,
        }
    })
}

async fn patiently(work: impl Future<Output = Worked>) -> Worked {
    let worked = tokio::time::timeout(PATIENCE, work).await;
    worked.unwrap_or_else(|late| (None, Err(late.into())))
}
