//! The task that keeps one server.
use super::{
    Found, Road, Server,
    http::{Remote, config},
    oauth::Authority,
};
use rmcp::{
    ClientHandler, Peer, RoleClient, ServiceError, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
        JsonObject,
    },
    service::{NotificationContext, RunningService},
    transport::{StreamableHttpClientTransport, async_rw::AsyncRwTransport},
};
use std::{
    fmt,
    future::Future,
    io,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

/// The first pause before connecting again, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A server that has stayed so long starts with the first pause again.
const STAYED: Duration = Duration::from_secs(30);
/// How long a call waits for a server that is coming back.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what a program says on its standard error is kept, to tell why it failed.
const LAST_WORDS: usize = 2048;
/// How long to wait for them when a program has gone: they may still be on their way.
const LATE_WORDS: Duration = Duration::from_millis(200);
/// What of the gateway's own environment a program gets.
const CLEAN: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "USER",
    "SystemRoot",
    "APPDATA",
    "TEMP",
];

/// One server and the task that keeps it.
pub(super) struct Keeper {
    server: Server,
    state: watch::Receiver<State>,
    task: AbortHandle,
}

#[derive(Clone, Default)]
struct State {
    /// How often connecting was tried.
    tries: u64,
    peer: Option<Peer<RoleClient>>,
    found: Arc<Found>,
}

/// Why a server did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// There is none of this name.
    Unknown(String),
    /// It is not connected, for this reason.
    Away(String, String),
    /// It took longer than this.
    Late(String, Duration),
    /// It went away before it answered: nobody knows what it did.
    Gone(String),
    /// It refused, in these words.
    Refused(String, String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no server {name}"),
            Self::Away(name, why) => write!(f, "the server {name} is not connected: {why}"),
            Self::Late(name, after) => write!(
                f,
                "the server {name} did not answer within {} s; whether the call had an effect is not known",
                after.as_secs_f32()
            ),
            Self::Gone(name) => write!(
                f,
                "the server {name} went away before it answered; whether the call had an effect is not known"
            ),
            Self::Refused(name, why) => write!(f, "the server {name} refused the call: {why}"),
        }
    }
}
impl std::error::Error for CallError {}

// === impl Keeper ===

impl Keeper {
    pub(super) fn start(server: Server, changes: watch::Sender<u64>) -> Self {
        let (tell, state) = watch::channel(State::default());
        let task = tokio::spawn(keep(server.clone(), tell, changes)).abort_handle();
        Self {
            server,
            state,
            task,
        }
    }
    pub(super) const fn server(&self) -> &Server {
        &self.server
    }
    pub(super) fn found(&self) -> Arc<Found> {
        self.state.borrow().found.clone()
    }
    /// Waits until connecting was tried once.
    pub(super) async fn tried(&self) {
        let _ = self.state.clone().wait_for(|state| state.tries > 0).await;
    }

    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Option<JsonObject>,
    ) -> Result<CallToolResult, CallError> {
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments;
        self.ask(|peer| async move { peer.call_tool(params).await })
            .await
    }

    /// Asks the server, once it is there. A question that is given up is taken back there.
    pub(super) async fn ask<T, F>(
        &self,
        question: impl FnOnce(Peer<RoleClient>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, ServiceError>>,
    {
        let name = || self.server.name.clone();
        let peer = self.peer().await?;
        match timeout(self.server.timeout, question(peer)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(ServiceError::McpError(error))) => {
                Err(CallError::Refused(name(), error.message.into_owned()))
            }
            Ok(Err(ServiceError::TransportClosed | ServiceError::Cancelled { .. })) => {
                Err(CallError::Gone(name()))
            }
            Ok(Err(ServiceError::TransportSend(error))) => {
                // Without the name of the transport, which tells a model nothing.
                Err(CallError::Away(name(), error.error.to_string()))
            }
            Ok(Err(error)) => Err(CallError::Refused(name(), error.to_string())),
            Err(_) => Err(CallError::Late(name(), self.server.timeout)),
        }
    }

    async fn peer(&self) -> Result<Peer<RoleClient>, CallError> {
        let there = |state: &State| state.peer.clone().filter(|p| !p.is_transport_closed());
        if let Some(peer) = there(&self.state.borrow()) {
            return Ok(peer);
        }
        let patience = self.server.timeout.min(PATIENCE);
        let mut state = self.state.clone();
        let back = state.wait_for(|state| there(state).is_some());
        if let Ok(Ok(state)) = timeout(patience, back).await
            && let Some(peer) = there(&state)
        {
            return Ok(peer);
        }
        let why = self.found().error.clone();
        let why = why.unwrap_or_else(|| "it has not started yet".into());
        Err(CallError::Away(self.server.name.clone(), why))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // With the task goes the connection, and with that the program.
        self.task.abort();
    }
}

// === the task ===

/// Hears what a server says by itself.
#[derive(Clone)]
struct Ear {
    changed: Arc<Notify>,
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        let name = Implementation::new("tierway", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), name)
    }
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// A connection, and the program at its other end where that is one's own.
struct Link {
    running: RunningService<RoleClient, Ear>,
    _program: Option<Child>,
}

async fn keep(server: Server, tell: watch::Sender<State>, changes: watch::Sender<u64>) {
    let mut pause = PAUSE;
    let publish = |peer: Option<Peer<RoleClient>>, found: Found| {
        tell.send_modify(|state| {
            state.tries += 1;
            state.peer = peer;
            state.found = Arc::new(found);
        });
        changes.send_modify(|n| *n = n.wrapping_add(1));
    };
    let authority = Authority::of(&server);
    let changed_from = async |since| match &authority {
        Some(authority) => authority.changed(since).await,
        None => std::future::pending().await,
    };
    loop {
        let began = Instant::now();
        let since = authority.as_ref().and_then(Authority::since);
        let words = Arc::new(Mutex::new(Vec::new()));
        let changed = Arc::new(Notify::new());
        let connecting = connect(&server, authority.clone(), changed.clone(), words.clone());
        let error = match timeout(server.connect_timeout, connecting).await {
            Ok(Ok((link, found))) => {
                tracing::info!(server = %server.name, tools = found.tools.len(), left_out = found.left_out, "MCP server connected");
                publish(Some(link.running.peer().clone()), found);
                tokio::select! {
                    why = watch_over(&server, link, &changed, &publish) => why,
                    () = changed_from(since) => "somebody has signed in or out".into(),
                }
            }
            Ok(Err(error)) => error,
            Err(_) => format!(
                "not connected within {} s",
                server.connect_timeout.as_secs()
            ),
        };
        let heard = async {
            while Arc::strong_count(&words) > 1 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(LATE_WORDS, heard).await;
        let error = with_last_words(error, &words);
        let want = authority.as_ref().and_then(Authority::want);
        let (error, cure) = match want {
            Some(want) => (want.why, Some(want.cure)),
            None => (error, None),
        };
        tracing::warn!(server = %server.name, error, cure, "MCP server not connected");
        let known = tell.borrow().found.gone(error, cure);
        publish(None, known);
        if began.elapsed() >= STAYED {
            pause = PAUSE;
        }
        pause = tokio::select! {
            () = sleep(pause) => (pause * 2).min(LONGEST_PAUSE),
            () = changed_from(since) => PAUSE,
        };
    }
}

/// Keeps up with a server until it is gone; tells why.
async fn watch_over(
    server: &Server,
    link: Link,
    changed: &Notify,
    publish: &(dyn Fn(Option<Peer<RoleClient>>, Found) + Send + Sync),
) -> String {
    let peer = &link.running.peer().clone();
    let gone = link.running.waiting();
    tokio::pin!(gone);
    loop {
        tokio::select! {
            () = changed.notified() => {
                let asked = Found::ask(peer, &server.name, server.max_tools);
                match timeout(server.connect_timeout, asked).await {
                    Ok(Ok(found)) => publish(Some(peer.clone()), found),
                    Ok(Err(error)) => tracing::warn!(server = %server.name, %error, "MCP server does not tell what has changed"),
                    Err(_) => tracing::warn!(server = %server.name, "MCP server does not tell in time what has changed"),
                }
            }
            _ = &mut gone => return "it went away".into(),
        }
    }
}

async fn connect(
    server: &Server,
    authority: Option<Authority>,
    changed: Arc<Notify>,
    words: Arc<Mutex<Vec<u8>>>,
) -> Result<(Link, Found), String> {
    let ear = Ear { changed };
    let link = match &server.road {
        Road::Program { .. } => {
            let (mut child, errors) = start(server).map_err(|e| format!("not started: {e}"))?;
            tokio::spawn(listen(errors, words));
            let (Some(out), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
                return Err("not started: no standard input or output".into());
            };
            let transport =
                AsyncRwTransport::new_client(out, input).with_max_line_length(server.max_message);
            let running = ear.serve(transport).await.map_err(|e| e.to_string())?;
            Link {
                running,
                _program: Some(child),
            }
        }
        Road::Http {
            url,
            headers,
            token,
            ..
        } => {
            let config = config(url, headers, token.as_ref(), server.max_message)?;
            let transport =
                StreamableHttpClientTransport::with_client(Remote::new(authority), config);
            let running = ear.serve(transport).await.map_err(|e| e.to_string())?;
            Link {
                running,
                _program: None,
            }
        }
    };
    let found = Found::ask(link.running.peer(), &server.name, server.max_tools).await;
    Ok((link, found.map_err(|e| e.to_string())?))
}

fn start(server: &Server) -> io::Result<(Child, ChildStderr)> {
    let Road::Program {
        command,
        args,
        env,
        folder,
    } = &server.road
    else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut program = Command::new(command);
    program
        .args(args)
        .env_clear()
        .envs(CLEAN.iter().filter_map(|n| Some((n, std::env::var_os(n)?))))
        .envs(env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Not in the terminal's group: Ctrl-C is for the gateway, which lets the server go when it has drained.
    #[cfg(unix)]
    program.process_group(0);
    if let Some(folder) = folder {
        program.current_dir(folder);
    }
    let mut child = program.spawn()?;
    let errors = child.stderr.take();
    Ok((child, errors.ok_or(io::ErrorKind::BrokenPipe)?))
}

/// Keeps the last of what a program says on its standard error, and reads the rest so that it never waits for a reader.
async fn listen(errors: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut errors = BufReader::new(errors);
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = errors.read(&mut piece).await {
        let mut kept = words.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(piece.get(..read).unwrap_or_default());
        let over = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..over);
    }
}

fn with_last_words(error: String, words: &Mutex<Vec<u8>>) -> String {
    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
    let words = String::from_utf8_lossy(&words);
    match words.trim() {
        "" => error,
        words => format!("{error}; its last words: {words}"),
    }
}
