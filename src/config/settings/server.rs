//! Sockets and limits.
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Sockets and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// With what callers are spoken to in TLS; absent means that they are not.
    pub tls: Option<ServerTls>,
    /// The largest request body in bytes.
    pub max_body: usize,
    /// How many connections may be open at a time.
    pub max_connections: usize,
    /// How many connections one address may have open; 0 means as many as it likes.
    pub max_connections_per_ip: usize,
    /// How many calls may be under way at a time.
    pub max_in_flight: usize,
    /// The longest answer that is read whole.
    pub max_answer: usize,
    /// The longest event of a stream.
    pub max_event: usize,
    /// How many bytes of answers may be held at a time, all together.
    pub max_buffered: usize,
    /// The largest head of a request in bytes.
    pub max_head: usize,
    /// The most messages of a conversation.
    pub max_messages: usize,
    /// How deep JSON may be nested in a request.
    pub max_depth: usize,
    /// How long the head of a request may take to arrive.
    pub head_timeout: Duration,
    /// How long a caller may pause within a request's body.
    pub body_timeout: Duration,
    /// How long a caller may read nothing of an answer that is there; zero means as long as it likes.
    pub write_timeout: Duration,
    /// How long a call may take in all; zero means as long as it takes.
    pub timeout: Duration,
    /// How long new calls are still taken after the signal to stop, while `/readyz` says that they should not come.
    pub drain_delay: Duration,
    /// How long streams may go on after that.
    pub drain_timeout: Duration,
    /// How long a stream may be silent before its caller is shown a sign of life; zero means: for ever.
    pub keep_alive: Duration,
    /// Whether the configuration is read anew when its file changes, or a file that it names.
    pub watch: bool,
}

/// With what callers are spoken to in TLS. The files are read anew when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate and what leads from it to its authority, as PEM.
    pub cert: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// The authorities of callers' certificates; where there are any, every caller must have one.
    pub client_ca: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9787)),
            // What Anthropic accepts, so that no request fails here that would not have failed there.
            max_body: 32 << 20,
            max_connections: 8192,
            max_connections_per_ip: 0,
            max_in_flight: 4096,
            tls: None,
            max_answer: 64 << 20,
            max_event: 16 << 20,
            max_buffered: 1 << 30,
            max_head: 64 << 10,
            // What Anthropic accepts.
            max_messages: 100_000,
            max_depth: 128,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            timeout: Duration::from_secs(60 * 60),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            // Well below the minute after which load balancers hang up, and the minute and a half after which Claude Code does.
            keep_alive: Duration::from_secs(15),
            watch: true,
        }
    }
}
