//! Responses, into and out of the two dialects that callers and providers mostly speak.
use super::{asked, fixtures, folder, pretty, prompt_of, run, steady};
use crate::{
    chat::{Kind, StopReason},
    dialect::Dialect,
    translate::{
        Capabilities, Reasoning, answer, dropped, grammar, is_particular, read_answer, request,
        summary, to_stream, to_whole,
    },
};
use bytes::Bytes;
use serde_json::{Value, json};

const RESPONSES: Dialect = Dialect::Responses;
const OTHERS: [Dialect; 2] = [Dialect::Messages, Dialect::ChatCompletions];

/// What Codex might ask to get a stream: a function in a namespace and a tool that takes free text.
fn codex() -> crate::chat::Prompt {
    let (_, body) = fixtures("requests/responses")
        .into_iter()
        .find(|(name, _)| name == "codex-custom-tools")
        .unwrap();
    prompt_of(RESPONSES, &body)
}

fn fixture(folder: &str, name: &str) -> String {
    let found = fixtures(folder).into_iter().find(|(n, _)| n == name);
    found.unwrap().1
}

fn thinking() -> Capabilities {
    Capabilities {
        reasoning: Reasoning::Effort,
        ..Capabilities::default()
    }
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn requests_out_of_responses() {
    for to in OTHERS {
        for (name, body) in fixtures("requests/responses") {
            let sent = request(&prompt_of(RESPONSES, &body), to, "model", &thinking()).unwrap();
            let name = format!("responses-request-{name}-to-{}", to.as_str());
            insta::assert_snapshot!(name, pretty(&sent));
        }
    }
}

#[test]
fn requests_into_responses() {
    for from in OTHERS {
        for (name, body) in fixtures(&folder("requests", from)) {
            let prompt = prompt_of(from, &body);
            match request(&prompt, RESPONSES, "model", &thinking()) {
                Ok(sent)
                    if matches!(
                        &*name,
                        "claude-code-tool-round" | "parallel-tools" | "multimodal"
                    ) =>
                {
                    let name = format!("{}-request-{name}-to-responses", from.as_str());
                    insta::assert_snapshot!(name, pretty(&sent));
                }
                Ok(sent) => assert!(value(&sent)["input"].is_array(), "{name}"),
                Err(refusal) => {
                    assert_eq!(refusal.kind(), Kind::InvalidRequest, "{name}: {refusal}");
                    assert!(refusal.param().is_some(), "{name}");
                }
            }
        }
    }
}

/// Every recorded stream of the others, as a caller of Responses gets it.
#[test]
fn streams_into_responses() {
    for from in OTHERS {
        for (name, stream) in fixtures(&folder("streams", from)) {
            for prompt in [asked(RESPONSES), codex()] {
                let (sent, end, translator) = run(from, RESPONSES, &prompt, &[stream.as_bytes()]);
                let sent = String::from_utf8(sent).unwrap();
                if let Err(violation) = grammar::check(RESPONSES, sent.as_bytes()) {
                    panic!("{name}: {violation}\n{sent}");
                }
                let told = translator.summary();
                assert_eq!(told.complete, end.is_ok() && told.error.is_none(), "{name}");
            }
            let (sent, ..) = run(from, RESPONSES, &asked(RESPONSES), &[stream.as_bytes()]);
            let sent = String::from_utf8(sent).unwrap();
            if matches!(&*name, "everything" | "mid-stream-error" | "truncated-tool") {
                let name = format!("{}-stream-{name}-to-responses", from.as_str());
                insta::assert_snapshot!(name, steady(&sent));
            }
            let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
            let (cut, ..) = run(from, RESPONSES, &asked(RESPONSES), &bytes);
            assert_eq!(
                steady(&String::from_utf8(cut).unwrap()),
                steady(&sent),
                "{name}"
            );
        }
    }
}

/// Every recorded stream of Responses, as callers of the others get it, and passed on as it is.
#[test]
fn streams_out_of_responses() {
    for (name, stream) in fixtures("streams/responses") {
        let prompt = asked(RESPONSES);
        let (same, same_end, watched) = run(RESPONSES, RESPONSES, &prompt, &[stream.as_bytes()]);
        assert!(same.starts_with(stream.as_bytes()), "{name}");
        for to in OTHERS {
            let (sent, end, translator) = run(RESPONSES, to, &asked(to), &[stream.as_bytes()]);
            let sent = String::from_utf8(sent).unwrap();
            if let Err(violation) = grammar::check(to, sent.as_bytes()) {
                panic!("{name}: {violation}\n{sent}");
            }
            insta::assert_snapshot!(
                format!("responses-stream-{name}-to-{}", to.as_str()),
                steady(&sent)
            );
            let (seen, read) = (watched.summary(), translator.summary());
            assert_eq!(end.is_ok(), same_end.is_ok(), "{name}");
            assert_eq!(seen.error, read.error, "{name}");
            assert_eq!(
                (seen.complete, seen.usage),
                (read.complete, read.usage),
                "{name}"
            );
            let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
            let (cut, ..) = run(RESPONSES, to, &asked(to), &bytes);
            assert_eq!(
                steady(&String::from_utf8(cut).unwrap()),
                steady(&sent),
                "{name}"
            );
        }
    }
}

#[test]
fn answers_both_ways() {
    for from in OTHERS {
        for (name, body) in fixtures(&folder("answers", from)) {
            let (sent, _) = answer(from, RESPONSES, &Bytes::from(body.clone()), &codex()).unwrap();
            let told = summary(RESPONSES, &sent);
            assert!(told.complete && told.usage.is_some(), "{name}");
            let (before, after) = (
                read_answer(from, body.as_bytes()).unwrap(),
                read_answer(RESPONSES, &sent).unwrap(),
            );
            assert_eq!(after.text, before.text, "{name}");
            assert_eq!(after.tool_calls.len(), before.tool_calls.len(), "{name}");
            let stream = to_stream(RESPONSES, &sent, false).unwrap().concat();
            grammar::check(RESPONSES, &stream).unwrap_or_else(|v| panic!("{name}: {v}"));
        }
    }
    for (name, body) in fixtures("answers/responses") {
        let body = Bytes::from(body);
        for to in OTHERS {
            let (sent, _) = answer(RESPONSES, to, &body, &asked(to)).unwrap();
            let name = format!("responses-answer-{name}-to-{}", to.as_str());
            insta::assert_snapshot!(name, pretty(&sent));
        }
    }
    let stop = |name| {
        let body = fixture("answers/responses", name);
        read_answer(RESPONSES, body.as_bytes()).unwrap().stop
    };
    assert_eq!(stop("everything"), Some(StopReason::ToolUse));
    assert_eq!(stop("incomplete"), Some(StopReason::MaxTokens));
    assert_eq!(stop("refusal"), Some(StopReason::Refusal));
}

#[test]
fn whole_to_stream_to_whole() {
    for (name, body) in fixtures("answers/responses") {
        let stream = to_stream(RESPONSES, body.as_bytes(), false).unwrap();
        // Annotations are events of their own, of which there are many kinds.
        if name != "everything" {
            grammar::check(RESPONSES, &stream.concat()).unwrap_or_else(|v| panic!("{name}: {v}"));
        }
        let again = to_whole(RESPONSES, &stream).unwrap();
        assert_eq!(value(&again), value(body.as_bytes()), "{name}");
    }
    // Items that the last event leaves out are those that the stream has told.
    let lean = fixture("streams/responses", "lean-mixed-calls");
    let events: Vec<Bytes> = lean
        .split_inclusive("\n\n")
        .map(|e| Bytes::copy_from_slice(e.as_bytes()))
        .collect();
    let whole = to_whole(RESPONSES, &events).unwrap();
    assert_eq!(read_answer(RESPONSES, &whole).unwrap().tool_calls.len(), 3);
    assert_eq!(to_whole(RESPONSES, &events[..4]), None);
}

/// A tool that takes free text is a function upstream, and itself again in the answer.
#[test]
fn free_text_goes_there_and_back() {
    let prompt = codex();
    let sent = value(
        &request(
            &prompt,
            Dialect::ChatCompletions,
            "m",
            &Capabilities::default(),
        )
        .unwrap(),
    );
    let functions: Vec<&str> = sent["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["function"]["name"].as_str().unwrap())
        .collect();
    assert!(
        functions.contains(&"exec") && functions.contains(&"clock__sleep"),
        "{functions:?}"
    );
    let said = "const a = \"é\\n😀\";\n\ttext(a);";
    let arguments = json!({ "input": said }).to_string();
    let whole = json!({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{
        "role":"assistant","content":null,"tool_calls":[
            {"id":"call_1","type":"function","function":{"name":"exec","arguments":arguments}},
            {"id":"call_2","type":"function","function":{"name":"clock__sleep","arguments":"{}"}}]}}]});
    let (body, _) = answer(
        Dialect::ChatCompletions,
        RESPONSES,
        &whole.to_string().into(),
        &prompt,
    )
    .unwrap();
    let told = value(&body);
    assert_eq!(told["output"][0]["type"], "custom_tool_call");
    assert_eq!(
        (&told["output"][0]["name"], &told["output"][0]["namespace"]),
        (&json!("exec"), &json!("functions"))
    );
    assert_eq!(told["output"][0]["input"], said);
    assert_eq!(
        (&told["output"][1]["name"], &told["output"][1]["namespace"]),
        (&json!("sleep"), &json!("clock"))
    );
    // Streamed, cut anywhere, the same.
    let stream = to_stream(Dialect::ChatCompletions, whole.to_string().as_bytes(), true)
        .unwrap()
        .concat();
    let bytes: Vec<_> = stream.chunks(3).collect();
    let (sent, ..) = run(Dialect::ChatCompletions, RESPONSES, &prompt, &bytes);
    grammar::check(RESPONSES, &sent).unwrap();
    let events: Vec<Bytes> = std::str::from_utf8(&sent)
        .unwrap()
        .split_inclusive("\n\n")
        .map(|e| Bytes::copy_from_slice(e.as_bytes()))
        .collect();
    let streamed = value(&to_whole(RESPONSES, &events).unwrap());
    assert_eq!(streamed["output"][0]["input"], said);
    assert!(String::from_utf8_lossy(&sent).contains("response.custom_tool_call_input.delta"));
}

/// Free text that a limit or an error cut off is no call to run.
#[test]
fn a_cut_call_is_not_told_as_whole() {
    let prompt = codex();
    let chunk = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"c\",\"created\":1760000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let begun = chunk(
        r#"{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"exec","arguments":"{\"input\":\"rm -rf /tmp"}}]}"#,
        "null",
    );
    let limit = chunk("{}", "\"length\"") + "data: [DONE]\n\n";
    let error = "data: {\"error\":{\"message\":\"x\"}}\n\n".to_owned();
    let sloppy = chunk("{}", "\"tool_calls\"") + "data: [DONE]\n\n";
    for (end, calls) in [(limit, 0), (error, 0), (sloppy, 1)] {
        let stream = format!("{begun}{end}");
        let (sent, ..) = run(
            Dialect::ChatCompletions,
            RESPONSES,
            &prompt,
            &[stream.as_bytes()],
        );
        grammar::check(RESPONSES, &sent).unwrap();
        let sent = String::from_utf8(sent).unwrap();
        assert_eq!(
            sent.matches("event: response.output_item.done").count(),
            calls,
            "{sent}"
        );
    }
}

/// What a provider signed comes back to it as it was, and to no other.
#[test]
fn signatures_go_there_and_back() {
    let prompt = prompt_of(
        RESPONSES,
        r#"{"model":"m","input":"x","include":["reasoning.encrypted_content"]}"#,
    );
    let whole = json!({"id":"m","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1},
        "content":[{"type":"thinking","thinking":"hm","signature":"sig+/="},{"type":"text","text":"x"}]});
    let (body, _) = answer(
        Dialect::Messages,
        RESPONSES,
        &whole.to_string().into(),
        &prompt,
    )
    .unwrap();
    let item = value(&body)["output"][0].clone();
    assert_eq!(item["encrypted_content"], "signature.sig+/=");
    let next = json!({"model":"m","input":[item, {"role":"user","content":"y"}]}).to_string();
    let sent = value(
        &request(
            &prompt_of(RESPONSES, &next),
            Dialect::Messages,
            "m",
            &Capabilities::default(),
        )
        .unwrap(),
    );
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"type":"thinking","thinking":"hm","signature":"sig+/="}])
    );

    let body = fixture("answers/responses", "everything");
    let (sent, _) = answer(
        RESPONSES,
        Dialect::Messages,
        &body.into(),
        &asked(Dialect::Messages),
    )
    .unwrap();
    let thought = value(&sent)["content"][0].clone();
    assert_eq!(thought["signature"], "encrypted.gAAAA");
    let next = json!({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[thought]},{"role":"user","content":"y"}]});
    let next = prompt_of(Dialect::Messages, &next.to_string());
    let sent = value(&request(&next, RESPONSES, "m", &Capabilities::default()).unwrap());
    assert_eq!(sent["input"][0]["encrypted_content"], "gAAAA");
    let sent = value(
        &request(
            &next,
            Dialect::ChatCompletions,
            "m",
            &Capabilities::default(),
        )
        .unwrap(),
    );
    assert!(!sent.to_string().contains("gAAAA"));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let no = |body: Value| {
        let prompt = prompt_of(RESPONSES, &body.to_string());
        request(&prompt, Dialect::Messages, "m", &Capabilities::default()).unwrap_err()
    };
    for (body, kind, param) in [
        (
            json!({"model":"m","input":"x","tools":[{"type":"computer"}]}),
            Kind::InvalidRequest,
            "tools",
        ),
        (
            json!({"model":"m","input":"x","tools":[{"type":"mcp","server_label":"x"}]}),
            Kind::InvalidRequest,
            "tools",
        ),
        (
            json!({"model":"m","input":"x","tool_choice":{"type":"web_search"}}),
            Kind::InvalidRequest,
            "tool_choice",
        ),
        (
            json!({"model":"m","input":"x","background":true}),
            Kind::InvalidRequest,
            "background",
        ),
        (
            json!({"model":"m","input":"x","conversation":"conv_1"}),
            Kind::InvalidRequest,
            "conversation",
        ),
        (
            json!({"model":"m","input":"x","previous_response_id":"resp_1"}),
            Kind::NotFound,
            "previous_response_id",
        ),
        (
            json!({"model":"m","input":[{"type":"item_reference","id":"x"}]}),
            Kind::NotFound,
            "input",
        ),
        (
            json!({"model":"m","input":[{"type":"message","content":"x"}]}),
            Kind::InvalidRequest,
            "input[0].role",
        ),
    ] {
        // Without a role, the facts cannot be read either.
        let parsed = crate::chat::Prompt::parse(
            RESPONSES,
            crate::chat::Operation::Generate,
            body.to_string().into(),
        );
        let refusal = parsed.err().unwrap_or_else(|| no(body.clone()));
        assert_eq!(
            (refusal.kind(), refusal.param()),
            (kind, Some(param)),
            "{body}"
        );
    }
}

#[test]
fn what_is_left_out_is_told() {
    let prompt = prompt_of(RESPONSES, &fixture("requests/responses", "codex-functions"));
    assert_eq!(dropped(&prompt, Dialect::Messages), ["web_search"]);
    assert!(dropped(&prompt, RESPONSES).is_empty());
    assert!(is_particular(&prompt));
    let plain = prompt_of(
        RESPONSES,
        r#"{"model":"m","input":"x","tools":[{"type":"function","name":"f"}]}"#,
    );
    assert!(dropped(&plain, Dialect::Messages).is_empty() && !is_particular(&plain));
}
