//! What a caller and a provider of one dialect say to each other arrives unchanged.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::json;

/// Odd spacing, unknown fields, numbers as written, block order, signatures: all of it must arrive.
const ODD: &str = r#"{ "max_tokens": 10, "model" : "a:text-x", "temperature": 1.00, "x_future":{"b":1e3,"a":[1,  2]},
 "system":[{"type":"text","text":"be \u0062rief","cache_control":{"type":"ephemeral","ttl":"1h"}}],
 "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},
  {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2lnbmF0dXJl=="},{"type":"text","text":"x"}]},
  {"role":"system","content":"reminder"},{"role":"user","content":"go on"}]}"#;

// Cases 6, 27 and 30: unknown fields, signatures and `cache_control` with its `ttl`.
#[tokio::test]
async fn a_body_is_forwarded_byte_for_byte_but_for_the_model() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let res = gw
        .call(
            Method::POST,
            "/v1/messages?beta=true",
            &[("anthropic-beta", "one,two")],
            ODD,
        )
        .await;
    assert_eq!(res.status, 200);
    let seen = up.last();
    assert_eq!(seen.raw, ODD.replace("\"a:text-x\"", "\"text-x\""));
    assert_eq!(seen.path, "/v1/messages?beta=true");
    assert_eq!(seen.headers["anthropic-beta"], "one,two");
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
}

#[tokio::test]
async fn an_answer_is_forwarded_byte_for_byte() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for (path, model) in [
        ("/v1/messages", "a:tool-think-x"),
        ("/v1/chat/completions", "o:tool-think-x"),
    ] {
        for stream in [false, true] {
            let ask = json!({"model": model, "max_tokens": 9, "stream": stream, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": "hi"}]});
            let through = gw.post(path, &ask).await;
            let mut direct = ask.clone();
            direct["model"] = "tool-think-x".into();
            let to_upstream = gw.request(
                Method::POST,
                path,
                &[("content-type", "application/json")],
                direct.to_string(),
            );
            let (mut parts, body) = to_upstream.into_parts();
            parts.uri = format!("{}{path}", up.url()).parse().unwrap();
            let direct = gw.send(http::Request::from_parts(parts, body)).await;
            let direct = http_body_util::BodyExt::collect(direct.into_body())
                .await
                .unwrap()
                .to_bytes();
            assert_eq!(through.bytes, direct, "{path} stream={stream}");
        }
    }
}

#[tokio::test]
async fn no_credential_of_the_caller_goes_upstream() {
    let up = Upstream::start().await;
    let keys = "[[keys]]\nkey = \"sk-alice\"\ntenant = \"alice\"\n";
    let gw = Gateway::start(&two_formats(&up, keys)).await;
    let body = json!({"model": "a:text-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let headers = [
        ("x-api-key", "sk-alice"),
        ("authorization", "Bearer sk-alice"),
        ("cookie", "sid=secret"),
        ("x-secret", "s"),
    ];
    assert_eq!(
        gw.call(Method::POST, "/v1/messages", &headers, body)
            .await
            .status,
        200
    );
    let seen = up.last();
    assert_eq!(seen.headers["x-api-key"], "sk-up-anthropic");
    for absent in ["authorization", "cookie", "x-secret"] {
        assert!(!seen.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn every_surface_tells_who_answered() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for stream in [false, true] {
        let ask = json!({"model": "auto", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        for path in ["/v1/messages", "/v1/chat/completions"] {
            let res = gw.post(path, &ask).await;
            assert_eq!(res.header("x-tierway-tier"), "simple");
            assert_eq!(res.header("x-tierway-provider"), "o");
            assert_eq!(res.header("x-tierway-model"), "text-small");
            assert_eq!(res.header("x-tierway-cache"), "bypass");
            assert!(
                res.header("x-tierway-cascade").starts_with("off"),
                "{:?}",
                res.headers
            );
            assert!(!res.header("x-request-id").is_empty());
        }
    }
}

// Cases 35 and 36.
#[tokio::test]
async fn an_upstreams_limits_and_ids_reach_the_caller() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let ask = json!({"model": "a:e429-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let res = gw.messages(&ask).await;
    assert_eq!((res.status.as_u16(), res.header("retry-after")), (429, "7"));
    assert_eq!(res.header("anthropic-ratelimit-requests-remaining"), "0");
    assert_eq!(res.header("request-id"), "req_upstream");
    assert_eq!(res.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn lists_and_probes() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::HEAD, "/"),
        (Method::HEAD, "/api/hello"),
    ] {
        assert_eq!(gw.call(method, path, &[], "").await.status, 200, "{path}");
    }
    let openai = gw.call(Method::GET, "/v1/models", &[], "").await.json();
    assert_eq!(openai["object"], "list");
    let ids: Vec<_> = openai["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap().to_owned())
        .collect();
    for id in ["auto", "tierway/complex", "a:text-big", "o:scripted"] {
        assert!(ids.iter().any(|i| i == id), "{id} in {ids:?}");
    }
    let anthropic = gw
        .call(
            Method::GET,
            "/v1/models?limit=1000",
            &[("anthropic-version", "2023-06-01")],
            "",
        )
        .await
        .json();
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(
        gw.call(Method::GET, "/v1/models/auto", &[], "")
            .await
            .json()["id"],
        "auto"
    );
    assert_eq!(
        gw.call(Method::GET, "/v1/models/nope", &[], "")
            .await
            .status,
        404
    );
}

// Cases 10 and 12.
#[tokio::test]
async fn tokens_are_counted_by_the_upstream_or_by_a_real_tokenizer() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let ask = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hello there, how are you?"}]});
    assert_eq!(
        gw.post("/v1/messages/count_tokens", &ask("a:text-x"))
            .await
            .json()["input_tokens"],
        42
    );
    let alone = gw
        .post("/v1/messages/count_tokens", &ask("o:text-x"))
        .await
        .json()["input_tokens"]
        .as_u64()
        .unwrap();
    let mut with_tool = ask("o:text-x");
    with_tool["tools"] = json!([{"name": "bash", "description": "Runs a command.", "input_schema": {"type": "object"}}]);
    let with_tool = gw
        .post("/v1/messages/count_tokens", &with_tool)
        .await
        .json()["input_tokens"]
        .as_u64()
        .unwrap();
    assert!(
        (6..20).contains(&alone) && with_tool > alone + 8,
        "{alone} {with_tool}"
    );
}
