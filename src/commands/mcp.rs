//! `tierway mcp`: signs in to servers of tools that ask for it, out of them, and tells how each stands.
use super::configuration;
use crate::{
    blocking::wait,
    config::{Config, McpServer, Strings},
    mcp_login::{Door, browse, typed},
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};
use tierway_services::{
    mcp::{
        Found, Road, Server, Servers, SignIn,
        sign_in::{Attempt, Place, Session, discover, revoke},
    },
    upstream::Client,
};

/// How long servers have to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of `mcp`.
#[derive(Args, Clone, Debug)]
pub struct McpArgs {
    /// What to do
    #[command(subcommand)]
    pub what: What,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What is done with servers of tools.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Sign in to a server that asks for it, in a browser
    ///
    /// Prints an address to open in a browser, and waits until you have agreed there. Where the browser is on another machine, paste the
    /// address that it ended at. The tokens are kept in a file of your own (mcp.sign_ins); a gateway that runs uses and renews them.
    Login(LoginArgs),
    /// Sign out of a server: its tokens are revoked where it offers that, and forgotten
    Logout {
        /// Its name in the configuration
        name: String,
    },
    /// List the servers: how each is reached, whether somebody has signed in, what it has
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `mcp login`.
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    /// Its name in the configuration
    pub name: String,
    /// What to ask to be allowed, with spaces between [otherwise: its scope in the configuration, or what the server says]
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// The port of this machine that the browser comes back to [otherwise: any]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub port: u16,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub wait: humantime::Duration,
    /// Open no browser, only print the address
    #[arg(long)]
    pub no_browser: bool,
}

/// Does what is asked.
///
/// # Errors
/// Where it cannot be done, or the output not be written.
pub fn run(args: &McpArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let file = args.config.as_ref();
    let config = match configuration(file, environment, &mut io::stderr().lock())? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let told = wait(&runtime, async {
        match &args.what {
            What::Login(args) => login(args, &config).await,
            What::Logout { name } => logout(name, &config).await,
            What::List { json } => Ok(list(&config, *json).await),
        }
    });
    let text = told.map_err(io::Error::other)?;
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

async fn login(args: &LoginArgs, config: &Config) -> Result<String, String> {
    let name = &args.name;
    let server = &named(name, config)?.server;
    let Road::Http {
        url,
        headers,
        sign_in,
        ..
    } = &server.road
    else {
        return Err(format!(
            "{name} is a program that is started here: it needs no sign-in"
        ));
    };
    let mut wanted = sign_in.clone().ok_or_else(|| match &config.mcp.sign_ins {
        Some(_) => format!("{name} is reached with a token or a login of the gateway's own: take token, token_url or the header authorization out of mcp.servers.{name} first"),
        None => "there is no folder for sign-ins (mcp.sign_ins)".to_owned(),
    })?;
    if args.scope.is_some() {
        wanted.scope.clone_from(&args.scope);
    }
    let client = Client::new();
    let of = |why: String| format!("{name}: {why}");
    let target = discover(&client, url, headers).await.map_err(of)?;
    let Some(target) = target else {
        return Ok(format!(
            "{name} lets anybody in: there is nothing to sign in to"
        ));
    };
    let door = Door::open(args.port).await;
    let door = door.map_err(|error| format!("port {} of 127.0.0.1: {error}", args.port))?;
    let begun = Attempt::begin(&client, target, &wanted, &door.url()).await;
    let attempt = begun.map_err(of)?;
    let terminal = io::stdin().is_terminal();
    let mut text = format!("Open this address in a browser:\n\n  {}\n", attempt.url());
    if terminal {
        text += "\nIf the browser is on another machine, paste here the address that it ends at.\n";
    }
    text += &format!("\nWaiting for {} at {}\n", args.wait, door.url());
    // The browser's page comes when it comes; who pipes the output sees the address at once.
    let mut out = io::stdout();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| error.to_string())?;
    if !args.no_browser && io::stdout().is_terminal() {
        browse(attempt.url());
    }
    let mut say = |text: &str| {
        let _ = writeln!(io::stderr(), "{text}");
    };
    let wait = *args.wait;
    let session = door.wait(&attempt, typed(), wait, &mut say).await;
    let session = session.map_err(of)?;
    let place = Place::new(&wanted.folder, name);
    let kept = place.put(&session).await;
    kept.map_err(|error| error.to_string())?;
    let (_, found) = look(vec![server.clone()]).await.remove(0);
    Ok(match &found.error {
        None if found.connected => {
            let tools = found.tools.len();
            let word = if tools == 1 { "tool" } else { "tools" };
            format!("signed in to {name}: {tools} {word}")
        }
        error => format!(
            "signed in to {name}, but it does not serve its tools: {}",
            error.as_deref().unwrap_or("it does not answer in time")
        ),
    })
}

async fn logout(name: &str, config: &Config) -> Result<String, String> {
    let folder = config.mcp.sign_ins.as_ref();
    let folder = folder.ok_or("there is no folder for sign-ins (mcp.sign_ins)")?;
    // One that has been taken out of the configuration is signed out of, too, but no other file is ever touched.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.chars().all(plain) {
        named(name, config)?;
    }
    let place = Place::new(folder, name);
    let was = place.file().exists();
    let kept = place.take().await.map_err(|error| error.to_string())?;
    let Some(session) = kept else {
        if !was {
            named(name, config)?;
            return Err(format!("nobody has signed in to {name}"));
        }
        return Ok(format!("signed out of {name}"));
    };
    Ok(match revoke(&Client::new(), &session).await {
        Ok(true) => format!("signed out of {name}; its tokens are revoked"),
        Ok(false) => format!(
            "signed out of {name}; {} cannot revoke its tokens, which end by themselves",
            session.issuer()
        ),
        Err(fault) => format!(
            "signed out of {name}; but {} has not revoked its tokens: {fault}",
            session.issuer()
        ),
    })
}

fn named<'a>(name: &str, config: &'a Config) -> Result<&'a McpServer, String> {
    let servers = &config.mcp.servers;
    servers.get(name).ok_or_else(|| {
        let all: Vec<&str> = servers.keys().map(String::as_str).collect();
        match &*all {
            [] => "there are no servers of tools: see [mcp.servers.NAME]".to_owned(),
            all => format!("there is no server {name}: there are {}", all.join(", ")),
        }
    })
}

/// Starts these, and looks what they have.
async fn look(servers: Vec<Server>) -> Vec<(Server, std::sync::Arc<Found>)> {
    let servers = Servers::start(servers);
    servers.ready(PATIENCE).await;
    servers.found()
}

async fn list(config: &Config, json: bool) -> String {
    let all = config.mcp.servers.values();
    let found = look(all.map(|server| server.server.clone()).collect()).await;
    if json {
        let rows = found.iter().map(|(server, found)| row(server, found));
        return json!(rows.collect::<Vec<_>>()).to_string();
    }
    if found.is_empty() {
        return "no servers of tools: see [mcp.servers.NAME]".to_owned();
    }
    let lines = found.iter().map(|(server, found)| line(server, found));
    let head = ["name", "at", "sign-in", "tools"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(lines).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a server is. What an address asks with may be a key.
fn place(server: &Server) -> String {
    match &server.road {
        Road::Program { command, .. } => command.clone(),
        Road::Http { url, .. } => url.split('?').next().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn signed_in(server: &Server) -> Option<Session> {
    let Road::Http {
        url,
        sign_in: Some(SignIn { folder, .. }),
        ..
    } = &server.road
    else {
        return None;
    };
    let kept = Place::new(Path::new(folder), &server.name).get();
    kept.ok().flatten().filter(|session| session.is_for(url))
}

fn date(at: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at)).to_string()
}

fn line(server: &Server, found: &Found) -> [String; 4] {
    let session = signed_in(server);
    let state = match (&server.road, &session) {
        (_, Some(session)) if session.has_ended() => "ended".to_owned(),
        (_, Some(session)) => match session.expires().map(date) {
            Some(at) if session.is_renewed() => format!("until {at}, then renewed"),
            Some(at) => format!("until {at}"),
            None => "yes".to_owned(),
        },
        (Road::Http { token: Some(_), .. }, None) => "its token".to_owned(),
        (Road::Http { login: Some(_), .. }, None) => "the gateway's own".to_owned(),
        (Road::Http { .. }, None) if found.cure.is_some() => "no".to_owned(),
        _ => "-".to_owned(),
    };
    let tools = match (&found.error, &found.cure) {
        _ if found.connected => found.tools.len().to_string(),
        (Some(error), Some(cure)) => format!("{error}: {cure}"),
        (Some(error), None) => error.clone(),
        (None, _) => "it does not answer in time".to_owned(),
    };
    [server.name.clone(), place(server), state, tools]
}

fn row(server: &Server, found: &Found) -> serde_json::Value {
    let session = signed_in(server).map(|session| {
        json!({
            "issuer": session.issuer(),
            "scope": session.scope(),
            "expires": session.expires().map(date),
            "renewed": session.is_renewed(),
            "ended": session.has_ended(),
        })
    });
    json!({
        "name": server.name,
        "at": place(server),
        "sign_in": session,
        "connected": found.connected,
        "tools": found.tools.len(),
        "error": found.error,
        "cure": found.cure,
    })
}
