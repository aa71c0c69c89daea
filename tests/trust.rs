//! What reaches whom: keys that a program tells, addresses that nobody configured, images that nobody fetches.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::json;
use std::{fs, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn ask(model: &str) -> serde_json::Value {
    json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]})
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_tells_the_key_and_is_asked_again_when_it_is_refused() {
    let up = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (key, count) = (folder.path().join("key"), folder.path().join("count"));
    fs::write(&key, "sk-told-one\n").unwrap();
    let script = format!("echo x >> {}; cat {}", count.display(), key.display());
    let own = format!("api_key_command = [\"sh\", \"-c\", \"{script}\"]");
    let toml = two_formats(&up, "[retry]\nmax = 0\n[cache]\nenabled = false\n");
    let gw = Gateway::start(&toml.replace("api_key = \"sk-up-anthropic\"", &own)).await;
    let asked = || {
        fs::read_to_string(&count)
            .unwrap_or_default()
            .lines()
            .count()
    };
    for _ in 0..3 {
        assert_eq!(gw.messages(&ask("a:text-x")).await.status, 200);
    }
    assert_eq!(up.last().headers["x-api-key"], "sk-told-one");
    assert_eq!(asked(), 1, "it is kept while it is good");
    fs::write(&key, "sk-told-two\n").unwrap();
    assert_eq!(gw.messages(&ask("a:e401-x")).await.status, 401);
    assert_eq!(gw.messages(&ask("a:text-x")).await.status, 200);
    assert_eq!(up.last().headers["x-api-key"], "sk-told-two");
    assert_eq!(asked(), 2);
    fs::remove_file(&key).unwrap();
    assert_eq!(gw.messages(&ask("a:e401-x")).await.status, 401);
    let before = up.seen().len();
    let answer = gw.messages(&ask("a:text-x")).await;
    assert!(answer.status.is_server_error(), "{}", answer.text());
    assert!(!answer.text().contains("sk-told"), "{}", answer.text());
    assert_eq!(up.seen().len(), before, "nothing is sent without a key");
}

/// A listener that nobody should connect to; how many did.
async fn trap() -> (String, impl Fn() -> usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = std::sync::mpsc::channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
            let _ = sender.send(());
        }
    });
    let receiver = std::sync::Mutex::new(receiver);
    (address, move || receiver.lock().unwrap().try_iter().count())
}

#[tokio::test]
async fn images_are_never_fetched() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "[cache]\nenabled = false\n")).await;
    let (address, caught) = trap().await;
    let url = format!("http://{address}/image.png");
    // In each dialect, to a provider that speaks it and to one that does not.
    for model in ["a:text-x", "o:text-x"] {
        let messages = json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "what is it?"}, {"type": "image", "source": {"type": "url", "url": url}}]}]});
        gw.messages(&messages).await;
        let chat = json!({"model": model, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]}]});
        gw.chat(&chat).await;
        let responses = json!({"model": model, "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "what is it?"}, {"type": "input_image", "image_url": url}]}]});
        gw.post("/v1/responses", &responses).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(caught(), 0);
    assert!(!up.seen().is_empty(), "providers may fetch what they like");
}

#[tokio::test]
async fn nobody_is_called_who_is_not_configured() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "[cache]\nenabled = false\n")).await;
    let (address, caught) = trap().await;
    let body = ask("a:text-x").to_string();
    for head in [
        // A forward proxy would go there.
        format!("POST http://{address}/v1/messages HTTP/1.1\r\nhost: {address}\r\n"),
        format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n"),
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\nx-forwarded-host: {address}\r\nforwarded: host={address}\r\n"
        ),
    ] {
        let mut stream = TcpStream::connect(gw.address).await.unwrap();
        let kind = "content-type: application/json\r\nconnection: close\r\n";
        let request = format!("{head}{kind}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut told));
        let _ = read.await.expect("an end");
    }
    // Nor by the name of a model.
    for model in [
        format!("http://{address}/v1:m"),
        format!("a:../../{address}"),
        format!("{address}:m"),
    ] {
        gw.messages(&ask(&model)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(caught(), 0);
    for seen in up.seen() {
        let paths = ["/v1/messages", "/v1/chat/completions"];
        assert!(paths.contains(&&*seen.path), "{}", seen.path);
        assert!(
            !seen.headers.contains_key("x-forwarded-host")
                && !seen.headers.contains_key("forwarded")
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, caught) = trap().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let there = format!("http://{address}/v1/chat/completions");
    let service = tower::service_fn(move |_| {
        let res = http::Response::builder()
            .status(307)
            .header("location", &there);
        let res = res
            .body(http_body_util::Full::<bytes::Bytes>::default())
            .unwrap();
        async { Ok::<_, std::convert::Infallible>(res) }
    });
    let limits = tierway::server::Limits::default();
    tokio::spawn(tierway::server::serve(
        listener,
        service,
        limits,
        std::future::pending(),
    ));
    let toml = format!(
        "[retry]\nmax = 0\n[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://{upstream}/v1'\napi_key = 'sk-ours-123'\n"
    );
    let gw = Gateway::start(&toml).await;
    let kind = [("content-type", "application/json")];
    let answer = gw
        .call(
            Method::POST,
            "/v1/chat/completions",
            &kind,
            ask("p:m").to_string(),
        )
        .await;
    assert!(!answer.status.is_success(), "{}", answer.text());
    assert_eq!(answer.header("location"), "");
    assert_eq!(caught(), 0);
}
