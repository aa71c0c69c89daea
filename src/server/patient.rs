//! A connection whose other end may not pause for ever before it reads on.
//!
//! Whoever reads nothing holds a stream, and with it the call upstream, its place and its buffers. Time runs only while something waits to be
//! sent and nothing can be; a stream that has nothing to say may be silent.
use pin_project_lite::pin_project;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

pin_project! {
    /// Fails with [`io::ErrorKind::TimedOut`] once nothing could be written for too long.
    pub(super) struct Patient<IO> {
        #[pin]
        io: IO,
        patience: Duration,
        #[pin]
        pause: Option<Sleep>,
    }
}

impl<IO> Patient<IO> {
    /// Waits so long; zero means for ever.
    pub(super) const fn new(io: IO, patience: Duration) -> Self {
        Self {
            io,
            patience,
            pause: None,
        }
    }

    /// What came of trying to write; waiting for too long is an error.
    fn within<T>(
        patience: Duration,
        mut pause: Pin<&mut Option<Sleep>>,
        cx: &mut Context<'_>,
        tried: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if tried.is_ready() || patience.is_zero() {
            // Most writes are over at once, and need no timer.
            if pause.is_some() {
                pause.set(None);
            }
            return tried;
        }
        if pause.is_none() {
            pause.set(Some(sleep(patience)));
        }
        match pause.as_pin_mut().map(|pause| pause.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => Poll::Pending,
        }
    }
}

impl<IO: AsyncRead> AsyncRead for Patient<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().io.poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite> AsyncWrite for Patient<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let tried = this.io.poll_write(cx, buf);
        Self::within(*this.patience, this.pause, cx, tried)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let tried = this.io.poll_flush(cx);
        Self::within(*this.patience, this.pause, cx, tried)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let tried = this.io.poll_shutdown(cx);
        Self::within(*this.patience, this.pause, cx, tried)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let tried = this.io.poll_write_vectored(cx, bufs);
        Self::within(*this.patience, this.pause, cx, tried)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Takes nothing until it is told to.
    struct Full(bool);

    impl AsyncWrite for Full {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.0 {
                Poll::Ready(Ok(buf.len()))
            } else {
                Poll::Pending
            }
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_nothing_is_left() {
        let patience = Duration::from_secs(60);
        let mut io = Box::pin(Patient::new(Full(true), patience));
        let started = tokio::time::Instant::now();
        assert_eq!(
            poll_fn(|cx| io.as_mut().poll_write(cx, b"a"))
                .await
                .unwrap(),
            1
        );
        tokio::time::advance(patience * 2).await;
        assert_eq!(
            poll_fn(|cx| io.as_mut().poll_write(cx, b"a"))
                .await
                .unwrap(),
            1
        );
        assert_eq!(started.elapsed(), patience * 2);
        io.as_mut().project().io.0 = false;
        let error = poll_fn(|cx| io.as_mut().poll_write(cx, b"a"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), patience * 3);
        let mut idle = Box::pin(Patient::new(Full(false), Duration::ZERO));
        let write = poll_fn(|cx| idle.as_mut().poll_write(cx, b"a"));
        assert!(tokio::time::timeout(patience * 9, write).await.is_err());
    }
}
