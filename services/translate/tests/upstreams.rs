//! The dialects that only providers speak: each request out, each answer and stream in.
use super::{asked, fixtures, folder, pretty, prompt_of, run, steady};
use crate::{
    chat::{Kind, StopReason},
    dialect::Dialect,
    translate::{Capabilities, Reasoning, answer, grammar, request, summary, to_whole},
};
use bytes::Bytes;
use serde_json::{Value, json};

const CALLERS: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];
const UPSTREAMS: [Dialect; 2] = [Dialect::Gemini, Dialect::Ollama];

fn caps() -> Capabilities {
    Capabilities {
        reasoning: Reasoning::Effort,
        ..Capabilities::default()
    }
}

#[test]
fn golden_requests() {
    for to in UPSTREAMS {
        for from in CALLERS {
            for (name, body) in fixtures(&folder("requests", from)) {
                let prompt = prompt_of(from, &body);
                let sent = match request(&prompt, to, "target", &caps()) {
                    Ok(sent) => pretty(&sent),
                    Err(no) => {
                        assert_eq!(no.kind(), Kind::InvalidRequest, "{name}");
                        format!("refused: {no}")
                    }
                };
                let name = format!("{}-of-{}-{name}", to.as_str(), from.as_str());
                insta::assert_snapshot!(name, sent);
            }
        }
    }
}

#[test]
fn golden_answers() {
    for from in UPSTREAMS {
        for (name, body) in fixtures(&folder("answers", from)) {
            for to in CALLERS {
                let body = Bytes::from(body.clone());
                let shown = match answer(from, to, &body, &asked(to)) {
                    Ok((told, summary)) => format!(
                        "{}\n=> {summary:#?}",
                        steady(&pretty(&told).replace(": ", ":"))
                    ),
                    Err(no) => format!("error: {no}"),
                };
                let name = format!("{}-answer-{name}-{}", from.as_str(), to.as_str());
                insta::assert_snapshot!(name, shown);
            }
        }
    }
}

#[test]
fn golden_streams() {
    for from in UPSTREAMS {
        for (name, stream) in fixtures(&folder("streams", from)) {
            for to in CALLERS {
                let (sent, end, translator) = run(from, to, &asked(to), &[stream.as_bytes()]);
                let sent = String::from_utf8(sent).unwrap();
                if let Err(violation) = grammar::check(to, sent.as_bytes()) {
                    panic!("{name}: {violation}\n{sent}");
                }
                let summary = translator.summary();
                assert_eq!(
                    summary.complete,
                    end.is_ok() && summary.error.is_none(),
                    "{name}"
                );
                let shown = format!("{}\n=> {summary:#?}", steady(&sent));
                let name = format!("{}-stream-{name}-{}", from.as_str(), to.as_str());
                insta::assert_snapshot!(name, shown);
            }
        }
    }
}

#[test]
fn a_stream_adds_up_to_a_whole_answer() {
    for from in UPSTREAMS {
        for (name, stream) in fixtures(&folder("streams", from)) {
            let events: Vec<Bytes> = stream
                .split_inclusive("\n\n")
                .map(|event| Bytes::copy_from_slice(event.as_bytes()))
                .collect();
            let (.., watched) = run(
                from,
                Dialect::Messages,
                &asked(Dialect::Messages),
                &[stream.as_bytes()],
            );
            let seen = watched.summary();
            match to_whole(from, &events) {
                Some(whole) => {
                    let told = summary(from, &whole);
                    assert_eq!(told.usage, seen.usage, "{name}");
                    assert_eq!(told.model, seen.model, "{name}");
                }
                None => assert!(!seen.complete, "{name}"),
            }
        }
    }
}

#[test]
fn a_signature_comes_back_to_its_call() {
    let stream = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}},",
        "\"thoughtSignature\":\"c2ln\"}]},\"finishReason\":\"STOP\"}]}\n\n"
    );
    let to = Dialect::Messages;
    let (sent, ..) = run(Dialect::Gemini, to, &asked(to), &[stream.as_bytes()]);
    let sent = String::from_utf8(sent).unwrap();
    assert!(sent.contains(r#""signature":"gemini:c2ln""#), "{sent}");
    let history = |signature: &str| {
        let body = json!({"model":"m","max_tokens":9,"messages":[
            {"role":"user","content":"go"},
            {"role":"assistant","content":[
                {"type":"thinking","thinking":"","signature":signature},
                {"type":"tool_use","id":"call_1","name":"f","input":{}},
                {"type":"tool_use","id":"call_2","name":"f","input":{"n":2}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"call_2","content":"two"},
                {"type":"tool_result","tool_use_id":"call_1","content":"one","is_error":true},
                {"type":"text","text":"on"}]}]});
        let prompt = prompt_of(Dialect::Messages, &body.to_string());
        let sent = request(&prompt, Dialect::Gemini, "m", &caps()).unwrap();
        serde_json::from_slice::<Value>(&sent).unwrap()["contents"].clone()
    };
    assert_eq!(
        history("gemini:c2ln"),
        json!([
            {"role":"user","parts":[{"text":"go"}]},
            {"role":"model","parts":[
                {"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"},
                {"functionCall":{"name":"f","args":{"n":2}}}]},
            {"role":"user","parts":[
                {"functionResponse":{"name":"f","response":{"error":"one"}}},
                {"functionResponse":{"name":"f","response":{"output":"two"}}}]},
            {"role":"user","parts":[{"text":"on"}]}
        ])
    );
    let foreign = history("anthropics");
    assert_eq!(
        foreign[1]["parts"][0]["thoughtSignature"],
        "skip_thought_signature_validator"
    );
}

#[test]
fn how_much_to_think_is_told_as_the_model_takes_it() {
    let ask = |to, reasoning| {
        let body = json!({"model":"m","max_tokens":9,"thinking":{"type":"enabled","budget_tokens":5000},
            "messages":[{"role":"user","content":"x"}]});
        let prompt = prompt_of(Dialect::Messages, &body.to_string());
        let caps = Capabilities {
            reasoning,
            ..Capabilities::default()
        };
        let sent = request(&prompt, to, "m", &caps).unwrap();
        serde_json::from_slice::<Value>(&sent).unwrap()
    };
    let config =
        |reasoning| ask(Dialect::Gemini, reasoning)["generationConfig"]["thinkingConfig"].clone();
    assert_eq!(
        config(Reasoning::Budget),
        json!({"thinkingBudget":5000,"includeThoughts":true})
    );
    assert_eq!(
        config(Reasoning::Effort),
        json!({"thinkingLevel":"medium","includeThoughts":true})
    );
    assert_eq!(config(Reasoning::Unsupported), Value::Null);
    assert_eq!(ask(Dialect::Ollama, Reasoning::Budget)["think"], true);
    assert_eq!(ask(Dialect::Ollama, Reasoning::Effort)["think"], "medium");
}

#[test]
fn what_has_no_field_is_put_into_words_or_refused() {
    let tool = json!({"type":"function","function":{"name":"f","parameters":{"type":"object"}}});
    let body = |more: Value| {
        let mut body =
            json!({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[tool]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        prompt_of(Dialect::ChatCompletions, &body.to_string())
    };
    let sent = |more, to, caps: &Capabilities| {
        let sent = request(&body(more), to, "m", caps).unwrap();
        String::from_utf8(sent.to_vec()).unwrap()
    };
    let alone = Capabilities {
        parallel_tools: false,
        ..Capabilities::default()
    };
    for to in [Dialect::Gemini, Dialect::Ollama] {
        let one = json!({"parallel_tool_calls": false});
        assert!(sent(one, to, &alone).contains("Call at most one tool at a time."));
        for (name, value) in [("n", json!(2)), ("logprobs", json!(true))] {
            let no = request(&body(json!({name: value})), to, "m", &alone).unwrap_err();
            assert_eq!((no.kind(), no.param()), (Kind::InvalidRequest, Some(name)));
        }
    }
    let must = sent(
        json!({"tool_choice":{"type":"function","function":{"name":"f"}}}),
        Dialect::Ollama,
        &alone,
    );
    assert!(must.contains("Answer by calling the tool f."), "{must}");
    let none = sent(json!({"tool_choice":"none"}), Dialect::Ollama, &alone);
    assert!(!none.contains("\"tools\""), "{none}");
    let own = sent(
        json!({"options":{"num_ctx":8192},"keep_alive":"10m","think":false,"max_tokens":7}),
        Dialect::Ollama,
        &alone,
    );
    let own: Value = serde_json::from_str(&own).unwrap();
    assert_eq!(own["options"], json!({"num_predict":7,"num_ctx":8192}));
    assert_eq!(
        (&own["keep_alive"], &own["think"]),
        (&json!("10m"), &json!(false))
    );
}

#[test]
fn a_blocked_prompt_is_a_refusal_and_a_botched_call_an_error() {
    let blocked =
        br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let told = summary(Dialect::Gemini, blocked);
    assert!(told.complete);
    assert_eq!(told.stop, Some(StopReason::Refusal));
    let botched = br#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"print(f)"}]}"#;
    let told = summary(Dialect::Gemini, botched);
    let error = told.error.unwrap();
    assert_eq!(error.kind(), Kind::Upstream);
    assert!(error.message().contains("print(f)"));
}
