//! A body that keeps something until it is dropped.
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// A body passed on as it is, and what is let go when it is dropped: a place, a permit, an open account.
    pub struct Holding<B, T> {
        // Dropped first, upon which the leaf writes down what was used.
        #[pin]
        inner: B,
        held: T,
    }
}

impl<B, T> Holding<B, T> {
    /// `inner`, which keeps `held` until it is dropped.
    pub const fn new(inner: B, held: T) -> Self {
        Self { inner, held }
    }
}

impl<B, T: fmt::Debug> fmt::Debug for Holding<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl<B: Body, T> Body for Holding<B, T> {
    type Data = B::Data;
    type Error = B::Error;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
