//! Bad input gets the status and the error that the caller's SDK understands.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn malformed_and_mistyped_bodies() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let deep = format!(
        r#"{{"model":"a:x","messages":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for (body, word) in [
        ("", "not valid"),
        ("[]", "JSON object"),
        (r#"{"model": "#, "line 1"),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"a:x","messages":"hi"}"#, "messages"),
        (r#"{"model":"a:x","messages":[{"role":7}]}"#, "messages"),
        ("{\"model\":\"\u{0}\",\"messages\":[]}", "control character"),
        (&deep, "messages"),
    ] {
        let messages = gw
            .call(Method::POST, "/v1/messages", &[JSON], body.to_owned())
            .await;
        assert_eq!(messages.status, 400, "{body:.60}");
        assert_eq!(messages.json()["error"]["type"], "invalid_request_error");
        let chat = gw
            .call(
                Method::POST,
                "/v1/chat/completions",
                &[JSON],
                body.to_owned(),
            )
            .await;
        assert_eq!(chat.status, 400);
        assert!(
            chat.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains(word),
            "{body:.60}: {}",
            chat.text()
        );
    }
    let not_utf8 = gw
        .call(
            Method::POST,
            "/v1/messages",
            &[JSON],
            &b"{\"model\":\"\xff\",\"messages\":[]}"[..],
        )
        .await;
    assert_eq!(not_utf8.status, 400);
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn an_unknown_model_is_named_and_so_is_what_exists() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for model in ["llama-99", "nobody:m", ""] {
        let ask = json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
        let res = gw.messages(&ask).await;
        assert_eq!(
            (res.status.as_u16(), &res.json()["error"]["type"]),
            (404, &json!("not_found_error")),
            "{model}"
        );
        assert!(
            res.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("auto")
        );
        assert_eq!(gw.chat(&ask).await.status, 404);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&format!(
        "[server]\nmax_body = \"1KiB\"\n{}",
        two_formats(&up, "")
    ))
    .await;
    let big = json!({"model": "auto", "messages": [{"role": "user", "content": "x".repeat(2000)}]})
        .to_string();
    let res = gw
        .call(Method::POST, "/v1/messages", &[JSON], big.clone())
        .await;
    assert_eq!(
        (res.status.as_u16(), &res.json()["error"]["type"]),
        (413, &json!("request_too_large"))
    );
    assert!(
        res.text().contains("server.max_body") || res.text().contains("1"),
        "{}",
        res.text()
    );
    assert_eq!(
        gw.call(Method::POST, "/v1/chat/completions", &[JSON], big)
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn keys_missing_wrong_and_right() {
    let up = Upstream::start().await;
    let keys = "[[keys]]\nkey = \"sk-alice\"\ntenant = \"alice\"\n[[keys]]\nkey = \"sk-bob\"\ntenant = \"bob\"\n";
    let gw = Gateway::start(&two_formats(&up, keys)).await;
    let ask = json!({"model": "o:text-x", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    for headers in [
        vec![],
        vec![("x-api-key", "sk-eve")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "sk-alice")],
    ] {
        let res = gw
            .call(Method::POST, "/v1/messages", &headers, ask.clone())
            .await;
        assert_eq!(
            (res.status.as_u16(), &res.json()["error"]["type"]),
            (401, &json!("authentication_error")),
            "{headers:?}"
        );
        assert!(!res.text().contains("sk-"), "no key is echoed");
        let res = gw
            .call(Method::POST, "/v1/chat/completions", &headers, ask.clone())
            .await;
        assert_eq!(
            (res.status.as_u16(), &res.json()["error"]["code"]),
            (401, &json!("invalid_api_key"))
        );
        assert_eq!(
            gw.call(Method::GET, "/v1/models", &headers, "")
                .await
                .status,
            401
        );
    }
    for headers in [
        [("x-api-key", "sk-alice")],
        [("authorization", "Bearer sk-bob")],
        [("authorization", "bearer sk-bob")],
    ] {
        assert_eq!(
            gw.call(Method::POST, "/v1/messages", &headers, ask.clone())
                .await
                .status,
            200
        );
    }
    assert_eq!(
        gw.call(Method::HEAD, "/api/hello", &[], "").await.status,
        200,
        "probes need no key"
    );
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let res = gw.call(Method::POST, "/v1/nope", &[], "{}").await;
    assert_eq!(
        (
            res.status.as_u16(),
            res.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("/v1/messages")
        ),
        (404, true)
    );
    assert_eq!(
        gw.call(Method::GET, "/v1/messages", &[], "").await.status,
        405
    );
    assert_eq!(
        gw.call(Method::DELETE, "/v1/models", &[], "").await.status,
        405
    );
}

#[tokio::test]
async fn an_upstream_that_is_down_is_named_without_secrets() {
    // A port that was free a moment ago and that nobody listens on.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let gw = Gateway::start(&format!(
        "[providers.gone]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:{port}\"\napi_key = \"sk-secret\"\n\
         [tiers]\nsimple = \"gone:m\"\nmedium = \"gone:m\"\ncomplex = \"gone:m\"\nreasoning = \"gone:m\"\n"
    ))
    .await;
    let ask =
        json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    let res = gw.messages(&ask).await;
    assert_eq!(
        (res.status.as_u16(), &res.json()["error"]["type"]),
        (502, &json!("api_error"))
    );
    assert!(
        res.text().contains("gone") && !res.text().contains("sk-secret"),
        "{}",
        res.text()
    );
    assert_eq!(gw.chat(&ask).await.status, 502);
}
