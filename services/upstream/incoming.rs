//! An answer's body, on its way in.
use super::pools::Seat;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// The body of a provider's answer. It has its place among the calls of its connection until it is dropped.
    #[derive(Debug)]
    pub struct Incoming {
        #[pin]
        body: hyper::body::Incoming,
        seat: Seat,
    }
}

impl Incoming {
    pub(super) const fn new(body: hyper::body::Incoming, seat: Seat) -> Self {
        Self { body, seat }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.project().body.poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
