//! What the caller gets for what the provider says.
use super::*;
use crate::upstream::{Act, chunk, head, json, response, stream};
use tierway_services::chat::{AttemptEnd, EarlyHead, Notes};

#[test]
fn a_leaf_that_fits_any_stack() {
    fn fits<T: Clone + Send + Sync + 'static>() {}
    fits::<Dispatch>();
    assert_eq!(size_of::<DispatchError>(), size_of::<usize>());
}

#[tokio::test]
async fn the_same_dialect_passes_byte_for_byte() {
    let body = MESSAGE.replace(",\"stop_sequence\":null", " , \"new_field\": [1.00]");
    let upstream = Upstream::saying(response(
        200,
        "application/json; charset=utf-8",
        "x-request-id: r\r\nset-cookie: a=b\r\n",
        &body,
    ))
    .await;
    let dispatch = dispatch(provider(Kind::AnthropicCompatible, &upstream));
    let told = ask("/v1/messages?beta=true", MESSAGES)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!((told.status, told.stream), (200, false));
    assert_eq!(told.body, body);
    assert_eq!(told.headers["content-type"], "application/json");
    assert_eq!(told.headers["x-tierway-provider"], "p");
    assert_eq!(told.headers["x-tierway-model"], "m");
    assert_eq!(told.headers["x-tierway-upstream-request-id"], "r");
    assert!(!told.headers.contains_key("set-cookie") && !told.headers.contains_key("x-request-id"));

    let seen = upstream.last();
    assert_eq!(
        (&*seen.method, &*seen.path),
        ("POST", "/v1/messages?beta=true")
    );
    assert_eq!(
        seen.body,
        MESSAGES.replace("auto", "m"),
        "but for the model's name"
    );
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.header("accept"), Some("application/json"));

    let attempt = told.attempt();
    assert_eq!(
        (attempt.end, attempt.role),
        (AttemptEnd::Complete, Role::Small)
    );
    let usage = attempt.usage.unwrap();
    assert_eq!(
        (usage.input, usage.output, attempt.estimated),
        (9, 3, false)
    );
    assert!(attempt.first_byte.unwrap() <= attempt.total);
}

#[tokio::test]
async fn a_stream_of_the_same_dialect_passes_byte_for_byte() {
    let upstream = Upstream::saying(stream(&CHUNKS)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let told = ask("/v1/chat/completions", CHAT_STREAM)
        .send(&dispatch)
        .await
        .unwrap();
    assert!(told.stream && told.failure.is_none());
    assert_eq!(told.body, CHUNKS.concat());
    assert_eq!(told.headers["content-type"], "text/event-stream");
    assert_eq!(told.headers["x-tierway-provider"], "p");
    let seen = upstream.last();
    assert_eq!(seen.header("accept"), Some("text/event-stream"));
    assert_eq!(seen.json()["stream_options"]["include_usage"], true);
    let attempt = told.attempt();
    assert_eq!(attempt.end, AttemptEnd::Complete);
    assert!(attempt.estimated, "no usage was told");
    assert!(attempt.usage.unwrap().input > 0);
}

#[tokio::test]
async fn openai_takes_messages_translated_and_anthropic_takes_chat() {
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let openai = dispatch(provider(Kind::OpenAi, &upstream));
    let told = ask("/v1/messages?beta=true", MESSAGES)
        .header("anthropic-beta", "x")
        .send(&openai)
        .await
        .unwrap();
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(told.json()["type"], "message");
    assert_eq!(told.json()["content"][0]["text"], "Hello.");
    let seen = upstream.last();
    assert_eq!(
        seen.path, "/v1/chat/completions",
        "the query stays in its dialect"
    );
    assert_eq!(seen.header("anthropic-beta"), None);
    assert_eq!(seen.json()["max_completion_tokens"], 9);
    assert_eq!(told.attempt().usage.unwrap().output, 3);

    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    let anthropic = dispatch(provider(Kind::Anthropic, &upstream));
    let told = ask("/v1/chat/completions", CHAT)
        .send(&anthropic)
        .await
        .unwrap();
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(told.json()["choices"][0]["message"]["content"], "Hello.");
    assert_eq!(upstream.last().path, "/v1/messages");
}

#[tokio::test]
async fn a_stream_is_translated_as_it_comes() {
    let upstream = Upstream::saying(stream(&CHUNKS)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let told = ask("/v1/messages", MESSAGES_STREAM)
        .send(&dispatch)
        .await
        .unwrap();
    assert!(told.stream && told.failure.is_none(), "{told:?}");
    assert!(
        told.body.starts_with("event: message_start\n"),
        "{}",
        told.body
    );
    assert!(told.body.contains("\"Hello.\"") && told.body.contains("event: message_stop\n"));
    assert_eq!(told.attempt().end, AttemptEnd::Complete);
}

#[tokio::test]
async fn a_whole_answer_to_a_call_for_a_stream_becomes_one() {
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    for (path, body, last) in [
        ("/v1/chat/completions", CHAT_STREAM, "data: [DONE]\n\n"),
        (
            "/v1/messages",
            MESSAGES_STREAM,
            "data: {\"type\":\"message_stop\"}\n\n",
        ),
    ] {
        let told = ask(path, body).send(&dispatch).await.unwrap();
        assert_eq!(told.headers["content-type"], "text/event-stream");
        assert!(
            told.body.contains("Hello.") && told.body.ends_with(last),
            "{}",
            told.body
        );
        assert_eq!(told.attempt().usage.unwrap().output, 3);
    }
}

#[tokio::test]
async fn a_stream_to_a_call_for_a_whole_answer_becomes_one() {
    let upstream = Upstream::saying(stream(&CHUNKS)).await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let told = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(told.headers["content-type"], "application/json");
    assert_eq!(told.json()["choices"][0]["message"]["content"], "Hello.");
    let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!(told.json()["content"][0]["text"], "Hello.");
}

#[tokio::test]
async fn a_cut_stream_keeps_what_came_and_ends_in_an_error() {
    let upstream = Upstream::start(|_| {
        vec![
            crate::upstream::Act::Send(head("text/event-stream") + &chunk(CHUNKS[0])),
            crate::upstream::Act::Close,
        ]
    })
    .await;
    let dispatch = dispatch(provider(Kind::OpenAiCompatible, &upstream));
    let told = ask("/v1/chat/completions", CHAT_STREAM)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(
        told.failure.as_deref(),
        Some("provider p broke off in the middle of an answer: connection closed")
    );
    let attempt = told.attempt();
    assert_eq!(attempt.end, AttemptEnd::Failed);
    assert!(attempt.estimated && attempt.usage.unwrap().output > 0);
}

#[tokio::test]
async fn a_call_without_a_target_is_refused() {
    let dispatch = Dispatch::new([], Client::new());
    let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!(told.status, 404);
    assert_eq!(told.json()["error"]["message"], "no provider is named p");
    let mut unbound = ask("/v1/chat/completions", CHAT);
    Notes::of_mut(&mut unbound.req).target = None;
    let told = unbound.send(&dispatch).await.unwrap();
    assert_eq!((told.status, told.attempts.len()), (500, 0));
}

#[tokio::test]
async fn who_answers_is_said_before_he_does() {
    let upstream = Upstream::start(|_| vec![Act::Close]).await;
    let there = dispatch(provider(Kind::Anthropic, &upstream));
    for (role, known) in [(Role::Only, true), (Role::Small, false)] {
        let early = EarlyHead::default();
        let mut ask = ask("/v1/messages", MESSAGES_STREAM);
        Notes::of_mut(&mut ask.req).early = Some(early.clone());
        Notes::of_mut(&mut ask.req).role = role;
        ask.send(&there).await.unwrap_err();
        let said = early.said();
        let said = said
            .get("x-tierway-provider")
            .zip(said.get("x-tierway-model"));
        assert_eq!(said.is_some_and(|(p, m)| p == "p" && m == "m"), known);
    }
}
