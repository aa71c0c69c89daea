//! Tools that are run for callers.
use crate::config::{self, Config};
use http::{HeaderValue, Request, uri};
use tierway_layers::mcp::{Allowed, Limits, MCP, McpLayer, Policy};
use tierway_services::{mcp::Servers, prices::PriceList};

/// The servers, where any are configured or `/mcp` is to be served; within a runtime, as they are connected to at once.
pub(super) fn servers(config: &Config) -> Option<Servers> {
    let wanted = !config.mcp.servers.is_empty() || config.mcp.serve;
    if !wanted || tokio::runtime::Handle::try_current().is_err() {
        return None;
    }
    let all = config.mcp.servers.values();
    Some(Servers::start(all.map(|server| server.server.clone())))
}

pub(super) fn policy(config: &config::Mcp) -> Policy {
    let allowed = |allow: &Option<Vec<String>>, deny: &[String]| match allow {
        Some(allow) => Allowed::new(allow.clone(), deny.to_vec()),
        None => Allowed::all_but(deny.to_vec()),
    };
    let mut policy = Policy::new()
        .allow(allowed(&config.allow, &config.deny))
        .writes(config.writes)
        .for_models(config.models.clone());
    for (name, tenant) in &config.tenants {
        policy = policy.allow_tenant(name, allowed(&tenant.allow, &tenant.deny));
        if tenant.always {
            policy = policy.for_tenants([name]);
        }
    }
    for (name, server) in &config.servers {
        if let Some(writes) = server.writes {
            policy = policy.server_writes(name, writes);
        }
    }
    policy
}

/// The layer; none where no server is configured.
pub(super) fn layer(
    config: &config::Mcp,
    servers: Option<&Servers>,
    policy: &Policy,
    prices: &PriceList,
) -> Option<McpLayer<Servers>> {
    let servers = servers.filter(|_| !config.servers.is_empty())?;
    let mut limits = Limits::default();
    limits.rounds = config.max_rounds;
    limits.calls = config.max_calls;
    limits.time = config.max_time;
    limits.cost = config.max_usd;
    let layer = McpLayer::new(servers.clone())
        .policy(policy.clone())
        .limits(limits)
        .prices(prices.clone());
    Some(match config.search_from {
        Some(from) => layer.search_from(from),
        None => layer,
    })
}

/// Where paths of calls that get tools begin: a base address instead of a header, for clients that cannot send one.
const WITH_TOOLS: &str = "/tools";

/// `/tools/v1/...` is `/v1/...` with tools.
pub(super) fn with_tools<B>(mut req: Request<B>) -> Request<B> {
    let path = req.uri().path_and_query().map(uri::PathAndQuery::as_str);
    let Some(rest) = path.and_then(|path| path.strip_prefix(WITH_TOOLS)) else {
        return req;
    };
    if !rest.starts_with("/v1/") {
        return req;
    }
    if let Ok(rest) = rest.parse::<uri::PathAndQuery>() {
        let mut parts = req.uri().clone().into_parts();
        parts.path_and_query = Some(rest);
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *req.uri_mut() = uri;
            req.headers_mut()
                .entry(MCP)
                .or_insert(HeaderValue::from_static("on"));
        }
    }
    req
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_the_header() {
        for (path, rest, on) in [
            (
                "/tools/v1/messages?beta=true",
                "/v1/messages?beta=true",
                true,
            ),
            ("/v1/messages", "/v1/messages", false),
            ("/tools", "/tools", false),
            ("/toolsv1/messages", "/toolsv1/messages", false),
        ] {
            let req = with_tools(Request::builder().uri(path).body(()).unwrap());
            assert_eq!(req.uri().to_string(), rest);
            assert_eq!(req.headers().contains_key(MCP), on, "{path}");
        }
        let mut req = Request::builder()
            .uri("/tools/v1/messages")
            .body(())
            .unwrap();
        req.headers_mut()
            .insert(MCP, HeaderValue::from_static("time"));
        assert_eq!(with_tools(req).headers()[MCP], "time");
    }
}
