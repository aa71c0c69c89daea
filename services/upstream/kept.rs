//! Which connections have served a call before.
//!
//! A server may close a connection that it had kept just when the next request is on its way. Then no byte of an answer comes, and the same
//! request on a fresh connection is answered: `llama.cpp` closes after every stream, so that this is the rule there rather than a race.
use http::Extensions;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::{
    self,
    connect::{Connected, Connection},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// A connection that remembers whether it has served a call.
    pub(super) struct Kept<T> {
        #[pin]
        io: T,
        served: Served,
    }
}

/// Whether a connection has served a call. Clones are of one connection.
#[derive(Clone, Default)]
struct Served(Arc<AtomicBool>);

/// Notes that the connection of `response` has brought an answer.
pub(super) fn has_served<B>(response: &http::Response<B>) {
    if let Some(served) = response.extensions().get::<Served>() {
        served.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the connection that broke had brought an answer before.
pub(crate) fn was_kept(error: &legacy::Error) -> bool {
    let mut extras = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    let served = extras.get::<Served>();
    served.is_some_and(|served| served.0.load(Ordering::Relaxed))
}

impl<T> Kept<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            served: Served::default(),
        }
    }
}

impl<T: Connection> Connection for Kept<T> {
    fn connected(&self) -> Connected {
        let ours = Connected::new().extra(self.served.clone());
        // Not what else it tells of itself: it would be copied into each answer, where nobody asks for addresses.
        match self.io.connected().is_negotiated_h2() {
            true => ours.negotiated_h2(),
            false => ours,
        }
    }
}

impl<T: Read> Read for Kept<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().io.poll_read(cx, buf)
    }
}

impl<T: Write> Write for Kept<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().io.poll_write(cx, buf)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().io.poll_write_vectored(cx, bufs)
    }
}
