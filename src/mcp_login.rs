//! The way back from a browser in which somebody signs in to an MCP server: a port of this machine alone, which takes one answer; or what
//! is pasted, where the browser is on another machine.
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
    time::Duration,
};
use tierway_services::mcp::sign_in::{Attempt, Session, Wrong};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Where the browser comes back to.
const PATH: &str = "/callback";
/// How long a browser may take to ask, and how long to wait until it has its page.
const HEAD: Duration = Duration::from_secs(5);
const LAST_PAGE: Duration = Duration::from_secs(1);
/// The most that ask at a time: browsers connect before they need to.
const AT_ONCE: usize = 16;

const DONE: &str = "You are signed in. You may close this page.";
const FOREIGN: &str = "This does not belong to the sign-in that was begun. Use the address that tierway printed last.";
const REFUSED: &str =
    "You are not signed in; tierway tells why in its terminal. You may close this page.";
const OVER: &str = "This sign-in is over. You may close this page.";

/// What the browser came back with, and whom to tell what it is shown.
type Answer = (String, oneshot::Sender<(StatusCode, &'static str)>);

/// A port to which the browser comes back.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Opens it, at this port or, for 0, at any.
    ///
    /// # Errors
    /// Where the port is taken.
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits until somebody has agreed, here or by an address that was `pasted`; then the door is shut. What is not the answer changes nothing.
    ///
    /// # Errors
    /// Why there is no sign-in.
    pub(crate) async fn wait(
        self,
        attempt: &Attempt,
        mut pasted: mpsc::Receiver<String>,
        patience: Duration,
        say: &mut dyn FnMut(&str),
    ) -> Result<Session, String> {
        let (tell, mut told) = mpsc::channel(1);
        let (shut, is_shut) = oneshot::channel();
        let serving = tokio::spawn(serve(self.listener, tell, is_shut));
        let end = sleep(patience);
        tokio::pin!(end);
        let mut types = true;
        let done = loop {
            let (query, page) = tokio::select! {
                () = &mut end => break Err(format!(
                    "nobody has signed in within {}",
                    humantime::format_duration(patience)
                )),
                Some((query, page)) = told.recv() => (query, Some(page)),
                line = pasted.recv(), if types => match line {
                    Some(line) => (line, None),
                    None => {
                        types = false;
                        continue;
                    }
                },
            };
            let done = attempt.finish(&query).await;
            let shown = match &done {
                Ok(_) => (StatusCode::OK, DONE),
                Err(Wrong::Foreign) => (StatusCode::BAD_REQUEST, FOREIGN),
                Err(_) => (StatusCode::BAD_REQUEST, REFUSED),
            };
            match (page, &done) {
                (Some(page), _) => drop(page.send(shown)),
                (None, Err(Wrong::Foreign)) => say(
                    "this is not the address that the browser ended at: it begins with the one that is waited at, and has a code and a state",
                ),
                _ => {}
            }
            match done {
                Ok(session) => break Ok(session),
                Err(Wrong::Foreign) => {}
                Err(wrong) => break Err(wrong.to_string()),
            }
        };
        drop(shut);
        let _ = timeout(LAST_PAGE, serving).await;
        done
    }
}

/// Serves until it is shut, and what has been begun then.
async fn serve(
    listener: TcpListener,
    tell: mpsc::Sender<Answer>,
    mut is_shut: oneshot::Receiver<()>,
) {
    let mut all = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut is_shut => break,
        };
        while all.try_join_next().is_some() {}
        let Ok((stream, _)) = stream else { continue };
        if all.len() >= AT_ONCE {
            continue;
        }
        let tell = tell.clone();
        let service = service_fn(move |req| answer(req, tell.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        all.spawn(connection);
    }
    drop(tell);
    while all.join_next().await.is_some() {}
}

async fn answer(
    req: Request<Incoming>,
    tell: mpsc::Sender<Answer>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if req.method() != Method::GET || req.uri().path() != PATH {
        return Ok(page(StatusCode::NOT_FOUND, "There is nothing here."));
    }
    let (reply, shown) = oneshot::channel();
    let query = req.uri().query().unwrap_or_default().to_owned();
    // Where nobody listens any more, nobody replies.
    let _ = tell.send((query, reply)).await;
    let (status, text) = shown.await.unwrap_or((StatusCode::GONE, OVER));
    Ok(page(status, text))
}

fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tierway</title><p>{text}</p></html>\n"
    );
    let mut res = Response::new(Full::new(Bytes::from(html)));
    *res.status_mut() = status;
    // The address has a code in it, which is nobody else's business.
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        res.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    res
}

/// The lines that are typed, from now on.
pub(crate) fn typed() -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel(1);
    // A thread of its own, which ends with the process: a read of a terminal cannot be given up.
    std::thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        for line in lines.filter(|line| !line.trim().is_empty()) {
            if tell.blocking_send(line).is_err() {
                break;
            }
        }
    });
    told
}

/// Opens a browser there, where there seems to be one.
pub(crate) fn browse(url: &str) {
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"].map(std::env::var_os);
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut command = Command::new("rundll32");
        command.arg("url.dll,FileProtocolHandler");
        command
    } else if screen.into_iter().flatten().any(|value| !value.is_empty()) {
        Command::new("xdg-open")
    } else {
        return;
    };
    let silent = command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // The address has been printed, whatever becomes of this.
    let _ = silent.spawn();
}
