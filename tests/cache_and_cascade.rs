//! The prompt cache and the cascade, as a caller and a bill see them.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};

const KEYS: &str = "[[keys]]\nkey = \"k-a\"\ntenant = \"a\"\n[[keys]]\nkey = \"k-b\"\ntenant = \"b\"\n[cache]\nenabled = true\n";

fn ask(text: &str, extra: Value) -> Value {
    let mut ask = json!({"model": "o:text-x", "max_tokens": 50, "temperature": 0, "messages": [{"role": "user", "content": text}]});
    for (key, value) in extra.as_object().unwrap() {
        ask[key] = value.clone();
    }
    ask
}

async fn as_tenant(gw: &Gateway, path: &str, key: &str, body: &Value) -> crate::support::Answer {
    gw.call(Method::POST, path, &[("x-api-key", key)], body.to_string())
        .await
}

#[tokio::test]
async fn a_hit_is_the_same_answer_and_costs_no_call() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let before = up.seen().len();
        let miss = as_tenant(&gw, path, "k-a", &ask(path, json!({}))).await;
        let hit = as_tenant(&gw, path, "k-a", &ask(path, json!({}))).await;
        assert_eq!(
            (
                miss.header("x-tierway-cache"),
                hit.header("x-tierway-cache")
            ),
            ("miss", "hit")
        );
        assert_eq!(miss.bytes, hit.bytes);
        assert_eq!(hit.header("x-tierway-model"), "text-x");
        assert!(!hit.header("age").is_empty());
        assert_eq!(up.seen().len() - before, 1);
    }
}

#[tokio::test]
async fn a_hit_is_replayed_in_the_form_asked_for() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    let whole = as_tenant(&gw, "/v1/messages", "k-a", &ask("form", json!({}))).await;
    let streamed = as_tenant(
        &gw,
        "/v1/messages",
        "k-a",
        &ask("form", json!({"stream": true})),
    )
    .await;
    assert_eq!(streamed.header("x-tierway-cache"), "hit");
    let text: String = streamed
        .events()
        .iter()
        .filter_map(|e| e["delta"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(whole.json()["content"][0]["text"], text);
    assert_eq!(streamed.events().last().unwrap()["type"], "message_stop");

    let first = as_tenant(
        &gw,
        "/v1/chat/completions",
        "k-a",
        &ask("form2", json!({"stream": true})),
    )
    .await;
    assert_eq!(first.header("x-tierway-cache"), "miss");
    let whole = as_tenant(&gw, "/v1/chat/completions", "k-a", &ask("form2", json!({}))).await;
    assert_eq!(whole.header("x-tierway-cache"), "hit");
    assert_eq!(
        whole.json()["choices"][0]["message"]["content"],
        "Paris is the capital of France."
    );
}

#[tokio::test]
async fn what_differs_misses_and_what_is_unsafe_is_bypassed() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    let path = "/v1/chat/completions";
    as_tenant(&gw, path, "k-a", &ask("x", json!({}))).await;
    for extra in [
        json!({"max_tokens": 51}),
        json!({"stop": ["x"]}),
        json!({"seed": 1}),
        json!({"x_unknown": 1}),
        json!({"model": "o:text-y"}),
    ] {
        assert_eq!(
            as_tenant(&gw, path, "k-a", &ask("x", extra.clone()))
                .await
                .header("x-tierway-cache"),
            "miss",
            "{extra}"
        );
    }
    assert_eq!(
        as_tenant(&gw, path, "k-b", &ask("x", json!({})))
            .await
            .header("x-tierway-cache"),
        "miss",
        "another tenant"
    );
    for extra in [
        json!({"temperature": 0.7}),
        json!({"temperature": null}),
        json!({"n": 2}),
    ] {
        assert_eq!(
            as_tenant(&gw, path, "k-a", &ask("x", extra.clone()))
                .await
                .header("x-tierway-cache"),
            "bypass",
            "{extra}"
        );
    }
    let no_store = [("x-api-key", "k-a"), ("cache-control", "no-store")];
    let res = gw
        .call(
            Method::POST,
            path,
            &no_store,
            ask("x", json!({})).to_string(),
        )
        .await;
    assert_eq!(res.header("x-tierway-cache"), "bypass");
}

#[tokio::test]
async fn what_failed_or_broke_is_not_stored() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, KEYS)).await;
    for model in ["o:e500-x", "o:cutoff-x", "o:midfail-x"] {
        let body = ask("f", json!({"model": model, "stream": true}));
        for _ in 0..2 {
            assert_ne!(
                as_tenant(&gw, "/v1/chat/completions", "k-a", &body)
                    .await
                    .header("x-tierway-cache"),
                "hit",
                "{model}"
            );
        }
    }
}

fn cascade(up: &Upstream, small: &str) -> String {
    let extra = format!(
        "[cascade]\nenabled = true\ntiers = [\"medium\", \"complex\", \"reasoning\"]\nsmall = \"o:{small}\"\nstay_big = 0\n"
    );
    two_formats(up, &extra)
}

fn hard() -> Value {
    json!({"model": "tierway/complex", "max_tokens": 100, "messages": [{"role": "user", "content": "What is the capital of France?"}]})
}

#[tokio::test]
async fn a_good_draft_is_kept() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&cascade(&up, "text-draft")).await;
    let res = gw.messages(&hard()).await;
    assert!(
        res.header("x-tierway-cascade").starts_with("accepted"),
        "{:?}",
        res.headers
    );
    assert_eq!(
        (res.header("x-tierway-model"), res.header("x-tierway-tier")),
        ("text-draft", "complex")
    );
    assert_eq!(up.seen().len(), 1);
}

#[tokio::test]
async fn a_bad_draft_is_deferred_and_never_seen() {
    let up = Upstream::start().await;
    for (small, reason) in [
        ("refuse-x", "refusal"),
        ("empty-x", "empty"),
        ("e500-x", "small_failed"),
        ("e429-x", "small_failed"),
    ] {
        let gw = Gateway::start(&cascade(&up, small)).await;
        for path in ["/v1/messages", "/v1/chat/completions"] {
            let before = up.seen().len();
            let res = gw.post(path, &hard()).await;
            assert_eq!(res.status, 200);
            let told = res.header("x-tierway-cascade");
            assert!(
                told.starts_with("deferred") && told.contains(reason),
                "{small}: {told}"
            );
            assert_eq!(
                (
                    res.header("x-tierway-provider"),
                    res.header("x-tierway-model")
                ),
                ("a", "text-big")
            );
            assert!(res.text().contains("Paris") && !res.text().contains("sorry"));
            assert_eq!(up.seen().len() - before, 2);
        }
    }
}

#[tokio::test]
async fn streams_tools_and_named_models_are_left_alone() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&cascade(&up, "text-draft")).await;
    let mut stream = hard();
    stream["stream"] = true.into();
    let mut tools = hard();
    tools["tools"] = json!([{"name": "t", "input_schema": {"type": "object"}}]);
    let mut named = hard();
    named["model"] = "a:text-big".into();
    let mut simple = hard();
    simple["model"] = "tierway/simple".into();
    for ask in [stream, tools, named, simple] {
        let res = gw.messages(&ask).await;
        assert!(
            res.header("x-tierway-cascade")
                .starts_with("skipped; reason="),
            "{ask}: {:?}",
            res.headers
        );
    }
}
