//! The gateway that a wrapped program calls: one that runs already, or one of its own for as long as it runs.
use super::Bill;
use crate::{
    commands::serve::serve,
    config::{Config, Loaded, Provider},
    demo,
};
use http::{Request, header};
use http_body_util::{BodyExt, Limited};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tierway_services::{
    chat::Pieces,
    providers::{Kind, Secret},
    upstream::Client,
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

/// How long a gateway on this machine may take to say who it is.
const PATIENCE: Duration = Duration::from_millis(500);
/// More than any page of metrics has.
const PAGE: usize = 16 << 20;
/// How long calls may go on that the program has left behind.
const DRAIN: Duration = Duration::from_secs(2);
/// Any free port that only this machine can reach.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where metrics are.
    pub admin: SocketAddr,
}

/// A gateway in this process.
#[derive(Debug)]
pub struct Own {
    at: At,
    demo: bool,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// Whether a gateway listens where `config` says.
pub async fn running(config: &Config) -> Option<At> {
    let at = At {
        listen: config.server.listen,
        admin: config.server.admin,
    };
    let hello = timeout(PATIENCE, get(at.listen, "/api/hello", None))
        .await
        .ok()??;
    hello.contains(r#""name":"tierway""#).then_some(at)
}

impl At {
    /// What it has spent so far; nothing where it does not tell. `token` is the credential of its admin port, where it wants one.
    pub async fn bill(self, token: Option<&Secret>) -> Option<Bill> {
        let metrics = timeout(PATIENCE, get(self.admin, "/metrics", token))
            .await
            .ok()??;
        Some(Bill::read(&metrics))
    }
}

impl Own {
    /// Starts one on free ports. `subscription`: its callers' Claude subscription is a provider, unless another is configured.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn start(mut loaded: Loaded, subscription: bool) -> io::Result<Self> {
        let config = &mut loaded.config;
        config.server.listen = ANYWHERE;
        config.server.admin = ANYWHERE;
        config.server.drain_timeout = config.server.drain_timeout.min(DRAIN);
        if subscription {
            subscribe(config);
        }
        let (tell, told) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let announce = |config: &Config, _: Option<&_>, listen, admin| {
            let demo = config.providers.contains_key(demo::PROVIDER);
            let _ = tell.send((At { listen, admin }, demo));
            Ok(())
        };
        let task = tokio::spawn(serve(loaded, None, announce, async {
            stopped.await.unwrap_or_default();
        }));
        match told.await {
            Ok((at, demo)) => Ok(Self {
                at,
                demo,
                stop,
                task,
            }),
            Err(_) => Err(match task.await {
                Ok(Err(error)) => error,
                _ => io::Error::other("the gateway did not start"),
            }),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn at(&self) -> At {
        self.at
    }

    /// Whether the built-in demo models answer, whose prices are made up.
    #[must_use]
    pub const fn is_demo(&self) -> bool {
        self.demo
    }

    /// Stops it, and waits until all is written down.
    ///
    /// # Errors
    /// What it failed with.
    pub async fn stop(self) -> io::Result<()> {
        drop(self.stop);
        self.task.await.map_err(io::Error::other)?
    }
}

/// Adds the user's subscription as a provider where nobody else is at Anthropic.
fn subscribe(config: &mut Config) {
    if config.providers.values().any(|p| p.kind == Kind::Anthropic) {
        return;
    }
    let provider = Provider {
        pass_credentials: true,
        ..Provider::new(Kind::Anthropic)
    };
    let name = Kind::Anthropic.as_str().to_owned();
    config.providers.entry(name).or_insert(provider);
}

async fn get(address: SocketAddr, path: &str, token: Option<&Secret>) -> Option<String> {
    let mut request = Request::get(format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request.body(Pieces::default()).ok()?;
    let response = Client::new().request(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = Limited::new(response.into_body(), PAGE)
        .collect()
        .await
        .ok()?;
    String::from_utf8(body.to_bytes().into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_a_provider_that_gets_its_callers_credentials() {
        let mut config = Config::default();
        subscribe(&mut config);
        assert!(config.providers["anthropic"].pass_credentials);
    }

    #[test]
    fn who_is_configured_stays() {
        let mut config = Config::default();
        config
            .providers
            .insert("mine".to_owned(), Provider::new(Kind::Anthropic));
        subscribe(&mut config);
        assert_eq!(config.providers.len(), 1);
    }
}
