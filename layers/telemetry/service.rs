use super::{
    BesideRecord, CallRecord, ResponseBody, ResponseFuture,
    call::{Call, Shared},
    gen_ai::Vocabulary,
    money::Books,
    series::Series,
};
use http::{Method, Request, Response};
use http_body::Body;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tierway_services::{
    chat::{Journal, Operation, Target},
    dialect::Dialect,
    prices::PriceList,
};
use tower_layer::Layer;
use tower_service::Service;

/// Applies [`Telemetry`].
#[derive(Clone, Debug)]
pub struct TelemetryLayer {
    shared: Shared,
}

/// Counts every call. See the [module](super).
#[derive(Clone, Debug)]
pub struct Telemetry<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// Counts upstream calls that no caller has asked for: time, tokens, and their cost as an extra one.
#[derive(Clone, Debug)]
pub struct Meter {
    shared: Shared,
}

// === impl Meter ===

impl Meter {
    /// Counts all that `journal` holds. It must be the journal of no call.
    pub fn count(&self, journal: &Journal) {
        let series = &self.shared.series;
        journal.read(|entries| {
            for attempt in &entries.attempts {
                series.attempt(attempt);
            }
            if let Some(words) = &self.shared.gen_ai {
                for attempt in &entries.attempts {
                    let priced = self.shared.books.prices.price(&attempt.target).is_some();
                    let operation = Operation::Generate;
                    series
                        .gen_ai
                        .attempt(words, operation, attempt, entries.stream, priced);
                }
            }
            let (bill, costs) = self
                .shared
                .bill(entries, |books, each| books.beside(entries, each));
            if let Some(on_beside) = &self.shared.on_beside {
                on_beside(&BesideRecord {
                    entries,
                    bill,
                    costs: &costs,
                });
            }
        });
    }
}

// === impl TelemetryLayer ===

impl TelemetryLayer {
    /// Prices calls by this list.
    #[must_use]
    pub fn new(prices: PriceList) -> Self {
        Self {
            shared: Shared {
                books: Books {
                    prices,
                    baseline: None,
                },
                dialect: None,
                traces: None,
                gen_ai: None,
                on_end: None,
                on_beside: None,
                series: Arc::new(Series::default()),
            },
        }
    }
    /// Counts on where `before` and its clones have counted, and together with them: sums never fall while one layer takes the place of another.
    #[must_use]
    pub fn continuing(mut self, before: &Self) -> Self {
        self.shared.series = before.shared.series.clone();
        self
    }
    /// What a call is compared with whose model, as the caller names it, has no price of its own: `auto`, for one. By default such a call
    /// is compared with nothing.
    #[must_use]
    pub fn baseline(mut self, target: Target) -> Self {
        self.shared.books.baseline = Some(target);
        self
    }
    /// Shows the sums of money from the start, at zero, so that a `rate()` over them sees the first cent too. To be called after the
    /// recorder has been installed: a metric that is made earlier stays silent for ever.
    #[must_use]
    pub fn announce<P: Into<Arc<str>>>(self, providers: impl IntoIterator<Item = P>) -> Self {
        let providers = providers.into_iter().map(Into::into);
        self.shared.series.announce(providers);
        self
    }
    /// Counts every `POST` as a call in this dialect, whatever the path. By default the dialects' own paths decide.
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.shared.dialect = Some(dialect);
        self
    }
    /// Counts under the names of OpenTelemetry's conventions too. `systems` are those that the conventions give to providers, by the names
    /// that these have here; `models` are the models that may be labels, beside those whose price is known.
    #[must_use]
    pub fn gen_ai<P: Into<Arc<str>>, M: Into<Arc<str>>>(
        mut self,
        systems: impl IntoIterator<Item = (P, &'static str)>,
        models: impl IntoIterator<Item = M>,
    ) -> Self {
        let systems = systems
            .into_iter()
            .map(|(name, system)| (name.into(), system));
        let models = models.into_iter().map(Into::into);
        self.shared.gen_ai = Some(Arc::new(Vocabulary::new(systems, models)));
        self
    }
    /// Gives every call its place in a trace: that of its caller (`traceparent`), or a new one, of which this share (0 to 1) is to be
    /// recorded. Providers are told the place of each attempt; nothing is recorded here: [`on_end`](Self::on_end) shows the call with it.
    #[must_use]
    pub const fn traces(mut self, share: f64) -> Self {
        self.shared.traces = Some(share);
        self
    }
    /// Who counts what is done beside the calls of this layer.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter {
            shared: self.shared.clone(),
        }
    }
    /// Shows every call that has ended to `hear`, too: to log it, or to write it down. It runs where the call ended, often within a `drop`, so
    /// it must neither block nor panic.
    #[must_use]
    pub fn on_end(mut self, hear: impl Fn(&CallRecord<'_>) + Send + Sync + 'static) -> Self {
        let before = self.shared.on_end.take();
        self.shared.on_end = Some(Arc::new(move |call: &CallRecord<'_>| {
            if let Some(before) = &before {
                before(call);
            }
            hear(call);
        }));
        self
    }
    /// Shows what a [`Meter`] counts to `hear`, under the same conditions.
    #[must_use]
    pub fn on_beside(mut self, hear: impl Fn(&BesideRecord<'_>) + Send + Sync + 'static) -> Self {
        self.shared.on_beside = Some(Arc::new(hear));
        self
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Telemetry<S>;
    fn layer(&self, inner: S) -> Telemetry<S> {
        Telemetry {
            inner,
            shared: Arc::new(self.shared.clone()),
        }
    }
}

// === impl Telemetry ===

impl<S, ReqB, ResB> Service<Request<ReqB>> for Telemetry<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqB>) -> Self::Future {
        let call = counted(&self.shared, &req)
            .map(|(dialect, operation)| Call::begin(&self.shared, dialect, operation, &mut req));
        ResponseFuture::new(self.inner.call(req), call)
    }
}

/// The dialect and the operation of a request that counts.
fn counted<B>(shared: &Shared, req: &Request<B>) -> Option<(Dialect, Operation)> {
    if req.method() != Method::POST {
        return None;
    }
    let path = req.uri().path();
    let (dialect, operation) = match shared.dialect {
        Some(dialect) => (dialect, crate::wire::operation(path)),
        None => crate::wire::route(path)?,
    };
    (operation != Operation::CountTokens).then_some((dialect, operation))
}
