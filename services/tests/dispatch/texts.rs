//! Embeddings and legacy completions: they pass as they are, or are refused.
use super::*;
use crate::upstream::{Act, END, chunk, head, json, stream};
use tierway_services::chat::{AttemptEnd, Usage};

const EMBED: &str = r#"{"input":["a", "b"], "model":"auto","encoding_format":"base64","x":1.50}"#;
const VECTORS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
const COMPLETE: &str = r#"{"model":"auto","prompt":"Once upon","max_tokens":7}"#;
const COMPLETED: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"g","choices":[{"text":" a time","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}}"#;

const FORMAT: [Kind; 6] = [
    Kind::OpenAi,
    Kind::OpenRouter,
    Kind::Ollama,
    Kind::LlamaCpp,
    Kind::LmStudio,
    Kind::OpenAiCompatible,
];

#[tokio::test]
async fn embeddings_pass_byte_for_byte_but_for_the_model() {
    for kind in FORMAT {
        let upstream = Upstream::saying(json(200, VECTORS)).await;
        let told = ask("/v1/embeddings", EMBED)
            .send(&dispatch(provider(kind, &upstream)))
            .await
            .unwrap();
        assert_eq!((told.status, &*told.body), (200, VECTORS), "{kind}");
        let seen = upstream.last();
        assert_eq!(seen.path, "/v1/embeddings");
        assert_eq!(seen.body, EMBED.replace("\"auto\"", "\"m\""));
        let usage = Usage {
            input: 4,
            ..Usage::default()
        };
        let attempt = told.attempt();
        assert_eq!((attempt.usage, attempt.estimated), (Some(usage), false));
    }
}

#[tokio::test]
async fn completions_pass_whole() {
    for kind in FORMAT {
        let upstream = Upstream::saying(json(200, COMPLETED)).await;
        let told = ask("/v1/completions", COMPLETE)
            .send(&dispatch(provider(kind, &upstream)))
            .await
            .unwrap();
        assert_eq!(told.body, COMPLETED, "{kind}");
        assert_eq!(upstream.last().path, "/v1/completions");
        assert_eq!(
            told.attempt().usage.map(|u| (u.input, u.output)),
            Some((2, 2))
        );
    }
}

#[tokio::test]
async fn completions_stream_and_the_usage_that_we_asked_for_is_ours() {
    const EVENTS: [&str; 4] = [
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"text\":\" a\",\"index\":0,\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"text\":\" time\",\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    ];
    let upstream = Upstream::saying(stream(&EVENTS)).await;
    let body = COMPLETE.replace("}", r#","stream":true}"#);
    let told = ask("/v1/completions", &body)
        .send(&dispatch(provider(Kind::OpenAi, &upstream)))
        .await
        .unwrap();
    assert!(told.stream);
    assert_eq!(told.body, [EVENTS[0], EVENTS[1], EVENTS[3]].concat());
    assert_eq!(
        upstream.last().json()["stream_options"]["include_usage"],
        true
    );
    assert_eq!(told.attempt().usage.map(|u| u.output), Some(2));
    assert!(!told.attempt().estimated);
}

#[tokio::test]
async fn a_cut_completion_is_estimated_and_told() {
    let event = "data: {\"choices\":[{\"text\":\" a long enough text\",\"index\":0,\"finish_reason\":null}]}\n\n";
    let said = format!("{}{}{END}", head("text/event-stream"), chunk(event));
    let upstream = Upstream::saying(said).await;
    let body = COMPLETE.replace("}", r#","stream":true}"#);
    let told = ask("/v1/completions", &body)
        .send(&dispatch(provider(Kind::OpenAi, &upstream)))
        .await
        .unwrap();
    assert!(told.failure.is_some());
    let attempt = told.attempt();
    assert!(
        attempt.estimated && attempt.usage.is_some_and(|u| u.output >= 4),
        "{told:?}"
    );
}

#[tokio::test]
async fn who_has_neither_says_so() {
    let upstream = Upstream::start(|_| vec![Act::Close]).await;
    for kind in [Kind::Anthropic, Kind::AnthropicCompatible] {
        for (path, body, hint) in [
            ("/v1/embeddings", EMBED, "embeddings.default"),
            ("/v1/completions", COMPLETE, "/v1/chat/completions"),
        ] {
            let told = ask(path, body)
                .send(&dispatch(provider(kind, &upstream)))
                .await
                .unwrap();
            assert_eq!(told.status, 501);
            let error = &told.json()["error"];
            assert_eq!(error["code"], "not_supported");
            assert!(error["message"].as_str().unwrap().contains(hint), "{error}");
            assert!(told.attempts.is_empty());
        }
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn errors_keep_the_providers_words() {
    let error = r#"{"error":{"message":"This model does not support embeddings","type":"not_supported_error","code":501}}"#;
    let upstream = Upstream::saying(json(501, error)).await;
    let told = ask("/v1/embeddings", EMBED)
        .send(&dispatch(provider(Kind::LlamaCpp, &upstream)))
        .await
        .unwrap();
    assert_eq!((told.status, &*told.body), (501, error));
    assert_eq!(told.attempt().end, AttemptEnd::Status(501));
}

#[tokio::test]
async fn an_answer_in_the_wrong_way_is_nonsense() {
    let upstream = Upstream::saying(json(200, COMPLETED)).await;
    let body = COMPLETE.replace("}", r#","stream":true}"#);
    let error = ask("/v1/completions", &body)
        .send(&dispatch(provider(Kind::OpenAi, &upstream)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("asked for a stream"), "{error}");
}
