//! Vertex AI: tokens for a service account, Gemini in Google's dialect, Claude in Anthropic's.
use super::{
    clouds::{GEMINI, keyed},
    *,
};
use crate::upstream::{Act, Seen, json, stream};
use tierway_services::{
    chat::Usage,
    providers::{Secret, Settings},
};

#[tokio::test]
async fn vertex_exchanges_a_signed_assertion_for_a_token() {
    let upstream = Upstream::start(|seen: &Seen| {
        vec![Act::Send(if seen.path == "/token" {
            json(200, r#"{"access_token":"fetched","expires_in":3599}"#)
        } else {
            json(200, GEMINI)
        })]
    })
    .await;
    let account = serde_json::json!({
        "type": "service_account", "project_id": "proj", "private_key_id": "kid",
        "client_email": "sa@proj.iam.gserviceaccount.com",
        "private_key": include_str!("test-only-key.pem"),
        "token_uri": format!("{}/token", upstream.url),
    });
    let settings = Settings {
        credentials: Some(Secret::new(account.to_string())),
        region: Some("europe-west1".into()),
        ..Settings::default()
    };
    let new = || Provider::new("p", Kind::Vertex).settings(settings.clone());
    assert_eq!(
        new().origin(),
        "https://europe-west1-aiplatform.googleapis.com"
    );
    let there = new().base_url(&upstream.url).unwrap();
    there.check().unwrap();
    let there = dispatch(there);
    for _ in 0..2 {
        let told = ask("/v1/messages", MESSAGES).send(&there).await.unwrap();
        assert_eq!(told.json()["content"][0]["text"], "Hello.");
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    let assertion = seen[0].body.rsplit_once("assertion=").unwrap().1;
    assert_eq!(assertion.matches('.').count(), 2, "{assertion}");
    assert_eq!(
        seen[1].path,
        "/v1/projects/proj/locations/europe-west1/publishers/google/models/m:generateContent"
    );
    assert_eq!(seen[2].header("authorization"), Some("Bearer fetched"));
    // A token that is given needs no account, but then somebody must say whose project.
    let given = keyed(Kind::Vertex, &upstream);
    assert!(given.check().unwrap_err().to_string().contains("project"));
    let settings = Settings {
        project: Some("other".into()),
        ..Settings::default()
    };
    let given = Provider::new("p", Kind::Vertex)
        .settings(settings)
        .base_url(&upstream.url)
        .unwrap()
        .api_key(Secret::new("given"));
    ask("/v1/messages", MESSAGES)
        .send(&dispatch(given))
        .await
        .unwrap();
    let seen = upstream.last();
    assert!(
        seen.path
            .starts_with("/v1/projects/other/locations/global/")
    );
    assert_eq!(seen.header("authorization"), Some("Bearer given"));
}

/// A call of Claude on Vertex, in the project `proj`.
fn claude(upstream: &Upstream) -> Dispatch {
    let settings = Settings {
        project: Some("proj".into()),
        region: Some("us-east5".into()),
        ..Settings::default()
    };
    let new = Provider::new("p", Kind::Vertex).settings(settings);
    let there = new.base_url(&upstream.url).unwrap();
    dispatch(there.api_key(Secret::new("given")))
}

fn to_claude(mut ask: Ask) -> Ask {
    let target = Target::new("p", "claude-sonnet-4-5@20250929");
    Notes::of_mut(&mut ask.req).target = Some(target);
    ask
}

const MODELS: &str = "/v1/projects/proj/locations/us-east5/publishers/anthropic/models";

#[tokio::test]
async fn claude_is_spoken_to_in_anthropics_dialect() {
    let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_vrtx_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let upstream = Upstream::start(move |seen: &Seen| {
        vec![Act::Send(if seen.path.contains(":stream") {
            stream(&[events])
        } else {
            json(200, MESSAGE)
        })]
    })
    .await;
    let there = claude(&upstream);
    let body = r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true,"top_p":1.00,"speed":"fast","thinking":{"type":"adaptive","display":"updates"}}"#;
    let told = to_claude(ask("/v1/messages?beta=true", body))
        .header("anthropic-version", "2023-06-01")
        .header(
            "anthropic-beta",
            "interleaved-thinking-2025-05-14,fast-mode-2026-02-01,thinking-display-updates-2026-08-18",
        )
        .send(&there)
        .await
        .unwrap();
    assert_eq!(told.body, events, "the very bytes");
    assert_eq!(
        told.headers["x-tierway-dropped"],
        "fast-mode-2026-02-01, thinking-display-updates-2026-08-18, speed, thinking.display"
    );
    let seen = upstream.last();
    assert_eq!(
        seen.path,
        format!("{MODELS}/claude-sonnet-4-5@20250929:streamRawPredict")
    );
    assert_eq!(
        seen.body,
        r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true,"top_p":1.00,"thinking":{"type":"adaptive"}}"#
    );
    assert_eq!(
        seen.header("anthropic-beta"),
        Some("interleaved-thinking-2025-05-14")
    );
    assert_eq!(seen.header("authorization"), Some("Bearer given"));
    // Whole, and asked for in another dialect.
    let chat = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false}"#;
    let told = to_claude(ask("/v1/chat/completions", chat))
        .send(&there)
        .await
        .unwrap();
    assert_eq!(told.json()["choices"][0]["message"]["content"], "Hello.");
    let usage = told.attempt().usage.unwrap();
    assert_eq!((usage.input, usage.output), (9, 3));
    let seen = upstream.last();
    assert_eq!(
        seen.path,
        format!("{MODELS}/claude-sonnet-4-5@20250929:rawPredict")
    );
    let sent = seen.json();
    assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(sent["tool_choice"]["disable_parallel_tool_use"], true);
    assert_eq!(sent["messages"][0]["role"], "user");
    assert_eq!(sent.get("model"), None);
}

#[tokio::test]
async fn googles_errors_are_told_as_anthropics() {
    let body =
        r#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#;
    let plain = body.trim_matches(['[', ']']).to_owned();
    let own = r#"{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}"#;
    for body in [body.to_owned(), plain] {
        let upstream = Upstream::saying(json(429, &body)).await;
        let told = to_claude(ask("/v1/messages", MESSAGES))
            .send(&claude(&upstream))
            .await
            .unwrap();
        assert_eq!(told.status, 429);
        assert_eq!(told.json()["error"]["type"], "rate_limit_error");
        assert_eq!(told.json()["error"]["message"], "Quota exceeded");
    }
    let upstream = Upstream::saying(json(400, own)).await;
    let told = to_claude(ask("/v1/messages", MESSAGES))
        .send(&claude(&upstream))
        .await
        .unwrap();
    assert_eq!((told.status, &*told.body), (400, own));
}

#[tokio::test]
async fn both_counters_are_asked() {
    let upstream = Upstream::start(|seen: &Seen| {
        vec![Act::Send(
            if seen.path.ends_with("count-tokens:rawPredict") {
                json(200, r#"{"input_tokens":14}"#)
            } else if seen.path.ends_with(":countTokens") {
                json(200, r#"{"totalTokens":7,"totalBillableCharacters":20}"#)
            } else {
                json(404, "{}")
            },
        )]
    })
    .await;
    let there = claude(&upstream);
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}],"system":"short"}"#;
    let path = "/v1/messages/count_tokens?beta=true";
    let told = to_claude(ask(path, body)).send(&there).await.unwrap();
    assert_eq!(told.body, r#"{"input_tokens":14}"#);
    assert_eq!(told.attempt().usage, Some(Usage::default()));
    let seen = upstream.last();
    assert_eq!(seen.path, format!("{MODELS}/count-tokens:rawPredict"));
    assert_eq!(
        seen.body,
        r#"{"model":"claude-sonnet-4-5@20250929","anthropic_version":"vertex-2023-10-16","messages":[{"role":"user","content":"hi"}],"system":"short"}"#
    );
    let told = ask(path, body).send(&there).await.unwrap();
    assert_eq!(told.body, r#"{"input_tokens":7}"#);
    let seen = upstream.last();
    assert!(
        seen.path
            .ends_with("/publishers/google/models/m:countTokens")
    );
    let sent = seen.json();
    assert_eq!(sent["systemInstruction"]["parts"][0]["text"], "short");
    assert_eq!(sent["contents"][0]["parts"][0]["text"], "hi");
    assert_eq!(sent.get("toolConfig"), None);
}
