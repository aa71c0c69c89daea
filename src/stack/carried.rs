//! What outlives a configuration: what was kept, counted and learned under the one before, as far as its settings did not change.
//!
//! A new stack takes these parts over; calls under way in the old one go on with the same ones, so that both count together.
use super::{
    access::{self, Door},
    cache, limits, semantic, sessions, tools,
};
use crate::{
    config::{CacheStore, Config, SharedBy},
    labels,
    ledger::Ledger,
    mcp,
    route::Router,
    traces::Traces,
};
use std::{sync::Arc, time::Duration};
use tierway_layers::{
    balance::BalanceLayer,
    breaker::BreakerLayer,
    cascade::Learned,
    classify::LearnedTiers,
    limit::Quotas,
    load_shed::LoadShedLayer,
    mcp::Policy,
    redis::Redis,
    responses::{self, ResponsesLayer},
    semantic_cache::SemanticCacheLayer,
    telemetry::TelemetryLayer,
};
use tierway_services::{
    Dispatch, chat::Target, mcp::Servers, prices::PriceList, providers::Provider, upstream::Client,
};

/// How long what was learned may take to be written down before a new desk takes over.
const CLOSING: Duration = Duration::from_secs(5);

/// The parts of a stack that may outlive its configuration.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) dispatch: Dispatch,
    pub(super) redis: Option<Redis>,
    pub(super) quotas: Quotas,
    pub(super) ledger: Option<Ledger>,
    pub(super) traces: Option<Traces>,
    pub(super) telemetry: TelemetryLayer,
    pub(super) learned: Learned,
    pub(super) tiers: LearnedTiers,
    pub(super) labels: Option<labels::Desk>,
    pub(super) cache: Option<cache::Kept>,
    pub(super) semantic: Option<SemanticCacheLayer<semantic::Embedder>>,
    pub(super) sessions: Option<sessions::Sessions>,
    pub(super) responses: ResponsesLayer<responses::Memory>,
    pub(super) breaker: Option<BreakerLayer>,
    pub(super) balance: BalanceLayer,
    pub(super) shed: LoadShedLayer,
    pub(super) door: Door,
    pub(super) servers: Option<Servers>,
    pub(super) desk: Option<mcp::Desk>,
    /// What goes on beside the calls of one configuration ends with the last of these.
    pub(super) _alive: Arc<()>,
}

/// Takes parts over from the stack before, where there was one.
#[derive(Clone, Copy)]
pub(super) struct Carried<'a> {
    pub(super) now: &'a Config,
    pub(super) before: Option<&'a Parts>,
}

impl<'a> Carried<'a> {
    /// The parts before, where `of` tells the same of both configurations.
    pub(super) fn unless_changed<T: PartialEq>(
        self,
        of: impl Fn(&'a Config) -> T,
    ) -> Option<&'a Parts> {
        self.before
            .filter(|parts| of(&parts.config) == of(self.now))
    }

    pub(super) fn dispatch(self, providers: Vec<Provider>) -> Dispatch {
        let client = Client::new();
        let dispatch = match self.before {
            Some(parts) => parts.dispatch.succeed(providers, &client, |name| {
                parts.config.providers.get(name) == self.now.providers.get(name)
            }),
            None => Dispatch::new(providers, client),
        };
        dispatch
            .estimate_tokens(self.now.count_tokens.estimate)
            .max_buffered(self.now.server.max_buffered)
            .max_answer(self.now.server.max_answer)
            .max_event(self.now.server.max_event)
    }

    /// Who routes, with what was learned about tiers, and what was learned about drafts; both are watched by whoever learns.
    pub(super) fn learned(self, providers: &[Provider]) -> (Router, Learned) {
        let files = |c: &'a Config| {
            let drafts = c.cascade.model.as_ref().filter(|_| c.cascade.enabled);
            (drafts, &c.labels.tiers_model)
        };
        if let Some(parts) = self.unless_changed(files) {
            let router = Router::learned_so_far(self.now, providers, parts.tiers.clone());
            return (router, super::cascade::again(self.now, &parts.learned));
        }
        let router = Router::new(self.now, providers);
        let learned = super::cascade::learned(self.now);
        labels::tiers::show(&router.learned().model());
        labels::watch(self.now, &learned, router.learned());
        (router, learned)
    }

    /// Who keeps labels. Where its settings changed the one before writes down what it has first, and hears no more.
    pub(super) fn labels(
        self,
        learned: &Learned,
        tiers: &LearnedTiers,
        prices: &PriceList,
    ) -> Option<labels::Desk> {
        let small = self.now.small().filter(|_| self.now.cascade.enabled);
        let of = |c: &'a Config| {
            let small = c.small().filter(|_| c.cascade.enabled);
            let tiers = small.map(|small| labels::tiers::of(c, small));
            let prices = (&c.prices, &c.savings.prices);
            (&c.labels, &c.cascade.model, small, tiers, prices)
        };
        if let Some(parts) = self.unless_changed(of) {
            return parts.labels.clone();
        }
        if let Some(before) = self.before.and_then(|parts| parts.labels.as_ref()) {
            before.close(CLOSING);
        }
        labels::Desk::open(self.now, learned, tiers, small?, prices)
    }

    pub(super) fn redis(self) -> Option<Redis> {
        match self.unless_changed(|c| &c.redis) {
            Some(parts) => parts.redis.clone(),
            None => sessions::redis(&self.now.redis),
        }
    }

    /// What was used up stays used up: the limits themselves may be others.
    pub(super) fn quotas(self, redis: Option<Redis>) -> Quotas {
        match self.who_counts() {
            Some(parts) => parts.quotas.clone(),
            None => limits::quotas(self.now, redis),
        }
    }

    /// Whether what was spent is counted already.
    pub(super) fn counts_on(self) -> bool {
        self.who_counts().is_some()
    }

    fn who_counts(self) -> Option<&'a Parts> {
        self.unless_changed(|c| {
            let redis = (c.limits.store == SharedBy::Redis).then_some(&c.redis);
            (&c.limits, redis)
        })
    }

    /// Who may call. Where its settings changed, sign-ins under way begin anew; those that were approved are kept in a file.
    pub(super) fn door(self, redis: Option<Redis>) -> Door {
        let settings = |c: &'a Config| (&c.access, &c.tiers, &c.redis, c.access.place(&c.ledger));
        if let Some(parts) = self.unless_changed(settings) {
            return parts.door.clone();
        }
        if let Some(access) = self.before.and_then(|parts| parts.door.access.as_ref()) {
            access.close(CLOSING);
        }
        access::open(self.now, redis)
    }

    /// The servers of tools: their processes and sessions live on where they are the same.
    pub(super) fn servers(self) -> Option<Servers> {
        match self.unless_changed(|c| (&c.mcp.servers, c.mcp.serve)) {
            Some(parts) => parts.servers.clone(),
            None => tools::servers(self.now),
        }
    }

    /// Who answers at `/mcp`. Where another takes its place the sessions of the one before end, and clients begin new ones.
    pub(super) fn tools_desk(
        self,
        servers: Option<&Servers>,
        policy: &Policy,
        router: &Router,
        ledger: Option<&Ledger>,
    ) -> Option<mcp::Desk> {
        let settings = |c: &'a Config| {
            let routes = (&c.tiers, &c.models, &c.rules);
            (&c.mcp, routes, c.server.max_body, c.is_closed())
        };
        if let Some(parts) = self.unless_changed(settings) {
            return parts.desk.clone();
        }
        if let Some(before) = self.before.and_then(|parts| parts.desk.as_ref()) {
            before.stop();
        }
        mcp::Desk::new(self.now, servers?, policy.clone(), router, ledger)
    }

    pub(super) fn ledger(self) -> Option<Ledger> {
        if let Some(parts) = self.unless_changed(|c| &c.ledger) {
            return parts.ledger.clone();
        }
        let ledger = Ledger::open(&self.now.ledger);
        if ledger.is_none() && self.now.ledger.enabled {
            tracing::info!("no ledger is kept: no folder for it (ledger.file)");
        }
        ledger
    }

    pub(super) fn traces(self) -> Option<Traces> {
        match self.unless_changed(|c| (&c.traces, super::observed::systems(c))) {
            Some(parts) => parts.traces.clone(),
            None => Traces::new(&self.now.traces, super::observed::systems(self.now)),
        }
    }

    pub(super) fn cache(self, redis: Option<&Redis>) -> Option<cache::Kept> {
        let settings = |c: &'a Config| {
            let told = &c.cache;
            let bounds = (told.max_bytes, told.ttl, told.max_disk_bytes);
            let redis = (told.store == CacheStore::Redis).then_some(&c.redis);
            (told.enabled, told.store, bounds, &told.file, redis)
        };
        if let Some(parts) = self.unless_changed(settings) {
            return parts.cache.clone();
        }
        if let Some(before) = self.before.and_then(|parts| parts.cache.as_ref()) {
            before.close();
        }
        cache::store(self.now, redis)
    }

    pub(super) fn semantic(
        self,
        dispatch: &Dispatch,
    ) -> Option<SemanticCacheLayer<semantic::Embedder>> {
        let settings = |c: &'a Config| {
            let cache = (c.cache.enabled, c.cache.sampled, c.cache.ttl);
            let embedder = c.semantic_cache.embeddings.as_ref();
            let provider = |target: &Target| c.providers.get(&*target.provider);
            (&c.semantic_cache, cache, embedder.and_then(provider))
        };
        match self.unless_changed(settings) {
            Some(parts) => parts.semantic.clone(),
            None => semantic::cache(self.now, dispatch),
        }
    }

    pub(super) fn sessions(self, redis: Option<&Redis>) -> Option<sessions::Sessions> {
        let settings = |c: &'a Config| {
            let redis = (c.affinity.store == SharedBy::Redis).then_some(&c.redis);
            (&c.affinity, redis)
        };
        match self.unless_changed(settings) {
            Some(parts) => parts.sessions.clone(),
            None => sessions::store(self.now, redis),
        }
    }

    pub(super) fn responses(self) -> ResponsesLayer<responses::Memory> {
        let told = &self.now.responses;
        match self.unless_changed(|c| &c.responses) {
            Some(parts) => parts.responses.clone(),
            None => ResponsesLayer::new(responses::Memory::new(told.max_bytes, told.ttl)),
        }
    }

    pub(super) fn shed(self) -> LoadShedLayer {
        match self.unless_changed(|c| c.server.max_in_flight) {
            Some(parts) => parts.shed.clone(),
            None => super::shed(&self.now.server),
        }
    }
}
