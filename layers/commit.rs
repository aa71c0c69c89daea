//! A body whose caller learns of its end only after what had to be done first has been done.
//!
//! Whoever has the last of an answer may ask again at once: for the same (the cache must have it), in the same conversation (its model must
//! be known), by the answer's id (it must be there). And a server that has its `content-length` of bytes does not ask for more. So what is to
//! be kept is kept *before* the frame that completes it is handed on.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{BoxError, chat::Reply};

/// What is to be done before the next frame is handed on.
pub(crate) type Commit = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who watches a body pass. It is dropped after the body, also where nobody reads that to its end.
pub(crate) trait Tap: Unpin {
    /// A piece passes.
    fn pass(&mut self, _data: &Bytes) -> Option<Commit> {
        None
    }
    /// The body has ended well, and has been dropped, so that the leaf has written down what it counted.
    fn end(&mut self) -> Option<Commit> {
        None
    }
    /// The body has broken off.
    fn broke(&mut self) {}
}

/// A reply under a [`Tap`]'s eyes.
pub(crate) struct Committed<T> {
    // Fields are dropped in this order.
    inner: Option<Reply>,
    commit: Option<Commit>,
    held: Option<Frame<Bytes>>,
    tap: T,
}

// === impl Committed ===

impl<T: Tap> Committed<T> {
    pub(crate) const fn new(inner: Reply, tap: T) -> Self {
        Self {
            inner: Some(inner),
            commit: None,
            held: None,
            tap,
        }
    }

    fn end(&mut self) {
        self.inner = None;
        if let Some(commit) = self.tap.end() {
            self.commit = Some(commit);
        }
    }
}

impl<T: Tap> Body for Committed<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(commit) = &mut this.commit {
                ready!(commit.as_mut().poll(cx));
                this.commit = None;
            }
            if let Some(frame) = this.held.take() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(&mut *inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let ended = inner.is_end_stream();
                    this.commit = frame.data_ref().and_then(|data| this.tap.pass(data));
                    if ended {
                        this.end();
                    }
                    this.held = Some(frame);
                }
                Some(Err(error)) => {
                    this.tap.broke();
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.end(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none() && self.held.is_none() && self.commit.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.held) {
            (Some(inner), None) => inner.size_hint(),
            (Some(_), Some(_)) => SizeHint::new(),
            (None, Some(held)) => {
                SizeHint::with_exact(held.data_ref().map_or(0, |data| data.len() as u64))
            }
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use http_body_util::BodyExt;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio_test::{assert_pending, task};

    /// Counts what it sees, and takes a turn of the runtime to commit.
    #[derive(Default)]
    struct Watch {
        passed: usize,
        done: Arc<AtomicUsize>,
        broke: Arc<AtomicUsize>,
    }
    impl Tap for Watch {
        fn pass(&mut self, _: &Bytes) -> Option<Commit> {
            self.passed += 1;
            None
        }
        fn end(&mut self) -> Option<Commit> {
            let (done, passed) = (self.done.clone(), self.passed);
            Some(Box::pin(async move {
                tokio::task::yield_now().await;
                done.store(passed, Ordering::Relaxed);
            }))
        }
        fn broke(&mut self) {
            self.broke.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_end_is_told_after_the_commit() {
        let watch = Watch::default();
        let done = watch.done.clone();
        let whole = Reply::stream(http_body_util::Full::<Bytes>::from("all"));
        let mut body = task::spawn(Committed::new(whole, watch));
        assert_eq!(body.size_hint().exact(), Some(3));
        body.enter(|cx, mut body| assert_pending!(body.as_mut().poll_frame(cx)));
        assert!(!body.is_end_stream());
        assert_eq!(done.load(Ordering::Relaxed), 0);
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "all");
        assert_eq!(done.load(Ordering::Relaxed), 1);
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn what_breaks_off_is_not_committed() {
        let watch = Watch::default();
        let (done, broke) = (watch.done.clone(), watch.broke.clone());
        let reply = Reply::stream(Frames::of(["a", "b"]).then_fail("reset"));
        let body = Committed::new(reply, watch);
        assert!(body.collect().await.is_err());
        assert_eq!(
            (done.load(Ordering::Relaxed), broke.load(Ordering::Relaxed)),
            (0, 1)
        );
    }

    #[tokio::test]
    async fn the_tap_outlives_the_body() {
        #[derive(Default)]
        struct Order(Arc<AtomicUsize>);
        impl Tap for Order {}
        impl Drop for Order {
            fn drop(&mut self) {
                let body_was_dropped = self.0.load(Ordering::Relaxed) == 1;
                assert!(body_was_dropped);
                self.0.store(2, Ordering::Relaxed);
            }
        }
        let order = Order::default();
        let at = order.0.clone();
        let seen = at.clone();
        let frames = Frames::of(["a"])
            .then_wait()
            .on_drop(move || seen.store(1, Ordering::Relaxed));
        drop(Committed::new(Reply::stream(frames), order));
        assert_eq!(at.load(Ordering::Relaxed), 2);
    }
}
