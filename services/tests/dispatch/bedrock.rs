//! Bedrock: binary streams, Anthropic's Messages in Amazon's envelopes, and what is told to whom.
use super::*;
use crate::upstream::{Act, END, Seen, json, response};
use base64::Engine;
use tierway_services::{chat::AttemptEnd, providers::Secret};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const EVENTS: [&str; 6] = [
    r#"{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"H\u00e9llo 1.00"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}"#,
    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":3}}"#,
];

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut told = Vec::new();
    for (name, value) in headers {
        told.push(u8::try_from(name.len()).unwrap());
        told.extend_from_slice(name.as_bytes());
        told.push(7);
        told.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        told.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + told.len() + payload.len()).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(told.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&told);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

fn packed(event_of_anthropic: &str) -> Vec<u8> {
    let bytes = base64::engine::general_purpose::STANDARD.encode(event_of_anthropic);
    event("chunk", &format!(r#"{{"bytes":"{bytes}","p":"abcd"}}"#))
}

fn exception(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":exception-type", name), (":message-type", "exception")];
    frame(&headers, payload.as_bytes())
}

/// The frames in chunks that heed no frame.
fn stream(frames: &[Vec<u8>]) -> Vec<Act> {
    let mut wire = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in frames.concat().chunks(100) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(END.as_bytes());
    vec![Act::Bytes(wire)]
}

fn keyed(upstream: &Upstream) -> Dispatch {
    dispatch(provider(Kind::Bedrock, upstream).api_key(Secret::new("bedrock-key-1")))
}

fn to(mut ask: Ask, model: &str) -> Ask {
    Notes::of_mut(&mut ask.req).target = Some(Target::new("p", model));
    ask
}

#[tokio::test]
async fn claude_streams_byte_for_byte() {
    let frames: Vec<_> = EVENTS.iter().map(|e| packed(e)).collect();
    let upstream = Upstream::start(move |_| stream(&frames)).await;
    let ask = to(ask("/v1/messages?beta=true", MESSAGES_STREAM), CLAUDE);
    let told = ask
        .header(
            "anthropic-beta",
            "interleaved-thinking-2025-05-14,made-up-2026-01-01",
        )
        .header("anthropic-version", "2023-06-01")
        .send(&keyed(&upstream))
        .await
        .unwrap();
    assert_eq!(told.headers["content-type"], "text/event-stream");
    assert_eq!(told.headers["x-tierway-dropped"], "made-up-2026-01-01");
    let expected: String = EVENTS
        .iter()
        .map(|event| {
            let value: serde_json::Value = serde_json::from_str(event).unwrap();
            format!(
                "event: {}\ndata: {event}\n\n",
                value["type"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(told.body, expected);
    let usage = told.attempt().usage.unwrap();
    assert_eq!((usage.input, usage.output), (9, 3));
    let seen = upstream.last();
    assert_eq!(
        seen.path,
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
    );
    assert_eq!(
        seen.body,
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["interleaved-thinking-2025-05-14"],"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
    );
    assert_eq!(seen.header("authorization"), Some("Bearer bedrock-key-1"));
    assert_eq!(
        seen.header("accept"),
        Some("application/vnd.amazon.eventstream")
    );
    assert_eq!(seen.header("anthropic-beta"), None);
    assert_eq!(seen.header("anthropic-version"), None);
}

#[tokio::test]
async fn what_claude_would_refuse_is_left_out_before_the_envelope() {
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    let body = r#"{"model":"auto","max_tokens":9,"tool_choice":{"type":"auto"},"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"another's","signature":""},{"type":"text","text":"hello"}]},{"role":"user","content":"and?"}],"speed":"fast"}"#;
    let told = to(ask("/v1/messages", body), CLAUDE)
        .send(&keyed(&upstream))
        .await
        .unwrap();
    assert_eq!(told.headers["x-tierway-dropped"], "speed");
    assert_eq!(
        upstream.last().body,
        r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"hello"}]},{"role":"user","content":"and?"}]}"#
    );
}

#[tokio::test]
async fn claude_answers_whole_as_it_came() {
    let upstream = Upstream::saying(json(200, MESSAGE)).await;
    let told = to(ask("/v1/messages", MESSAGES), CLAUDE)
        .send(&keyed(&upstream))
        .await
        .unwrap();
    assert_eq!(told.body, MESSAGE);
    assert!(upstream.last().path.ends_with("/invoke"));
    assert!(upstream.last().body.contains(r#""top_p":1.00"#));
}

#[tokio::test]
async fn converse_is_read_for_everyone() {
    let answer = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello."}]}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":3,"totalTokens":12}}"#;
    let frames = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"Hello."},"p":"ab"}"#,
        ),
        event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
        event(
            "metadata",
            r#"{"usage":{"inputTokens":9,"outputTokens":3,"totalTokens":12}}"#,
        ),
    ];
    let upstream = Upstream::start(move |seen: &Seen| match seen.path.as_str() {
        "/model/amazon.nova-pro-v1%3A0/converse" => vec![Act::Send(json(200, answer))],
        "/model/amazon.nova-pro-v1%3A0/converse-stream" => stream(&frames),
        _ => vec![Act::Send(json(404, "{}"))],
    })
    .await;
    for (path, body) in [
        ("/v1/messages", MESSAGES),
        ("/v1/messages", MESSAGES_STREAM),
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT_STREAM),
    ] {
        let told = to(ask(path, body), "amazon.nova-pro-v1:0")
            .send(&keyed(&upstream))
            .await
            .unwrap();
        assert_eq!(told.status, 200, "{path} {body}: {}", told.body);
        assert!(told.body.contains("Hello."), "{}", told.body);
        assert_eq!(told.attempt().end, AttemptEnd::Complete);
        assert_eq!(told.attempt().usage.unwrap().output, 3);
    }
}

#[tokio::test]
async fn accounts_are_not_told() {
    let body = r#"{"message":"User: arn:aws:iam::123456789012:user/bob is not authorized, account 123456789012"}"#;
    let more = "x-amzn-errortype: AccessDeniedException:http://internal.amazon.com/\r\n";
    let upstream = Upstream::saying(response(403, "application/json", more, body)).await;
    for (path, body, model, kind) in [
        ("/v1/messages", MESSAGES, CLAUDE, "permission_error"),
        ("/v1/chat/completions", CHAT, "m", "permission_error"),
    ] {
        let told = to(ask(path, body), model)
            .send(&keyed(&upstream))
            .await
            .unwrap();
        assert_eq!(told.status, 403);
        assert_eq!(told.json()["error"]["type"], kind);
        assert!(!told.body.contains("123456789012"), "{}", told.body);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so() {
    let begun = event("messageStart", r#"{"role":"assistant"}"#);
    let text = event(
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#,
    );
    let throttled = exception("throttlingException", r#"{"message":"slow down"}"#);
    let mut flipped = text.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    for (frames, words) in [
        (
            vec![begun.clone(), text.clone(), throttled],
            "rate_limit_error",
        ),
        (vec![begun.clone(), text.clone(), flipped], "checksum"),
        (vec![begun, text.clone(), text[..30].to_vec()], "broke off"),
    ] {
        let upstream = Upstream::start(move |_| stream(&frames)).await;
        let told = to(ask("/v1/messages", MESSAGES_STREAM), "m")
            .send(&keyed(&upstream))
            .await
            .unwrap();
        let all = format!("{}{}", told.body, told.failure.clone().unwrap_or_default());
        assert!(all.contains(words), "{all}");
        assert_eq!(told.attempt().end, AttemptEnd::Failed);
    }
    let throttled = exception("throttlingException", r#"{"message":"slow down"}"#);
    let frames = [packed(EVENTS[0]), throttled];
    let upstream = Upstream::start(move |_| stream(&frames)).await;
    let told = to(ask("/v1/messages", MESSAGES_STREAM), CLAUDE)
        .send(&keyed(&upstream))
        .await
        .unwrap();
    assert!(told.body.ends_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n"
    ));
}

#[tokio::test]
async fn tokens_are_counted_by_the_model_behind_a_profile() {
    let upstream = Upstream::start(|seen: &Seen| {
        vec![Act::Send(match seen.path.as_str() {
            "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens" => {
                json(200, r#"{"inputTokens":77}"#)
            }
            _ => json(400, r#"{"message":"not this model"}"#),
        })]
    })
    .await;
    let count = |model| {
        let dispatch = keyed(&upstream);
        let ask = to(
            ask(
                "/v1/messages/count_tokens",
                r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#,
            ),
            model,
        );
        async move { ask.send(&dispatch).await.unwrap().json() }
    };
    assert_eq!(count(CLAUDE).await["input_tokens"], 77);
    // A model that cannot be asked is counted for.
    assert!(
        count("anthropic.claude-v2").await["input_tokens"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert!(count("meta.llama3").await["input_tokens"].as_u64().unwrap() > 0);
}
