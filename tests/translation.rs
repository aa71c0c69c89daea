//! Each dialect answered by a provider of the other.
use crate::support::{Gateway, Upstream, two_formats};
use serde_json::{Value, json};

fn ask(model: &str, extra: Value) -> Value {
    let mut ask =
        json!({"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        ask[key] = value.clone();
    }
    ask
}

#[tokio::test]
async fn a_messages_caller_on_a_chat_provider() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let res = gw
        .messages(&ask(
            "o:parallel-x",
            json!({"system": "be kind", "stop_sequences": ["END"]}),
        ))
        .await
        .json();
    assert_eq!(
        (&res["type"], &res["role"], &res["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("tool_use"))
    );
    assert_eq!(
        res["content"][0],
        json!({"type": "text", "text": "Paris is the capital of France."})
    );
    for i in 1..=2 {
        assert_eq!(res["content"][i]["type"], "tool_use");
        assert_eq!(
            res["content"][i]["input"],
            json!({"command": "echo \"hi\""})
        );
    }
    // 25 prompt tokens, 5 of them cached, are 20 fresh and 5 read in Anthropic's way of counting.
    assert_eq!(res["usage"]["input_tokens"], 20);
    assert_eq!(res["usage"]["cache_read_input_tokens"], 5);
    assert_eq!(res["usage"]["output_tokens"], 7);
    let sent = up.last().body;
    assert_eq!(
        sent["messages"][0],
        json!({"role": "system", "content": "be kind"})
    );
    assert_eq!(sent["stop"], json!(["END"]));
    assert_eq!(sent["model"], "parallel-x");
}

#[tokio::test]
async fn a_chat_caller_on_a_messages_provider() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let tools = json!([{"type": "function", "function": {"name": "bash", "description": "d", "parameters": {"type": "object", "x": 1.50}}}]);
    let res = gw
        .chat(&ask(
            "a:parallel-x",
            json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": false}),
        ))
        .await
        .json();
    assert_eq!(res["object"], "chat.completion");
    let choice = &res["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    for i in 0..2 {
        let arguments = choice["message"]["tool_calls"][i]["function"]["arguments"]
            .as_str()
            .unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(arguments).unwrap(),
            json!({"command": "echo \"hi\""})
        );
    }
    assert_eq!(res["usage"]["prompt_tokens"], 25);
    assert_eq!(res["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
    assert_eq!(res["usage"]["total_tokens"], 32);
    let sent = up.last();
    assert_eq!(
        sent.body["tool_choice"],
        json!({"type": "any", "disable_parallel_tool_use": true})
    );
    assert!(
        String::from_utf8_lossy(&sent.raw).contains("1.50")
            || sent.body["tools"][0]["input_schema"]["x"] == 1.5
    );
    assert_eq!(sent.headers["x-api-key"], "sk-up-anthropic");
}

#[tokio::test]
async fn a_tool_round_keeps_ids_and_results() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let messages = json!([
        {"role": "user", "content": "run it twice"},
        {"role": "assistant", "content": [{"type": "text", "text": "ok"},
            {"type": "tool_use", "id": "toolu_A", "name": "bash", "input": {"command": "a", "n": 1.0}},
            {"type": "tool_use", "id": "toolu_B", "name": "bash", "input": {"command": "b"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_A", "content": "one"},
            {"type": "tool_result", "tool_use_id": "toolu_B", "is_error": true, "content": [{"type": "text", "text": "two"}]},
            {"type": "text", "text": "go on"}]}]);
    assert_eq!(
        gw.messages(&ask("o:text-x", json!({"messages": messages})))
            .await
            .status,
        200
    );
    let sent = up.last().body;
    let calls = sent["messages"][1]["tool_calls"].as_array().unwrap();
    assert_eq!(
        (calls[0]["id"].as_str(), calls[1]["id"].as_str()),
        (Some("toolu_A"), Some("toolu_B"))
    );
    assert_eq!(sent["messages"][2]["role"], "tool");
    assert_eq!(sent["messages"][2]["tool_call_id"], "toolu_A");
    assert_eq!(sent["messages"][3]["tool_call_id"], "toolu_B");
    assert_eq!(sent["messages"][4]["role"], "user");
}

#[tokio::test]
async fn images_cross_over() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let image = json!([{"type": "text", "text": "what?"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]);
    gw.messages(&ask(
        "o:text-x",
        json!({"messages": [{"role": "user", "content": image}]}),
    ))
    .await;
    assert_eq!(
        up.last().body["messages"][0]["content"][1]["image_url"]["url"],
        "data:image/png;base64,aGk="
    );
    let image = json!([{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]);
    gw.chat(&ask(
        "a:text-x",
        json!({"messages": [{"role": "user", "content": image}]}),
    ))
    .await;
    let source = &up.last().body["messages"][0]["content"][1]["source"];
    assert_eq!(
        source,
        &json!({"type": "base64", "media_type": "image/png", "data": "aGk="})
    );
}

#[tokio::test]
async fn errors_keep_type_and_status() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for status in [400, 401, 403, 404, 413, 429, 500, 503, 529] {
        for provider in ["a", "o"] {
            let body = ask(&format!("{provider}:e{status}-x"), json!({}));
            let (m, c) = (gw.messages(&body).await, gw.chat(&body).await);
            assert_eq!(
                (m.status.as_u16(), c.status.as_u16()),
                (status, status),
                "{provider}"
            );
            assert_eq!(m.json()["type"], "error");
            assert!(
                m.json()["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("scripted"),
                "{}",
                m.text()
            );
            assert!(
                c.json()["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("scripted"),
                "{}",
                c.text()
            );
            assert_eq!(m.header("retry-after"), "7");
        }
    }
}
