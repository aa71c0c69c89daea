//! The event grammar of each dialect, over each provider format.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;

fn ask(model: &str) -> Value {
    json!({"model": model, "max_tokens": 99, "stream": true, "messages": [{"role": "user", "content": "hi"}]})
}

/// Checks the grammar of a Messages stream and folds it into its blocks.
fn blocks(res: &Answer) -> Vec<(String, String)> {
    assert!(res.header("content-type").starts_with("text/event-stream"));
    let events: Vec<Value> = res
        .events()
        .into_iter()
        .filter(|e| e["type"] != "ping")
        .collect();
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        (kinds[0], kinds[kinds.len() - 1], kinds[kinds.len() - 2]),
        ("message_start", "message_stop", "message_delta"),
        "{kinds:?}"
    );
    assert_eq!(kinds.iter().filter(|k| **k == "message_start").count(), 1);
    assert!(
        events[0]["message"]["usage"]["input_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );
    let (mut open, mut out) = (None, Vec::<(String, String)>::new());
    for event in &events[1..events.len() - 2] {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(out.len() as u64)));
                open = index;
                out.push((
                    event["content_block"]["type"].as_str().unwrap().to_owned(),
                    String::new(),
                ));
            }
            "content_block_delta" => {
                assert!(open.is_some() && open == index);
                let delta = &event["delta"];
                let piece = delta["text"]
                    .as_str()
                    .or(delta["partial_json"].as_str())
                    .or(delta["thinking"].as_str())
                    .unwrap_or_default();
                out.last_mut().unwrap().1.push_str(piece);
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index);
            }
            other => panic!("{other} among the blocks"),
        }
    }
    assert_eq!(open, None);
    out
}

#[tokio::test]
async fn messages_streams_obey_their_grammar_over_both_formats() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for provider in ["a", "o"] {
        let res = gw
            .messages(&ask(&format!("{provider}:think-parallel-x")))
            .await;
        let blocks = blocks(&res);
        let kinds: Vec<_> = blocks.iter().map(|b| b.0.as_str()).collect();
        assert_eq!(
            kinds,
            ["thinking", "text", "tool_use", "tool_use"],
            "{provider}"
        );
        assert_eq!(blocks[1].1, "Paris is the capital of France.");
        assert_eq!(blocks[3].1, r#"{"command": "echo \"hi\""}"#);
        let delta = res
            .events()
            .into_iter()
            .find(|e| e["type"] == "message_delta")
            .unwrap();
        assert_eq!(
            (
                &delta["delta"]["stop_reason"],
                &delta["usage"]["output_tokens"]
            ),
            (&json!("tool_use"), &json!(7))
        );
    }
}

#[tokio::test]
async fn chat_streams_obey_their_grammar_over_both_formats() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for provider in ["a", "o"] {
        for usage in [false, true] {
            let mut ask = ask(&format!("{provider}:parallel-x"));
            if usage {
                ask["stream_options"] = json!({"include_usage": true});
            }
            let events = gw.chat(&ask).await.events();
            assert_eq!(events.last().unwrap(), "[DONE]");
            let with_usage: Vec<_> = events.iter().filter(|e| e["usage"].is_object()).collect();
            assert_eq!(
                with_usage.len(),
                usize::from(usage),
                "{provider}: usage is told to whom asked for it, and once"
            );
            let deltas: Vec<_> = events.iter().map(|e| &e["choices"][0]["delta"]).collect();
            let text: String = deltas
                .iter()
                .filter_map(|d| d["content"].as_str())
                .collect();
            assert_eq!(text, "Paris is the capital of France.");
            for i in 0..2 {
                let calls: Vec<_> = deltas
                    .iter()
                    .flat_map(|d| d["tool_calls"].as_array().into_iter().flatten())
                    .filter(|c| c["index"] == i)
                    .collect();
                assert!(calls[0]["id"].is_string() && calls[0]["function"]["name"] == "bash");
                let arguments: String = calls
                    .iter()
                    .filter_map(|c| c["function"]["arguments"].as_str())
                    .collect();
                assert_eq!(arguments, r#"{"command": "echo \"hi\""}"#);
            }
            let finish: Vec<_> = events
                .iter()
                .filter_map(|e| e["choices"][0]["finish_reason"].as_str())
                .collect();
            assert_eq!(finish, ["tool_calls"]);
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_the_dialects_error() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for provider in ["a", "o"] {
        // What is wrong from its first event on is no stream.
        let model = format!("{provider}:garbage-x");
        for answer in [gw.messages(&ask(&model)).await, gw.chat(&ask(&model)).await] {
            assert!(
                answer.status.is_server_error(),
                "{model}: {}",
                answer.text()
            );
            assert!(answer.json()["error"]["message"].is_string());
        }
        for fault in ["cutoff", "midfail"] {
            let model = format!("{provider}:{fault}-x");
            let messages = gw.messages(&ask(&model)).await.events();
            assert_eq!(
                messages.last().unwrap()["type"],
                "error",
                "{model}: {messages:?}"
            );
            assert!(messages.iter().all(|e| e["type"] != "message_stop"));
            let chat = gw.chat(&ask(&model)).await.events();
            let error = chat.iter().rev().find(|e| *e != "[DONE]").unwrap();
            assert!(error["error"]["message"].is_string(), "{model}: {chat:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_upstream_call() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for (path, model) in [
        ("/v1/messages", "a:hang-x"),
        ("/v1/messages", "o:hang-x"),
        ("/v1/chat/completions", "o:hang-x"),
    ] {
        let req = gw.request(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            ask(model).to_string(),
        );
        let mut body = gw.send(req).await.into_body();
        body.frame().await.unwrap().unwrap();
        assert_eq!(up.open_streams(), 1);
        drop(body);
        tokio::time::timeout(Duration::from_secs(5), async {
            while up.open_streams() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the upstream stream is dropped");
    }
}

#[tokio::test]
async fn tokens_arrive_one_by_one_not_in_a_burst() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for model in ["a:slow-x", "o:slow-x"] {
        let req = gw.request(Method::POST, "/v1/messages", &[], ask(model).to_string());
        let mut body = gw.send(req).await.into_body();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            frames += usize::from(frame.unwrap().is_data());
        }
        assert!(frames > 5, "{model}: {frames} frames");
    }
}
