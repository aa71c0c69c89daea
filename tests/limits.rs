//! What callers see of limits, and that nobody holds the gateway up.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const KEYS: &str = r#"
[cache]
enabled = false
[affinity]
enabled = false
[[keys]]
key = "sk-one"
tenant = "team"
limits.requests_per_minute = 2
[[keys]]
key = "sk-two"
tenant = "team"
[[keys]]
key = "sk-free"
tenant = "free"
[prices."a:text-x"]
input = 0
output = 1000000
"#;

fn ask() -> Value {
    json!({"model": "a:text-x", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]})
}

async fn said(gw: &Gateway, path: &str, key: &str, body: &Value) -> crate::support::Answer {
    let headers = [("content-type", "application/json"), ("x-api-key", key)];
    gw.call(Method::POST, path, &headers, body.to_string())
        .await
}

#[tokio::test]
async fn a_key_and_its_tenant_have_limits_in_the_callers_words() {
    let up = Upstream::start().await;
    let team = "[tenants.team.limits]\nrequests_per_minute = 3\n";
    let gw = Gateway::start(&two_formats(&up, &format!("{KEYS}{team}"))).await;
    let mut statuses = Vec::new();
    for key in ["sk-one", "sk-one", "sk-one", "sk-two", "sk-two", "sk-free"] {
        let answer = said(&gw, "/v1/messages", key, &ask()).await;
        statuses.push(answer.status.as_u16());
        match (key, answer.status.as_u16()) {
            ("sk-free", _) => assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), ""),
            (_, 200) => assert!(
                !answer
                    .header("anthropic-ratelimit-requests-remaining")
                    .is_empty()
            ),
            _ => {
                assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
                let after: u64 = answer.header("retry-after").parse().unwrap();
                assert!((55..=61).contains(&after), "{after}");
                assert!(!answer.text().contains("sk-"), "{}", answer.text());
            }
        }
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429, 200]);
    let answer = said(&gw, "/v1/chat/completions", "sk-two", &ask()).await;
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
    assert_eq!(up.seen().len(), 4);
    // Counting and lists are free.
    let answer = said(&gw, "/v1/messages/count_tokens", "sk-two", &ask()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_budget_is_spent_to_the_end_and_no_further() {
    let up = Upstream::start().await;
    let team = "[tenants.team.limits]\nusd_per_day = 40\n";
    let gw = Gateway::start(&two_formats(&up, &format!("{KEYS}{team}"))).await;
    let mut answered = 0;
    let last = loop {
        let answer = said(&gw, "/v1/messages", "sk-two", &ask()).await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < 50);
    };
    // Each costs a dollar a token of its answer.
    let usage = up.seen().len();
    assert_eq!(usage, answered);
    assert!(answered > 1, "{}", last.text());
    assert_eq!(last.status, 429);
    assert_eq!(last.header("x-should-retry"), "false");
    assert!(
        last.text().contains("budget of this day"),
        "{}",
        last.text()
    );
    assert_eq!(
        said(&gw, "/v1/messages", "sk-free", &ask()).await.status,
        200
    );
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_probes_are_not() {
    let up = Upstream::start().await;
    let extra = "[server]\nmax_in_flight = 1\n[cache]\nenabled = false\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let hang = json!({"model": "a:hang-x", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let kind = [("content-type", "application/json")];
    let req = gw.request(Method::POST, "/v1/messages", &kind, hang.to_string());
    let mut held = gw.send(req).await.into_body();
    held.frame().await.unwrap().unwrap();
    let answer = gw.messages(&ask()).await;
    assert_eq!(answer.status.as_u16(), 529);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.json()["error"]["type"], "overloaded_error");
    assert_eq!(gw.chat(&ask()).await.status, 503);
    assert_eq!(gw.call(Method::GET, "/", &[], "").await.status, 200);
    drop(held);
    let end = Instant::now() + Duration::from_secs(5);
    while gw.messages(&ask()).await.status != 200 {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_wherever_it_is() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "[cache]\nenabled = false\n")).await;
    let hang = json!({"model": "a:hang-x", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let with = |ms: &'static str| {
        [
            ("content-type", "application/json"),
            ("x-tierway-deadline-ms", ms),
        ]
    };
    let started = Instant::now();
    let answer = gw
        .call(Method::POST, "/v1/messages", &with("300"), hang.to_string())
        .await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.events().last().unwrap()["error"]["type"],
        "timeout_error"
    );
    let end = Instant::now() + Duration::from_secs(5);
    while up.open_streams() > 0 {
        assert!(Instant::now() < end, "hung up on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = gw
        .call(
            Method::POST,
            "/v1/messages",
            &with("soon"),
            hang.to_string(),
        )
        .await;
    assert_eq!(answer.status, 400);
    // What cannot be in time is not asked again: the pause would be too long.
    let slow = json!({"model": "a:e503-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let before = up.seen().len();
    let answer = gw
        .call(Method::POST, "/v1/messages", &with("100"), slow.to_string())
        .await;
    assert_eq!((answer.status.as_u16(), up.seen().len() - before), (503, 1));
}

#[tokio::test]
async fn too_many_messages_are_refused() {
    let up = Upstream::start().await;
    let extra = "[server]\nmax_messages = 3\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let mut body = ask();
    body["messages"] = vec![json!({"role": "user", "content": "hi"}); 3].into();
    assert_eq!(gw.messages(&body).await.status, 200);
    body["messages"] = vec![json!({"role": "user", "content": "hi"}); 4].into();
    let answer = gw.messages(&body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("more than 3"), "{}", answer.text());
}

/// What the gateway says to these bytes until it hangs up, and after how long.
async fn raw(gw: &Gateway, bytes: &[u8]) -> (String, Duration) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(gw.address).await.unwrap();
    // A large head may be refused before all of it was sent.
    let _ = stream.write_all(bytes).await;
    let mut told = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut told));
    let _ = read.await.expect("an end");
    (
        String::from_utf8_lossy(&told).into_owned(),
        started.elapsed(),
    )
}

#[tokio::test]
async fn nobody_holds_a_connection_with_a_slow_or_endless_request() {
    let up = Upstream::start().await;
    let extra =
        "[server]\nhead_timeout = \"300ms\"\nbody_timeout = \"300ms\"\nmax_head = \"8KiB\"\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let (_, took) = raw(&gw, b"POST /v1/messages HTTP/1.1\r\nhost: g\r\n").await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let (told, took) = raw(&gw, b"POST /v1/messages HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 99\r\n\r\n{").await;
    assert!(
        told.starts_with("HTTP/1.1 408") && took < Duration::from_secs(3),
        "{told} {took:?}"
    );
    let (told, _) = raw(
        &gw,
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-long: {}\r\n\r\n",
            "x".repeat(32 << 10)
        )
        .as_bytes(),
    )
    .await;
    assert!(
        told.starts_with("HTTP/1.1 431") || told.is_empty(),
        "{told}"
    );
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let (told, _) = raw(
        &gw,
        format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\n{many}\r\n").as_bytes(),
    )
    .await;
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
    let packed = b"POST /v1/messages HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc";
    let (told, _) = raw(&gw, packed).await;
    assert!(told.starts_with("HTTP/1.1 415"), "{told}");
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let up = Upstream::start().await;
    let extra = "[server]\nmax_connections_per_ip = 2\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(gw.address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: g\r\n\r\n")
            .await
            .unwrap();
        let mut told = [0; 12];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 200");
        held.push(stream);
    }
    let (told, _) = raw(&gw, b"GET / HTTP/1.1\r\nhost: g\r\n\r\n").await;
    assert_eq!(told, "");
    held.clear();
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let (told, _) = raw(
            &gw,
            b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n",
        )
        .await;
        if told.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn peers_share_a_tiers_calls_and_conversations_stay() {
    let up = Upstream::start().await;
    let extra =
        "[cache]\nenabled = false\n[affinity]\nenabled = false\n[balance]\ntiers = [\"complex\"]\n";
    let toml = two_formats(&up, extra).replace(
        "\"a:text-big\"",
        r#"["a:text-one", "o:text-two", "a:text-three"]"#,
    );
    let gw = Gateway::start(&toml).await;
    let ask = json!({"model": "tierway/complex", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let mut models = std::collections::BTreeSet::new();
    for n in 0..30 {
        let session = format!("s{}", n % 15);
        let headers = [
            ("content-type", "application/json"),
            ("x-session-id", &*session),
        ];
        let answer = gw
            .call(Method::POST, "/v1/messages", &headers, ask.to_string())
            .await;
        assert_eq!(answer.header("x-tierway-fallback"), "");
        models.insert((session, answer.header("x-tierway-model").to_owned()));
    }
    assert_eq!(models.len(), 15, "{models:?}");
    let distinct: std::collections::BTreeSet<_> = models.iter().map(|(_, model)| model).collect();
    assert_eq!(distinct.len(), 3);
}

#[tokio::test]
async fn a_caller_who_reads_nothing_is_hung_up_on() {
    let up = Upstream::start().await;
    let extra = "[server]\nwrite_timeout = \"300ms\"\n[cache]\nenabled = false\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let mut stream = TcpStream::connect(gw.address).await.unwrap();
    let ask = json!({"model": "a:flood-x", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ask}",
        ask.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut some = [0; 64];
    stream.read_exact(&mut some).await.unwrap();
    assert_eq!(up.open_streams(), 1);
    // Nothing is read from here on: what the kernel holds fills up, and then time runs.
    let end = Instant::now() + Duration::from_secs(20);
    while up.open_streams() > 0 {
        assert!(Instant::now() < end, "the provider is still read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stream);
}

#[tokio::test]
async fn answers_events_and_nesting_have_their_bounds() {
    let up = Upstream::start().await;
    let extra = "[server]\nmax_answer = \"100B\"\nmax_event = \"1MiB\"\nmax_depth = 6\n[retry]\nmax = 0\n[cache]\nenabled = false\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let answer = gw.messages(&ask()).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(answer.json()["type"], "error");
    let mut streamed = ask();
    streamed["stream"] = true.into();
    streamed["model"] = "a:wide-x".into();
    let answer = gw.messages(&streamed).await;
    assert!(answer.bytes.len() < 1 << 20, "{}", answer.bytes.len());
    assert_eq!(answer.events().pop().unwrap()["type"], "error");
    let mut deep = ask();
    deep["metadata"] = json!({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}});
    for (answer, kind) in [
        (gw.messages(&deep).await, "invalid_request_error"),
        (gw.chat(&deep).await, "invalid_request_error"),
    ] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["type"], kind);
        assert!(answer.text().contains("deeper than 6"), "{}", answer.text());
    }
}
