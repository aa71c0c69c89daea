//! The mock upstream: answers at once, whole or in two hundred events, in chat completions.
//!
//! A thread for each connection, and nothing between it and the socket: what it can do at most is in the table, under `direct`.
use crate::http::{Length, Wire};
use bytes::Bytes;
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    sync::LazyLock,
    thread,
};

/// How many events a stream has, the last word on its end not counted.
pub(crate) const EVENTS: usize = 200;
/// Asks for an answer of 16 KB.
pub(crate) const LARGE_FLAG: &str = r#""large":true"#;
/// Asks for a stream that goes silent after its first event.
pub(crate) const HOLD_FLAG: &str = r#""hold":true"#;

/// A draft is asked for, whose answer must bear being looked at.
const DRAFT_FLAG: &str = r#""model":"small""#;

fn completion(text: &str, tokens: u32) -> Bytes {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
        tokens + 200
    )
    .into()
}

static WHOLE: LazyLock<Bytes> = LazyLock::new(|| completion(&PARIS.repeat(20), 160));
/// An answer of 16 KB.
pub(crate) static LARGE: LazyLock<Bytes> = LazyLock::new(|| completion(&PARIS.repeat(505), 4000));
static DRAFT: LazyLock<Bytes> = LazyLock::new(|| completion(BRIDGE, 160));

const PARIS: &str = "Paris is the capital of France. ";
const BRIDGE: &str = "The deck of a suspension bridge hangs from steel rods, and the rods hang from two main cables that run over its towers. The weight of traffic pulls each rod down; the cable passes that pull on as tension, along its whole length.\\n\\nThe towers take the downward part of this tension and press it into the ground, while heavy anchors at both ends hold the rest. Nothing in the cable is bent or pushed, so that thin wires are enough.\\n\\nA cable that bears only itself hangs in a catenary. Under a deck that weighs far more, and evenly along the road, its shape comes close to a parabola.";

/// Two words by turns: LiteLLM ends a stream that says the same a hundred times.
const SAID: [&str; 2] = [
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":"capital "},"finish_reason":null}]}"#,
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":"country "},"finish_reason":null}]}"#,
];
const LAST: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn holds(body: &[u8], words: &str) -> bool {
    memchr::memmem::find(body, words.as_bytes()).is_some()
}

fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2).into_bytes()
}

fn serve_connection(mut wire: Wire) -> io::Result<()> {
    let (events, last, done) = (SAID.map(chunk), chunk(LAST), chunk("data: [DONE]"));
    loop {
        let head = wire.head()?;
        let body = wire.body(head.length, || ())?;
        // Python and some gateways put a blank behind the colon.
        let stream = holds(&body, r#""stream":true"#) || holds(&body, r#""stream": true"#);
        if !stream {
            let large = holds(&body, LARGE_FLAG);
            let answer = if head.line.starts_with("get") {
                Bytes::from_static(br#"{"object":"list","data":[{"id":"bench","object":"model"}]}"#)
            } else if holds(&body, DRAFT_FLAG) {
                DRAFT.clone()
            } else if large {
                LARGE.clone()
            } else {
                WHOLE.clone()
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            wire.stream
                .write_all(&[head.as_bytes(), &answer].concat())?;
            continue;
        }
        wire.stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        for event in events.iter().cycle().take(EVENTS - 1) {
            wire.stream.write_all(event)?;
            if holds(&body, HOLD_FLAG) {
                // Until the other side hangs up.
                wire.body(Length::Exact(usize::MAX), || ())?;
            }
            // So that events are read one by one, as they are of a model that thinks between them.
            thread::yield_now();
        }
        wire.stream.write_all(&last)?;
        wire.stream.write_all(&[&done[..], b"0\r\n\r\n"].concat())?;
    }
}

/// Serves until killed; the address is the first line on standard output.
pub(crate) fn serve() {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    tell(listener.local_addr().unwrap());
    for stream in listener.incoming().flatten() {
        // Who hangs up ends it.
        let connection = move || drop(serve_connection(Wire::new(stream)));
        thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(connection)
            .unwrap();
    }
}

/// Tells whoever started this process where it listens.
pub(crate) fn tell(address: SocketAddr) {
    println!("{address}");
    io::stdout().flush().unwrap();
}

/// A listener on a free port, which is told.
pub(crate) async fn listen() -> tokio::net::TcpListener {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = tokio::net::TcpListener::bind(anywhere).await.unwrap();
    tell(listener.local_addr().unwrap());
    listener
}
