//! A body that is read along while it passes.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{BoxError, chat::Reply};

type Then = Box<dyn FnOnce(Vec<Bytes>) + Send>;

pin_project_lite::pin_project! {
    /// Holds references to what passes, not copies, and hands them on once all has passed; lets go of them past the bound, on an error, and
    /// when it is dropped half-way.
    pub(super) struct Tee {
        #[pin]
        inner: Reply,
        passed: Vec<Bytes>,
        left: usize,
        then: Option<Then>,
    }
}

impl Tee {
    pub(super) fn new(inner: Reply, most: usize, then: Then) -> Self {
        Self {
            inner,
            passed: Vec::new(),
            left: most,
            then: Some(then),
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) if this.then.is_some() => {
                if let Some(data) = frame.data_ref() {
                    match this.left.checked_sub(data.len()) {
                        Some(left) => {
                            *this.left = left;
                            this.passed.push(data.clone());
                        }
                        None => *this.then = None,
                    }
                }
            }
            Some(Err(_)) => *this.then = None,
            _ => {}
        }
        // A server that has all of it does not ask again.
        let over = frame.is_none() || this.inner.is_end_stream();
        if over && let Some(then) = this.then.take() {
            then(std::mem::take(this.passed));
        }
        if this.then.is_none() {
            this.passed.clear();
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
