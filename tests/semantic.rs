//! A question in other words is answered from the cache, and only that.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::json;

const SETTINGS: &str = r#"
[[keys]]
key = "k-a"
tenant = "a"
[[keys]]
key = "k-b"
tenant = "b"
[semantic_cache]
enabled = true
embeddings = "o:text-embed"
"#;

#[tokio::test]
async fn other_words_for_the_same_question_cost_no_model() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, SETTINGS)).await;
    let ask = async |key: &str, path: &str, text: &str, stream: bool| {
        let body = json!({"model": "o:text-x", "max_tokens": 50, "temperature": 0, "stream": stream,
            "messages": [{"role": "user", "content": text}]});
        gw.call(Method::POST, path, &[("x-api-key", key)], body.to_string())
            .await
    };
    let count = |path: &str| up.seen().iter().filter(|s| s.path == path).count();
    let chat = "/v1/chat/completions";
    // To the scripted upstream all texts have one vector, so that words alone tell them apart.
    for (key, text, stream, says) in [
        ("k-a", "What is the capital of France?", false, "miss"),
        (
            "k-a",
            "Tell me the capital of France, please",
            false,
            "semantic; similarity=1.000",
        ),
        (
            "k-a",
            "what's France's capital",
            true,
            "semantic; similarity=1.000",
        ),
        ("k-a", "What is the capital of France?", false, "hit"),
        ("k-a", "What is the capital of Germany?", false, "miss"),
        ("k-a", "What was the capital of France?", false, "miss"),
        (
            "k-b",
            "Tell me the capital of France, please",
            false,
            "miss",
        ),
    ] {
        let res = ask(key, chat, text, stream).await;
        assert_eq!(
            (res.status.as_u16(), res.header("x-tierway-cache")),
            (200, says),
            "{text}"
        );
        assert_eq!(res.header("x-tierway-model"), "text-x", "{text}");
    }
    assert_eq!(count(chat), 4);
    assert_eq!(count("/v1/embeddings"), 6);
    // What is plain is the same in every dialect, to this cache as to the exact one.
    let res = ask("k-a", "/v1/messages", "the capital of France?", false).await;
    assert_eq!(res.header("x-tierway-cache"), "semantic; similarity=1.000");
    assert_eq!(res.json()["type"], "message");
}

#[tokio::test]
async fn without_vectors_the_gateway_goes_on() {
    let up = Upstream::start().await;
    let extra = "[semantic_cache]\nenabled = true\nembeddings = \"a:text-embed\"\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    let ask = json!({"model": "o:text-x", "temperature": 0, "messages": [{"role": "user", "content": "hello there"}]});
    for says in ["miss", "hit"] {
        let res = gw.chat(&ask).await;
        assert_eq!(
            (res.status.as_u16(), res.header("x-tierway-cache")),
            (200, says)
        );
    }
}
