//! Lines on their way out, gathered for a few milliseconds and written together: a system call for each would cost a call more than its line.
use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a line waits for others.
const EVERY: Duration = Duration::from_millis(5);
/// So many bytes wait at most. Whoever comes with more writes them himself, and waits for whoever reads them as one without a buffer would.
const MOST: usize = 256 * 1024;
/// A buffer that has grown larger is not kept.
const KEPT: usize = 64 * 1024;

/// Where lines end up.
#[derive(Clone, Debug)]
pub(super) enum Out {
    /// Standard error.
    Stderr,
    /// The end of a file.
    File(Arc<File>),
}

/// Takes lines and writes them, in order, by a thread of its own. Nothing is lost but what a process that is killed had not written yet.
#[derive(Debug)]
pub(super) struct Gather {
    inside: Mutex<Inside>,
    news: Condvar,
    /// What is being written: held meanwhile, so that lines stay in order.
    writing: Mutex<Vec<u8>>,
    out: Out,
    /// Whether each line is written when it comes.
    at_once: AtomicBool,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: Vec<u8>,
    /// Whether the thread waits to be woken.
    asleep: bool,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(bytes),
            Self::File(file) => (&**file).write(bytes),
        }
    }
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            // In one piece, so that lines of several threads do not mix.
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::File(file) => (&**file).write_all(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Gather {
    /// For a terminal, where people wait for each line, or `gathered` by a thread; without one each line is written when it comes.
    pub(super) fn new(out: Out, gathered: bool) -> Arc<Self> {
        let lines = Arc::new(Self {
            inside: Mutex::default(),
            news: Condvar::new(),
            writing: Mutex::default(),
            out,
            at_once: AtomicBool::new(true),
        });
        if gathered {
            let thread = thread::Builder::new().name("log".to_owned());
            let own = lines.clone();
            let started = thread.spawn(move || own.run()).is_ok();
            lines.at_once.store(!started, Ordering::Relaxed);
        }
        lines
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line, its end included. Like all logging it fails silently.
    pub(super) fn put(&self, line: &[u8]) {
        let mut inside = self.inside();
        inside.waiting.extend_from_slice(line);
        let full = inside.waiting.len() >= MOST || self.at_once.load(Ordering::Relaxed);
        let wakes = mem::take(&mut inside.asleep);
        drop(inside);
        if wakes {
            self.news.notify_one();
        }
        if full {
            self.flush();
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&self) {
        self.write(self.writing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The same, unless somebody else is at it: for whoever may be within it himself.
    pub(super) fn try_flush(&self) {
        match self.writing.try_lock() {
            Ok(writing) => self.write(writing),
            Err(TryLockError::Poisoned(writing)) => self.write(writing.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Writes what waits, and from now on each line when it comes: for the end of the process.
    pub(super) fn close(&self) {
        self.at_once.store(true, Ordering::Relaxed);
        self.flush();
    }

    fn write(&self, mut lines: MutexGuard<'_, Vec<u8>>) {
        mem::swap(&mut self.inside().waiting, &mut lines);
        if !lines.is_empty() {
            let _ = self.out.clone().write_all(&lines);
            lines.clear();
            lines.shrink_to(KEPT);
        }
    }

    /// Sleeps while no lines come; after the first it waits a moment for others, and writes them all.
    fn run(&self) {
        loop {
            let mut inside = self.inside();
            inside.asleep = inside.waiting.is_empty();
            while inside.asleep {
                let woken = self.news.wait(inside);
                inside = woken.unwrap_or_else(PoisonError::into_inner);
            }
            drop(inside);
            thread::sleep(EVERY);
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Instant};

    fn to_file(gathered: bool) -> (tempfile::NamedTempFile, Arc<Gather>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let out = Out::File(Arc::new(file.reopen().unwrap()));
        (file, Gather::new(out, gathered))
    }

    #[test]
    fn lines_of_many_threads_come_whole_and_each_thread_in_order() {
        let (file, lines) = to_file(true);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let lines = lines.clone();
                thread::spawn(move || {
                    for n in 0..5000 {
                        lines.put(format!("{thread} {n} {}\n", "x".repeat(100)).as_bytes());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        lines.close();
        let text = fs::read_to_string(file.path()).unwrap();
        let mut next = [0; 4];
        for line in text.lines() {
            let mut words = line.split(' ');
            let thread: usize = words.next().unwrap().parse().unwrap();
            assert_eq!(words.next(), Some(&*next[thread].to_string()));
            assert_eq!(words.next().map(str::len), Some(100));
            next[thread] += 1;
        }
        assert_eq!(next, [5000; 4]);
        lines.put(b"afterwards\n");
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.ends_with("\nafterwards\n"));
    }

    #[test]
    fn one_line_is_written_soon_by_itself() {
        let (file, lines) = to_file(true);
        for text in ["one\n", "one\ntwo\n"] {
            lines.put(&text.as_bytes()[text.len() - 4..]);
            let written = || fs::read_to_string(file.path()).unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while written().len() < text.len() {
                assert!(Instant::now() < end, "it is not written");
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(written(), text);
        }
    }

    #[test]
    fn ungathered_it_waits_for_nothing() {
        let (file, lines) = to_file(false);
        lines.put(b"now\n");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "now\n");
        lines.try_flush();
    }
}
