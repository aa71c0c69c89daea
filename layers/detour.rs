//! An answer that either comes as it is, or at the end of a story that a layer tells around it.
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// Response future of a layer that lets most calls pass: the inner service's own future, and a box only for the others.
    pub struct ResponseFuture<F: Future> { #[pin] way: Way<F> }
}
pin_project! {
    #[project = WayProj]
    enum Way<F: Future> {
        Past { #[pin] future: F },
        Story { story: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

impl<F: Future> ResponseFuture<F> {
    /// What the inner service answers, untouched.
    pub(crate) const fn past(future: F) -> Self {
        Self {
            way: Way::Past { future },
        }
    }
    /// What comes of `story`.
    pub(crate) fn story(story: impl Future<Output = F::Output> + Send + 'static) -> Self {
        Self {
            way: Way::Story {
                story: Box::pin(story),
            },
        }
    }
}

impl<F: Future> Future for ResponseFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().way.project() {
            WayProj::Past { future } => future.poll(cx),
            WayProj::Story { story } => story.as_mut().poll(cx),
        }
    }
}

impl<F: Future> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
