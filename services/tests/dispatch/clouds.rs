//! The clouds on a real socket: their paths, their keys and tokens, their own dialects.
use super::*;
use crate::upstream::{Act, END, Seen, chunk, head, json, response, stream};
use tierway_services::{
    chat::Usd,
    providers::{Abilities, AuthStyle, Secret, Settings},
    translate::{MaxTokensField, Reasoning},
};

const CHAT_TOOLS: &str = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;

pub(crate) fn keyed(kind: Kind, upstream: &Upstream) -> Provider {
    provider(kind, upstream).api_key(Secret::new("key-of-ours"))
}

#[tokio::test]
async fn azure_openai_takes_the_deployment_as_model_or_in_the_path() {
    // The first chunk has no choices, only the verdict over the prompt.
    let filter = "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\n\n";
    let events = [&[filter], &CHUNKS[..]].concat();
    let upstream = Upstream::saying(stream(&events)).await;
    let legacy = Settings {
        api_version: Some("2024-10-21".into()),
        ..Settings::default()
    };
    let entra = Settings {
        auth: Some(AuthStyle::Bearer),
        ..Settings::default()
    };
    for (settings, path, header, value) in [
        (
            Settings::default(),
            "/openai/v1/chat/completions",
            "api-key",
            "key-of-ours",
        ),
        (
            legacy,
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
            "api-key",
            "key-of-ours",
        ),
        (
            entra,
            "/openai/v1/chat/completions",
            "authorization",
            "Bearer key-of-ours",
        ),
    ] {
        let dispatch = dispatch(keyed(Kind::AzureOpenAi, &upstream).settings(settings));
        let told = ask("/v1/chat/completions", CHAT_STREAM)
            .send(&dispatch)
            .await
            .unwrap();
        assert_eq!(told.body, events.concat(), "the very bytes");
        let seen = upstream.last();
        assert_eq!(seen.path, path);
        assert_eq!(seen.header(header), Some(value));
        assert_eq!(seen.json()["model"], "m");
        let other = if header == "api-key" {
            "authorization"
        } else {
            "api-key"
        };
        assert_eq!(seen.header(other), None);
        let told = ask("/v1/messages", MESSAGES_STREAM)
            .send(&dispatch)
            .await
            .unwrap();
        assert!(told.body.contains("message_stop"), "{}", told.body);
        let _ = ask("/v1/responses", r#"{"model":"auto","input":"hi"}"#)
            .send(&dispatch)
            .await;
        let responses = path
            .replace("/deployments/m/chat/completions", "/responses")
            .replace("/chat/completions", "/responses");
        assert_eq!(upstream.last().path, responses);
    }
}

#[tokio::test]
async fn azure_anthropic_is_messages_below_its_path() {
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    for base in ["", "/anthropic", "/anthropic/v1/messages"] {
        let provider = Provider::new("p", Kind::AzureAnthropic)
            .base_url(&format!("{}{base}", upstream.url))
            .unwrap()
            .api_key(Secret::new("key-of-ours"));
        let told = ask("/v1/messages?beta=true", MESSAGES)
            .header("anthropic-beta", "x-1")
            .send(&dispatch(provider))
            .await
            .unwrap();
        assert_eq!(told.body, MESSAGE);
        let seen = upstream.last();
        assert_eq!(seen.path, "/anthropic/v1/messages?beta=true");
        assert_eq!(seen.header("x-api-key"), Some("key-of-ours"));
        assert_eq!(seen.header("anthropic-beta"), Some("x-1"));
    }
}

#[tokio::test]
async fn databricks_has_a_path_for_each_endpoint() {
    let upstream = Upstream::start(|seen: &Seen| {
        vec![Act::Send(if seen.path.ends_with("/messages") {
            json(200, MESSAGE)
        } else if seen.method == "GET" {
            json(200, r#"{"endpoints":[{"name":"databricks-claude"}]}"#)
        } else {
            json(200, COMPLETION)
        })]
    })
    .await;
    let new = || keyed(Kind::Databricks, &upstream);
    let told = ask("/v1/messages", MESSAGES).send(&dispatch(new())).await;
    assert_eq!(told.unwrap().json()["type"], "message");
    let seen = upstream.last();
    assert_eq!(seen.path, "/serving-endpoints/m/invocations");
    assert_eq!(seen.header("authorization"), Some("Bearer key-of-ours"));
    let native = dispatch(new().native_messages(Some(true)));
    let told = ask("/v1/messages", MESSAGES).send(&native).await.unwrap();
    assert_eq!(told.body, MESSAGE);
    assert_eq!(upstream.last().path, "/ai-gateway/anthropic/v1/messages");
    let models = native.models().await;
    assert_eq!(models[0].target.to_string(), "p:databricks-claude");
    assert_eq!(upstream.last().path, "/api/2.0/serving-endpoints");
}

#[tokio::test]
async fn a_service_principals_token_is_fetched_once() {
    let upstream = Upstream::start(|seen: &Seen| {
        vec![Act::Send(if seen.path == "/oidc/v1/token" {
            json(
                200,
                r#"{"access_token":"fetched","token_type":"Bearer","expires_in":3600}"#,
            )
        } else {
            json(200, COMPLETION)
        })]
    })
    .await;
    let settings = Settings {
        client_id: Some("id".into()),
        client_secret: Some(Secret::new("hunter2hunter2")),
        ..Settings::default()
    };
    let dispatch = dispatch(provider(Kind::Databricks, &upstream).settings(settings));
    let call = || ask("/v1/chat/completions", CHAT).send(&dispatch);
    let (a, b) = tokio::join!(call(), call());
    assert_eq!((a.unwrap().status, b.unwrap().status), (200, 200));
    call().await.unwrap();
    let seen = upstream.seen();
    let tokens: Vec<_> = seen.iter().filter(|s| s.path == "/oidc/v1/token").collect();
    assert_eq!((tokens.len(), seen.len()), (1, 4));
    assert_eq!(
        tokens[0].body,
        "grant_type=client_credentials&scope=all-apis"
    );
    // "id:hunter2hunter2"
    assert_eq!(
        tokens[0].header("authorization"),
        Some("Basic aWQ6aHVudGVyMmh1bnRlcjI=")
    );
    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer fetched")
    );
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_is_told_without_the_secret() {
    let upstream = Upstream::saying(json(401, r#"{"error":"hunter2hunter2 is wrong"}"#)).await;
    let settings = Settings {
        client_id: Some("id".into()),
        client_secret: Some(Secret::new("hunter2hunter2")),
        ..Settings::default()
    };
    let provider = provider(Kind::Databricks, &upstream).settings(settings);
    let error = ask("/v1/chat/completions", CHAT)
        .send(&dispatch(provider))
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("401") && !shown.contains("hunter2"),
        "{shown}"
    );
}

pub(crate) const GEMINI: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hello."}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":4},"modelVersion":"gemini-x","responseId":"r"}"#;

#[tokio::test]
async fn gemini_is_asked_in_its_own_dialect() {
    let events = format!("data: {GEMINI}\r\n\r\n");
    let upstream = Upstream::start(move |seen: &Seen| {
        vec![Act::Send(if seen.path.contains(":stream") {
            stream(&[&events])
        } else if seen.method == "GET" {
            json(
                200,
                r#"{"models":[{"name":"models/gemini-x","displayName":"Gemini X"}]}"#,
            )
        } else {
            json(200, GEMINI)
        })]
    })
    .await;
    let dispatch = dispatch(keyed(Kind::Gemini, &upstream));
    for (path, whole, streamed) in [
        ("/v1/messages", MESSAGES, MESSAGES_STREAM),
        ("/v1/chat/completions", CHAT, CHAT_STREAM),
    ] {
        let told = ask(path, whole).send(&dispatch).await.unwrap();
        assert!(told.body.contains("Hello."), "{}", told.body);
        let usage = told.attempt().usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.reasoning), (9, 7, 4));
        let seen = upstream.last();
        assert_eq!(seen.path, "/v1beta/models/m:generateContent");
        assert_eq!(seen.header("x-goog-api-key"), Some("key-of-ours"));
        assert_eq!(seen.json()["contents"][0]["parts"][0]["text"], "hi");
        let told = ask(path, streamed).send(&dispatch).await.unwrap();
        assert!(told.stream && told.body.contains("Hello."));
        assert_eq!(told.attempt().usage.unwrap().output, 7);
        assert_eq!(
            upstream.last().path,
            "/v1beta/models/m:streamGenerateContent?alt=sse"
        );
    }
    let models = dispatch.models().await;
    assert_eq!(models[0].target.to_string(), "p:gemini-x");
    assert_eq!(models[0].display_name.as_deref(), Some("Gemini X"));
}

#[tokio::test]
async fn an_error_of_geminis_is_told_in_the_callers_words() {
    let body = r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}"#;
    let upstream = Upstream::saying(json(429, body)).await;
    let dispatch = dispatch(keyed(Kind::Gemini, &upstream));
    let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!(told.status, 429);
    assert_eq!(told.json()["error"]["type"], "rate_limit_error");
    let told = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(told.json()["error"]["message"], "Quota exceeded");
}

const LINES: [&str; 3] = [
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"Hel\"},\"done\":false}\n{\"model\":\"m\",\"mess",
    "age\":{\"role\":\"assistant\",\"content\":\"lo.\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":3}",
];

fn ollama(seen: &Seen) -> Vec<Act> {
    let said = match (seen.path.as_str(), seen.body.contains("\"stream\":true")) {
        ("/api/chat", true) => {
            let chunks: String = LINES.iter().map(|l| chunk(l)).collect();
            format!("{}{chunks}{END}", head("application/x-ndjson"))
        }
        ("/api/chat", false) => json(200, LINES[2]),
        ("/v1/messages", _) => response(404, "text/plain", "", "404 page not found"),
        ("/api/tags", _) => json(200, r#"{"models":[{"name":"q:3b","model":"q:3b"}]}"#),
        _ => json(200, COMPLETION),
    };
    vec![Act::Send(said)]
}

#[tokio::test]
async fn ollamas_own_dialect_is_used_where_it_is_wanted() {
    let upstream = Upstream::start(ollama).await;
    let new = || provider(Kind::Ollama, &upstream);
    ask("/v1/chat/completions", CHAT)
        .send(&dispatch(new()))
        .await
        .unwrap();
    assert_eq!(upstream.last().path, "/v1/chat/completions", "the default");
    let with_options = CHAT.replace(
        "\"messages\"",
        "\"options\":{\"num_ctx\":8192},\"messages\"",
    );
    ask("/v1/chat/completions", &with_options)
        .send(&dispatch(new()))
        .await
        .unwrap();
    let seen = upstream.last();
    assert_eq!(seen.path, "/api/chat", "what only it knows");
    assert_eq!(seen.json()["options"]["num_ctx"], 8192);
    let native = dispatch(new().settings(Settings {
        native_chat: true,
        ..Settings::default()
    }));
    for (path, body) in [
        ("/v1/messages", MESSAGES_STREAM),
        ("/v1/chat/completions", CHAT_STREAM),
    ] {
        let told = ask(path, body).send(&native).await.unwrap();
        assert!(told.body.contains("Hel") && told.body.contains("lo."));
        let attempt = told.attempt();
        assert_eq!(attempt.end, tierway_services::chat::AttemptEnd::Complete);
        let usage = attempt.usage.unwrap();
        assert_eq!((usage.input, usage.output), (9, 3));
        assert_eq!(upstream.last().path, "/api/chat");
    }
    assert_eq!(native.models().await[0].target.to_string(), "p:q:3b");
    assert_eq!(upstream.last().path, "/api/tags");
}

#[tokio::test]
async fn what_openrouter_says_that_it_cost_is_noted() {
    let usage = r#""usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cost":0.00042,"cost_details":{"upstream_inference_cost":null}}"#;
    let end = format!("data: {{\"id\":\"c\",\"choices\":[],{usage}}}\n\n");
    let events = [
        ": OPENROUTER PROCESSING\n\n",
        CHUNKS[0],
        CHUNKS[1],
        &end,
        CHUNKS[2],
    ];
    let streamed = stream(&events);
    let whole = COMPLETION.replace(
        r#""usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}"#,
        usage,
    );
    let upstream = Upstream::start(move |seen: &Seen| {
        vec![Act::Send(if seen.body.contains("\"stream\":true") {
            streamed.clone()
        } else {
            json(200, &whole)
        })]
    })
    .await;
    let paths = [
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT_STREAM),
        ("/v1/messages", MESSAGES),
        ("/v1/messages", MESSAGES_STREAM),
    ];
    for (path, body) in paths {
        let told = ask(path, body)
            .header("http-referer", "https://example.com")
            .header("x-title", "Example")
            .send(&dispatch(keyed(Kind::OpenRouter, &upstream)))
            .await
            .unwrap();
        let cost = told.attempt().cost;
        assert_eq!(cost, Some(Usd::from_dollars(0.000_42)), "{path} {body}");
        let seen = upstream.last();
        assert_eq!(seen.header("http-referer"), Some("https://example.com"));
        assert_eq!(seen.header("x-title"), Some("Example"));
        // Whoever else says so is not believed.
        let told = ask(path, body)
            .send(&dispatch(keyed(Kind::OpenAi, &upstream)))
            .await
            .unwrap();
        assert_eq!(told.attempt().cost, None);
    }
    let routed = MESSAGES.replace(
        "\"messages\"",
        "\"provider\":{\"order\":[\"azure\"]},\"models\":[\"a\",\"b\"],\"messages\"",
    );
    ask("/v1/messages", &routed)
        .send(&dispatch(keyed(Kind::OpenRouter, &upstream)))
        .await
        .unwrap();
    let sent = upstream.last().json();
    assert_eq!(sent["provider"]["order"][0], "azure");
    assert_eq!(sent["models"][1], "b");
}

#[tokio::test]
async fn an_error_that_openrouter_tells_with_a_good_status_is_one() {
    let error = r#"{"error":{"code":402,"message":"Insufficient credits","metadata":{"provider_name":"X"}}}"#;
    let upstream = Upstream::saying(json(200, error)).await;
    let dispatch_to = dispatch(keyed(Kind::OpenRouter, &upstream));
    for (path, body) in [("/v1/messages", MESSAGES), ("/v1/chat/completions", CHAT)] {
        let told = ask(path, body).send(&dispatch_to).await.unwrap();
        assert_eq!(told.status, 402, "{}", told.body);
        assert!(told.body.contains("Insufficient credits"));
    }
    let broken = "data: {\"id\":\"c\",\"error\":{\"code\":502,\"message\":\"Provider disconnected\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n";
    let upstream = Upstream::saying(stream(&[CHUNKS[0], broken])).await;
    let told = ask("/v1/messages", MESSAGES_STREAM)
        .send(&dispatch(keyed(Kind::OpenRouter, &upstream)))
        .await
        .unwrap();
    assert!(told.body.contains("event: error") && told.body.contains("Provider disconnected"));
    assert!(!told.body.contains("message_stop"));
}

#[tokio::test]
async fn what_is_said_of_a_model_holds_in_either_dialect() {
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let said = Abilities {
        tools: Some(false),
        max_tokens_field: Some(MaxTokensField::MaxCompletionTokens),
        reasoning: Some(Reasoning::Effort),
        ..Abilities::UNKNOWN
    };
    let dispatch = dispatch(keyed(Kind::Groq, &upstream).model("m*", said));
    let told = ask("/v1/chat/completions", CHAT_TOOLS)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(told.status, 400);
    assert_eq!(told.json()["error"]["param"], "tools");
    assert!(upstream.seen().is_empty() && told.attempts.is_empty());
    let limited = CHAT.replace("\"messages\"", "\"max_tokens\":7,\"messages\"");
    ask("/v1/chat/completions", &limited)
        .send(&dispatch)
        .await
        .unwrap();
    assert_eq!(upstream.last().json()["max_completion_tokens"], 7);
    let thinking = MESSAGES.replace(
        "\"messages\"",
        "\"output_config\":{\"effort\":\"high\"},\"messages\"",
    );
    ask("/v1/messages", &thinking)
        .send(&dispatch)
        .await
        .unwrap();
    let seen = upstream.last();
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.json()["reasoning_effort"], "high");
}
