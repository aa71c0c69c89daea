//! Answers on disk.
#![expect(
    clippy::result_large_err,
    reason = "the database's own errors, which go no further than this file"
)]
use super::{Entry, Event, Key, Store, coding::millis, store::Level};
use redb::{
    Builder, Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition,
};
use std::{
    collections::HashMap,
    error::Error,
    fmt,
    fs::{self, OpenOptions},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

type OnFault = Box<dyn Fn(&(dyn Error + 'static)) + Send + Sync>;

/// When it was kept, in 8 bytes, then the entry.
const ENTRIES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("entries");
/// What each weighs, the oldest first.
const AGES: TableDefinition<'_, (u64, &[u8; 32]), u64> = TableDefinition::new("ages");

/// So many answers may wait to be written; what comes faster is not kept.
const WAITING: usize = 64;
/// What the database itself keeps in memory.
const PAGES: usize = 8 * 1024 * 1024;

/// Keeps answers in one file: bounded in bytes and age, the oldest go first, and what was there before a restart is there after it.
///
/// Nobody waits for the disk: answers are written by a thread of its own, some at a time, each time wholly or not at all, whatever happens to
/// the process; what waits to be written can be had already. Reading is done on the runtime's threads for that. A disk that fails is a miss.
///
/// Only one process can have the file. It is readable for its owner alone, for it holds what models have answered.
#[derive(Clone)]
pub struct Disk {
    // Fields are dropped in this order.
    writer: Arc<Writer>,
    shared: Arc<Shared>,
}

/// The thread that writes. Dropping this waits until it has written what waited, and has let go of the file.
struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    database: Database,
    max_bytes: u64,
    ttl: Duration,
    /// What waits to be written, with its number.
    waiting: Mutex<HashMap<Key, (u64, Entry)>>,
    number: AtomicU64,
    level: Level,
    on_fault: OnceLock<OnFault>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and each is moved once"
)]
enum Job {
    Put(Key, u64, Entry),
    Flush(SyncSender<()>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an entry of so many bytes takes up: the database gives out pages in powers of two.
const fn weight(bytes: usize) -> u64 {
    const PAGE: usize = 4096;
    const OVERHEAD: usize = 192;
    let bytes = bytes + OVERHEAD;
    (if bytes > PAGE / 2 {
        bytes.next_power_of_two()
    } else {
        bytes
    }) as u64
}

// === impl Disk ===

impl Disk {
    /// The answers in the file `path`, which is made where there is none, and made anew where it cannot be read. Keeps at most `max_bytes`,
    /// none longer than `ttl`.
    ///
    /// This waits for the disk.
    ///
    /// # Errors
    /// Where the file cannot be opened, or another process has it.
    pub fn open(path: &Path, max_bytes: u64, ttl: Duration) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let database = match open(path) {
            Ok(database) => database,
            Err(Opening::Theirs(error)) => return Err(error),
            Err(Opening::Broken) => {
                fs::remove_file(path)?;
                open(path).map_err(|error| match error {
                    Opening::Theirs(error) => error,
                    Opening::Broken => io::Error::other("the cache's file cannot be made"),
                })?
            }
        };
        let shared = Arc::new(Shared {
            database,
            max_bytes,
            ttl,
            waiting: Mutex::default(),
            number: AtomicU64::new(0),
            level: Level::new("disk"),
            on_fault: OnceLock::new(),
        });
        shared.count().map_err(io::Error::other)?;
        // What has grown too old meanwhile goes at once.
        shared.write(&[]).map_err(io::Error::other)?;
        let (jobs, queue) = sync_channel(WAITING);
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("cache-disk".to_owned())
            .spawn(move || worker.work(&queue))?;
        let writer = Arc::new(Writer {
            jobs: Some(jobs),
            thread: Some(thread),
        });
        Ok(Self { writer, shared })
    }

    /// Calls `hear` with what happens. It must neither block nor panic.
    #[must_use]
    pub fn on_event(self, hear: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.shared.level.on_event(Arc::new(hear));
        self
    }

    /// Tells `hear` when the disk fails. It must neither block nor panic.
    #[must_use]
    pub fn on_fault(self, hear: impl Fn(&(dyn Error + 'static)) + Send + Sync + 'static) -> Self {
        let _ = self.shared.on_fault.set(Box::new(hear));
        self
    }

    /// How many entries are written.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.shared.level.entries()
    }

    /// How many bytes they take up.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.level.bytes()
    }

    /// Waits until all that was kept so far is written, but no longer than `patience`. It blocks: call it when the runtime has nothing else
    /// to do.
    pub fn flush(&self, patience: Duration) {
        let (done, told) = sync_channel(1);
        let jobs = self.writer.jobs.as_ref();
        if jobs.is_some_and(|jobs| jobs.send(Job::Flush(done)).is_ok()) {
            let _ = told.recv_timeout(patience);
        }
    }
}

impl Store for Disk {
    async fn get(&self, key: &Key) -> Option<Entry> {
        let fresh = |entry: &Entry| entry.age() < self.shared.ttl;
        if let Some((_, entry)) = lock(&self.shared.waiting).get(key) {
            return Some(entry.clone()).filter(fresh);
        }
        let (shared, key) = (self.shared.clone(), *key);
        let read = tokio::task::spawn_blocking(move || shared.read(&key))
            .await
            .ok()?;
        read.filter(fresh)
    }

    async fn put(&self, key: Key, entry: Entry) {
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.waiting).insert(key, (number, entry.clone()));
        let jobs = self.writer.jobs.as_ref();
        let sent = jobs.is_some_and(|jobs| jobs.try_send(Job::Put(key, number, entry)).is_ok());
        if !sent {
            self.shared.written(&key, number);
            self.shared.level.refused("busy");
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shared.level, f)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a file is not open.
enum Opening {
    Theirs(io::Error),
    Broken,
}

fn open(path: &Path) -> Result<Database, Opening> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(Opening::Theirs)?;
    // What has been damaged may break the database's own assumptions.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Builder::new()
            .set_cache_size(PAGES)
            .create_with_file_format_v3(true)
            .create_file(file)?;
        let all = database.begin_write()?;
        all.open_table(ENTRIES)?;
        all.open_table(AGES)?;
        all.commit()?;
        Ok::<_, redb::Error>(database)
    }));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => {
            let error = DatabaseError::DatabaseAlreadyOpen;
            Err(Opening::Theirs(io::Error::other(error)))
        }
        // What is no database of ours is told as "invalid data".
        Ok(Err(redb::Error::Io(error))) if error.kind() != io::ErrorKind::InvalidData => {
            Err(Opening::Theirs(error))
        }
        Ok(Err(_)) | Err(_) => Err(Opening::Broken),
    }
}

// === impl Shared ===

impl Shared {
    /// Writes what comes, as much at a time as there is, until nobody can send any more.
    fn work(&self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            let (mut puts, mut flushes) = (Vec::new(), Vec::new());
            let mut next = Ok(job);
            loop {
                match next {
                    Ok(Job::Put(key, number, entry)) => puts.push((key, number, entry)),
                    Ok(Job::Flush(done)) => flushes.push(done),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                if puts.len() >= WAITING {
                    break;
                }
                next = queue.try_recv();
            }
            match catch_unwind(AssertUnwindSafe(|| self.write(&puts))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.fault(&error),
                Err(_) => self.fault(&io::Error::other("the cache's file is damaged")),
            }
            for (key, number, _) in &puts {
                self.written(key, *number);
            }
            for done in flushes {
                let _ = done.try_send(());
            }
        }
    }

    fn written(&self, key: &Key, number: u64) {
        let mut waiting = lock(&self.waiting);
        if waiting.get(key).is_some_and(|(n, _)| *n == number) {
            waiting.remove(key);
        }
    }

    fn fault(&self, error: &(dyn Error + 'static)) {
        if let Some(hear) = self.on_fault.get() {
            hear(error);
        }
    }

    fn read(&self, key: &Key) -> Option<Entry> {
        let read = || {
            let table = self.database.begin_read()?.open_table(ENTRIES)?;
            let value = table.get(key.as_bytes())?;
            Ok::<_, redb::Error>(value.and_then(|v| Entry::from_bytes(key, v.value().get(8..)?)))
        };
        read().unwrap_or_else(|error| {
            self.fault(&error);
            None
        })
    }

    /// Writes entries, and drops what is too old or does not fit, all or nothing.
    fn write(&self, puts: &[(Key, u64, Entry)]) -> Result<(), redb::Error> {
        let oldest = millis(SystemTime::now())
            .saturating_sub(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX));
        let mut bytes = self.level.bytes();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let all = self.database.begin_write()?;
        {
            let (mut entries, mut ages) = (all.open_table(ENTRIES)?, all.open_table(AGES)?);
            for (key, _, entry) in puts {
                let at = millis(entry.stored_at);
                let mut value = at.to_le_bytes().to_vec();
                value.extend_from_slice(&entry.to_bytes(key));
                let weight = weight(value.len());
                let before = entries.insert(key.as_bytes(), &*value)?;
                let before =
                    before.and_then(|v| Some(u64::from_le_bytes(*v.value().first_chunk()?)));
                if let Some(before) = before
                    && let Some(old) = ages.remove((before, key.as_bytes()))?
                {
                    bytes -= old.value();
                    removed.push((old.value(), None));
                }
                ages.insert((at, key.as_bytes()), weight)?;
                bytes += weight;
                added.push(weight);
            }
            loop {
                let Some((age, weight)) = ages
                    .first()?
                    .map(|(k, w)| ((k.value().0, *k.value().1), w.value()))
                else {
                    break;
                };
                let cause = match age.0 < oldest {
                    true => "expired",
                    false if bytes > self.max_bytes => "size",
                    false => break,
                };
                ages.remove((age.0, &age.1))?;
                entries.remove(&age.1)?;
                bytes -= weight;
                removed.push((weight, Some(cause)));
            }
        }
        all.commit()?;
        for weight in added {
            self.level.added(weight);
        }
        for (weight, cause) in removed {
            self.level.removed(weight, cause);
        }
        Ok(())
    }

    /// What is there already.
    fn count(&self) -> Result<(), redb::Error> {
        let ages = self.database.begin_read()?.open_table(AGES)?;
        let mut bytes = 0;
        for age in ages.iter()? {
            bytes += age?.1.value();
        }
        self.level.found(bytes, ages.len()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
