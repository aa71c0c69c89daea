//! The stack that is at work, which another may take the place of.
use super::Outcome;
use crate::{
    metrics,
    stack::{Body, Gateway, Stack},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::SystemTime,
};
use tierway_services::BoxError;
use tower::{Layer, Service, ServiceExt, util::Oneshot};
use tower_http::catch_panic::CatchPanicLayer;

/// The stack at work, and what became of attempts to replace it.
#[derive(Debug)]
pub struct Live {
    stack: ArcSwap<Stack>,
    told: Mutex<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    /// How many configurations were at work before this one.
    revision: u64,
    since: SystemTime,
    last: Option<(SystemTime, &'static str, Last)>,
    restart: Vec<String>,
}

/// What became of the last attempt.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) outcome: Outcome,
    /// For people, with the lines that they are about; no secret is in it.
    pub(super) problems: String,
    each: Vec<String>,
}

/// What serves the calls of a port: the stack that is at work when a call comes, or always the same.
///
/// One type for each port of this program, so that hyper's servers are compiled for one.
#[derive(Clone, Debug)]
pub struct Current(Serves);

#[derive(Clone, Debug)]
enum Serves {
    AtWork(Arc<Live>),
    Always(Gateway),
}

// === impl Live ===

impl Live {
    /// This one is at work.
    #[must_use]
    pub fn new(stack: Stack) -> Arc<Self> {
        Arc::new(Self {
            stack: ArcSwap::from_pointee(stack),
            told: Mutex::new(Told {
                revision: 0,
                since: SystemTime::now(),
                last: None,
                restart: Vec::new(),
            }),
        })
    }

    /// The stack at work.
    #[must_use]
    pub fn stack(&self) -> Arc<Stack> {
        self.stack.load_full()
    }

    /// The gateway as a service.
    #[must_use]
    pub fn service(self: &Arc<Self>) -> Current {
        Current(Serves::AtWork(self.clone()))
    }

    /// Puts another stack to work. The one before lives until its last call has ended.
    pub fn replace(&self, stack: Stack) {
        self.stack.store(Arc::new(stack));
        let mut told = self.told();
        told.revision += 1;
        told.since = SystemTime::now();
    }

    /// Settings that wait for a restart.
    pub(super) fn restart(&self) -> Vec<String> {
        self.told().restart.clone()
    }

    pub(super) fn tell(&self, why: &'static str, last: Last, restart: Vec<String>) {
        metrics::config_stale().set(u8::from(last.outcome == Outcome::Refused));
        metrics::config_restart().set(u8::from(!restart.is_empty()));
        let mut told = self.told();
        told.last = Some((SystemTime::now(), why, last));
        told.restart = restart;
    }

    /// Whether the last configuration was refused.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let told = self.told();
        let last = told.last.as_ref();
        last.is_some_and(|(.., last)| last.outcome == Outcome::Refused)
    }

    /// How the configuration stands, as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let told = self.told().clone();
        let last = told.last.map(|(at, why, last)| {
            json!({"at": date(at), "why": why, "outcome": last.outcome.as_str(), "problems": last.each})
        });
        json!({
            "revision": told.revision,
            "since": date(told.since),
            "last": last,
            "restart_needed": told.restart,
        })
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

// === impl Last ===

impl Last {
    pub(super) const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            problems: String::new(),
            each: Vec::new(),
        }
    }

    pub(super) fn refused(problems: &str, each: Vec<String>) -> Self {
        Self {
            outcome: Outcome::Refused,
            problems: problems.to_owned(),
            each,
        }
    }
}

// === impl Current ===

impl Current {
    /// Always `service`, which answers with status 500 where it panics.
    pub(crate) fn always<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let service = CatchPanicLayer::new().layer(service);
        Self(Serves::Always(Gateway::new(service)))
    }
}

impl Service<Request<Incoming>> for Current {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Oneshot<Gateway, Request<Incoming>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Incoming>) -> Self::Future {
        match &self.0 {
            Serves::AtWork(live) => live.stack.load().service(),
            Serves::Always(service) => service.clone(),
        }
        .oneshot(req)
    }
}
