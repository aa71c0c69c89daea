//! The runtimes that connections are served on: one for each core.
//!
//! A connection, the calls on it and their connections upstream stay on one runtime of one worker thread, so that nothing of a call wakes
//! another thread: that costs more than all that the gateway does with a small call. Who accepts deals connections out in turn, which is
//! fairer than `SO_REUSEPORT`'s hash of addresses where few clients keep their connections, and leaves the port to this process alone.
use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::sleep,
};

/// A timer that is due before all others interrupts the wait for sockets, by a call to the system and a turn of the runtime in vain; and
/// each call has timers, all longer than this. Where one is always due sooner, they interrupt nothing.
const PULSE: Duration = Duration::from_secs(1);

/// Runtimes of one worker thread each. Dropped, they end without waiting for what runs on them.
#[derive(Debug)]
pub struct Workers {
    runtimes: Vec<Runtime>,
    next: AtomicUsize,
}

impl Workers {
    /// One for each core that this process may use.
    ///
    /// # Errors
    /// Where the system gives no more threads.
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let runtimes = (0..cores).map(|_| {
            // Of the kind that goes on with other calls where one must block (`block_in_place`).
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("tierway-calls")
                .enable_all()
                .build()?;
            runtime.spawn(async {
                loop {
                    sleep(PULSE).await;
                }
            });
            Ok(runtime)
        });
        Ok(Self {
            runtimes: runtimes.collect::<io::Result<_>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// On which the next connection is to be served.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(self.runtimes.len())?;
        self.runtimes.get(at).map(Runtime::handle)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Within another runtime one must not wait for them.
        for runtime in self.runtimes.drain(..) {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Limits, serve_on};
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use std::{collections::HashSet, convert::Infallible, time::Duration};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::oneshot,
    };

    async fn runtime(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let id = Handle::current().id().to_string();
        Ok(Response::new(Full::new(id.into())))
    }

    async fn ask(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, id) = answer.split_once("\r\n\r\n").unwrap();
        id.to_owned()
    }

    #[tokio::test]
    async fn connections_are_dealt_out_in_turn_and_drained() {
        let workers = Workers::start().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let limits = Limits {
            drain: Duration::from_secs(5),
            ..Limits::default()
        };
        let service = tower::service_fn(runtime);
        let served = serve_on(&workers, listener, None, service, limits, async {
            stopped.await.unwrap_or_default();
        });
        let asked = async {
            let mut seen = Vec::new();
            for _ in 0..2 * workers.runtimes.len() {
                seen.push(ask(address).await);
            }
            drop(stop);
            seen
        };
        let (dropped, seen) = tokio::join!(served, asked);
        assert_eq!(dropped.unwrap(), 0);
        let distinct: HashSet<&String> = seen.iter().collect();
        assert_eq!(distinct.len(), workers.runtimes.len());
        assert!(!seen.contains(&Handle::current().id().to_string()));
        // Within a runtime, where waiting would panic.
        drop(workers);
    }
}
