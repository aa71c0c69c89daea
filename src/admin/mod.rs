//! What operators ask, on a port of its own: `/metrics`, `/healthz`, `/readyz`, how the configuration stands (`/v1/config`), where a
//! request would go (`/v1/route`), who may call (`/v1/keys`), and the dashboard. Who may ask: `guard`.
mod dashboard;
mod figures;
mod guard;
mod keys;
mod login;
mod route;

pub use self::figures::Figures;

use crate::{access::Access, config, metrics::Metrics, reload::Live, route::Router};
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

/// Where it is told how the configuration stands.
const CONFIG: &str = "/v1/config";

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
    live: Option<Arc<Live>>,
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
            live: None,
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

    /// Tells at `GET /v1/config` how the configuration stands, and at `POST /v1/route` where a request would go under the one at work, and
    /// makes and ends the keys of that one for whoever may.
    #[must_use]
    pub fn live(mut self, live: Arc<Live>) -> Self {
        self.live = Some(live);
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

    /// A configuration that was refused takes nobody out of service.
    fn ready(&self) -> &'static str {
        if self.live.as_ref().is_some_and(|live| live.is_stale()) {
            "ready\nthe configuration was refused, the one before is at work: GET /v1/config tells why\n"
        } else {
            "ready\n"
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        if !matches!(*method, Method::GET | Method::HEAD) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        }
        if let Some(live) = self.live.as_ref().filter(|_| path == CONFIG) {
            return respond(StatusCode::OK, "application/json", live.json().to_string());
        }
        match path {
            "/metrics" => respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                self.metrics.render(),
            ),
            "/healthz" => respond(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" if self.readiness.get() => respond(StatusCode::OK, TEXT, self.ready()),
            "/readyz" => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
            "/" if self.figures.is_some() => {
                let mut res = respond(StatusCode::FOUND, TEXT, "the dashboard is at /dashboard\n");
                let there = HeaderValue::from_static("/dashboard");
                res.headers_mut().insert(header::LOCATION, there);
                res
            }
            path => {
                let file = self
                    .figures
                    .as_ref()
                    .and_then(|_| dashboard::file(path, self.guard.is_closed()));
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
            let live = self
                .live
                .as_ref()
                .map(|live| live.stack().access().cloned());
            let access = live.unwrap_or_else(|| self.access.clone());
            let closed = self.guard.is_closed();
            return Box::pin(async move { Ok(keys::answer(access.as_ref(), closed, req).await) });
        }
        if self.guard.is_closed() && matches!(path, login::PATH | login::STYLE | login::LOGOUT) {
            let guard = self.guard.clone();
            return Box::pin(async move { Ok(login::answer(&guard, req).await) });
        }
        let routes = path == route::PATH;
        let live = self.live.as_ref().filter(|_| routes);
        let at_work = live.map(|live| {
            let stack = live.stack();
            (stack.router().clone(), stack.config().server.max_body)
        });
        if let Some((router, max_body)) = at_work.or_else(|| self.router.clone().filter(|_| routes))
        {
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
