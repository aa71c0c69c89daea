//! What can go wrong, and what the caller is told of it.
use super::*;
use crate::upstream::{Act, json, response};
use std::{error::Error as _, time::Duration};
use tierway_services::{
    chat::{AttemptEnd, Refusal},
    dispatch::Cause,
    providers::Timeouts,
};
use tokio::net::TcpListener;

const LIMITS: &str =
    r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down","x":1.0}}"#;

#[tokio::test]
async fn an_error_in_the_callers_dialect_passes_as_it_is() {
    let upstream = Upstream::saying(response(
        429,
        "application/json",
        "retry-after: 7\r\n",
        LIMITS,
    ))
    .await;
    let dispatch = dispatch(provider(Kind::AnthropicCompatible, &upstream));
    let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!((told.status, &*told.body), (429, LIMITS));
    assert_eq!(told.headers["retry-after"], "7");
    assert_eq!(told.headers["x-tierway-provider"], "p");
    let attempt = told.attempt();
    assert_eq!(
        (attempt.end, attempt.usage),
        (AttemptEnd::Status(429), None)
    );
}

#[tokio::test]
async fn an_error_in_another_dialect_is_put_into_the_callers() {
    let upstream = Upstream::saying(response(
        529,
        "application/json",
        "retry-after: 7\r\n",
        LIMITS,
    ))
    .await;
    let dispatch = dispatch(provider(Kind::AnthropicCompatible, &upstream));
    let told = ask("/v1/chat/completions", CHAT_STREAM)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!((told.status, told.stream), (529, false));
    assert_eq!(told.json()["error"]["message"], "slow down");
    assert_eq!(told.headers["retry-after"], "7");
    assert_eq!(told.headers["content-type"], "application/json");
}

#[tokio::test]
async fn an_error_that_no_sdk_could_read_is_put_into_words() {
    for (status, kind, body, expected) in [
        (502, "text/html", "<html><title>Bad</title></html>", "Bad"),
        (500, "text/plain", "oops", "oops"),
        (503, "application/json", "", "without a word"),
        (
            404,
            "application/json",
            r#"{"error":"model 'm' not found"}"#,
            "model 'm' not found",
        ),
    ] {
        let upstream = Upstream::saying(response(status, kind, "", body)).await;
        let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
        let told = ask("/v1/chat/completions", CHAT)
            .send(&dispatch)
            .await
            .unwrap();
        assert_eq!(told.status, status);
        let message = told.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{message}");
        assert_eq!(told.attempt().end, AttemptEnd::Status(status));
    }
}

#[tokio::test]
async fn our_key_is_cut_out_of_what_comes_back() {
    let body = r#"{"error":{"message":"Incorrect API key: sk-ours-1234567","type":"x"}}"#;
    let upstream = Upstream::saying(json(401, body)).await;
    let key = tierway_services::providers::Secret::new("sk-ours-1234567");
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream).api_key(key));
    for (path, body) in [("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGES)] {
        let told = ask(path, body).send(&dispatch).await.unwrap();
        assert_eq!(told.status, 401, "{}", told.body);
        assert!(
            told.body.contains("Incorrect API key: ***"),
            "{}",
            told.body
        );
    }
}

/// The error of a call to `provider`, its journal's line checked.
async fn failure(provider: Provider) -> DispatchError {
    let asked = ask("/v1/chat/completions", CHAT);
    let journal = asked.journal.clone();
    let error = asked.send(&dispatch(provider)).await.unwrap_err();
    let attempts = journal.read(|e| e.attempts.clone());
    assert_eq!((attempts.len(), attempts[0].end), (1, AttemptEnd::Failed));
    let refusal = error.source().unwrap().downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.message(), error.to_string());
    assert_eq!(error.provider(), "p");
    error
}

#[tokio::test]
async fn a_provider_that_is_down() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let error = failure(
        Provider::new("p", Kind::OpenAiCompatible)
            .base_url(&url)
            .unwrap(),
    )
    .await;
    assert_eq!(error.cause(), Cause::Unreachable);
    assert_eq!(
        error.to_string(),
        "provider p could not be reached: connection refused"
    );
    assert_eq!(error.refusal().status(Dialect::Messages), 502);
}

#[tokio::test]
async fn a_provider_that_is_silent() {
    let limits = Timeouts {
        first_byte: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let upstream = Upstream::start(|_| vec![Act::Hang]).await;
    let error = failure(provider(Kind::OpenAiCompatible, &upstream).timeouts(limits)).await;
    assert_eq!(error.cause(), Cause::FirstByteTimeout);
    assert_eq!(
        error.to_string(),
        "provider p timed out: no answer after 50 ms"
    );
    assert_eq!(error.refusal().status(Dialect::Messages), 504);
    upstream.hung_up().await;
}

#[tokio::test]
async fn a_whole_answer_that_stops_half_way() {
    let limits = Timeouts {
        idle: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let half =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"id\":";
    let upstream = Upstream::start(move |_| vec![Act::Send(half.into()), Act::Hang]).await;
    let error = failure(provider(Kind::OpenAiCompatible, &upstream).timeouts(limits)).await;
    assert_eq!(error.cause(), Cause::IdleTimeout);
    let upstream = Upstream::start(move |_| vec![Act::Send(half.into()), Act::Close]).await;
    let error = failure(provider(Kind::OpenAiCompatible, &upstream)).await;
    assert_eq!(error.cause(), Cause::Cut);
}

#[tokio::test]
async fn connecting_has_a_limit_that_covers_tls() {
    // It accepts, and never says a word of TLS.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    let limits = Timeouts {
        connect: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let provider = Provider::new("p", Kind::OpenAiCompatible)
        .base_url(&url)
        .unwrap();
    let error = failure(provider.timeouts(limits)).await;
    assert_eq!(error.cause(), Cause::ConnectTimeout);
    assert_eq!(
        error.to_string(),
        "provider p timed out: no connection after 50 ms"
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let url = upstream.url.replace("http://", "https://");
    let provider = Provider::new("p", Kind::OpenAiCompatible)
        .base_url(&url)
        .unwrap();
    let limits = Timeouts {
        connect: Duration::from_secs(1),
        ..Timeouts::default()
    };
    let error = failure(provider.timeouts(limits)).await;
    assert!(
        matches!(error.cause(), Cause::Unreachable | Cause::ConnectTimeout),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_are_none() {
    for (said, expected) in [
        (
            response(200, "text/html", "", "<html>"),
            "provider p answered with text/html, not with JSON",
        ),
        (
            response(200, "application/json", "content-encoding: gzip\r\n", "x"),
            "provider p answered in \"gzip\", though it was asked not to compress",
        ),
        (
            response(301, "text/html", "location: https://elsewhere\r\n", ""),
            "provider p answered 301 Moved Permanently: is its base_url right?",
        ),
        (
            response(204, "application/json", "", ""),
            "provider p gave an answer that cannot be read",
        ),
        (
            "nonsense\r\n\r\n".into(),
            "provider p broke the connection before it answered: ",
        ),
    ] {
        let upstream = Upstream::saying(said).await;
        let provider = provider(Kind::OpenAiCompatible, &upstream);
        let asked = ask("/v1/messages", MESSAGES);
        let error = asked.send(&dispatch(provider)).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_dead_pooled_connection_is_replaced() {
    let upstream = Upstream::start(|_| vec![Act::Send(json(200, COMPLETION)), Act::Close]).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for time in 1..=3 {
        let told = ask("/v1/chat/completions", CHAT)
            .send(&dispatch)
            .await
            .unwrap();
        assert_eq!(told.status, 200);
        upstream.hung_up_times(time).await;
        // One turn of the reactor tells the pool.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((upstream.connections(), upstream.seen().len()), (3, 3));
}

#[tokio::test]
async fn a_live_pooled_connection_is_used_again() {
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for _ in 0..3 {
        ask("/v1/chat/completions", CHAT)
            .send(&dispatch)
            .await
            .unwrap();
    }
    assert_eq!((upstream.connections(), upstream.seen().len()), (1, 3));
}

#[tokio::test]
async fn the_leaf_sends_nothing_twice_and_tells_who_may() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let upstream = Upstream::start(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            vec![Act::Send(json(200, COMPLETION))]
        } else {
            vec![Act::Close]
        }
    })
    .await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap();
    let error = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap_err();
    // Whoever stands above may ask on a fresh connection.
    assert_eq!(error.cause(), Cause::Stale);
    assert_eq!(
        error.to_string(),
        "provider p broke the connection before it answered: connection closed"
    );
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn an_error_in_a_successs_clothes() {
    let body = r#"{"error":{"message":"no credit","code":402}}"#;
    let upstream = Upstream::saying(json(200, body)).await;
    let dispatch = dispatch(provider(Kind::OpenRouter, &upstream));
    let told = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(told.status, 402, "{}", told.body);
    assert_eq!(told.json()["error"]["message"], "no credit");
    assert_eq!(told.attempt().end, AttemptEnd::Status(402));
}

#[tokio::test]
async fn a_provider_without_an_address() {
    let dispatch = dispatch(Provider::new("p", Kind::OpenAiCompatible));
    let error = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::Misconfigured);
    assert!(error.to_string().contains("base_url"), "{error}");
}
