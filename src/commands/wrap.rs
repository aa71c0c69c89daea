//! `tierway wrap`: runs a program whose calls go through the gateway, and tells at its end what that cost.
use super::{WrapArgs, loaded};
use crate::{
    blocking,
    config::{Loaded, Strings, state_folder},
    log,
    wrap::{Own, running, told},
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tierway_services::providers::Kind;
use tokio::process::{Child, Command};

/// What a shell says of a program that it does not find.
const NOT_FOUND: u8 = 127;
/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// Runs the program, and ends with its exit code.
///
/// # Errors
/// Where the gateway cannot be started.
pub fn run(args: &WrapArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let file = args.config.as_ref();
    let loaded = match loaded(file, environment, false, &mut io::stderr().lock())? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = blocking::wait(&runtime, wrap(loaded, args, environment))?;
    runtime.shutdown_background();
    Ok(code)
}

async fn wrap(loaded: Loaded, args: &WrapArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    // Heard by us so that it does not end us: the program on the same terminal decides what it means.
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let token = loaded.config.access.admin_token.clone();
    let key = loaded.config.keys.first();
    let key = key.map(|key| key.key.expose().to_owned());
    let mut providers = loaded.config.providers.values();
    let subscription = subscribed(environment)
        && providers.all(|p| p.kind != Kind::Anthropic || p.pass_credentials);
    let (at, own, log) = match running(&loaded.config).await {
        Some(at) => (at, None, None),
        None => {
            let file = log_file(environment);
            if let Some(file) = &file {
                log::init_file(&loaded.config.log, file).map_err(io::Error::other)?;
            }
            let own = Own::start(loaded, subscription).await?;
            (own.at(), Some(own), file)
        }
    };
    let before = at.bill(token.as_ref()).await;
    let url = format!("http://{}", at.listen);
    let told = told(
        Path::new(&args.program),
        &args.arguments,
        &url,
        key.as_deref(),
        subscription,
        environment,
    );
    let child = Command::new(&args.program)
        .args(&told.arguments)
        .args(&args.arguments)
        .envs(told.environment)
        .spawn();
    let code = match child {
        Ok(child) => wait(child).await?,
        Err(error) => {
            let program = args.program.display();
            let why = match error.kind() {
                io::ErrorKind::NotFound => {
                    "it is not there: install it, or put its folder on PATH".into()
                }
                _ => error.to_string(),
            };
            writeln!(
                io::stderr().lock(),
                "tierway: cannot start {program}: {why}"
            )?;
            return Ok(ExitCode::from(NOT_FOUND));
        }
    };
    let after = at.bill(token.as_ref()).await;
    let demo = own.as_ref().is_some_and(Own::is_demo);
    if let Some(own) = own {
        own.stop().await?;
    }
    let mut err = io::stderr().lock();
    match after.zip(before) {
        Some((after, before)) => {
            let whose = if demo {
                " (demo models, made-up prices)"
            } else {
                ""
            };
            write!(err, "tierway{whose}: {}", after.since(before))?;
        }
        None => write!(
            err,
            "tierway: http://{} does not tell what this cost",
            at.admin
        )?,
    }
    match log {
        Some(log) => writeln!(err, " (log: {})", log.display())?,
        None => writeln!(err)?,
    }
    Ok(code)
}

/// Waits for the program; who asks us to end asks it.
async fn wait(mut child: Child) -> io::Result<ExitCode> {
    #[cfg(unix)]
    let status = {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = terminate.recv() => pass(&child, rustix::process::Signal::TERM),
                _ = hangup.recv() => pass(&child, rustix::process::Signal::HUP),
            }
        }
    };
    #[cfg(not(unix))]
    let status = child.wait().await?;
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|number| SIGNALLED + number));
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(unix)]
fn pass(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // It may have ended in this moment, and then there is nobody to tell.
        let _ = rustix::process::kill_process(id, signal);
    }
}

/// Whether somebody has signed in with Claude Code, and uses no key of Anthropic's instead.
fn subscribed(environment: &dyn Strings) -> bool {
    let get = |name| environment.get(name).ok().flatten();
    if get("ANTHROPIC_API_KEY").is_some() {
        return false;
    }
    let folder = get("CLAUDE_CONFIG_DIR").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(get("HOME")?).join(".claude")));
    get("CLAUDE_CODE_OAUTH_TOKEN").is_some()
        || folder.is_some_and(|folder| folder.join(".credentials.json").is_file())
}

/// Where the gateway's log goes while the terminal is the program's.
fn log_file(environment: &dyn Strings) -> Option<PathBuf> {
    let folder = state_folder(|name| environment.get(name).ok().flatten())?;
    Some(folder.join("wrap.log"))
}
