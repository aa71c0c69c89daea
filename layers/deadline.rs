//! Ends a call that takes too long, wherever it is by then.
//!
//! The time begins when the head of the request is here and ends with the last byte of the answer. It is what the host allows, or what the
//! caller says in `x-tierway-deadline-ms` where that is less. Layers below find it as [`Deadline`] and do not begin what would come too
//! late. Before the head of an answer the caller gets 504; within a stream an error upon which [`Rescue`](crate::rescue) ends it in order.
//! Whatever was under way is dropped, and so hung up on.
//!
//! # Example
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use std::{convert::Infallible, time::Duration};
//! use tierway_layers::deadline::DeadlineLayer;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(DeadlineLayer::new(Duration::from_secs(600)))
//!     .service_fn(|_: Request<Full<Bytes>>| async {
//!         tokio::time::sleep(Duration::from_secs(2)).await;
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
//!     });
//! let ask = |ms: &str| {
//!     let req = Request::post("/v1/messages").header("x-tierway-deadline-ms", ms);
//!     req.body(Full::<Bytes>::default()).unwrap()
//! };
//! assert_eq!(service.clone().oneshot(ask("5000")).await.unwrap().status(), StatusCode::OK);
//! assert_eq!(service.oneshot(ask("500")).await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
//! # }
//! ```
use crate::RefusalBody;
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tierway_services::{
    BoxError,
    alarm::Alarm,
    chat::{Deadline, Kind, Notes, Refusal},
    dialect::Dialect,
};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// In how many milliseconds an answer is of use no more.
pub const DEADLINE_MS: HeaderName = HeaderName::from_static("x-tierway-deadline-ms");

/// Applies [`Deadlines`].
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    most: Option<Duration>,
}

/// Ends calls that take too long. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Deadlines<S> {
    inner: S,
    layer: DeadlineLayer,
}

pin_project! {
    /// Response future of [`Deadlines`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> { #[pin] state: State<F> }
}
pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Refused { refusal: Refusal, dialect: Dialect },
        Asked { #[pin] future: F, #[pin] end: End, dialect: Dialect },
    }
}

pin_project! {
    /// Response body of [`Deadlines`]: it breaks when the time is over.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: RefusalBody<B>,
        #[pin]
        end: End,
    }
}

pin_project! {
    /// When the time of a call is over, if ever.
    #[derive(Debug, Default)]
    struct End {
        until: Option<Instant>,
        limit: Duration,
        #[pin]
        alarm: Alarm,
    }
}

// === impl DeadlineLayer ===

impl DeadlineLayer {
    /// Allows each call so long.
    #[must_use]
    pub const fn new(most: Duration) -> Self {
        Self { most: Some(most) }
    }
    /// Allows each call as long as its caller does.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { most: None }
    }

    fn limit<B>(self, req: &Request<B>) -> Result<Option<Duration>, Refusal> {
        let Some(told) = req.headers().get(DEADLINE_MS) else {
            return Ok(self.most);
        };
        let told = told.to_str().ok().and_then(|told| told.trim().parse().ok());
        let Some(told) = told.map(Duration::from_millis) else {
            let message = format!("{DEADLINE_MS}: write a number of milliseconds");
            return Err(Refusal::new(Kind::InvalidRequest, message).with_code("invalid_deadline"));
        };
        Ok(Some(self.most.map_or(told, |most| most.min(told))))
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadlines<S>;
    fn layer(&self, inner: S) -> Deadlines<S> {
        Deadlines {
            inner,
            layer: *self,
        }
    }
}

// === impl Deadlines ===

impl<S, ReqB, ResB> Service<Request<ReqB>> for Deadlines<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqB>) -> Self::Future {
        let dialect = Dialect::of(req.uri(), req.headers());
        let state = match self.layer.limit(&req) {
            Err(refusal) => State::Refused { refusal, dialect },
            Ok(limit) => {
                let until = limit.and_then(|limit| Instant::now().checked_add(limit));
                if let Some(until) = until {
                    Notes::of_mut(&mut req).deadline = Some(Deadline(until.into_std()));
                }
                State::Asked {
                    future: self.inner.call(req),
                    end: End::new(until, limit.unwrap_or_default()),
                    dialect,
                }
            }
        };
        ResponseFuture { state }
    }
}

// === impl End ===

impl End {
    fn new(until: Option<Instant>, limit: Duration) -> Self {
        Self {
            until,
            limit,
            alarm: Alarm::default(),
        }
    }

    /// Ready when the time is over. To be asked after whoever may have come in time.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Refusal> {
        let this = self.project();
        let Some(until) = *this.until else {
            return Poll::Pending;
        };
        ready!(this.alarm.poll_until(until, cx));
        let message = format!("no whole answer within {} ms", this.limit.as_millis());
        let refusal = Refusal::new(Kind::Timeout, message);
        Poll::Ready(refusal.with_code("deadline_exceeded"))
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let refused = |refusal: Refusal, dialect| {
            let res: Response<RefusalBody<B>> = refusal.into_http(dialect);
            Poll::Ready(Ok(res.map(|inner| ResponseBody {
                inner,
                end: End::default(),
            })))
        };
        match self.project().state.project() {
            StateProj::Refused { refusal, dialect } => refused(refusal.clone(), *dialect),
            StateProj::Asked {
                future,
                end,
                dialect,
            } => {
                if let Poll::Ready(res) = future.poll(cx) {
                    // A timer cannot move once it runs; the body gets one of its own.
                    let (until, limit) = (end.until, end.limit);
                    return Poll::Ready(res.map(|res| {
                        res.map(|body| ResponseBody {
                            inner: RefusalBody::inner(body),
                            end: End::new(until, limit),
                        })
                    }));
                }
                refused(ready!(end.poll(cx)), *dialect)
            }
        }
    }
}

// === impl ResponseBody ===

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let too_late = ready!(this.end.poll(cx));
        Poll::Ready(Some(Err(too_late.into())))
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use http_body_util::{BodyExt, Full};
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower_test::mock::{self, Handle, Spawn};

    type Req = Request<Full<Bytes>>;
    type Res = Response<Frames>;

    const TEN: Duration = Duration::from_secs(10);

    type Pair = (Spawn<Deadlines<mock::Mock<Req, Res>>>, Handle<Req, Res>);

    fn pair(layer: DeadlineLayer) -> Pair {
        mock::spawn_layer(layer)
    }

    fn ask(ms: Option<&str>) -> Req {
        let mut req = Request::post("/v1/messages");
        if let Some(ms) = ms {
            req = req.header(DEADLINE_MS, ms);
        }
        req.body(Full::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_lesser_of_two_limits_counts_and_is_told_below() {
        for (told, seconds) in [(None, 10.0), (Some("2500"), 2.5), (Some("99999"), 10.0)] {
            let (mut service, mut handle) = pair(DeadlineLayer::new(TEN));
            assert_ready_ok!(service.poll_ready::<Req>());
            let start = Instant::now();
            let mut call = task::spawn(service.call(ask(told)));
            assert_pending!(call.poll());
            let (req, _send) = handle.next_request().await.unwrap();
            let until = Deadline::of(&req).unwrap() - start.into_std();
            assert!((until.as_secs_f64() - seconds).abs() < 1e-3, "{until:?}");
            let res = call.await.unwrap();
            assert_eq!(res.status(), 504);
            assert!((start.elapsed().as_secs_f64() - seconds).abs() < 1e-2);
            let told = res.into_body().collect().await.unwrap().to_bytes();
            assert!(told.starts_with(br#"{"type":"error","error":{"type":"timeout_error""#));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_breaks_when_its_time_is_over() {
        let (mut service, mut handle) = pair(DeadlineLayer::new(TEN));
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut call = task::spawn(service.call(ask(None)));
        assert_pending!(call.poll());
        tokio::time::advance(Duration::from_secs(4)).await;
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(Response::new(Frames::of(["a"]).then_wait()));
        let mut body = Box::pin(assert_ready_ok!(call.poll()).into_body());
        body.frame().await.unwrap().unwrap();
        let start = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(Refusal::of(&*error).unwrap().kind(), Kind::Timeout);
        assert!((start.elapsed().as_secs_f64() - 6.0).abs() < 1e-2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_passes_and_nonsense_is_refused() {
        let (mut service, mut handle) = pair(DeadlineLayer::unlimited());
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut call = task::spawn(service.call(ask(None)));
        assert_pending!(call.poll());
        let (req, send) = handle.next_request().await.unwrap();
        assert!(Deadline::of(&req).is_none());
        send.send_response(Response::new(Frames::of(["a", "b"])));
        let res = assert_ready_ok!(call.poll());
        assert_eq!(res.into_body().collect().await.unwrap().to_bytes(), "ab");
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_ready_ok!(service.poll_ready::<Req>());
            let res = service.call(ask(Some(nonsense))).await.unwrap();
            assert_eq!(res.status(), 400, "{nonsense}");
        }
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_is_not() {
        let (mut service, mut handle) = pair(DeadlineLayer::new(TEN));
        handle.allow(0);
        assert_pending!(service.poll_ready::<Req>());
    }
}
