use crate::RefusalBody;
use http::{HeaderValue, Response, header};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{chat::Refusal, dialect::Dialect};

pin_project! {
    /// Response future of [`Auth`](super::Auth).
    #[derive(Debug)]
    pub struct ResponseFuture<F> { #[pin] state: State<F> }
}
pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Admitted { #[pin] future: F },
        Refused { refusal: Refusal, dialect: Dialect },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn admitted(future: F) -> Self {
        Self {
            state: State::Admitted { future },
        }
    }
    pub(super) const fn refused(refusal: Refusal, dialect: Dialect) -> Self {
        Self {
            state: State::Refused { refusal, dialect },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<RefusalBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Admitted { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(|res| res.map(RefusalBody::inner)))
            }
            StateProj::Refused { refusal, dialect } => {
                let mut res = refusal.clone().into_http(*dialect);
                // HTTP asks every 401 to name the scheme that would do.
                res.headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                Poll::Ready(Ok(res))
            }
        }
    }
}
