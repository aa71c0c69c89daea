use super::{call::Call, outcome::End};
use bytes::Buf;
use http::{header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Response body of [`Telemetry`](super::Telemetry). Its call is counted when it is dropped.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        // Fields are dropped in this order: the leaf writes its upstream call down when its body is dropped, and only then is the journal
        // read.
        #[pin]
        inner: B,
        call: Option<Call>,
        // What `content-length` promises still.
        left: Option<u64>,
    }
}

impl<B: Body> ResponseBody<B> {
    pub(super) fn new(head: &Parts, inner: B, mut call: Option<Call>) -> Self {
        let length = head.headers.get(header::CONTENT_LENGTH);
        if let Some(call) = &mut call {
            call.status = Some(head.status);
            call.streams = crate::wire::is_event_stream(&head.headers);
            if call.streams {
                call.stand_alone();
            }
            // A server does not poll a body that is empty at birth.
            if inner.is_end_stream() {
                call.end = End::Ended;
            }
        }
        Self {
            inner,
            call,
            left: length.and_then(|l| l.to_str().ok()?.parse().ok()),
        }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if let Some(call) = this.call {
            match &frame {
                Some(Ok(frame)) => {
                    call.seen();
                    if let (Some(left), Some(data)) = (this.left.as_mut(), frame.data_ref()) {
                        *left = left.saturating_sub(data.remaining() as u64);
                    }
                    // A server that knows to have it all does not poll again.
                    if *this.left == Some(0) || this.inner.is_end_stream() {
                        call.end = End::Ended;
                    }
                }
                Some(Err(_)) => call.end = End::Broken,
                None if call.end == End::Dropped => call.end = End::Ended,
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
