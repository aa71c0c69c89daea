//! A body that does as it is told, for tests.
use bytes::Bytes;
use http_body::{Body, Frame};
use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

/// A body of given frames, which then ends, fails or waits for ever.
pub(crate) struct Frames {
    frames: VecDeque<Bytes>,
    then: Then,
    on_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

#[derive(Clone, Copy)]
enum Then {
    End,
    Fail(&'static str),
    Wait,
}

impl Frames {
    pub(crate) fn of<const N: usize>(frames: [&'static str; N]) -> Self {
        Self {
            frames: frames.map(|f| Bytes::from_static(f.as_bytes())).into(),
            then: Then::End,
            on_drop: None,
        }
    }
    pub(crate) fn then_fail(mut self, why: &'static str) -> Self {
        self.then = Then::Fail(why);
        self
    }
    pub(crate) fn then_wait(mut self) -> Self {
        self.then = Then::Wait;
        self
    }
    pub(crate) fn on_drop(mut self, then: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(then));
        self
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.frames).finish()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(then) = self.on_drop.take() {
            then();
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.frames.pop_front(), self.then) {
            (Some(data), _) => Poll::Ready(Some(Ok(Frame::data(data)))),
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Fail(why)) => Poll::Ready(Some(Err(io::Error::other(why)))),
            (None, Then::Wait) => Poll::Pending,
        }
    }
}
