//! Reads that are not large, so that a connection does not keep a large buffer.
//!
//! hyper reads into a buffer that doubles whenever a read fills it, up to the largest head that is allowed, and keeps it as long as the
//! connection: what a caller once sent fast would be held through the whole of a stream that may take an hour. Whoever sends little never
//! has more than the 8 KiB that the buffer begins with. Of a long body each read is a call to the system and a frame for whoever gathers it,
//! so there it may double once.
use bytes::Bytes;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The most that one read gives: just too little for a buffer of 16 KiB to grow.
const MOST: u64 = 16 * 1024 - 1;

/// `S`, read in pieces of bounded size, and before it what was read of it already.
#[derive(Debug)]
pub(super) struct SmallReads<S> {
    before: Bytes,
    inner: Take<S>,
}

impl<S: AsyncRead + Unpin> SmallReads<S> {
    pub(super) fn new(before: Bytes, inner: S) -> Self {
        Self {
            before,
            inner: inner.take(MOST),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SmallReads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before.split_to(length));
            return Poll::Ready(Ok(()));
        }
        // Of each read, not of all of them.
        self.inner.set_limit(MOST);
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SmallReads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.inner.get_mut()).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.inner.get_mut()).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.get_ref().is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn all_is_read_and_never_much_at_once() {
        let (mut here, there) = tokio::io::duplex(1 << 20);
        here.write_all(&[7; 100_000]).await.unwrap();
        drop(here);
        let mut reads = SmallReads::new(Bytes::from_static(b"before"), there);
        let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
        loop {
            let read = reads.read(&mut buffer).await.unwrap();
            assert!(read < 16 * 1024);
            if read == 0 {
                break;
            }
            if all == 0 {
                assert_eq!(buffer[..read], *b"before");
            }
            all += read;
        }
        assert_eq!(all, 100_006);
    }
}
