//! An answer whose head is to say what was done with its call.
use http::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::chat;

pin_project! {
    /// Response future of a layer that changes what is asked: the answer as it comes, with a header that says what was changed.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        header: HeaderName,
        says: Option<HeaderValue>,
    }
}

impl<F> ResponseFuture<F> {
    /// `future`, whose answer gets `header` where there is something to say.
    pub(crate) const fn new(future: F, header: HeaderName, says: Option<HeaderValue>) -> Self {
        Self {
            future,
            header,
            says,
        }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<chat::Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut res = ready!(this.future.poll(cx))?;
        if let Some(says) = this.says.take() {
            res.headers_mut().insert(this.header.clone(), says);
        }
        Poll::Ready(Ok(res))
    }
}
