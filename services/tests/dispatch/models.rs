//! The merged list of models, and looking for local servers.
use super::*;
use crate::upstream::{Act, json, response};
use tierway_services::{dispatch::probe, providers::Secret};

#[tokio::test]
async fn lists_are_merged_and_kept_and_none_spoils_the_rest() {
    let a = Upstream::saying(json(
        200,
        r#"{"object":"list","data":[{"id":"gpt-x","created":5,"owned_by":"me"},{"id":"b"}]}"#,
    ))
    .await;
    let b = Upstream::saying(json(200, r#"{"data":[{"type":"model","id":"claude-x","display_name":"Claude X","created_at":"2025-01-01T00:00:00Z"}],"has_more":false}"#)).await;
    let broken = Upstream::saying(response(500, "text/html", "", "<html>")).await;
    let named = |name: &str, kind, upstream: &Upstream| {
        Provider::new(name, kind)
            .base_url(&upstream.url)
            .unwrap()
            .api_key(Secret::new("k"))
    };
    let dispatch = Dispatch::new(
        [
            named("a", Kind::OpenAi, &a),
            named("broken", Kind::OpenAi, &broken),
            Provider::new("down", Kind::Ollama)
                .base_url("http://127.0.0.1:1")
                .unwrap(),
            named("b", Kind::Anthropic, &b),
        ],
        Client::new(),
    );
    for _ in 0..2 {
        let models = dispatch.models().await;
        let targets: Vec<String> = models.iter().map(|m| m.target.to_string()).collect();
        assert_eq!(targets, ["a:gpt-x", "a:b", "b:claude-x"]);
        assert_eq!(
            (models[0].created, models[0].owned_by.as_deref()),
            (Some(5), Some("me"))
        );
        assert_eq!(models[2].display_name.as_deref(), Some("Claude X"));
    }
    assert_eq!(
        (a.seen().len(), b.seen().len(), broken.seen().len()),
        (1, 1, 1)
    );
    let seen = b.last();
    assert_eq!(
        (&*seen.method, &*seen.path),
        ("GET", "/v1/models?limit=1000")
    );
    assert_eq!(seen.header("x-api-key"), Some("k"));
    assert_eq!(a.last().header("authorization"), Some("Bearer k"));
}

#[tokio::test]
async fn a_local_server_is_known_by_its_list() {
    let client = Client::new();
    let up = Upstream::saying(json(
        200,
        r#"{"object":"list","data":[{"id":"qwen2.5:3b"}]}"#,
    ))
    .await;
    assert_eq!(
        probe(&client, Kind::Ollama, &up.url).await.unwrap(),
        ["qwen2.5:3b"]
    );
    let empty = Upstream::saying(json(200, r#"{"data":[]}"#)).await;
    assert_eq!(probe(&client, Kind::Ollama, &empty.url).await, Some(vec![]));
    for other in [
        Upstream::saying(response(200, "text/html", "", "<html>")).await,
        Upstream::saying(json(404, "{}")).await,
        Upstream::start(|_| vec![Act::Hang]).await,
    ] {
        assert_eq!(probe(&client, Kind::LlamaCpp, &other.url).await, None);
    }
    assert_eq!(
        probe(&client, Kind::LmStudio, "http://127.0.0.1:1").await,
        None
    );
}
