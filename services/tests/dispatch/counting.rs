//! `count_tokens`: the provider's own counter, or ours.
use super::{clouds::keyed, *};
use crate::upstream::{Act, json, response};
use tierway_services::chat::{AttemptEnd, Usage};

const PATH: &str = "/v1/messages/count_tokens?beta=true";
const WITH_TOOLS: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"bash","description":"run","input_schema":{"type":"object"}}]}"#;
const BARE: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;

fn tokens(told: &Told) -> u64 {
    told.json()["input_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn the_providers_counter_is_asked_where_it_has_one() {
    let upstream = Upstream::saying(json(200, r#"{"input_tokens":42}"#)).await;
    let told = ask(PATH, BARE)
        .send(&dispatch(provider(Kind::Anthropic, &upstream)))
        .await
        .unwrap();
    assert_eq!((tokens(&told), told.status), (42, 200));
    let seen = upstream.last();
    assert_eq!((&*seen.path, seen.body), (PATH, BARE.replace("auto", "m")));
    let attempt = told.attempt();
    assert_eq!(
        (attempt.end, attempt.usage),
        (AttemptEnd::Complete, Some(Usage::default()))
    );
    assert!(!attempt.estimated, "asking is free");
}

// Case 11: never a made-up zero.
#[tokio::test]
async fn who_has_no_counter_is_counted_for() {
    let upstream = Upstream::saying(json(500, "{}")).await;
    let dispatch = dispatch(provider(Kind::OpenAi, &upstream));
    let bare = ask(PATH, BARE).send(&dispatch).await.unwrap();
    let tools = ask(PATH, WITH_TOOLS).send(&dispatch).await.unwrap();
    assert!(tokens(&tools) > tokens(&bare) && tokens(&bare) > 0);
    assert!(upstream.seen().is_empty() && bare.attempts.is_empty());
}

#[tokio::test]
async fn a_counter_that_is_missing_is_asked_for_once() {
    let upstream = Upstream::saying(response(404, "text/plain", "", "not found")).await;
    let dispatch = dispatch(provider(Kind::AnthropicCompatible, &upstream));
    for _ in 0..2 {
        let told = ask(PATH, BARE).send(&dispatch).await.unwrap();
        assert!(told.status == 200 && tokens(&told) > 0);
    }
    assert_eq!(upstream.seen().len(), 1);
}

// Case 13.
#[tokio::test]
async fn a_counters_error_is_the_answer() {
    let body = r#"{"type":"error","error":{"type":"not_found_error","message":"model: m"}}"#;
    let upstream = Upstream::saying(json(404, body)).await;
    let told = ask(PATH, BARE)
        .send(&dispatch(provider(Kind::Anthropic, &upstream)))
        .await
        .unwrap();
    assert_eq!(
        (told.status, &*told.body),
        (404, body),
        "Anthropic has a counter, so it means the model"
    );
    assert_eq!(told.attempt().end, AttemptEnd::Status(404));
}

#[tokio::test]
async fn a_large_prompt_is_counted_too() {
    let upstream = Upstream::start(|_| vec![Act::Close]).await;
    let dispatch = dispatch(provider(Kind::OpenAi, &upstream));
    let body = BARE.replace("hi", &"word ".repeat(10_000));
    let told = ask(PATH, &body).send(&dispatch).await.unwrap();
    assert!((10_000..10_100).contains(&tokens(&told)), "{}", told.body);
}

#[tokio::test]
async fn gemini_counts_whatever_dialect_the_caller_speaks() {
    let upstream = Upstream::saying(json(
        200,
        r#"{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}]}"#,
    ))
    .await;
    let there = dispatch(keyed(Kind::Gemini, &upstream));
    let told = ask(PATH, WITH_TOOLS).send(&there).await.unwrap();
    assert_eq!(told.body, r#"{"input_tokens":31}"#);
    assert_eq!(told.attempt().usage, Some(Usage::default()));
    let seen = upstream.last();
    assert_eq!(seen.path, "/v1beta/models/m:countTokens");
    let sent = &seen.json()["generateContentRequest"];
    assert_eq!(sent["model"], "models/m");
    assert_eq!(sent["tools"][0]["functionDeclarations"][0]["name"], "bash");
    let told = ask(
        "/v1/responses/input_tokens",
        r#"{"model":"auto","input":"hi"}"#,
    )
    .send(&there)
    .await
    .unwrap();
    assert_eq!(
        told.body,
        r#"{"object":"response.input_tokens","input_tokens":31}"#
    );
}

#[tokio::test]
async fn what_geminis_counter_refuses_is_counted_for() {
    let body = r#"{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}"#;
    let upstream = Upstream::saying(json(400, body)).await;
    let told = ask(PATH, BARE)
        .send(&dispatch(keyed(Kind::Gemini, &upstream)))
        .await
        .unwrap();
    assert!(told.status == 200 && tokens(&told) > 0);
    assert_eq!(told.attempt().end, AttemptEnd::Status(400));
}
