use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{BoxError, sse::Splitter};

/// The longest event that is held back until its end has arrived.
const LONGEST: usize = 16 * 1024 * 1024;

pin_project! {
    /// A stream of server-sent events whose frames each end where an event ends, as a [`Reply`](tierway_services::chat::Reply) promises.
    /// What a handler cut elsewhere is held back until it is whole.
    #[derive(Debug)]
    pub struct EventAligned<B> {
        #[pin]
        inner: B,
        splitter: Splitter,
        ended: bool,
    }
}

impl<B> EventAligned<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            splitter: Splitter::new(LONGEST),
            ended: false,
        }
    }
}

impl<B> Body for EventAligned<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        loop {
            if let Some(event) = this.splitter.next() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            if *this.ended {
                return Poll::Ready(None);
            }
            match ready!(this.inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if let Err(error) = this.splitter.push(data) {
                            *this.ended = true;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => {
                    *this.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    *this.ended = true;
                    let rest = Bytes::copy_from_slice(this.splitter.remainder());
                    if !rest.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(rest))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        // Events may still wait here when the inner body has ended, so that it says nothing of this one.
        false
    }

    fn size_hint(&self) -> SizeHint {
        // Bytes held back are of the same number as those that came, so what the inner body knows holds less and less.
        SizeHint::new()
    }
}
