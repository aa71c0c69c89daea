//! The caller's credentials stay at home, and ours are shown to nobody.
use super::*;
use crate::upstream::json;
use tierway_services::providers::Secret;

const CONVERSED: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello."}]}},"stopReason":"end_turn"}"#;

fn planted(path: &str, body: &str) -> Ask {
    ask(path, body)
        .header("authorization", "Bearer caller-secret")
        .header("x-api-key", "caller-secret")
        .header("cookie", "s=caller-secret")
        .header("proxy-authorization", "Basic caller-secret")
        .header("x-goog-api-key", "caller-secret")
        .header("api-key", "caller-secret")
        .header("x-unknown", "caller-secret")
        .header("user-agent", "tests/1")
}

#[tokio::test]
async fn nothing_of_the_callers_arrives_upstream() {
    for kind in Kind::ALL {
        let upstream = Upstream::start(|seen| {
            let body = if seen.path.contains("messages") || seen.path.ends_with("/invoke") {
                MESSAGE
            } else if seen.path.contains("generateContent") {
                r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}]}"#
            } else if seen.path.ends_with("/converse") {
                CONVERSED
            } else {
                COMPLETION
            };
            vec![crate::upstream::Act::Send(json(200, body))]
        })
        .await;
        let mut provider = provider(*kind, &upstream).api_key(Secret::new("our-secret"));
        if *kind == Kind::Bedrock {
            // So that each of its three paths is taken.
            provider = provider.native_messages(Some(true));
        }
        let dispatch = dispatch(provider);
        for (path, body) in [
            ("/v1/messages?beta=true", MESSAGES),
            ("/v1/messages/count_tokens", MESSAGES),
            ("/v1/chat/completions", CHAT),
        ] {
            planted(path, body).send(&dispatch).await.unwrap();
        }
        dispatch.models().await;
        assert!(upstream.seen().len() >= 2, "{kind}");
        for seen in upstream.seen() {
            assert!(
                !seen.wire.contains("caller-secret"),
                "{kind}: {}",
                seen.wire
            );
            let ours = ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
                .iter()
                .find_map(|name| seen.header(name));
            assert!(
                ours.unwrap().ends_with("our-secret"),
                "{kind}: {}",
                seen.wire
            );
        }
    }
}

#[tokio::test]
async fn passed_credentials_replace_ours() {
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    let provider = provider(Kind::Anthropic, &upstream)
        .api_key(Secret::new("our-secret"))
        .pass_credentials(true);
    let dispatch = dispatch(provider);
    ask("/v1/messages", MESSAGES)
        .header("authorization", "Bearer caller-secret")
        .header("cookie", "s=caller-cookie")
        .send(&dispatch)
        .await
        .unwrap();
    let seen = upstream.last();
    assert_eq!(seen.header("authorization"), Some("Bearer caller-secret"));
    assert!(!seen.wire.contains("our-secret") && !seen.wire.contains("caller-cookie"));
    ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!(
        upstream.last().header("x-api-key"),
        Some("our-secret"),
        "who brings none uses ours"
    );
}
