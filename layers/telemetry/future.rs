use super::{ResponseBody, call::Call, outcome::End};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Response future of [`Telemetry`](super::Telemetry).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // Fields are dropped in this order: whatever the inner future has to write down when it is dropped is written when the call is
        // counted.
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match ready!(this.inner.poll(cx)) {
            Ok(res) => {
                let (head, body) = res.into_parts();
                let body = ResponseBody::new(&head, body, this.call.take());
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Err(error) => {
                if let Some(call) = this.call {
                    call.end = End::Broken;
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
