//! A scripted provider on a real socket: it says, byte for byte, what a test wants it to say, and remembers what it was told.
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Head and body as they stood on the wire.
    pub(crate) wire: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What to do about a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(String),
    /// The same where it is no text.
    Bytes(Vec<u8>),
    /// Waits for the client to hang up.
    Hang,
    /// Hangs up.
    Close,
}

pub(crate) struct Upstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    hung_up: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    pub(crate) async fn start(act: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (hung, hung_up) = watch::channel(0);
        let (log, count) = (seen.clone(), connections.clone());
        let act = Arc::new(act);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let (log, act, hung) = (log.clone(), act.clone(), hung.clone());
                tokio::spawn(async move {
                    talk(socket, &log, &*act).await;
                    hung.send_modify(|n| *n += 1);
                });
            }
        });
        Self {
            url,
            seen,
            connections,
            hung_up,
            task,
        }
    }
    /// One that answers everything with this.
    pub(crate) async fn saying(response: impl Into<String>) -> Self {
        let response = response.into();
        Self::start(move |_| vec![Act::Send(response.clone())]).await
    }
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
    /// Waits until a request has come.
    pub(crate) async fn asked(&self) {
        while self.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    /// Waits until a connection has ended.
    pub(crate) async fn hung_up(&self) {
        self.hung_up_times(1).await;
    }
    /// Waits until this many connections have ended.
    pub(crate) async fn hung_up_times(&self, times: usize) {
        let mut hung_up = self.hung_up.clone();
        let ended =
            tokio::time::timeout(Duration::from_secs(5), hung_up.wait_for(|n| *n >= times)).await;
        ended.expect("the upstream saw no close").unwrap();
    }
}

async fn talk(
    mut socket: TcpStream,
    log: &Mutex<Vec<Seen>>,
    act: &(dyn Fn(&Seen) -> Vec<Act> + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut socket, &mut buffer).await {
        log.lock().unwrap().push(seen.clone());
        for act in act(&seen) {
            match act {
                Act::Send(bytes) => {
                    if socket.write_all(bytes.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::Bytes(bytes) => {
                    if socket.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Hang => {
                    while !matches!(socket.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
                    return;
                }
                Act::Close => return,
            }
        }
    }
}

async fn request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut lines = head.lines();
            let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
            let headers: Vec<(String, String)> = lines
                .filter_map(|l| l.split_once(": "))
                .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
                .collect();
            let length = headers.iter().find(|(n, _)| n == "content-length");
            let length = length.map_or(0, |(_, v)| v.parse::<usize>().unwrap());
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let wire = String::from_utf8(std::mem::replace(buffer, rest)).unwrap();
                return Some(Seen {
                    method: first.next()?,
                    path: first.next()?,
                    body: wire[end + 4..].to_owned(),
                    wire,
                    headers,
                });
            }
        }
        let mut chunk = [0; 16 * 1024];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A whole response.
pub(crate) fn response(status: u16, content_type: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{more}\r\n{body}"
    )
}

pub(crate) fn json(status: u16, body: &str) -> String {
    response(status, "application/json", "", body)
}

/// The head of a chunked response.
pub(crate) fn head(content_type: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n")
}

pub(crate) fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

pub(crate) const END: &str = "0\r\n\r\n";

/// A whole stream of events.
pub(crate) fn stream(events: &[&str]) -> String {
    let chunks: String = events.iter().map(|e| chunk(e)).collect();
    format!("{}{chunks}{END}", head("text/event-stream"))
}
