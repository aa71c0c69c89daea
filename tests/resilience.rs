//! What a caller sees when models fail.
use crate::support::{Gateway, Upstream, two_formats};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const QUICK: &str =
    "[cache]\nenabled = false\n[retry]\nbackoff = \"10ms\"\n[affinity]\nenabled = false\n";

fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

/// Tiers whose models are these.
fn tiers(up: &Upstream, complex: &str, extra: &str) -> String {
    two_formats(up, extra).replace("\"a:text-big\"", complex)
}

#[tokio::test]
async fn the_next_model_of_a_tier_answers_across_dialects() {
    let up = Upstream::start().await;
    let complex = r#"["a:e529-first", "o:e503-second", "o:text-third", "a:text-fourth"]"#;
    let gw = Gateway::start(&tiers(&up, complex, QUICK)).await;
    for stream in [false, true] {
        for path in ["/v1/messages", "/v1/chat/completions"] {
            let before = up.seen().len();
            let answer = gw.post(path, &ask("tierway/complex", stream)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-tierway-model"), "text-third");
            assert_eq!(
                answer.header("x-tierway-fallback"),
                "2; from=a:e529-first; reason=overloaded"
            );
            assert!(up.seen().len() > before + 2);
        }
    }
    // A model that is asked for by its name is nobody else's.
    let answer = gw.messages(&ask("a:e529-first", false)).await;
    assert_eq!(answer.status.as_u16(), 529);
    assert_eq!(answer.header("x-tierway-fallback"), "");
}

#[tokio::test]
async fn what_broke_after_its_first_byte_stays_broken_in_the_callers_dialect() {
    let up = Upstream::start().await;
    let complex = r#"["a:text-cutoff", "o:text-other"]"#;
    let gw = Gateway::start(&tiers(&up, complex, QUICK)).await;
    let answer = gw.messages(&ask("tierway/complex", true)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("event: error"), "{}", answer.text());
    assert_eq!(up.seen().len(), 1);
    // A whole answer that broke has shown nothing to anybody.
    assert_eq!(answer.header("x-tierway-fallback"), "");
}

#[tokio::test]
async fn a_failing_model_is_left_alone() {
    let up = Upstream::start().await;
    let complex = r#"["a:e500-first", "o:text-second"]"#;
    let quick = "[cache]\nenabled = false\n[retry]\nmax = 0\n";
    let gw = Gateway::start(&tiers(&up, complex, quick)).await;
    for _ in 0..20 {
        let answer = gw.messages(&ask("tierway/complex", false)).await;
        assert_eq!(answer.header("x-tierway-model"), "text-second");
    }
    let first = up
        .seen()
        .iter()
        .filter(|s| s.body["model"] == "e500-first")
        .count();
    assert_eq!(first, 5);
    let answer = gw.messages(&ask("tierway/complex", false)).await;
    assert_eq!(
        answer.header("x-tierway-fallback"),
        "1; from=a:e500-first; reason=declined"
    );
}

#[tokio::test]
async fn an_open_breaker_makes_the_small_arm_defer() {
    let up = Upstream::start().await;
    let extra = "[cache]\nenabled = false\n[retry]\nmax = 0\n[affinity]\nenabled = false\n[cascade]\nenabled = true\nsmall = \"o:e500-small\"\nstreams = \"buffer\"\nmax_price_ratio = 1000\nstay_big = 0\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    for call in 0..10 {
        // The first five open it; whoever comes later waits for nothing and sees no error, streamed or whole.
        let answer = gw.messages(&ask("tierway/complex", call % 2 == 1)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("error"), "{}", answer.text());
        assert_eq!(answer.header("x-tierway-model"), "text-big");
        assert!(
            answer.header("x-tierway-cascade").starts_with("deferred"),
            "{}",
            answer.header("x-tierway-cascade")
        );
    }
    let drafts = up
        .seen()
        .iter()
        .filter(|s| s.body["model"] == "e500-small")
        .count();
    assert_eq!(drafts, 5);
}

/// Answers one request on each connection, and closes it when the next has come: what a server does that lets go of kept connections.
async fn forgetful() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(once(stream, count.clone()));
        }
    });
    (url, requests)
}

async fn once(mut stream: TcpStream, requests: Arc<AtomicUsize>) {
    for n in 0..2 {
        let mut got = Vec::new();
        let mut buf = [0; 4096];
        while !got.ends_with(b"}") {
            match stream.read(&mut buf).await {
                Ok(0) | Err(_) => return,
                Ok(n) => got.extend_from_slice(&buf[..n]),
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        if n == 1 {
            return;
        }
        let body = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
        let res = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(res.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_on_us_is_no_error_of_the_callers() {
    let (url, requests) = forgetful().await;
    for (retries, refused) in [(0, 1), (1, 0)] {
        let gw = Gateway::start(&format!(
            "[providers.l]\nkind = \"openai-compatible\"\nbase_url = \"{url}/v1\"\n[tiers]\nsimple = \"l:m\"\n[retry]\nmax = {retries}\n[cache]\nenabled = false\n"
        ))
        .await;
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let answer = gw.chat(&ask("l:m", false)).await;
            statuses.push(answer.status.as_u16());
        }
        assert_eq!(
            statuses.iter().filter(|s| **s == 502).count(),
            refused,
            "{statuses:?}"
        );
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2 + 3);
}
