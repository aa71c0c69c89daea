//! What the service manager is told, where there is one (`$NOTIFY_SOCKET`), and the sockets that it hands over.
//!
//! For a unit with `Type=notify-reload`, `WatchdogSec=` and, where it is wanted, a `.socket` unit beside it.
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// So many connections may wait to be taken; the system may allow fewer (`net.core.somaxconn`, 4096 since Linux 5.4).
const QUEUE: u32 = 4096;

/// New calls are welcome: at the start, and after a reload.
pub(crate) fn ready() {
    tell(State::Ready);
}

/// A configuration is being read.
pub(crate) fn reloading() {
    tell(State::Reloading);
}

/// No new calls are taken any more.
pub(crate) fn stopping() {
    tell(State::Stopping);
}

/// Says every now and then that the gateway is alive, where somebody wants to know; for ever. A runtime that hangs says nothing.
pub(crate) async fn watchdog() {
    let Some(patience) = patience() else { return };
    let mut tick = tokio::time::interval(patience / 2);
    loop {
        tick.tick().await;
        tell(State::Alive);
    }
}

#[derive(Clone, Copy)]
enum State {
    Ready,
    Reloading,
    Stopping,
    Alive,
}

#[cfg(unix)]
fn tell(state: State) {
    use sd_notify::{NotifyState, notify};
    let told = match state {
        State::Ready => notify(&[NotifyState::Ready]),
        State::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| notify(&[NotifyState::Reloading, now]))
        }
        State::Stopping => notify(&[NotifyState::Stopping]),
        State::Alive => notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
#[cfg(not(unix))]
const fn tell(_: State) {}

#[cfg(unix)]
fn patience() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}
#[cfg(not(unix))]
const fn patience() -> Option<std::time::Duration> {
    None
}

/// Sockets that were open when this process began: the first is for callers, the second for operators.
pub(crate) struct Sockets(listenfd::ListenFd);

impl Sockets {
    /// Those that `$LISTEN_FDS` tells of.
    pub(crate) fn handed_over() -> Self {
        Self(listenfd::ListenFd::from_env())
    }

    /// The socket at this place, or one that is bound to `address`, which is that of `setting`.
    ///
    /// # Errors
    /// Where it cannot be listened on.
    pub(crate) fn listen(
        &mut self,
        place: usize,
        setting: &str,
        address: SocketAddr,
    ) -> io::Result<TcpListener> {
        let named = |e: io::Error| {
            io::Error::new(
                e.kind(),
                format!("cannot listen on {address} ({setting}): {e}"),
            )
        };
        let handed = if place < self.0.len() {
            self.0.take_tcp_listener(place)?
        } else {
            None
        };
        match handed {
            Some(socket) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket)
            }
            None => bind(address).map_err(named),
        }
    }
}
/// As `TcpListener::bind`, whose queue of 128 overflows when hundreds call at once; then the kernel resets connections that callers think they have.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Else a restart would have to wait for old connections to be forgotten. On Windows this means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{fs, net::TcpStream, time::Duration};

    #[tokio::test]
    async fn hundreds_may_call_at_once() {
        let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = most.trim().parse::<usize>().unwrap().min(400);
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody takes them meanwhile.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(500)).unwrap();
        let connected: Vec<_> = (0..many).map(connect).collect();
        assert_eq!(connected.len(), many);
        listener.accept().await.unwrap();
    }
}
