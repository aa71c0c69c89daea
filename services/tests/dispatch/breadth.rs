//! What happens to a call on its way between providers: thoughts, documents, accounts, broken arguments, counts.
use super::*;
use crate::upstream::{json, stream};

const THOUGHT: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"k","content":[{"type":"thinking","thinking":"t","signature":"sig-of-kimi"},{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}}"#;
const HISTORY: &str = r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"sig-of-kimi"},{"type":"text","text":"Hello."}]},{"role":"user","content":"go on"}]}"#;

/// Two providers of Messages at one upstream.
fn two(upstream: &Upstream) -> Dispatch {
    let named = |name, kind| Provider::new(name, kind).base_url(&upstream.url).unwrap();
    let providers = [
        named("kimi", Kind::AnthropicCompatible),
        named("claude", Kind::Anthropic),
    ];
    Dispatch::new(providers, Client::new())
}

fn ask_of(provider: &str, body: &str) -> Ask {
    let mut ask = ask("/v1/messages", body);
    Notes::of_mut(&mut ask.req).target = Some(Target::new(provider, "m"));
    ask
}

// Cases 27 and 28: a conversation that moves from one provider to another, and back.
#[tokio::test]
async fn a_thought_goes_back_to_who_thought_it_and_to_nobody_else() {
    const STREAMED: [&str; 4] = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"k\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"sig-of-kimi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    for (first, said) in [
        (MESSAGES, json(200, THOUGHT)),
        (MESSAGES_STREAM, stream(&STREAMED)),
    ] {
        let upstream = Upstream::start(move |seen: &crate::upstream::Seen| {
            let first = !seen.body.contains("go on");
            let said = if first {
                said.clone()
            } else {
                json(200, MESSAGE)
            };
            vec![crate::upstream::Act::Send(said)]
        })
        .await;
        let dispatch = two(&upstream);
        // Nobody has seen it signed yet, so it passes.
        ask_of("claude", HISTORY).send(&dispatch).await.unwrap();
        let whole = HISTORY.replace("auto", "m");
        assert_eq!(upstream.last().body, whole);
        ask_of("kimi", first).send(&dispatch).await.unwrap();
        ask_of("kimi", HISTORY).send(&dispatch).await.unwrap();
        assert_eq!(upstream.last().body, whole);
        ask_of("claude", HISTORY).send(&dispatch).await.unwrap();
        let thought = r#"{"type":"thinking","thinking":"t","signature":"sig-of-kimi"},"#;
        assert_eq!(upstream.last().body, whole.replace(thought, ""));
    }
}

#[tokio::test]
async fn reasoning_that_was_translated_goes_to_no_house_that_signs() {
    let completion = COMPLETION.replace(
        r#""content":"Hello.""#,
        r#""content":"Hello.","reasoning_content":"Hm.""#,
    );
    let upstream = Upstream::saying(json(200, &completion)).await;
    let told = ask("/v1/messages", MESSAGES)
        .send(&dispatch(provider(Kind::OpenAi, &upstream)))
        .await
        .unwrap();
    let content = told.json()["content"].clone();
    assert_eq!(content[0]["type"], "thinking");
    let history = serde_json::json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "go on"}]});
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    ask("/v1/messages", &history.to_string())
        .send(&dispatch(provider(Kind::Anthropic, &upstream)))
        .await
        .unwrap();
    let sent = upstream.last().json();
    let kinds: Vec<_> = sent["messages"][1]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].clone())
        .collect();
    assert_eq!(kinds, ["text"]);
}

#[tokio::test]
async fn a_document_is_not_lost_at_a_server_that_would_not_see_it() {
    let body = MESSAGES.replace(
        r#""content":"hi""#,
        r#""content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"the plan"}},{"type":"text","text":"hi"}]"#,
    );
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    let local = provider(Kind::Ollama, &upstream).native_messages(Some(true));
    let told = ask("/v1/messages", &body)
        .send(&dispatch(local))
        .await
        .unwrap();
    assert_eq!(told.json()["type"], "message");
    let seen = upstream.last();
    assert_eq!(seen.path, "/v1/chat/completions");
    assert!(seen.body.contains("the plan"));
}

#[tokio::test]
async fn accounts_in_errors_are_not_told() {
    let error = r#"{"type":"error","error":{"type":"rate_limit_error","message":"organization 0b1c2d3e-1111-2222-3333-444455556666 is over its limit"},"request_id":"req_1"}"#;
    let masked = error.replace("0b1c2d3e-1111-2222-3333-444455556666", "***");
    let upstream = Upstream::saying(json(429, error)).await;
    let dispatch = dispatch(provider(Kind::Anthropic, &upstream));
    let told = ask("/v1/messages", MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!((told.status, told.body), (429, masked));
    let told = ask("/v1/chat/completions", CHAT)
        .send(&dispatch)
        .await
        .unwrap();
    assert!(
        told.body.contains("organization *** is over"),
        "{}",
        told.body
    );
}

#[tokio::test]
async fn accounts_in_the_errors_of_streams_are_not_told() {
    let event = "data: {\"error\":{\"message\":\"no quota in org-AbC123xyz\",\"type\":\"server_error\"}}\n\n";
    let upstream = Upstream::saying(stream(&[CHUNKS[0], event])).await;
    let dispatch = dispatch(provider(Kind::OpenAi, &upstream));
    for (path, body) in [
        ("/v1/chat/completions", CHAT_STREAM),
        ("/v1/messages", MESSAGES_STREAM),
    ] {
        let told = ask(path, body).send(&dispatch).await.unwrap();
        assert!(told.body.contains("no quota in org-***"), "{}", told.body);
        assert!(!told.body.contains("AbC123xyz"), "{}", told.body);
    }
}

// Case 24: what the model wrote is delivered, and who runs the tool is warned.
#[tokio::test]
async fn broken_arguments_are_flagged() {
    for (arguments, flagged) in [(r#"{\"a\":1}"#, false), (r#"{\"a\":"#, true), ("", false)] {
        let calls = format!(
            r#""content":null,"tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]"#
        );
        let answer = COMPLETION.replace(r#""content":"Hello.""#, &calls);
        let upstream = Upstream::saying(json(200, &answer)).await;
        let dispatch = dispatch(provider(Kind::OpenAi, &upstream));
        for (path, body) in [("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGES)] {
            let told = ask(path, body).send(&dispatch).await.unwrap();
            let flag = told.headers.get("x-tierway-flag");
            let expected = flagged.then_some("invalid_tool_arguments");
            assert_eq!(
                flag.map(|f| f.to_str().unwrap()),
                expected,
                "{arguments} {path}"
            );
            if path == "/v1/chat/completions" {
                assert_eq!(told.body, answer, "not a byte is changed");
            }
        }
    }
}

// Case 7.
#[tokio::test]
async fn tools_of_unknown_types_pass() {
    let tools = r#","tools":[{"type":"ide_20271231","name":"_ide","x":[1, 2]},{"type":"computer_20241022","name":"computer","display_width_px":1}]}"#;
    let body = MESSAGES
        .replacen('}', "\u{1}", 1)
        .replace("1.00}", &format!("1.00{tools}"));
    let body = body.replace('\u{1}', "}");
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    ask("/v1/messages", &body)
        .send(&dispatch(provider(Kind::Anthropic, &upstream)))
        .await
        .unwrap();
    assert_eq!(upstream.last().body, body.replace("auto", "m"));
    let tools = r#","tools":[{"type":"custom","custom":{"name":"exec","format":{"type":"text"}}},{"type":"new_2027"}]}"#;
    let body = format!("{}{tools}", CHAT.strip_suffix('}').unwrap());
    let upstream = Upstream::saying(json(200, COMPLETION)).await;
    ask("/v1/chat/completions", &body)
        .send(&dispatch(provider(Kind::OpenAi, &upstream)))
        .await
        .unwrap();
    assert_eq!(upstream.last().body, body.replace("auto", "m"));
}

// Cases 9 to 11: no counter and no estimate is said so, never a made-up number.
#[tokio::test]
async fn without_a_counter_counting_can_be_refused() {
    const PATH: &str = "/v1/messages/count_tokens";
    let upstream = Upstream::saying(json(404, "{}")).await;
    for kind in [Kind::OpenAi, Kind::AnthropicCompatible] {
        let dispatch = dispatch(provider(kind, &upstream)).estimate_tokens(false);
        let told = ask(PATH, MESSAGES).send(&dispatch).await.unwrap();
        assert_eq!(told.status, 501, "{kind}");
        assert_eq!(told.json()["error"]["type"], "not_supported");
    }
    let upstream = Upstream::saying(json(200, r#"{"input_tokens":42}"#)).await;
    let dispatch = dispatch(provider(Kind::Anthropic, &upstream)).estimate_tokens(false);
    let told = ask(PATH, MESSAGES).send(&dispatch).await.unwrap();
    assert_eq!(told.json()["input_tokens"], 42);
}

// Case 41: Cursor's tools, calls and results at a server of chat completions.
#[tokio::test]
async fn anthropics_shapes_in_a_chat_body_reach_no_chat_upstream() {
    const TOOL: &str =
        r#"{"name":"f","description":"d","input_schema":{"type":"object", "x":1.50}}"#;
    const FUNCTION: &str = r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object", "x":1.50}}}"#;
    const ROUND: &str = r#"{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}"#;
    const TOLD: &str = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"toolu_1","content":"ok"}"#;
    let body = |model: &str, tool: &str, round: &str| {
        format!(
            r#"{{"model":"{model}", "messages":[{{"role":"user","content":"hi"}},{round}],"tools":[{tool}],"x_own":1.00}}"#
        )
    };
    for kind in [Kind::OpenAi, Kind::OpenAiCompatible, Kind::Vllm] {
        let upstream = Upstream::saying(json(200, COMPLETION)).await;
        let told = ask("/v1/chat/completions", &body("auto", TOOL, ROUND))
            .send(&dispatch(provider(kind, &upstream)))
            .await
            .unwrap();
        assert_eq!(told.status, 200, "{kind}: {}", told.body);
        assert_eq!(upstream.last().body, body("m", FUNCTION, TOLD), "{kind}");
    }
}
