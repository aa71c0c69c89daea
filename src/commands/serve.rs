//! `tierway serve`: listens until told to stop.
use super::ServeArgs;
use crate::{
    admin::{Admin, Figures, Readiness},
    blocking::wait,
    config::{Config, Flags, Plan, Process, Strings, load},
    discovery, log,
    metrics::Metrics,
    reload::{Current, Live, Reloader, Reread},
    server::{
        self, Limits, Workers,
        systemd::{self, Sockets},
        tls::Acceptor,
    },
    stack::Stack,
};
use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};
use tierway_services::chat::Tier;
use tokio::sync::oneshot;

/// How many connections operators may hold.
const ADMIN_CONNECTIONS: usize = 64;
/// How long an operator's last question may take.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT; a configuration that cannot be used gives exit code 2.
///
/// # Errors
/// Where a socket cannot be bound or the runtime cannot be started.
pub fn run(args: ServeArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let flags: Flags = args.into();
    let loaded = match load(&flags, environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(io::stderr().lock(), "{}", problems.render(false))?;
            return Ok(ExitCode::from(super::WRONG));
        }
    };
    log::init(&loaded.config.log).map_err(io::Error::other)?;
    no_core();
    // For what is done beside calls; these have workers of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // A process has one environment for life.
    let reread: Reread = Box::new(move || load(&flags, &Process));
    let work = async { serve(loaded, Some(reread), banner, server::signal()).await };
    wait(&runtime, work)?;
    // What is left belongs to connections that were given up at the drain deadline.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// A core dump would hold every key and every prompt of the moment.
fn no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        if let Err(error) = setrlimit(Resource::Core, none) {
            tracing::debug!(%error, "core dumps cannot be turned off");
        }
    }
}

/// Serves until `stop` resolves and the calls in flight have ended. The configuration is read anew by `reread`. `announce` is told what
/// was planned, and where callers and operators connect, once both can.
///
/// # Errors
/// Where a socket cannot be bound, or `announce` fails.
pub(crate) async fn serve(
    mut loaded: crate::config::Loaded,
    reread: Option<Reread>,
    announce: impl FnOnce(&Config, Option<&Plan>, SocketAddr, SocketAddr) -> io::Result<()>,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    // Before any layer exists: a metric handle made without a recorder is silent for ever.
    let metrics = Metrics::install().map_err(io::Error::other)?;
    let plan = discovery::complete(&mut loaded).await?;
    let config = &loaded.config;
    let stack = Stack::new(config).map_err(io::Error::other)?;
    let mut sockets = Sockets::handed_over();
    let listener = sockets.listen(0, "server.listen", config.server.listen)?;
    let admin = sockets.listen(1, "server.admin", config.server.admin)?;
    let tls = config.server.tls.clone().map(Acceptor::open).transpose()?;
    announce(
        config,
        plan.as_ref(),
        listener.local_addr()?,
        admin.local_addr()?,
    )?;

    tokio::spawn(metrics.clone().upkeep());
    let readiness = Readiness::default();
    let live = Live::new(stack);
    let service = live.service();
    let reloading = reread.map(|reread| {
        let reloader = Reloader::new(live.clone(), reread, &loaded, plan);
        tokio::spawn(reloader.run())
    });
    readiness.set(true);
    systemd::ready();
    let watchdog = tokio::spawn(systemd::watchdog());
    let (done, drained) = oneshot::channel::<()>();
    let figures = Figures::new(
        metrics.clone(),
        config.ledger.place(),
        config.providers.keys().cloned(),
    );
    let operators = Admin::new(metrics, readiness.clone())
        .dashboard(figures)
        .access(&config.access, None)
        .live(live.clone());
    // The admin port answers until the very end, so that a drain can be watched.
    let admin_tls = tls.clone().filter(|_| config.access.admin_tls);
    let admin = tokio::spawn(async move {
        let limits = Limits {
            connections: ADMIN_CONNECTIONS,
            drain: ADMIN_DRAIN,
            ..Limits::default()
        };
        let operators = Current::always(operators);
        let drained = async { drained.await.unwrap_or_default() };
        server::serve_in(admin, admin_tls, operators, limits, drained).await
    });

    let limits = Limits {
        connections: config.server.max_connections,
        per_ip: config.server.max_connections_per_ip,
        head: config.server.max_head,
        head_timeout: config.server.head_timeout,
        write_timeout: config.server.write_timeout,
        drain: config.server.drain_timeout,
    };
    let stop = async {
        stop.await;
        readiness.set(false);
        systemd::stopping();
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        // Load balancers look now and then; until they have, their calls are served.
        tokio::time::sleep(config.server.drain_delay).await;
        live.stack().drain();
    };
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().watch());
    }
    let workers = Workers::start()?;
    let dropped = server::serve_on(&workers, listener, tls, service, limits, stop).await?;
    drop(workers);
    if dropped > 0 {
        tracing::warn!(
            connections = dropped,
            "dropped at the drain deadline (server.drain_timeout)"
        );
    }
    // Blocks, and needs the runtime meanwhile.
    let _ = tokio::task::spawn_blocking(move || live.stack().close()).await;
    watchdog.abort();
    drop(done);
    let _ = admin.await;
    tracing::info!("stopped");
    Ok(())
}

/// Tells where the gateway listens, which model serves each tier, and what to set in a client.
fn banner(
    config: &Config,
    plan: Option<&Plan>,
    listen: SocketAddr,
    admin: SocketAddr,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    let (calls, looks) = (
        scheme(config.server.tls.is_some()),
        scheme(config.access.admin_tls),
    );
    writeln!(
        out,
        "tierway listens on {calls}://{listen} (metrics and health: {looks}://{admin})\n"
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
    if !config.is_closed() {
        writeln!(
            out,
            "\nno [[keys]] are configured: only this machine may call"
        )?;
    }
    writeln!(out, "\n{}", Plan::next_steps(listen))?;
    out.flush()
}
