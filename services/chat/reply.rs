//! The body of an answer.
use crate::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
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
        // What has been read of it and not been taken yet.
        Stream { begun: Option<Bytes>, #[pin] body: UnsyncBoxBody<Bytes, BoxError> },
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
                begun: None,
                body: body.map_err(Into::into).boxed_unsync(),
            },
        })
    }
    /// Waits for the first bytes and looks at them; they stay the first that a reader gets. `None` where nothing is to come, or where it is
    /// whole already.
    ///
    /// # Errors
    /// Where the stream breaks before it has begun; it is over then.
    pub fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&Bytes>, BoxError>> {
        let Kind::Stream { begun, body } = &mut self.kind else {
            return Poll::Ready(Ok(None));
        };
        while begun.is_none() {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(frame)) => *begun = frame.into_data().ok().filter(|data| !data.is_empty()),
            }
        }
        Poll::Ready(Ok(begun.as_ref()))
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
            KindProj::Stream { begun, body } => match begun.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => body.poll_frame(cx),
            },
        }
    }
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { body } => body.is_end_stream(),
            Kind::Stream { begun, body } => begun.is_none() && body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { body } => body.size_hint(),
            Kind::Stream { begun, body } => {
                let mut hint = body.size_hint();
                if let Some(first) = begun {
                    let first = first.len() as u64;
                    let upper = hint.upper().map(|upper| upper.saturating_add(first));
                    hint.set_lower(hint.lower().saturating_add(first));
                    if let Some(upper) = upper {
                        hint.set_upper(upper);
                    }
                }
                hint
            }
        }
    }
}
