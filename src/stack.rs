//! `Config` in, service out: the one place where the order of layers exists.
//!
//! [`Stack::new`] reads like the road that a request travels: outermost first, one reason a line.
mod arms;
mod cache;
mod cascade;
mod holdout;
mod ids;
mod limits;
mod observed;
mod prefixes;
mod semantic;
mod sessions;
mod upstreams;

pub(crate) use upstreams::{bindings, names, prices, providers};

use crate::{
    catalog::Catalog,
    config::{self, Config},
    labels,
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
use std::{any::Any, convert::Infallible, time::Duration};
use tierway_layers::{
    auth::{self, AuthLayer},
    bind::BindLayer,
    classify::{self, ClassifyLayer},
    deadline::DeadlineLayer,
    decode::DecodeLayer,
    keep_alive::KeepAliveLayer,
    load_shed::LoadShedLayer,
    prompt_cache::Disk,
    rescue::RescueLayer,
    responses::{self, ResponsesLayer},
    telemetry::{TelemetryLayer, names as metrics},
};
use tierway_services::{
    BoxError, Dispatch,
    chat::{self, Journal},
    prices::PriceList,
    providers::ProviderError,
    upstream::Client,
};
use tower::{
    ServiceBuilder,
    util::{BoxCloneSyncService, MapRequestLayer},
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
    dispatch: Dispatch,
    router: Router,
    labels: Option<labels::Desk>,
    ledger: Option<Ledger>,
    traces: Option<Traces>,
    disk: Option<Disk>,
}

impl Stack {
    /// Assembles the layers that `config` asks for.
    ///
    /// # Errors
    /// Where a provider's address or key cannot be used.
    pub fn new(config: &Config) -> Result<Self, ProviderError> {
        let providers = providers(config)?;
        let router = Router::new(config, &providers);
        let dispatch = Dispatch::new(providers, Client::new())
            .estimate_tokens(config.count_tokens.estimate)
            .max_buffered(config.server.max_buffered);
        let names = names(config);
        let bindings = bindings(config, &names);
        let prices = prices(config);
        let catalog = Catalog::new(
            dispatch.clone(),
            names.clone(),
            config.tiers.values().map(ToString::to_string),
        );

        let redis = sessions::redis(&config.redis);
        let limits = limits::Limits::new(config, redis.clone());
        let ledger = Ledger::open(&config.ledger);
        if ledger.is_none() && config.ledger.enabled {
            tracing::info!("no ledger is kept: no folder for it (ledger.file)");
        }
        let traces = Traces::new(&config.traces, observed::systems(config));
        let telemetry = telemetry(config, prices.clone(), ledger.clone(), traces.as_ref());
        let learned = cascade::learned(config);
        let labels = config.small().filter(|_| config.cascade.enabled);
        let tiers = router.learned();
        let labels = labels.and_then(|s| labels::Desk::open(config, &learned, tiers, s, &prices));
        labels::tiers::show(&tiers.model());
        labels::watch(config, &learned, tiers);

        // Each attempt is told for itself what its provider is to keep, so this stands right above the leaf, in every arm.
        let leaf = prefixes::leaf(config, &dispatch, &prices);
        let arm = arms::arm(config, leaf);
        let cache = cache::cache(config, redis.as_ref());
        let disk = cache.as_ref().and_then(|cache| cache.disk.clone());

        let responses = ResponsesLayer::new(responses::Memory::new(
            config.responses.max_bytes,
            config.responses.ttl,
        ));
        // A request that has become a `Prompt`; the road from here on is per call, below it per attempt.
        let chat =
            ServiceBuilder::new()
                // The only door from bytes to a Prompt: limit and parse once, and refuse before anything is spent.
                .layer(decode(&config.server))
                // What a call goes on from is part of what it asks, so above whatever judges it.
                .layer(responses.clone())
                // Cache key and cascade depend on the tier.
                .layer(ClassifyLayer::new(router.policy().clone()))
                // The user's words are known here alone, and kept where the ledger is to have them.
                .option_layer(config.ledger.asks.then(|| MapRequestLayer::new(kept_ask)))
                // A conversation keeps its model: below whoever decides each call alone, above whoever makes a model of the tier.
                .option_layer(sessions::affinity(
                    config,
                    &bindings,
                    &prices,
                    redis.as_ref(),
                ))
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
                // Below whoever adds to the head, which it may send early with what those below have said; above whoever may be silent for long.
                .layer(KeepAliveLayer::new(config.server.keep_alive))
                // Widens the cache below it to other words for the same question.
                .option_layer(semantic::cache(config, &dispatch))
                // A hit must cost no model.
                .option_layer(cache.map(|cache| cache.layer))
                // What costs no model costs nothing; all that is below does.
                .option_layer(limits.budgets(config, &prices))
                // Sees both what was drafted and what the caller got, and nothing that was answered before.
                .option_layer(labels.clone().map(|desk| {
                    cascade::shadow(config, desk, telemetry.meter(), &dispatch, &prices)
                }))
                // Asks the small model first; each arm below it is an attempt of its own.
                .option_layer(cascade::cascade(config, learned, &arm, &prices))
                // The model: the next of its tier where it fails, left alone while it keeps failing, asked again where that helps; each attempt
                // tells its provider what to keep; then the leaf: encode, send, decode.
                .service(arm);

        let gateway = ServiceBuilder::new()
            // Sees everything: a panic below becomes an answer, not a broken connection.
            .layer(CatchPanicLayer::custom(internal_error))
            // Named before anything is logged or counted.
            .layer(SetRequestIdLayer::x_request_id(ids::Ids::default()))
            .layer(PropagateRequestIdLayer::x_request_id())
            // Counts refusals and departures too, so above whatever may refuse.
            .layer(telemetry)
            // Below Telemetry, so that the statuses it makes are counted; above all that can err.
            .layer(RescueLayer::new().on_error(log::error))
            // Clients probe before they show a key.
            .layer(ProbesLayer)
            // What cannot be served is refused before anything is spent on it.
            .layer(shed(&config.server))
            // From here on the time of the call runs, until its last byte.
            .layer(deadline(&config.server))
            // Before a byte of the body is read.
            .layer(auth(&config.keys))
            // Needs to know who calls, and no more.
            .layer(limits.rates())
            .service(Routes::new(chat, catalog, responses.desk(), labels.clone()));
        Ok(Self {
            gateway: BoxCloneSyncService::new(gateway),
            dispatch,
            router,
            labels,
            ledger,
            traces,
            disk,
        })
    }

    /// The gateway as a service.
    #[must_use]
    pub fn service(&self) -> Gateway {
        self.gateway.clone()
    }

    /// Writes down what has been learned, what was kept and what calls cost, and sends the last traces; to be called when no more calls
    /// will come, where blocking is no harm.
    pub fn close(&self) {
        if let Some(traces) = &self.traces {
            traces.close();
        }
        if let Some(labels) = &self.labels {
            labels.close(CLOSING);
        }
        if let Some(ledger) = &self.ledger {
            ledger.close(CLOSING);
        }
        if let Some(disk) = &self.disk {
            cache::close(disk);
        }
    }

    /// Who tells where a call would go, without making it.
    #[must_use]
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// The leaf, for whoever wants to ask a provider past the layers.
    #[must_use]
    pub const fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }
}

// === what each layer is made of ===

fn auth(keys: &[config::Key]) -> AuthLayer {
    if keys.is_empty() {
        // The configuration has made sure that only loopback can reach us then.
        return AuthLayer::open();
    }
    AuthLayer::new(
        keys.iter()
            .map(|k| auth::Key::new(k.key.expose(), k.tenant.as_str())),
    )
}

fn decode(server: &config::Server) -> DecodeLayer {
    DecodeLayer::new(server.max_body)
        .max_messages(server.max_messages)
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
        })
        .announce(config.providers.keys().map(String::as_str));
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
