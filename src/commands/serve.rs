//! `tierway serve`: listens until told to stop.
use crate::{
    admin::{Admin, Readiness},
    config::Config,
    discovery, log,
    metrics::Metrics,
    server::{self, Limits},
    stack::Stack,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Notify};

/// How many connections operators may hold.
const ADMIN_CONNECTIONS: usize = 64;

/// Serves with `config`, completed by what is found where it names no provider.
///
/// # Errors
/// Where a socket cannot be bound, or a provider cannot be used.
pub async fn serve(config: Config) -> io::Result<()> {
    log::init(&config.log).map_err(io::Error::other)?;
    let metrics = Metrics::install().map_err(io::Error::other)?;
    let (config, found) = discovery::complete(config).await?;
    let stack = Stack::new(&config).map_err(io::Error::other)?;
    let (listener, admin) = (bind("server.listen", config.server.listen).await?, bind("server.admin", config.server.admin).await?);
    log::banner(&config, &found, listener.local_addr()?, admin.local_addr()?)?;

    tokio::spawn(metrics.clone().upkeep());
    let readiness = Readiness::default();
    readiness.set(true);
    let done = Arc::new(Notify::new());
    let admin_limits = Limits { connections: ADMIN_CONNECTIONS, drain: Duration::from_secs(1) };
    let admin_done = Arc::clone(&done);
    let admin_service = Admin::new(metrics, readiness.clone());
    // The admin port answers until the very end, so that a drain can be watched.
    let admin = tokio::spawn(async move { server::serve(admin, admin_service, admin_limits, admin_done.notified()).await });

    let limits = Limits { connections: config.server.max_concurrent, drain: config.server.drain_timeout };
    let signal = async move {
        server::signal().await;
        readiness.set(false);
    };
    let dropped = server::serve(listener, stack.service(), limits, signal).await?;
    if dropped > 0 {
        tracing::warn!(connections = dropped, "dropped at the drain deadline (server.drain_timeout)");
    }
    done.notify_one();
    let _ = admin.await;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(setting: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address} ({setting}): {e}")))
}
