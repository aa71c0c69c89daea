//! Providers are told to keep the beginning of a prompt, and what they are told arrives.
use crate::support::{Gateway, Upstream};
use serde_json::{Value, json};

fn config(up: &Upstream, extra: &str) -> String {
    let url = up.url();
    format!(
        r#"
[providers.cloud]
kind = "anthropic"
base_url = "{url}"
api_key = "sk-up"
[providers.broker]
kind = "openrouter"
base_url = "{url}/v1"
api_key = "sk-up"
[providers.gpt]
kind = "openai"
base_url = "{url}/v1"
api_key = "sk-up"
{extra}"#
    )
}

/// The last body that came up.
fn sent(up: &Upstream) -> String {
    String::from_utf8_lossy(&up.last().raw).into_owned()
}

fn ask(model: &str, turns: &[&str]) -> Value {
    let system = "Everything that our support must know. ".repeat(300);
    let mut messages = vec![json!({"role": "system", "content": system})];
    for (i, text) in turns.iter().enumerate() {
        let role = if i % 2 == 0 { "user" } else { "assistant" };
        messages.push(json!({"role": role, "content": text}));
    }
    json!({"model": model, "max_tokens": 9, "messages": messages})
}

#[tokio::test]
async fn a_client_that_knows_no_marks_gets_claudes_cache() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&config(&up, "")).await;
    let mark = json!({"type": "ephemeral"});
    let res = gw.chat(&ask("cloud:text-claude-opus-5", &["hi"])).await;
    let says = res.header("x-tierway-breakpoints").to_owned();
    assert!(
        says.starts_with("placed=2; ttl=5m; read=0; write=29"),
        "{says}"
    );
    let seen = up.last().body;
    assert_eq!(seen["system"][0]["cache_control"], mark);
    assert_eq!(seen["messages"][0]["content"][0]["cache_control"], mark);

    let res = gw
        .chat(&ask("cloud:text-claude-opus-5", &["hi", "hello", "and?"]))
        .await;
    let says = res.header("x-tierway-breakpoints").to_owned();
    assert!(says.contains("read=29"), "{says}");
    let seen = up.last().body;
    assert_eq!(seen["messages"][0]["content"], "hi");
    assert_eq!(seen["messages"][2]["content"][0]["cache_control"], mark);
}

#[tokio::test]
async fn marks_reach_claude_behind_a_broker_and_nobody_else() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&config(&up, "")).await;
    let mark = json!({"type": "ephemeral"});
    gw.chat(&ask("broker:anthropic/text-claude-opus-5", &["hi"]))
        .await;
    let seen = up.last().body;
    assert_eq!(seen["messages"][1]["content"][0]["cache_control"], mark);
    // The caller's own, from another dialect.
    let own = json!({"model": "broker:anthropic/text-claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": mark}, {"type": "text", "text": "c"}]}]});
    let res = gw.messages(&own).await;
    assert_eq!(res.header("x-tierway-breakpoints"), "none; reason=client");
    let seen = up.last().body;
    assert_eq!(
        seen["messages"][0]["content"],
        json!([{"type": "text", "text": "a\n\nb", "cache_control": mark}, {"type": "text", "text": "c"}])
    );
    let mut other = own;
    other["model"] = "broker:openai/text-gpt".into();
    gw.messages(&other).await;
    assert!(!sent(&up).contains("cache_control"));
}

#[tokio::test]
async fn what_openai_is_sent_stays_the_callers_unless_told_otherwise() {
    let up = Upstream::start().await;
    for (extra, key) in [
        ("", false),
        ("[breakpoints]\nenabled = false\nopenai_keys = true\n", true),
    ] {
        let gw = Gateway::start(&config(&up, extra)).await;
        let res = gw.chat(&ask("gpt:text-gpt", &["hi"])).await;
        assert_eq!(sent(&up).contains("prompt_cache_key"), key);
        assert_eq!(
            res.header("x-tierway-breakpoints"),
            if key { "key" } else { "" }
        );
        let messages = ask("gpt:text-gpt", &["hi"]);
        gw.messages(&messages).await;
        assert_eq!(sent(&up).contains("prompt_cache_key"), key);
        gw.chat(&ask("cloud:text-claude-opus-5", &["hi"])).await;
        assert_eq!(sent(&up).contains("cache_control"), !key);
    }
}
