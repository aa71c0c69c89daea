//! `/mcp`: the tools, resources and prompts of all configured servers, and a few tools of the gateway's own, for clients that speak the
//! Model Context Protocol themselves.
//!
//! Tools are named `server__tool`. Whoever calls is known by the gateway's keys, sees what its tenant may use, and every call of a tool is a
//! row of the ledger. The user is not asked here: the client does that.
//!
//! A web page cannot reach it, unless it is listed: browsers say where a page comes from (`Origin`), and a gateway without keys answers only
//! those who call it by a loopback name (`Host`).
mod own;
mod server;

use crate::{config::Config, ledger::Ledger, route::Router};
use bytes::Bytes;
use http::Request;
use http_body::Body;
use http_body_util::BodyExt;
use server::Aggregate;
use std::{fmt, sync::Arc};
use tierway_layers::mcp::Policy;
use tierway_services::{
    BoxError,
    chat::{self, Reply},
    mcp::{
        Servers,
        rmcp::transport::streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};

/// Where it is.
pub(crate) const PATH: &str = "/mcp";

/// Answers at `/mcp`. A clone shares everything.
#[derive(Clone)]
pub(crate) struct Desk {
    service: StreamableHttpService<Aggregate, LocalSessionManager>,
}

impl Desk {
    /// Serves these servers, if that is wanted.
    pub(crate) fn new(
        config: &Config,
        servers: &Servers,
        policy: Policy,
        router: &Router,
        ledger: Option<&Ledger>,
    ) -> Option<Self> {
        if !config.mcp.serve {
            return None;
        }
        let mut settings = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(config.server.max_body)
            .with_allowed_origins(config.mcp.origins.iter().cloned())
            .enforce_origin_validation();
        if config.is_closed() {
            // A key guards it, which no page of somebody else's has; so it may be called by any name.
            settings = settings.disable_allowed_hosts();
        }
        let aggregate = Aggregate {
            servers: servers.clone(),
            policy,
            ledger: ledger.cloned(),
            own: Arc::new(own::Own::new(config, router.clone())),
        };
        let service = StreamableHttpService::new(
            move || Ok(aggregate.clone()),
            Arc::new(LocalSessionManager::default()),
            settings,
        );
        Some(Self { service })
    }

    /// Ends what is open, so that nobody waits for it when the gateway stops.
    pub(crate) fn stop(&self) {
        self.service.config.cancellation_token.cancel();
    }

    pub(crate) async fn answer<B>(&self, req: Request<B>) -> chat::Response
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let req = req.map(|body| body.map_err(Into::<BoxError>::into));
        let res = self.service.handle(req).await;
        res.map(Reply::stream)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
