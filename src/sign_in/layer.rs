//! Answers some paths here, and lets all others through.
use bytes::Bytes;
use futures_util::{
    TryFutureExt,
    future::{Either, MapOk},
};
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tierway_layers::RefusalBody;
use tierway_services::BoxError;
use tower::{Layer, Service};

/// The largest body that is read here.
const LARGEST: usize = 4 << 20;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who answers.
pub(crate) trait Desk: Clone + Send + Sync + 'static {
    /// Whether this is asked here.
    fn is_here(&self, method: &Method, path: &str) -> bool;
    /// The answer.
    fn answer(&self, head: Parts, body: Bytes) -> impl Future<Output = super::Answer> + Send;
}

/// Applies [`Answers`].
#[derive(Clone, Debug)]
pub(crate) struct AnswersLayer<D>(Option<D>);

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Answers<S, D> {
    inner: S,
    desk: Option<D>,
}

impl<D> AnswersLayer<D> {
    /// Has `desk` answer, where there is one.
    pub(crate) const fn new(desk: Option<D>) -> Self {
        Self(desk)
    }
}

impl<S, D: Clone> Layer<S> for AnswersLayer<D> {
    type Service = Answers<S, D>;
    fn layer(&self, inner: S) -> Answers<S, D> {
        Answers {
            inner,
            desk: self.0.clone(),
        }
    }
}

type Through<F, B> = MapOk<F, fn(Response<B>) -> Response<RefusalBody<B>>>;
type Here<B, E> = Pin<Box<dyn Future<Output = Result<Response<RefusalBody<B>>, E>> + Send>>;

impl<S, D, ReqB, ResB> Service<Request<ReqB>> for Answers<S, D>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    D: Desk,
    ReqB: Body<Data = Bytes> + Send + 'static,
    ReqB::Error: Into<BoxError>,
    ResB: 'static,
    S::Error: 'static,
{
    type Response = Response<RefusalBody<ResB>>;
    type Error = S::Error;
    type Future = Either<Through<S::Future, ResB>, Here<ResB, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<ReqB>) -> Self::Future {
        let here = |desk: &&D| desk.is_here(req.method(), req.uri().path());
        let Some(desk) = self.desk.as_ref().filter(here).cloned() else {
            let through: fn(Response<ResB>) -> Response<RefusalBody<ResB>> =
                |res| res.map(RefusalBody::inner);
            return Either::Left(self.inner.call(req).map_ok(through));
        };
        Either::Right(Box::pin(async move {
            let (head, body) = req.into_parts();
            let read = Limited::new(body, LARGEST).collect();
            let res = match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(body)) => desk.answer(head, body.to_bytes()).await,
                Ok(Err(error)) if error.is::<LengthLimitError>() => {
                    super::text(StatusCode::PAYLOAD_TOO_LARGE, "that is too long\n")
                }
                Ok(Err(_)) => super::text(StatusCode::BAD_REQUEST, "the body broke off\n"),
                Err(_) => super::text(StatusCode::REQUEST_TIMEOUT, "the body is too slow\n"),
            };
            let (head, body) = res.into_parts();
            let body = whole(body).await;
            Ok(Response::from_parts(head, RefusalBody::from(body)))
        }))
    }
}

async fn whole(body: Full<Bytes>) -> Bytes {
    match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    }
}
