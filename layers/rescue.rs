//! Turns errors into answers, at one place: nothing above it ever sees one.
//!
//! An error that is a [`Refusal`], or whose chain of sources holds one, is told as that refusal; any other as a fault of our own, without
//! its text, which may tell what is nobody's business. Before the head this is a response with the refusal's status. After the head of an
//! event stream it is one last event in the caller's dialect, upon which the stream ends in order. Any other body is broken off, for its
//! length has been promised.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tierway_layers::rescue::RescueLayer;
//! use tierway_services::chat::{Kind, Refusal};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(RescueLayer::new())
//!     .service_fn(|_: Request<Full<Bytes>>| async {
//!         Err::<Response<Full<Bytes>>, _>(Refusal::new(Kind::Timeout, "local did not answer in time"))
//!     });
//!
//! let req = Request::post("/v1/messages").body(Full::default()).unwrap();
//! let res = service.oneshot(req).await.unwrap(); // infallible
//! assert_eq!(res.status(), 504);
//! assert_eq!(
//!     res.into_body().collect().await.unwrap().to_bytes(),
//!     r#"{"type":"error","error":{"type":"timeout_error","message":"local did not answer in time"}}"#
//! );
//! # }
//! ```
mod body;

pub use body::ResponseBody;

use http::{Request, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tierway_services::{
    BoxError,
    chat::{Kind, Refusal},
    dialect::Dialect,
};
use tower_layer::Layer;
use tower_service::Service;

type OnError = Arc<dyn Fn(&(dyn Error + 'static)) + Send + Sync>;

/// Applies [`Rescue`].
#[derive(Clone, Default)]
pub struct RescueLayer {
    on_error: Option<OnError>,
}

/// Turns errors into answers. See the [module](self).
pub struct Rescue<S> {
    inner: S,
    layer: RescueLayer,
    /// The error that the inner service had where it should have become ready: the next call is answered with it.
    failed: Option<Refusal>,
}

pin_project! {
    /// Response future of [`Rescue`].
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
        dialect: Dialect,
        layer: RescueLayer,
    }
}
pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] future: F },
        Failed { refusal: Refusal },
    }
}

// === impl RescueLayer ===

impl RescueLayer {
    /// Knows [`Refusal`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Calls `hear` with every error, before it is turned into an answer: here a host can log what callers are not told. It must not
    /// panic.
    #[must_use]
    pub fn on_error(
        mut self,
        hear: impl Fn(&(dyn Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(hear));
        self
    }

    /// What to tell the caller about `error`.
    fn refusal(&self, error: &(dyn Error + 'static)) -> Refusal {
        if let Some(hear) = &self.on_error {
            hear(error);
        }
        Refusal::of(error)
            .cloned()
            .unwrap_or_else(|| Refusal::new(Kind::Internal, "internal error"))
    }
}

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;
    fn layer(&self, inner: S) -> Rescue<S> {
        Rescue {
            inner,
            layer: self.clone(),
            failed: None,
        }
    }
}

impl fmt::Debug for RescueLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RescueLayer")
            .field("on_error", &self.on_error.is_some())
            .finish()
    }
}

// === impl Rescue ===

/// A clone is not ready, and not failed either.
impl<S: Clone> Clone for Rescue<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
            failed: None,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Rescue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .field("failed", &self.failed)
            .finish()
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for Rescue<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Into<BoxError>,
    ResB: Body,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.failed.is_none()
            && let Err(error) = ready!(self.inner.poll_ready(cx))
        {
            self.failed = Some(self.layer.refusal(&*error.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<ReqB>) -> Self::Future {
        let dialect = Dialect::of(req.uri(), req.headers());
        let state = match self.failed.take() {
            Some(refusal) => State::Failed { refusal },
            None => State::Inner {
                future: self.inner.call(req),
            },
        };
        ResponseFuture {
            state,
            dialect,
            layer: self.layer.clone(),
        }
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let refusal = match this.state.project() {
            StateProj::Failed { refusal } => refusal.clone(),
            StateProj::Inner { future } => match ready!(future.poll(cx)) {
                Ok(mut res) => {
                    if !crate::wire::is_event_stream(res.headers()) {
                        return Poll::Ready(Ok(res.map(ResponseBody::inner)));
                    }
                    // One more event may follow than anybody has counted.
                    res.headers_mut().remove(header::CONTENT_LENGTH);
                    let layer = this.layer.clone();
                    let body = |body| ResponseBody::events(body, *this.dialect, layer);
                    return Poll::Ready(Ok(res.map(body)));
                }
                Err(error) => this.layer.refusal(&*error.into()),
            },
        };
        Poll::Ready(Ok(refusal.into_http(*this.dialect)))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use std::sync::Mutex;
    use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
    use tower_test::mock::{self, Handle, Spawn};

    type Req = Request<Full<Bytes>>;
    type Res = Response<Frames>;

    type Mocked = Spawn<Rescue<mock::Mock<Req, Res>>>;

    fn pair(layer: RescueLayer) -> (Mocked, Handle<Req, Res>) {
        let (service, mut handle) = mock::spawn_layer(layer);
        handle.allow(1);
        (service, handle)
    }

    fn req(path: &str) -> Req {
        Request::post(path).body(Full::default()).unwrap()
    }

    /// The answer to a call whose outcome below `settle` decides.
    async fn rescued(
        layer: RescueLayer,
        path: &str,
        settle: impl FnOnce(mock::SendResponse<Res>),
    ) -> Response<ResponseBody<Frames>> {
        let (mut service, mut handle) = pair(layer);
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut answer = task::spawn(service.call(req(path)));
        assert_pending!(answer.poll());
        settle(handle.next_request().await.unwrap().1);
        assert_ready_ok!(answer.poll())
    }

    async fn text(res: Response<ResponseBody<Frames>>) -> String {
        let bytes = res.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn answer(kind: &'static str, body: Frames) -> Res {
        let res = Response::builder().header("content-type", kind);
        res.header("content-length", 8).body(body).unwrap()
    }

    /// An error that holds a refusal somewhere within.
    #[derive(Debug)]
    struct Wrapped(Refusal);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("secret at 10.0.0.7")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_however_deep_it_lies() {
        let no = || Wrapped(Refusal::new(Kind::Overloaded, "local is busy"));
        let res = rescued(RescueLayer::new(), "/v1/messages", |a| a.send_error(no())).await;
        assert_eq!(res.status().as_u16(), 529);
        assert_eq!(
            text(res).await,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"local is busy"}}"#
        );
    }

    #[tokio::test]
    async fn any_other_error_is_heard_but_not_told() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let layer = RescueLayer::new().on_error({
            let heard = heard.clone();
            move |e| heard.lock().unwrap().push(e.to_string())
        });
        let path = "/v1/chat/completions";
        let res = rescued(layer, path, |a| a.send_error("secret at 10.0.0.7")).await;
        assert_eq!(res.status(), 500);
        assert!(!text(res).await.contains("secret"));
        assert_eq!(*heard.lock().unwrap(), ["secret at 10.0.0.7"]);
    }

    #[tokio::test]
    async fn a_broken_stream_of_events_ends_in_an_event() {
        let body = Frames::of(["data: 1\n\n"]).then_fail("secret reset");
        let res = answer("text/event-stream; charset=utf-8", body);
        let res = rescued(RescueLayer::new(), "/v1/messages", |a| a.send_response(res)).await;
        assert!(!res.headers().contains_key("content-length"));
        let text = text(res).await;
        assert!(
            text.starts_with("data: 1\n\nevent: error\ndata: {"),
            "{text}"
        );
        assert!(text.ends_with("}\n\n") && !text.contains("secret"));
    }

    #[tokio::test]
    async fn a_broken_body_of_another_kind_breaks() {
        let body = Frames::of(["{"]).then_fail("reset");
        let res = answer("application/json", body);
        let res = rescued(RescueLayer::new(), "/v1/messages", |a| a.send_response(res)).await;
        assert_eq!(res.headers()["content-length"], "8");
        let error = res.into_body().collect().await.unwrap_err();
        assert_eq!(error.to_string(), "reset");
    }

    #[tokio::test]
    async fn what_is_well_passes() {
        let res = answer("text/event-stream", Frames::of(["data: 1\n\n"]));
        let res = rescued(RescueLayer::new(), "/v1/messages", |a| a.send_response(res)).await;
        assert_eq!(text(res).await, "data: 1\n\n");
    }

    #[tokio::test]
    async fn failing_to_become_ready_is_answered_too() {
        let (mut service, mut handle) = pair(RescueLayer::new());
        handle.send_error(Refusal::new(Kind::Upstream, "gone"));
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut first = task::spawn(service.call(req("/v1/messages")));
        assert_eq!(assert_ready!(first.poll()).unwrap().status(), 502);
        // The next call asks the inner service again.
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut second = task::spawn(service.call(req("/v1/messages")));
        assert_pending!(second.poll());
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_service_is_not() {
        let (mut service, mut handle) = pair(RescueLayer::new());
        handle.allow(0);
        assert_pending!(service.poll_ready::<Req>());
    }
}
