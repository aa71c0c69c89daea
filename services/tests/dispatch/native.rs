//! Finding out whether a local server speaks Messages itself.
use super::*;
use crate::upstream::{Act, Seen, json, response};
use std::sync::Mutex;
use tierway_services::providers::Settings;

/// A server of the chat dialect that answers a call of Messages with `messages`.
async fn server(messages: String) -> Upstream {
    Upstream::start(move |seen: &Seen| {
        let said = match seen.path.as_str() {
            "/v1/messages" if seen.body == "{}" => messages.clone(),
            "/v1/messages" => json(200, MESSAGE),
            _ => json(200, COMPLETION),
        };
        vec![Act::Send(said)]
    })
    .await
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.seen().into_iter().map(|s| s.path).collect()
}

#[tokio::test]
async fn one_question_decides() {
    for (probed, native) in [
        (
            json(400, r#"{"error":{"message":"messages: field required"}}"#),
            true,
        ),
        (json(500, "{}"), true),
        (response(404, "text/plain", "", "404 page not found"), false),
        (json(405, "{}"), false),
        (
            json(
                200,
                r#"{"error":"Unexpected endpoint or method. (POST /v1/messages)"}"#,
            ),
            false,
        ),
    ] {
        let upstream = server(probed.clone()).await;
        let dispatch = dispatch(provider(Kind::LmStudio, &upstream));
        for _ in 0..2 {
            let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
            assert_eq!(told.json()["type"], "message", "{probed}");
            assert_eq!(told.attempts.len(), 1, "the question is no attempt");
        }
        let used = if native {
            "/v1/messages"
        } else {
            "/v1/chat/completions"
        };
        assert_eq!(paths(&upstream), ["/v1/messages", used, used], "{probed}");
    }
}

#[tokio::test]
async fn concurrent_calls_share_the_question() {
    let upstream = server(json(400, "{}")).await;
    let dispatch = dispatch(provider(Kind::LlamaCpp, &upstream));
    let call = || ask("/v1/messages", MESSAGES).send(&dispatch);
    let (a, b, c) = tokio::join!(call(), call(), call());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    let probes = upstream.seen().iter().filter(|s| s.body == "{}").count();
    assert_eq!((probes, upstream.seen().len()), (1, 4));
}

#[tokio::test]
async fn chat_and_configured_providers_ask_nothing() {
    let upstream = server(json(500, "{}")).await;
    let new = || provider(Kind::Ollama, &upstream);
    ask("/v1/chat/completions", CHAT)
        .send(&dispatch(new()))
        .await
        .unwrap();
    ask("/v1/messages", MESSAGES)
        .send(&dispatch(new().native_messages(Some(true))))
        .await
        .unwrap();
    ask("/v1/messages", MESSAGES)
        .send(&dispatch(new().native_messages(Some(false))))
        .await
        .unwrap();
    assert_eq!(
        paths(&upstream),
        [
            "/v1/chat/completions",
            "/v1/messages",
            "/v1/chat/completions"
        ]
    );
}

#[tokio::test]
async fn a_server_that_is_still_loading_is_asked_again() {
    let answers = Mutex::new(vec![json(400, "{}"), json(503, "{}")]);
    let upstream = Upstream::start(move |seen: &Seen| {
        let said = match seen.body.as_str() {
            "{}" => answers.lock().unwrap().pop().unwrap(),
            _ if seen.path == "/v1/messages" => json(200, MESSAGE),
            _ => json(200, COMPLETION),
        };
        vec![Act::Send(said)]
    })
    .await;
    let dispatch = dispatch(provider(Kind::LlamaCpp, &upstream));
    for _ in 0..2 {
        ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    }
    let (messages, chat) = ("/v1/messages", "/v1/chat/completions");
    assert_eq!(paths(&upstream), [messages, chat, messages, messages]);
}

#[tokio::test]
async fn responses_are_asked_for_where_told_so_and_where_only_they_reach_the_model() {
    let upstream = Upstream::start(|seen: &Seen| {
        let said = match seen.path.rsplit('/').next() {
            Some("responses") => RESPONSE,
            _ => COMPLETION,
        };
        vec![Act::Send(json(200, said))]
    })
    .await;
    let told_so = Settings {
        native_chat: true,
        ..Settings::default()
    };
    let (chat, responses) = ("/v1/chat/completions", "/v1/responses");
    for (kind, settings, model, path) in [
        (Kind::OpenAi, Settings::default(), "gpt-6", chat),
        (Kind::OpenAi, told_so.clone(), "gpt-6", responses),
        (Kind::OpenAiCompatible, told_so, "m", responses),
        (Kind::OpenAiCompatible, Settings::default(), "m-pro", chat),
        (
            Kind::OpenAi,
            Settings::default(),
            "gpt-5.1-codex-max",
            responses,
        ),
        (
            Kind::OpenAi,
            Settings::default(),
            "o3-pro-2025-06-10",
            responses,
        ),
        (Kind::OpenAi, Settings::default(), "gpt-5-prodigy", chat),
    ] {
        let dispatch = dispatch(provider(kind, &upstream).settings(settings));
        for (caller, body, field) in [("/v1/messages", MESSAGES, "type"), (chat, CHAT, "object")] {
            let mut call = ask(caller, body);
            Notes::of_mut(&mut call.req).target = Some(Target::new("p", model));
            let told = call.send(&dispatch).await.unwrap();
            let wanted = if caller == chat {
                "chat.completion"
            } else {
                "message"
            };
            assert_eq!(told.json()[field], wanted, "{model}: {}", told.body);
            assert!(told.body.contains("Hello."), "{}", told.body);
            assert_eq!(upstream.last().path, path, "{kind} {model} {caller}");
        }
    }
}

#[tokio::test]
async fn a_conversation_that_anthropic_holds_goes_nowhere_else() {
    let upstream = Upstream::start(|seen: &Seen| {
        let chat = seen.path.ends_with("/completions");
        vec![Act::Send(json(
            200,
            if chat { COMPLETION } else { MESSAGE },
        ))]
    })
    .await;
    let thread = r#""thread": {"type": "continue", "previous_message_id": "msg_1"}"#;
    let body = MESSAGES.replace("\"max_tokens\"", &format!("{thread},\"max_tokens\""));
    let kept = dispatch(provider(Kind::Anthropic, &upstream));
    assert_eq!(
        ask("/v1/messages", &body).send(&kept).await.unwrap().status,
        200
    );
    assert!(upstream.last().body.contains(thread));
    let mut seen = upstream.seen().len();
    for (kind, native) in [
        (Kind::OpenAi, None),
        (Kind::AnthropicCompatible, None),
        (Kind::Ollama, Some(true)),
    ] {
        let other = dispatch(provider(kind, &upstream).native_messages(native));
        let told = ask("/v1/messages", &body).send(&other).await.unwrap();
        assert_eq!(told.status, 400, "{kind}");
        let details = &told.json()["error"]["details"];
        assert_eq!(details["error_code"], "thread_unsupported_request");
        assert_eq!(upstream.seen().len(), seen, "{kind} was asked");
        let none = body.replace(thread, "\"thread\": null");
        let told = ask("/v1/messages", &none).send(&other).await.unwrap();
        assert_eq!(told.status, 200, "{kind}: {}", told.body);
        let said = body.replace(thread, "\"metadata\": {\"thread\": 1}");
        let told = ask("/v1/messages", &said).send(&other).await.unwrap();
        assert_eq!(told.status, 200, "{kind}: {}", told.body);
        seen = upstream.seen().len();
    }
}

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-x","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello.","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12,"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}}}"#;
