//! `tierway serve`: listens until told to stop.
use super::ServeArgs;
use crate::{
    admin::{Admin, Figures, Readiness},
    config::{Config, Plan, Strings, load},
    discovery, log,
    metrics::Metrics,
    server::{self, Limits, Workers},
    stack::Stack,
};
use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};
use tierway_services::chat::Tier;
use tokio::{net::TcpListener, sync::oneshot};

/// How many connections operators may hold.
const ADMIN_CONNECTIONS: usize = 64;
/// How long an operator's last question may take.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT; a configuration that cannot be used gives exit code 2.
///
/// # Errors
/// Where a socket cannot be bound or the runtime cannot be started.
pub fn run(args: ServeArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let loaded = match load(&args.into(), environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(io::stderr().lock(), "{}", problems.render(false))?;
            return Ok(ExitCode::from(super::WRONG));
        }
    };
    log::init(&loaded.config.log).map_err(io::Error::other)?;
    // For what is done beside calls; these have workers of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(serve(loaded, banner, server::signal()))?;
    // What is left belongs to connections that were given up at the drain deadline.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// Serves until `stop` resolves and the calls in flight have ended. `announce` is told what was planned, and where callers and operators
/// connect, once both can.
///
/// # Errors
/// Where a socket cannot be bound, or `announce` fails.
pub(crate) async fn serve(
    mut loaded: crate::config::Loaded,
    announce: impl FnOnce(&Config, Option<&Plan>, SocketAddr, SocketAddr) -> io::Result<()>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    // Before any layer exists: a metric handle made without a recorder is silent for ever.
    let metrics = Metrics::install().map_err(io::Error::other)?;
    let plan = discovery::complete(&mut loaded).await?;
    let config = &loaded.config;
    let stack = Stack::new(config).map_err(io::Error::other)?;
    let listener = bind("server.listen", config.server.listen).await?;
    let admin = bind("server.admin", config.server.admin).await?;
    announce(
        config,
        plan.as_ref(),
        listener.local_addr()?,
        admin.local_addr()?,
    )?;

    tokio::spawn(metrics.clone().upkeep());
    let readiness = Readiness::default();
    readiness.set(true);
    let (done, drained) = oneshot::channel::<()>();
    let figures = Figures::new(
        metrics.clone(),
        config.ledger.place(),
        config.providers.keys().cloned(),
    );
    let service = Admin::new(metrics, readiness.clone())
        .dashboard(figures)
        .router(stack.router().clone(), config.server.max_body);
    // The admin port answers until the very end, so that a drain can be watched.
    let admin = tokio::spawn(async move {
        let limits = Limits {
            connections: ADMIN_CONNECTIONS,
            drain: ADMIN_DRAIN,
            ..Limits::default()
        };
        server::serve(admin, service, limits, async {
            drained.await.unwrap_or_default()
        })
        .await
    });

    let limits = Limits {
        connections: config.server.max_connections,
        per_ip: config.server.max_connections_per_ip,
        head: config.server.max_head,
        head_timeout: config.server.head_timeout,
        drain: config.server.drain_timeout,
    };
    let stop = async {
        stop.await;
        readiness.set(false);
    };
    let workers = Workers::start()?;
    let dropped = server::serve_on(&workers, listener, stack.service(), limits, stop).await?;
    drop(workers);
    if dropped > 0 {
        tracing::warn!(
            connections = dropped,
            "dropped at the drain deadline (server.drain_timeout)"
        );
    }
    // Blocks, and needs the runtime meanwhile.
    let _ = tokio::task::spawn_blocking(move || stack.close()).await;
    drop(done);
    let _ = admin.await;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(setting: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let named = |e: io::Error| {
        io::Error::new(
            e.kind(),
            format!("cannot listen on {address} ({setting}): {e}"),
        )
    };
    TcpListener::bind(address).await.map_err(named)
}

/// Tells where the gateway listens, which model serves each tier, and what to set in a client.
fn banner(
    config: &Config,
    plan: Option<&Plan>,
    listen: SocketAddr,
    admin: SocketAddr,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "tierway listens on http://{listen} (metrics and health: http://{admin})\n"
    )?;
    match plan {
        Some(plan) => write!(out, "{}", plan.table())?,
        None => {
            for tier in Tier::ALL {
                let target = config
                    .tiers
                    .get(&tier)
                    .map_or_else(|| "not bound".to_owned(), ToString::to_string);
                writeln!(out, "{:<9}  {target}", tier.as_str())?;
            }
        }
    }
    if config.keys.is_empty() {
        writeln!(
            out,
            "\nno [[keys]] are configured: only this machine may call"
        )?;
    }
    writeln!(out, "\n{}", Plan::next_steps(listen))?;
    out.flush()
}
