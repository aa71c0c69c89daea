use super::{Verdict, service::admit};
use crate::RefusalBody;
use http::{HeaderName, HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use std::{
    borrow::Cow,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tierway_services::{
    chat::{Kind, Refusal},
    dialect::Dialect,
};
use tower_service::Service;

/// Looks a credential up; the header is the one that holds it.
pub(super) type Asked = Pin<Box<dyn Future<Output = (Verdict, HeaderName)> + Send>>;

pin_project! {
    /// Response future of [`Auth`](super::Auth): of the service below, its call and that service's future.
    pub struct ResponseFuture<S, B, F> { #[pin] state: State<S, B, F> }
}
pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Admitted { #[pin] future: F },
        Refused { refusal: Refusal, dialect: Dialect },
        // The box is for what is rare, so that the future of every other call is no larger for it.
        Asking { asked: Asked, held: Option<Box<Held<S, B>>> },
    }
}

/// A call that waits for somebody to say who makes it.
pub(super) struct Held<S, B> {
    pub(super) inner: S,
    pub(super) req: Request<B>,
    /// Whether it goes on where nobody knows.
    pub(super) open: bool,
}

impl<S, B, F> ResponseFuture<S, B, F> {
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
    pub(super) fn asking(asked: Asked, held: Held<S, B>) -> Self {
        Self {
            state: State::Asking {
                asked,
                held: Some(Box::new(held)),
            },
        }
    }
}

/// What a credential that nobody knows is told.
pub(super) const UNKNOWN: &str = "this key is not known here: send a valid one as `Authorization: Bearer <key>` or `x-api-key: <key>`";

pub(super) fn refusal(why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Kind::Authentication, why)
}

impl<S, ReqB, ResB, F, E> Future for ResponseFuture<S, ReqB, F>
where
    S: Service<Request<ReqB>, Future = F>,
    F: Future<Output = Result<Response<ResB>, E>>,
{
    type Output = Result<Response<RefusalBody<ResB>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProj::Admitted { future } => {
                    return Poll::Ready(
                        ready!(future.poll(cx)).map(|res| res.map(RefusalBody::inner)),
                    );
                }
                StateProj::Refused { refusal, dialect } => {
                    let mut res = refusal.clone().into_http(*dialect);
                    // HTTP asks every 401 to name the scheme that would do.
                    res.headers_mut()
                        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                    return Poll::Ready(Ok(res));
                }
                StateProj::Asking { asked, held } => {
                    let (verdict, name) = ready!(asked.as_mut().poll(cx));
                    let Some(mut held) = held.take() else {
                        return Poll::Pending;
                    };
                    let why = match verdict {
                        Verdict::Known(caller) => {
                            admit(&mut held.req, &caller, &name);
                            None
                        }
                        Verdict::Unknown | Verdict::Later(_) if held.open => None,
                        Verdict::Refused(why) => Some(refusal(why)),
                        Verdict::Unknown | Verdict::Later(_) => Some(refusal(UNKNOWN)),
                    };
                    let Held { mut inner, req, .. } = *held;
                    match why {
                        None => State::Admitted {
                            future: inner.call(req),
                        },
                        Some(refusal) => State::Refused {
                            refusal,
                            dialect: Dialect::of(req.uri(), req.headers()),
                        },
                    }
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

impl<S, B, F> fmt::Debug for ResponseFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
