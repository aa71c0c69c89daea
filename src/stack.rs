//! `Config` in, service out: the one place where the order of layers exists.
//!
//! [`Stack::new`] reads like the road that a request travels: outermost first, one reason a line.
mod access;
mod arms;
mod cache;
mod carried;
mod cascade;
mod compress;
mod holdout;
mod ids;
mod limits;
mod observed;
mod prefixes;
mod reused;
mod semantic;
mod sessions;
mod tools;
mod upstreams;

use carried::{Carried, Parts};
use reused::ReuseLayer;
pub(crate) use sessions::redis;
pub(crate) use upstreams::{bindings, names, prices, providers};

use crate::{
    access::Access,
    catalog::Catalog,
    config::{self, Config},
    ledger::{Ledger, redacted},
    log,
    route::Router,
    routes::{ProbesLayer, Routes},
    traces::Traces,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::{any::Any, convert::Infallible, sync::Arc, time::Duration};
use tierway_layers::{
    bind::BindLayer,
    classify::{self, ClassifyLayer},
    deadline::DeadlineLayer,
    decode::DecodeLayer,
    keep_alive::KeepAliveLayer,
    load_shed::LoadShedLayer,
    rescue::RescueLayer,
    telemetry::{TelemetryLayer, names as metrics},
};
use tierway_services::{
    BoxError, Dispatch,
    chat::{self, Journal},
    prices::PriceList,
    providers::ProviderError,
};
use tower::{
    ServiceBuilder,
    util::{BoxCloneSyncService, MapFutureLayer, MapRequestLayer},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
};

/// The body of every answer that leaves the gateway: the one box around the named bodies of the layers.
pub type Body = tower_http::body::UnsyncBoxBody<Bytes, BoxError>;
/// The whole gateway as one service, cheap to clone.
pub type Gateway = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// Tells what the prompt cache did.
const CACHE: HeaderName = HeaderName::from_static("x-tierway-cache");
/// Tells what the cascade did.
const CASCADE: HeaderName = HeaderName::from_static("x-tierway-cascade");

/// How long writing down what is left may take.
const CLOSING: Duration = Duration::from_secs(5);

/// The assembled gateway.
#[derive(Clone, Debug)]
pub struct Stack {
    gateway: Gateway,
    router: Router,
    parts: Parts,
}

impl Stack {
    /// Assembles the layers that `config` asks for.
    ///
    /// # Errors
    /// Where a provider's address or key cannot be used.
    pub fn new(config: &Config) -> Result<Self, ProviderError> {
        Self::assemble(config, None)
    }

    /// A stack to take the place of this one. What this one has kept, counted and learned goes on in it as far as its settings are the same,
    /// and calls under way here go on as they began. May block, where what was learned has to be written down first.
    ///
    /// # Errors
    /// Where a provider's address or key cannot be used; nothing has changed then.
    pub fn succeed(&self, config: &Config) -> Result<Self, ProviderError> {
        Self::assemble(config, Some(&self.parts))
    }

    fn assemble(config: &Config, before: Option<&Parts>) -> Result<Self, ProviderError> {
        let carried = Carried {
            now: config,
            before,
        };
        let providers = providers(config)?;
        let (router, learned) = carried.learned(&providers);
        let dispatch = carried.dispatch(providers);
        let names = names(config);
        let bindings = bindings(config, &names);
        let prices = prices(config);
        let catalog = Catalog::new(
            dispatch.clone(),
            names.clone(),
            config.tiers.values().map(ToString::to_string),
        );

        let redis = carried.redis();
        let quotas = carried.quotas(redis.clone());
        let door = carried.door(redis.clone());
        let limits = limits::Limits::new(config, quotas.clone(), door.access.as_ref());
        if !carried.counts_on() {
            limits.remember(config, door.access.as_ref());
        }
        let (ledger, traces) = (carried.ledger(), carried.traces());
        let mut telemetry = telemetry(config, prices.clone(), ledger.clone(), traces.as_ref());
        if let Some(before) = before {
            telemetry = telemetry.continuing(&before.telemetry);
        }
        let telemetry = telemetry.announce(config.providers.keys().map(String::as_str));
        let labels = carried.labels(&learned, router.learned(), &prices);
        let alive = Arc::new(());
        crate::labels::share(config, redis.as_ref(), (&learned, router.learned()), &alive);

        // Each attempt is told for itself what its provider is to keep, so this stands right above the leaf, in every arm.
        let leaf = prefixes::leaf(config, &dispatch, &prices);
        let breaker = arms::breaker(carried, redis.as_ref());
        let balance = arms::balance(carried, breaker.clone());
        let arm = arms::arm(config, leaf, balance.clone(), breaker.clone());
        let cache = carried.cache(redis.as_ref());
        let sessions = carried.sessions(redis.as_ref());
        let semantic = carried.semantic(&dispatch);
        let (responses, shed) = (carried.responses(), carried.shed());
        let servers = carried.servers();
        let policy = tools::policy(&config.mcp);
        let desk = carried.tools_desk(servers.as_ref(), &policy, &router, ledger.as_ref());
        // A request that has become a `Prompt`; the road from here on is per call, below it per attempt.
        let chat =
            ServiceBuilder::new()
                // The only door from bytes to a Prompt: limit and parse once, and refuse before anything is spent.
                .layer(decode(&config.server))
                // Called once the body is here, and so not by whoever found it ready: it costs that one no clone of all that is below.
                .layer(ReuseLayer)
                // What a call goes on from is part of what it asks, so above whatever judges it.
                .layer(responses.clone())
                // Cache key and cascade depend on the tier.
                .layer(ClassifyLayer::new(router.policy().clone()))
                // The user's words are known here alone, and kept where the ledger is to have them.
                .option_layer(config.ledger.asks.then(|| MapRequestLayer::new(kept_ask)))
                // A conversation keeps its model: below whoever decides each call alone, above whoever makes a model of the tier.
                .option_layer(
                    sessions
                        .clone()
                        .map(|store| sessions::affinity(config, &bindings, &prices, store)),
                )
                // The cache key names the upstream, so the target is chosen above the cache.
                .layer(BindLayer::new(bindings))
                // Overrules the target of a few conversations, by chance; below it nothing may save for them.
                .option_layer(holdout::holdout(config, &names))
                // Said by the layers below where they are on; every answer says something.
                .layer(SetResponseHeaderLayer::if_not_present(
                    CACHE,
                    HeaderValue::from_static("bypass"),
                ))
                .layer(SetResponseHeaderLayer::if_not_present(
                    CASCADE,
                    HeaderValue::from_static("off"),
                ))
                // In a box from here on, lest each of those above moves the futures of all below.
                .layer(MapFutureLayer::new(Box::pin))
                // Below whoever adds to the head, which it may send early with what those below have said; above whoever may be silent for long.
                .layer(KeepAliveLayer::new(config.server.keep_alive))
                // Each of its rounds is a request of its own to those below; above whatever may answer without a model, so that each may.
                .option_layer(tools::layer(
                    &config.mcp,
                    servers.as_ref(),
                    &policy,
                    &prices,
                ))
                // Changes what is asked, so above the caches, whose keys are of what is sent; below the hold-out, which it must not touch.
                .option_layer(compress::compress(config))
                // Widens the cache below it to other words for the same question.
                .option_layer(semantic.clone())
                // A hit must cost no model.
                .option_layer(cache::cache(config, cache.as_ref()))
                // What costs no model costs nothing; all that is below does.
                .option_layer(limits.budgets(config, &prices))
                // Sees both what was drafted and what the caller got, and nothing that was answered before.
                .option_layer(labels.clone().map(|desk| {
                    cascade::shadow(config, desk, telemetry.meter(), &dispatch, &prices)
                }))
                // Asks the small model first; each arm below it is an attempt of its own.
                .option_layer(cascade::cascade(config, learned.clone(), &arm, &prices))
                // The model: the next of its tier where it fails, left alone while it keeps failing, asked again where that helps; each attempt
                // tells its provider what to keep; then the leaf: encode, send, decode.
                .service(arm);

        let gateway = ServiceBuilder::new()
            // Each connection has a clone, and each call.
            .layer(ReuseLayer)
            // Sees everything: a panic below becomes an answer, not a broken connection.
            .layer(CatchPanicLayer::custom(internal_error))
            // The path that everybody below knows.
            .layer(MapRequestLayer::new(tools::with_tools::<Incoming>))
            // Named before anything is logged or counted.
            .layer(SetRequestIdLayer::x_request_id(ids::Ids::default()))
            .layer(PropagateRequestIdLayer::x_request_id())
            // Counts refusals and departures too, so above whatever may refuse.
            .layer(telemetry.clone())
            // Below Telemetry, so that the statuses it makes are counted; above all that can err.
            .layer(RescueLayer::new().on_error(log::error))
            // Clients probe before they show a key.
            .layer(ProbesLayer)
            // What cannot be served is refused before anything is spent on it.
            .layer(shed.clone())
            // From here on the time of the call runs, until its last byte.
            .layer(deadline(&config.server))
            // Who signs in has nothing to show yet.
            .layer(door.sign_in())
            // Before a byte of the body is read.
            .layer(access::auth(config, &door))
            // For those who may call; what their client reports is no call, and limits none.
            .layer(door.clients())
            // Needs to know who calls, and no more.
            .layer(limits.rates())
            // A box, so that the compiler does not have to write out the whole road in the type of every layer above it.
            .service(BoxCloneSyncService::new(
                Routes::new(chat, catalog, responses.desk(), labels.clone()).mcp(desk.clone()),
            ));
        let parts = Parts {
            config: Arc::new(config.clone()),
            dispatch,
            redis,
            quotas,
            ledger,
            traces,
            telemetry,
            learned,
            tiers: router.learned().clone(),
            labels,
            cache,
            semantic,
            sessions,
            responses,
            breaker,
            balance,
            shed,
            door,
            servers,
            desk,
            _alive: alive,
        };
        Ok(Self {
            gateway: BoxCloneSyncService::new(gateway),
            router,
            parts,
        })
    }

    /// The gateway as a service.
    #[must_use]
    pub fn service(&self) -> Gateway {
        self.gateway.clone()
    }

    /// Ends what clients would keep open for ever; to be called when no new calls are taken any more.
    pub fn drain(&self) {
        if let Some(desk) = &self.parts.desk {
            desk.stop();
        }
    }

    /// Writes down what has been learned, what was kept and what calls cost, and sends the last traces; to be called when no more calls
    /// will come, where blocking is no harm.
    pub fn close(&self) {
        let parts = &self.parts;
        if let Some(traces) = &parts.traces {
            traces.close();
        }
        if let Some(labels) = &parts.labels {
            labels.close(CLOSING);
        }
        if let Some(ledger) = &parts.ledger {
            ledger.close(CLOSING);
        }
        if let Some(access) = &parts.door.access {
            access.close(CLOSING);
        }
        if let Some(cache) = &parts.cache {
            cache.close();
        }
    }

    /// What it was assembled from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    /// Who tells where a call would go, without making it.
    #[must_use]
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// Who may call, where that can be changed.
    #[must_use]
    pub const fn access(&self) -> Option<&Access> {
        self.parts.door.access.as_ref()
    }

    /// The leaf, for whoever wants to ask a provider past the layers.
    #[must_use]
    pub const fn dispatch(&self) -> &Dispatch {
        &self.parts.dispatch
    }
}

// === what each layer is made of ===

fn decode(server: &config::Server) -> DecodeLayer {
    DecodeLayer::new(server.max_body)
        .max_messages(server.max_messages)
        .max_depth(server.max_depth)
        .patience(server.body_timeout)
}

fn shed(server: &config::Server) -> LoadShedLayer {
    LoadShedLayer::new(server.max_in_flight).on_shed(|| metrics::shed().increment(1))
}

fn deadline(server: &config::Server) -> DeadlineLayer {
    match server.timeout {
        Duration::ZERO => DeadlineLayer::unlimited(),
        most => DeadlineLayer::new(most),
    }
}

fn telemetry(
    config: &Config,
    prices: PriceList,
    ledger: Option<Ledger>,
    traces: Option<&Traces>,
) -> TelemetryLayer {
    let beside = ledger.clone();
    let mut layer = TelemetryLayer::new(prices)
        .on_end(move |call| {
            log::call(call);
            if let Some(ledger) = &ledger {
                ledger.call(call);
            }
        })
        .on_beside(move |calls| {
            if let Some(ledger) = &beside {
                ledger.beside(calls);
            }
        });
    layer = observed::gen_ai(config, layer);
    if let Some(traces) = traces.cloned() {
        layer = layer
            .traces(config.traces.share)
            .on_end(move |call| traces.call(call));
    }
    match holdout::baseline(config) {
        Some(target) => layer.baseline(target.clone()),
        None => layer,
    }
}

/// Writes the user's own words down, what looks like a secret blacked out.
fn kept_ask(req: chat::Request) -> chat::Request {
    if let Some(journal) = Journal::of(&req) {
        let ask = redacted(&classify::question(req.body()));
        journal.write(|j| j.ask = Some(ask).filter(|ask| !ask.trim().is_empty()));
    }
    req
}

/// The answer after a panic. It cannot know the caller's dialect any more, so its body has the fields of both.
fn internal_error(panic: Box<dyn Any + Send>) -> Response<Full<Bytes>> {
    const BODY: &str = r#"{"type":"error","error":{"type":"api_error","message":"internal error in the gateway; the log has more","param":null,"code":null}}"#;
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("unknown"), "a call panicked");
    let mut res = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    *res.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    res.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    res
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_clone_send_and_sync() {
        fn check<T: Clone + Send + Sync>() {}
        check::<Gateway>();
        check::<Stack>();
    }
}
