//! A draft on its way to the caller: the frames that were held back, then those that are still to come.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};
use tierway_services::{BoxError, chat::Reply};

pin_project_lite::pin_project! {
    /// Gives back frame by frame what the leaf gave, byte for byte.
    pub(super) struct Recorded {
        held: VecDeque<Bytes>,
        #[pin]
        rest: Option<Reply>,
    }
}

impl Recorded {
    pub(super) fn new(held: Vec<Bytes>, rest: Option<Reply>) -> Self {
        Self {
            held: held.into(),
            rest,
        }
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Some(bytes) = this.held.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match this.rest.as_pin_mut() {
            Some(rest) => rest.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held: u64 = self.held.iter().map(|bytes| bytes.len() as u64).sum();
        match &self.rest {
            None => SizeHint::with_exact(held),
            Some(rest) => {
                let mut hint = SizeHint::new();
                hint.set_lower(held + rest.size_hint().lower());
                hint
            }
        }
    }
}
