//! The body of a layer that may refuse before anybody below has answered.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// Either a refusal of a layer's own, or the answer of the service below.
    #[derive(Debug)]
    pub struct RefusalBody<B> { #[pin] kind: Kind<B> }
}
pin_project_lite::pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Refusal { #[pin] body: Full<Bytes> },
        Inner { #[pin] body: B },
    }
}

impl<B> RefusalBody<B> {
    /// The answer of the service below.
    pub const fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }
}

impl<B> From<Bytes> for RefusalBody<B> {
    fn from(refusal: Bytes) -> Self {
        Self {
            kind: Kind::Refusal {
                body: Full::new(refusal),
            },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for RefusalBody<B> {
    type Data = Bytes;
    type Error = B::Error;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Refusal { body } => body.poll_frame(cx).map_err(|e| match e {}),
            KindProj::Inner { body } => body.poll_frame(cx),
        }
    }
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Refusal { body } => body.is_end_stream(),
            Kind::Inner { body } => body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Refusal { body } => body.size_hint(),
            Kind::Inner { body } => body.size_hint(),
        }
    }
}
