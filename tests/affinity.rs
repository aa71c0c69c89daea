//! Conversations keep their models, as a caller sees it.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};

const HARD: &str = "Refactor the entire ingestion pipeline";

/// Tiers of which the dear one has `big` for a model.
fn tiers(up: &Upstream, big: &str) -> String {
    two_formats(up, PRICES)
        .replace("\"a:text-big\"", &format!("\"a:{big}\""))
        .replace("NAME", big)
}

const PRICES: &str = r#"
[cache]
enabled = false
[prices."a:NAME"]
input = 5
output = 25
cache_read = 0.5
cache_write = 6.25
[prices."o:text-small"]
input = 1
output = 5
cache_read = 0.1
cache_write = 1.25
"#;

fn conversation(first: &str, rest: &[Value]) -> Value {
    let mut turns = vec![json!({"role": "user", "content": first})];
    turns.extend_from_slice(rest);
    json!({"model": "auto", "max_tokens": 100, "messages": turns,
        "tools": [{"name": "bash", "input_schema": {"type": "object"}}]})
}

fn thanks() -> [Value; 2] {
    [
        json!({"role": "assistant", "content": "Done."}),
        json!({"role": "user", "content": "thanks"}),
    ]
}

fn result() -> [Value; 2] {
    [
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}),
    ]
}

async fn said(gw: &Gateway, headers: &[(&str, &str)], body: &Value) -> Answer {
    let answer = gw.call(Method::POST, "/v1/messages", headers, body.to_string());
    let answer = answer.await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[tokio::test]
async fn a_dear_prefix_keeps_the_big_model_and_a_short_one_does_not() {
    let up = Upstream::start().await;
    for (big, then, note) in [
        ("cached-big", "cached-big", "session:kept"),
        ("text-big", "text-small", "session:deescalated"),
    ] {
        for stream in [false, true] {
            let gw = Gateway::start(&tiers(&up, big)).await;
            let mut first = conversation(HARD, &[]);
            first["stream"] = stream.into();
            let answer = said(&gw, &[], &first).await;
            assert_eq!(answer.header("x-tierway-model"), big);
            assert!(!answer.header("x-tierway-reason").contains("session"));
            let answer = said(&gw, &[], &conversation(HARD, &thanks())).await;
            assert_eq!(answer.header("x-tierway-model"), then, "{stream}");
            let reason = answer.header("x-tierway-reason");
            assert!(reason.ends_with(note), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_result_goes_to_the_model_that_made_the_call() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&tiers(&up, "tool-big")).await;
    let id = [("x-session-id", "s1")];
    for _ in 0..3 {
        said(&gw, &id, &conversation(HARD, &[])).await;
        // The words alone would take it to the small one.
        let answer = said(&gw, &id, &conversation("hi", &result())).await;
        assert_eq!(answer.header("x-tierway-model"), "tool-big");
    }
    let answer = said(
        &gw,
        &[("x-session-id", "s2")],
        &conversation("hi", &result()),
    )
    .await;
    assert_eq!(answer.header("x-tierway-model"), "text-small");
}

#[tokio::test]
async fn it_goes_up_with_its_task_and_side_requests_do_not_drag_it_down() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&tiers(&up, "cached-big")).await;
    let id = ("x-claude-code-session-id", "s1");
    let answer = said(&gw, &[id], &conversation("hi", &[])).await;
    assert_eq!(answer.header("x-tierway-model"), "text-small");
    let hard = [
        json!({"role": "assistant", "content": "Hello."}),
        json!({"role": "user", "content": HARD}),
    ];
    let answer = said(&gw, &[id], &conversation("hi", &hard)).await;
    assert_eq!(answer.header("x-tierway-model"), "cached-big");
    assert!(
        answer
            .header("x-tierway-reason")
            .ends_with("session:escalated")
    );
    let side = [id, ("x-claude-code-request-class", "auxiliary")];
    let answer = said(&gw, &side, &conversation("a title for it", &[])).await;
    assert_eq!(answer.header("x-tierway-model"), "text-small");
    let mut named = conversation("hi", &thanks());
    named["model"] = "claude-haiku-5-5".into();
    assert_eq!(
        said(&gw, &[id], &named).await.header("x-tierway-model"),
        "text-small"
    );
    let later = [&hard[..], &thanks()].concat();
    let answer = said(&gw, &[id], &conversation("hi", &later)).await;
    assert_eq!(answer.header("x-tierway-model"), "cached-big");
    // A sub-agent is a conversation of its own.
    let agent = [id, ("x-claude-code-agent-id", "a1")];
    let answer = said(&gw, &agent, &conversation("hi", &[])).await;
    assert_eq!(answer.header("x-tierway-model"), "text-small");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let up = Upstream::start().await;
    let off = format!("{}[affinity]\nenabled = false\n", tiers(&up, "cached-big"));
    let gw = Gateway::start(&off).await;
    said(&gw, &[], &conversation(HARD, &[])).await;
    let answer = said(&gw, &[], &conversation(HARD, &thanks())).await;
    assert_eq!(answer.header("x-tierway-model"), "text-small");
}

#[tokio::test]
async fn a_redis_that_is_away_holds_up_nothing() {
    let up = Upstream::start().await;
    let away = "[affinity]\nstore = \"redis\"\n[redis]\nurl = \"redis://127.0.0.1:1\"\n";
    let gw = Gateway::start(&format!("{}{away}", tiers(&up, "cached-big"))).await;
    said(&gw, &[], &conversation(HARD, &[])).await;
    // What this node has seen it knows all the same.
    let answer = said(&gw, &[], &conversation(HARD, &thanks())).await;
    assert_eq!(answer.header("x-tierway-model"), "cached-big");
}
