//! Load on connections that stay open: as fast as they are answered (closed loop), or at times that are set beforehand (open loop).
use crate::{
    http::{Head, Length, Wire},
    workload::Workload,
};
use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// What the gateway is configured to ask for.
pub(crate) const KEY: &str = "bench-key";

/// What was seen of a load.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// How long each request took, sorted; in an open loop from the time at which it was to be sent.
    pub(crate) latencies: Vec<Duration>,
    /// How long it took to the first byte of the answer's body, sorted.
    pub(crate) first_bytes: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Seen {
    pub(crate) fn quantile(&self, q: f64) -> Duration {
        quantile(&self.latencies, q)
    }
    fn of(parts: Vec<Vec<(Duration, Duration)>>, took: Duration) -> Self {
        let all = || parts.iter().flatten();
        let mut seen = Self {
            latencies: all().map(|(whole, _)| *whole).collect(),
            first_bytes: all().map(|(_, first)| *first).collect(),
            took,
        };
        seen.latencies.sort_unstable();
        seen.first_bytes.sort_unstable();
        seen
    }
}

pub(crate) fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * q).round() as usize)
        .copied()
        .unwrap_or_default()
}

struct Connection {
    wire: Wire,
    request: Vec<u8>,
    workload: Workload,
    target: SocketAddr,
}

impl Connection {
    fn open(target: SocketAddr, workload: Workload) -> Self {
        Self {
            wire: Wire::new(TcpStream::connect(target).unwrap()),
            request: workload.request(target),
            workload,
            target,
        }
    }

    /// Asks once. Gives when the body began.
    fn ask(&mut self) -> Instant {
        self.wire.stream.write_all(&self.request).unwrap();
        let Head { line, length, .. } = self.wire.head().unwrap();
        let mut begun = Instant::now();
        let body = self.wire.body(length, || begun = Instant::now()).unwrap();
        let (target, body) = (self.target, String::from_utf8_lossy(&body));
        assert!(line.contains(" 200"), "{target} answered {line}: {body}");
        let ended =
            !self.workload.stream || body.contains("[DONE]") || body.contains("message_stop");
        assert!(ended, "{target} cut a stream: {body}");
        begun
    }
}

/// What the fields of an answer's head say.
pub(crate) fn fields(target: SocketAddr, workload: Workload) -> String {
    let mut connection = Connection::open(target, workload);
    let request = &connection.request;
    connection.wire.stream.write_all(request).unwrap();
    connection.wire.head().unwrap().fields
}

/// Keeps so many connections busy for so long.
pub(crate) fn closed(
    target: SocketAddr,
    workload: Workload,
    connections: usize,
    time: Duration,
) -> Seen {
    let start = Instant::now();
    let work = || {
        let mut connection = Connection::open(target, workload);
        let mut seen = Vec::new();
        while start.elapsed() < time || seen.is_empty() {
            let sent = Instant::now();
            let begun = connection.ask();
            seen.push((sent.elapsed(), begun - sent));
        }
        seen
    };
    let parts = on_threads(connections, work);
    Seen::of(parts, start.elapsed())
}

/// Sends `rate` requests a second for so long, whether or not those before have been answered: one that has to wait for a connection has
/// waited since its time, so that a stall is seen by all whom it would have kept waiting.
pub(crate) fn open(
    target: SocketAddr,
    workload: Workload,
    rate: u32,
    connections: usize,
    time: Duration,
) -> Seen {
    let pause = Duration::from_secs(1) / rate;
    // So that all connections stand before the first is due.
    let start = Instant::now() + Duration::from_millis(200);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut connection = Connection::open(target, workload);
        let mut seen = Vec::new();
        loop {
            let turn = u32::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
            let due = start + pause * turn;
            if due >= start + time {
                return seen;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let begun = connection.ask();
            seen.push((due.elapsed(), begun - due));
        }
    };
    let parts = on_threads(connections, work);
    Seen::of(parts, start.elapsed())
}

/// Opens streams that say one word and go silent; they end when they are dropped.
pub(crate) fn idle(target: SocketAddr, workload: Workload, streams: usize) -> Vec<TcpStream> {
    let open = |_| {
        let mut connection = Connection::open(target, workload);
        connection
            .wire
            .stream
            .write_all(&connection.request)
            .unwrap();
        let Head { line, length, .. } = connection.wire.head().unwrap();
        assert!(line.contains(" 200") && length == Length::Chunked, "{line}");
        connection.wire.stream
    };
    (0..streams).map(open).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let spawn = |_| {
            let builder = thread::Builder::new().stack_size(128 * 1024);
            builder.spawn_scoped(scope, &work).unwrap()
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
}
