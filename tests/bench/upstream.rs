//! The mock upstream: answers at once, whole or in two hundred events.
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};
use tokio::net::TcpListener;

const EVENTS: usize = 200;

static WHOLE: LazyLock<Bytes> = LazyLock::new(|| {
    let text = "Paris is the capital of France. ".repeat(20);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":160,"total_tokens":360}}}}"#
    )
    .into()
});

/// An answer of 16 KB, for whoever asks with [`LARGE_FLAG`] at the front.
pub(crate) static LARGE: LazyLock<Bytes> = LazyLock::new(|| {
    let text = "Paris is the capital of France. ".repeat(505);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":4000,"total_tokens":4200}}}}"#
    )
    .into()
});

pub(crate) const LARGE_FLAG: &str = r#""large":true"#;

static EVENT: LazyLock<Bytes> = LazyLock::new(|| {
    Bytes::from_static(b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"capital \"},\"finish_reason\":null}]}\n\n")
});

const LAST: &[u8] = b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// The events, one write each: between two it is pending for a moment, as an upstream that thinks is, so that hyper sends what it has.
struct Events {
    sent: usize,
    paused: bool,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        self.paused = !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.sent += 1;
        let data = match self.sent {
            ..EVENTS => EVENT.clone(),
            EVENTS => Bytes::from_static(LAST),
            201 => Bytes::from_static(b"data: [DONE]\n\n"),
            _ => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(hyper::body::Frame::data(data))))
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    // the loader writes the flag at the front, where a proxy may add a field of its own; reading all would be slow for nothing
    let head = &body[..body.len().min(256)];
    let stream = head.windows(13).any(|w| w == b"\"stream\":true");
    let flag = LARGE_FLAG.as_bytes();
    let large = head.windows(flag.len()).any(|w| w == flag);
    let whole = if large { LARGE.clone() } else { WHOLE.clone() };
    let mut response = Response::builder();
    Ok(if stream {
        response = response.header("content-type", "text/event-stream");
        response
            .body(Either::Right(Events {
                sent: 0,
                paused: false,
            }))
            .unwrap()
    } else {
        response = response.header("content-type", "application/json");
        response.body(Either::Left(Full::new(whole))).unwrap()
    })
}

/// Serves until killed; the address is the first line on standard output.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = listen().await;
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)),
            );
        }
    });
}

/// A listener on a free port, which is told to whoever started this process.
pub(crate) async fn listen() -> TcpListener {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    listener
}
