//! The body of an answer.
use crate::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// The body of an answer in the caller's dialect: whole, or still streaming from a provider.
    ///
    /// A streaming reply yields frames that each end at an event boundary, so that whoever must break in (an error after the head) never
    /// breaks an event in two.
    #[derive(Default)]
    pub struct Reply { #[pin] kind: Kind }
}
pin_project_lite::pin_project! {
    #[project = KindProj]
    enum Kind {
        Whole { #[pin] body: Full<Bytes> },
        Stream { #[pin] body: UnsyncBoxBody<Bytes, BoxError> },
    }
}
impl Default for Kind {
    fn default() -> Self {
        Self::Whole {
            body: Full::default(),
        }
    }
}

impl Reply {
    /// A reply that is already complete.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Whole {
                body: Full::new(bytes.into()),
            },
        }
    }
    /// A reply that arrives frame by frame. A body that is a `Reply` already is taken as it is, not boxed again.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(reply) = (&mut body as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return reply.take().unwrap_or_default();
        }
        body.map_or_else(Self::default, |body| Self {
            kind: Kind::Stream {
                body: body.map_err(Into::into).boxed_unsync(),
            },
        })
    }
    /// Whether it arrives frame by frame.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream { .. })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("stream", &self.is_stream())
            .finish_non_exhaustive()
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Whole { body } => body.poll_frame(cx).map_err(|e| match e {}),
            KindProj::Stream { body } => body.poll_frame(cx),
        }
    }
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { body } => body.is_end_stream(),
            Kind::Stream { body } => body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { body } => body.size_hint(),
            Kind::Stream { body } => body.size_hint(),
        }
    }
}
