//! The accept loop: connections in, graceful drain out.
//!
//! On shutdown the listener closes first, so that no new connection is taken; connections that are idle close, connections with a call in
//! flight finish it, streams included, until the drain deadline; then what is left is dropped.
mod addresses;
mod connection;
mod patient;
mod peer;
mod reads;
pub(crate) mod systemd;
pub mod tls;
mod workers;

pub use workers::Workers;

pub use peer::Peer;

use addresses::Addresses;
use bytes::Bytes;
use connection::Serving;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tierway_services::BoxError;
use tls::Acceptor;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tower::Service;

/// How long to wait when the process is out of file descriptors before accepting again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server promises.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// The most connections of one address; 0 for as many as it likes. Of IPv6 the first 64 bits are one, for whoever has one has all of
    /// them. Further ones are closed at once.
    pub per_ip: usize,
    /// The largest head of a request in bytes; HTTP/1 knows no less than 8 KiB.
    pub head: usize,
    /// How long the head of a request may take to arrive.
    pub head_timeout: Duration,
    /// How long a caller may read nothing of what is there for it; zero for as long as it likes.
    pub write_timeout: Duration,
    /// How long calls in flight may take to end after the shutdown signal.
    pub drain: Duration,
}

/// A service that connections can be served by.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            per_ip: 0,
            head: 64 * 1024,
            head_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(60),
            drain: Duration::ZERO,
        }
    }
}

/// Serves `service` on `listener` until `shutdown` resolves and the calls in flight have ended. Returns how many connections had to be
/// dropped at the drain deadline.
///
/// # Errors
/// Never for a single connection's fault; only where the listener itself breaks.
pub async fn serve<S: Answers>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<usize> {
    serve_in(listener, None, service, limits, shutdown).await
}

/// As [`serve`], in TLS where there is an acceptor.
///
/// # Errors
/// As [`serve`].
pub async fn serve_in<S: Answers>(
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<usize> {
    accept(None, listener, tls, service, limits, pin!(shutdown)).await
}

/// As [`serve_in`], with connections on these workers and not on the runtime that accepts them.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on<S: Answers>(
    workers: &Workers,
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<usize> {
    let shutdown = pin!(shutdown);
    accept(Some(workers), listener, tls, service, limits, shutdown).await
}

/// Compiled once for a service, whatever ends it.
async fn accept<S: Answers>(
    workers: Option<&Workers>,
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
    service: S,
    limits: Limits,
    mut shutdown: Pin<&mut (dyn Future<Output = ()> + Send)>,
) -> io::Result<usize> {
    let serving = Arc::new(Serving::new(limits, tls));
    let (stop, _) = watch::channel(());
    let connections = Arc::new(Semaphore::new(limits.connections));
    let addresses = Addresses::new(limits.per_ip);
    loop {
        let permit = tokio::select! {
            permit = connections.clone().acquire_owned() => permit.map_err(io::Error::other)?,
            () = &mut shutdown => break,
        };
        let (stream, peer, place) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match addresses.enter(peer.ip()) {
                    Some(place) => (stream, peer.ip(), place),
                    None => continue,
                },
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        // Small frames are what a token stream is made of: without this each would wait for the last one's acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = peer::WithPeer {
            inner: service.clone(),
            peer,
        };
        let (serving, mut stopping) = (serving.clone(), stop.subscribe());
        let serve = move |stream| async move {
            if let Err(error) = serving.serve(stream, service, &mut stopping).await {
                tracing::debug!(error, "connection ended early");
            }
            drop((permit, place));
        };
        match workers.and_then(Workers::next) {
            // Taken off this runtime, to be made known to the other.
            Some(worker) => match stream.into_std() {
                Ok(stream) => drop(worker.spawn(async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve(stream).await,
                        Err(error) => tracing::warn!(%error, "could not serve a connection"),
                    }
                })),
                Err(error) => tracing::warn!(%error, "could not serve a connection"),
            },
            None => drop(tokio::spawn(serve(stream))),
        }
    }
    drop(listener);
    let open = stop.receiver_count();
    if open > 0 {
        tracing::info!(connections = open, deadline = ?limits.drain, "draining");
    }
    let dropped = Arc::clone(&connections);
    // Told to those that are open now; each is gone when it has dropped its receiver.
    let _ = stop.send(());
    match tokio::time::timeout(limits.drain, stop.closed()).await {
        Ok(()) => Ok(0),
        Err(_) => Ok(limits.connections - dropped.available_permits()),
    }
}

/// Resolves at the first SIGTERM or SIGINT. They are heard from this call on, not from the first poll, so that one which comes while the
/// gateway starts ends it in order.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn signal() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        async move {
            tokio::select! { () = first(&mut interrupt) => {}, () = first(&mut terminate) => {} }
        }
    }
    #[cfg(not(unix))]
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
async fn first(signal: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Hangup signals, one after the other.
pub(crate) struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

/// Hears SIGHUP from now on, which would end the process otherwise.
pub(crate) fn hangups() -> Hangups {
    Hangups {
        #[cfg(unix)]
        signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
    }
}

impl Hangups {
    /// Resolves at the next one; never where there are none.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        first(&mut self.signal).await;
        #[cfg(not(unix))]
        std::future::pending().await
    }
}
