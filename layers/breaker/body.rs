//! A stream that may still break off.
use super::state::Permit;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{
    BoxError,
    chat::{self, Reply},
};

pin_project! {
    /// Tells the breaker how the stream ended.
    struct Watched {
        #[pin]
        inner: Reply,
        permit: Option<Permit>,
    }
}

/// `res`, whose end `permit` will be told; a whole one has come to its end.
pub(super) fn watched(res: chat::Response, permit: Permit) -> chat::Response {
    if !res.body().is_stream() || !res.status().is_success() {
        permit.succeeded();
        return res;
    }
    res.map(|inner| {
        Reply::stream(Watched {
            inner,
            permit: Some(permit),
        })
    })
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {
                // A caller who leaves from here on has had an answer.
                if let Some(permit) = this.permit {
                    permit.begun();
                }
            }
            Some(Err(_)) => {
                if let Some(permit) = this.permit.take() {
                    permit.failed(None);
                }
            }
            None => {
                if let Some(permit) = this.permit.take() {
                    permit.succeeded();
                }
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
