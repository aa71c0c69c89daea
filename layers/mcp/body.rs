//! A body that is written by a story while it is read.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tierway_services::BoxError;

/// The place where a story lays down one piece at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Bytes>>>);

type Story = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// What the story lays down, as a body. Dropping it ends the story where it is.
pub(super) struct Told {
    story: Option<Story>,
    slot: Slot,
}

impl Slot {
    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
    fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }
    /// Lays a piece down, and waits until it is taken: whoever reads slowly slows the model down.
    pub(super) async fn put(&self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
        // Nobody needs waking: the reader takes the piece and then asks the story for the next.
        poll_fn(|_| {
            if self.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Told {
    pub(super) fn new(
        slot: Slot,
        story: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) -> Self {
        Self {
            story: Some(Box::pin(story)),
            slot,
        }
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(story) = &mut this.story else {
            return Poll::Ready(None);
        };
        let polled = story.as_mut().poll(cx);
        if polled.is_ready() {
            this.story = None;
        }
        match (this.slot.take(), polled) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, Poll::Ready(Ok(()))) => Poll::Ready(None),
            (None, Poll::Ready(Err(error))) => Poll::Ready(Some(Err(error))),
            (None, Poll::Pending) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.story.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}
