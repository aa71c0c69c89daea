//! What operators ask, on a port of its own: `/metrics`, `/healthz`, `/readyz`, where a request would go (`/v1/route`), who may call
//! (`/v1/keys`), and the dashboard. Who may ask: `guard`.
mod dashboard;
mod figures;
mod guard;
mod keys;
mod login;
mod route;

pub use self::figures::Figures;

use crate::{access::Access, config, metrics::Metrics, route::Router};
use bytes::Bytes;
use guard::Guard;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tierway_services::BoxError;
use tower::Service;

/// Whether the gateway takes new calls: true once it listens, false from the moment it drains.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether new calls are welcome.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
    /// Whether new calls are welcome.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The service behind the admin port.
#[derive(Clone, Debug)]
pub struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    /// Who routes, and how many bytes of a request it reads.
    router: Option<(Router, usize)>,
    figures: Option<Figures>,
    guard: Guard,
    access: Option<Access>,
}

impl Admin {
    /// A service that shows `metrics` and `readiness`.
    #[must_use]
    pub fn new(metrics: Metrics, readiness: Readiness) -> Self {
        Self {
            metrics,
            readiness,
            router: None,
            figures: None,
            guard: Guard::new(&config::Access::default()),
            access: None,
        }
    }

    /// Tells at `POST /v1/route` where a request would go; one over `max_body` bytes is refused.
    #[must_use]
    pub fn router(mut self, router: Router, max_body: usize) -> Self {
        self.router = Some((router, max_body));
        self
    }

    /// Asks for the credential that is configured, and lets whoever shows it make and end keys, where there is a place for them.
    #[must_use]
    pub fn access(mut self, told: &config::Access, access: Option<Access>) -> Self {
        self.guard = Guard::new(told);
        self.access = access;
        self
    }

    /// Shows the dashboard, with these figures.
    #[must_use]
    pub fn dashboard(mut self, figures: Figures) -> Self {
        self.figures = Some(figures);
        self
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        if !matches!(*method, Method::GET | Method::HEAD) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        }
        match path {
            "/metrics" => respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                self.metrics.render(),
            ),
            "/healthz" => respond(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if self.readiness.get() => respond(StatusCode::OK, TEXT, "ready\n"),
            "/readyz" => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
            "/" if self.figures.is_some() => {
                let mut res = respond(StatusCode::FOUND, TEXT, "the dashboard is at /dashboard\n");
                let there = HeaderValue::from_static("/dashboard");
                res.headers_mut().insert(header::LOCATION, there);
                res
            }
            path => {
                let file = self.figures.as_ref().and_then(|_| dashboard::file(path));
                file.unwrap_or_else(|| {
                    respond(
                        StatusCode::NOT_FOUND,
                        TEXT,
                        "try /dashboard, /metrics, /healthz, /readyz or POST /v1/route\n",
                    )
                })
            }
        }
    }
}

impl<B> Service<Request<B>> for Admin
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    // Boxed: a few questions a minute, most of them answered at once.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, req: Request<B>) -> Self::Future {
        if let Some(no) = self.guard.refuses(&req) {
            return Box::pin(ready(Ok(no)));
        }
        let path = req.uri().path();
        if keys::is_here(path) {
            let (access, closed) = (self.access.clone(), self.guard.is_closed());
            return Box::pin(async move { Ok(keys::answer(access.as_ref(), closed, req).await) });
        }
        if self.guard.is_closed() && matches!(path, login::PATH | login::STYLE | login::LOGOUT) {
            let guard = self.guard.clone();
            return Box::pin(async move { Ok(login::answer(&guard, req).await) });
        }
        if let Some((router, max_body)) = &self.router
            && req.uri().path() == route::PATH
        {
            let (router, max_body) = (router.clone(), *max_body);
            return Box::pin(async move { Ok(route::answer(&router, max_body, req).await) });
        }
        if let Some(figures) = &self.figures
            && dashboard::is_figures(req.uri().path())
            && req.method() == Method::GET
        {
            let (figures, uri) = (figures.clone(), req.uri().clone());
            return Box::pin(async move {
                Ok(dashboard::answer(&figures, uri.path(), uri.query().unwrap_or_default()).await)
            });
        }
        Box::pin(ready(Ok(self.answer(req.method(), req.uri().path()))))
    }
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut res = Response::new(Full::new(body.into()));
    *res.status_mut() = status;
    res.headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    res
}
