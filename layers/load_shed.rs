//! Refuses calls beyond what can be served, before a byte of their body is read.
//!
//! So many calls may be under way at a time. One under way holds its place until its answer has *ended*, since an answer is nearly all body;
//! what comes beyond is refused at once, with 503 (529 in Anthropic's dialect) and `retry-after`. So under any load what is let through is
//! served as if there were no more, and what is not costs next to nothing.
//!
//! # Example
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//! use tierway_layers::load_shed::LoadShedLayer;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceBuilder::new()
//!     .layer(LoadShedLayer::new(1))
//!     .service_fn(|_: Request<Full<Bytes>>| async {
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
//!     });
//! let ask = || Request::post("/v1/messages").body(Full::<Bytes>::default()).unwrap();
//! let first = service.clone().oneshot(ask()).await.unwrap();
//! assert_eq!(service.clone().oneshot(ask()).await.unwrap().status().as_u16(), 529);
//! drop(first); // with its body
//! assert_eq!(service.oneshot(ask()).await.unwrap().status(), 200);
//! # }
//! ```
//!
//! # Backpressure and cancellation
//! Readiness is the inner service's; a call that is not let through does not need it. Whoever leaves gives the place back.
use crate::{Holding, RefusalBody};
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tierway_services::{
    chat::{Kind, Refusal},
    dialect::Dialect,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

type OnShed = Arc<dyn Fn() + Send + Sync>;

/// Applies [`LoadShed`]. All services that one layer makes, and its clones, share their places.
#[derive(Clone)]
pub struct LoadShedLayer {
    places: Arc<Semaphore>,
    retry_after: Duration,
    hear: Option<OnShed>,
}

/// Refuses calls beyond what can be served. See the [module](self).
#[derive(Clone, Debug)]
pub struct LoadShed<S> {
    inner: S,
    layer: LoadShedLayer,
}

pin_project! {
    /// Response future of [`LoadShed`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> { #[pin] state: State<F> }
}
pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Shed { dialect: Dialect, retry_after: Duration },
        Served { #[pin] future: F, place: Option<OwnedSemaphorePermit> },
    }
}

// === impl LoadShedLayer ===

impl LoadShedLayer {
    /// Lets `most` calls be under way at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            retry_after: Duration::from_secs(1),
            hear: None,
        }
    }
    /// When callers are to come back; after a second by default.
    #[must_use]
    pub const fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = retry_after;
        self
    }
    /// Tells `hear` of every call that is refused. It must neither block nor panic.
    #[must_use]
    pub fn on_shed(mut self, hear: impl Fn() + Send + Sync + 'static) -> Self {
        self.hear = Some(Arc::new(hear));
        self
    }
    /// How many places are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }
}

impl<S> Layer<S> for LoadShedLayer {
    type Service = LoadShed<S>;
    fn layer(&self, inner: S) -> LoadShed<S> {
        LoadShed {
            inner,
            layer: self.clone(),
        }
    }
}

impl fmt::Debug for LoadShedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedLayer")
            .field("free", &self.free())
            .finish_non_exhaustive()
    }
}

// === impl LoadShed ===

impl<S, ReqB, ResB> Service<Request<ReqB>> for LoadShed<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<RefusalBody<Holding<ResB, Option<OwnedSemaphorePermit>>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<ReqB>) -> Self::Future {
        let state = match self.layer.places.clone().try_acquire_owned() {
            Ok(place) => State::Served {
                future: self.inner.call(req),
                place: Some(place),
            },
            Err(_) => {
                if let Some(hear) = &self.layer.hear {
                    hear();
                }
                State::Shed {
                    dialect: Dialect::of(req.uri(), req.headers()),
                    retry_after: self.layer.retry_after,
                }
            }
        };
        ResponseFuture { state }
    }
}

// === impl ResponseFuture ===

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<RefusalBody<Holding<B, Option<OwnedSemaphorePermit>>>>, E>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Shed {
                dialect,
                retry_after,
            } => {
                let refusal = Refusal::new(Kind::Overloaded, "too many calls are under way")
                    .with_retry_after(*retry_after);
                Poll::Ready(Ok(refusal.into_http(*dialect)))
            }
            StateProj::Served { future, place } => {
                let res = ready!(future.poll(cx))?;
                let place = place.take();
                let held = |inner| RefusalBody::inner(Holding::new(inner, place));
                Poll::Ready(Ok(res.map(held)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower_test::mock::{self, Handle, Spawn};

    type Req = Request<Full<Bytes>>;
    type Res = Response<Frames>;

    type Pair = (Spawn<LoadShed<mock::Mock<Req, Res>>>, Handle<Req, Res>);

    fn pair(layer: &LoadShedLayer) -> Pair {
        let (service, mut handle) = mock::spawn_layer(layer.clone());
        handle.allow(9);
        (service, handle)
    }

    fn ask(path: &str) -> Req {
        Request::post(path).body(Full::default()).unwrap()
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_body_has_gone() {
        let layer = LoadShedLayer::new(1);
        let (mut service, mut handle) = pair(&layer);
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut first = task::spawn(service.call(ask("/v1/messages")));
        assert_pending!(first.poll());
        assert_eq!(layer.free(), 0);
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(Response::new(Frames::of(["a", "b"])));
        let mut res = assert_ready_ok!(first.poll());
        drop(first);
        res.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(layer.free(), 0, "the head is not the end");
        drop(res);
        assert_eq!(layer.free(), 1);
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_in_the_callers_words_and_nobody_is_asked() {
        let heard = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let ear = heard.clone();
        let layer = LoadShedLayer::new(0)
            .retry_after(Duration::from_secs(3))
            .on_shed(move || {
                ear.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        let (mut service, mut handle) = pair(&layer);
        for (path, status) in [("/v1/messages", 529), ("/v1/chat/completions", 503)] {
            assert_ready_ok!(service.poll_ready::<Req>());
            let res = service.call(ask(path)).await.unwrap();
            assert_eq!(res.status().as_u16(), status);
            assert_eq!(res.headers()["retry-after"], "3");
            let told = res.into_body().collect().await.unwrap().to_bytes();
            assert!(told.starts_with(b"{"));
        }
        assert_pending!(handle.poll_request());
        assert_eq!(heard.load(std::sync::atomic::Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_leaves_or_fails_gives_the_place_back() {
        let layer = LoadShedLayer::new(1);
        let (mut service, mut handle) = pair(&layer);
        assert_ready_ok!(service.poll_ready::<Req>());
        drop(service.call(ask("/")));
        assert_eq!(layer.free(), 1);
        let _ = handle.next_request().await;
        assert_ready_ok!(service.poll_ready::<Req>());
        let mut call = task::spawn(service.call(ask("/")));
        assert_pending!(call.poll());
        handle.next_request().await.unwrap().1.send_error("down");
        assert!(call.poll().is_ready());
        drop(call);
        assert_eq!(layer.free(), 1);
        handle.allow(0);
    }

    #[tokio::test]
    async fn is_not_ready_when_the_inner_is_not() {
        let (mut service, mut handle) = pair(&LoadShedLayer::new(1));
        handle.allow(0);
        assert_pending!(service.poll_ready::<Req>());
    }
}
