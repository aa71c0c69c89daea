use super::RescueLayer;
use crate::RefusalBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{BoxError, dialect::Dialect};

pin_project! {
    /// Response body of [`Rescue`](super::Rescue): an error within a stream of events becomes its last event.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: RefusalBody<B>,
        // How to tell of an error, for a stream of events.
        events: Option<(Dialect, RescueLayer)>,
        // The last frame of a stream whose events are numbered.
        sent: Bytes,
        ended: bool,
    }
}

impl<B> ResponseBody<B> {
    pub(super) const fn inner(body: B) -> Self {
        Self {
            inner: RefusalBody::inner(body),
            events: None,
            sent: Bytes::new(),
            ended: false,
        }
    }
    pub(super) const fn events(body: B, dialect: Dialect, layer: RescueLayer) -> Self {
        Self {
            inner: RefusalBody::inner(body),
            events: Some((dialect, layer)),
            sent: Bytes::new(),
            ended: false,
        }
    }
}

impl<B> From<Bytes> for ResponseBody<B> {
    fn from(refusal: Bytes) -> Self {
        Self {
            inner: refusal.into(),
            events: None,
            sent: Bytes::new(),
            ended: false,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match (ready!(this.inner.poll_frame(cx)), this.events) {
            (Some(Err(error)), Some((dialect, layer))) => {
                *this.ended = true;
                let refusal = layer.refusal(&*error.into());
                Some(Ok(Frame::data(refusal.event_behind(*dialect, this.sent))))
            }
            (Some(Ok(frame)), Some((Dialect::Responses, _))) => {
                if let Some(data) = frame.data_ref() {
                    *this.sent = data.clone();
                }
                Some(Ok(frame))
            }
            (frame, _) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.inner.size_hint();
        if self.events.is_none() {
            return hint;
        }
        // An error event may take the place of what is missing, so only what is there already is certain.
        SizeHint::new()
    }
}
