use super::{fixtures, folder, other, pretty, prompt_of};
use crate::{
    chat::{Kind, Operation, Prompt},
    dialect::Dialect,
    translate::{Capabilities, MaxTokensField, Reasoning, request},
};
use bytes::Bytes;
use serde_json::{Value, json};

fn to_value(dialect: Dialect, body: &Value, caps: &Capabilities) -> Value {
    let prompt = prompt_of(dialect, &body.to_string());
    let sent = request(&prompt, other(dialect), "target", caps).unwrap();
    serde_json::from_slice(&sent).unwrap()
}

fn refusal(dialect: Dialect, body: &Value) -> String {
    let prompt = prompt_of(dialect, &body.to_string());
    let no = request(&prompt, other(dialect), "target", &Capabilities::default()).unwrap_err();
    assert_eq!(no.kind(), Kind::InvalidRequest);
    no.message().to_owned()
}

#[test]
fn golden() {
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        for (name, body) in fixtures(&folder("requests", dialect)) {
            let prompt = prompt_of(dialect, &body);
            let caps = Capabilities {
                reasoning: Reasoning::Effort,
                ..Capabilities::default()
            };
            let sent = request(&prompt, other(dialect), "target", &caps).unwrap();
            insta::assert_snapshot!(
                format!("{}-request-{name}", dialect.as_str()),
                pretty(&sent)
            );
            // What comes out is a request of the other dialect, and crosses back.
            let back = prompt_of(other(dialect), std::str::from_utf8(&sent).unwrap());
            request(&back, dialect, "target", &caps).unwrap();
        }
    }
}

#[test]
fn the_same_dialect_is_not_touched() {
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        for (_, body) in fixtures(&folder("requests", dialect)) {
            let prompt = prompt_of(dialect, &body);
            let model = prompt.facts().model.clone();
            if dialect == Dialect::Messages || !prompt.facts().stream {
                let sent = request(&prompt, dialect, &model, &Capabilities::default()).unwrap();
                assert_eq!(sent.as_ptr(), prompt.raw().as_ptr());
            }
        }
    }
}

#[test]
fn what_is_to_be_counted_is_translated_and_what_is_no_conversation_is_not() {
    let to = |prompt: &Prompt, dialect| request(prompt, dialect, "m", &Capabilities::default());
    let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    let prompt = Prompt::parse(Dialect::Messages, Operation::CountTokens, body).unwrap();
    assert_eq!(
        to(&prompt, Dialect::Gemini).unwrap(),
        r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{}}"#
    );
    let body = Bytes::from_static(br#"{"model":"m","input":"hi"}"#);
    let prompt = Prompt::parse(Dialect::ChatCompletions, Operation::Embed, body).unwrap();
    let no = to(&prompt, Dialect::Gemini).unwrap_err();
    assert_eq!(no.kind(), Kind::NotSupported);
}

#[test]
fn what_a_model_cannot_do_is_refused_by_name() {
    let user = |content: Value| json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":content}]});
    let tool = |tool: Value| json!({"model":"m","max_tokens":1,"messages":[],"tools":[tool]});
    let with = |name: &str, value: Value| {
        let mut body = user("hi".into());
        body[name] = value;
        body
    };
    for (dialect, body, words) in [
        (
            Dialect::Messages,
            tool(json!({"type":"web_search_20250305","name":"web_search"})),
            "`web_search_20250305`",
        ),
        (
            Dialect::Messages,
            tool(json!({"type":"bash_20250124","name":"bash"})),
            "`bash_20250124`",
        ),
        (
            Dialect::Messages,
            user(json!([{"type":"container_upload","file_id":"f"}])),
            "`container_upload`",
        ),
        (
            Dialect::Messages,
            user(json!([{"type":"document","source":{"type":"file","file_id":"f"}}])),
            "must be sent along",
        ),
        (
            Dialect::Messages,
            user(json!([{"type":"image","source":{"type":"base64","data":"x"}}])),
            "messages[0].content[0].source.media_type: field required",
        ),
        (
            Dialect::Messages,
            with("tool_choice", json!(7)),
            "tool_choice",
        ),
        (Dialect::ChatCompletions, with("n", json!(2)), "n: "),
        (
            Dialect::ChatCompletions,
            with("logprobs", json!(true)),
            "logprobs: ",
        ),
        (
            Dialect::ChatCompletions,
            with("logit_bias", json!({"50256": -100})),
            "logit_bias: ",
        ),
        (
            Dialect::ChatCompletions,
            with("web_search_options", json!({})),
            "web_search_options: ",
        ),
        (
            Dialect::ChatCompletions,
            with("modalities", json!(["text", "audio"])),
            "modalities: ",
        ),
        (
            Dialect::ChatCompletions,
            user(json!([{"type":"input_audio","input_audio":{}}])),
            "`input_audio`",
        ),
        (
            Dialect::ChatCompletions,
            user(json!([{"type":"image_url","image_url":{"url":"data:image/png,plain"}}])),
            "data URL",
        ),
        (
            Dialect::ChatCompletions,
            tool(json!({"type":"custom","custom":{"name":"x"}})),
            "`custom`",
        ),
        (
            Dialect::ChatCompletions,
            json!({"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c"}]}]}),
            "messages[0].tool_calls[0].function: field required",
        ),
        (
            Dialect::ChatCompletions,
            json!({"model":"m","messages":[{"role":"critic","content":"x"}]}),
            "messages[0].role",
        ),
    ] {
        let message = refusal(dialect, &body);
        assert!(message.contains(words), "{message}\n{body}");
    }
}

#[test]
fn capabilities_decide() {
    let blind = Capabilities {
        vision: false,
        tools: false,
        documents: false,
        ..Capabilities::default()
    };
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        for body in [
            json!({"model":"m","messages":[],"tools":[{"name":"a","input_schema":{}}]}),
            json!({"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}),
            json!({"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":""}}]}]}),
        ] {
            let prompt = prompt_of(dialect, &body.to_string());
            let no = request(&prompt, other(dialect), "m", &blind).unwrap_err();
            assert!(no.message().contains("the model behind this name"), "{no}");
        }
    }
    let caps = Capabilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        max_output: Some(8192),
        streaming_usage: false,
        structured_output: false,
        ..Capabilities::default()
    };
    let body = json!({"model":"m","max_tokens":128_000,"stream":true,"messages":[{"role":"user","content":"x"}],
        "output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}}});
    let sent = to_value(Dialect::Messages, &body, &caps);
    assert_eq!(sent["max_completion_tokens"], 8192);
    assert_eq!(sent.get("stream_options"), None);
    assert_eq!(sent.get("response_format"), None);
    assert_eq!(sent.get("reasoning_effort"), None);
    assert!(
        sent["messages"][0]["content"]
            .as_str()
            .unwrap()
            .ends_with(r#"JSON schema: {"type":"object"}"#)
    );
}

#[test]
fn thinking_yields_where_anthropic_would_refuse() {
    let ask = |extra: Value, reasoning| {
        let mut body = json!({"model":"m","max_tokens":4000,"reasoning_effort":"high","messages":[{"role":"user","content":"x"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let caps = Capabilities {
            reasoning,
            ..Capabilities::default()
        };
        to_value(Dialect::ChatCompletions, &body, &caps)
    };
    let sent = ask(json!({}), Reasoning::Budget);
    assert_eq!(
        sent["thinking"],
        json!({"type":"enabled","budget_tokens":2000})
    );
    let sent = ask(json!({}), Reasoning::Effort);
    assert_eq!(sent["output_config"], json!({"effort":"high"}));
    assert_eq!(sent["thinking"], json!({"type":"adaptive"}));
    for extra in [
        json!({"temperature": 0}),
        json!({"max_tokens": 1000}),
        json!({"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"}),
        json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"y"}]}),
    ] {
        assert_eq!(
            ask(extra.clone(), Reasoning::Budget).get("thinking"),
            None,
            "{extra}"
        );
    }
}

#[test]
fn instructions_in_the_middle_go_where_they_may() {
    let body = json!({"model":"m","messages":[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]});
    let sent = to_value(Dialect::ChatCompletions, &body, &Capabilities::default());
    assert_eq!(
        sent["messages"][1],
        json!({"role":"user","content":"<system>\nb\n</system>"})
    );
    assert_eq!(sent["max_tokens"], 4096);
    let caps = Capabilities {
        system_in_messages: true,
        ..Capabilities::default()
    };
    let sent = to_value(Dialect::ChatCompletions, &body, &caps);
    assert_eq!(sent["messages"][1], json!({"role":"system","content":"b"}));
}

#[test]
fn templates_that_want_instructions_first_get_them_first() {
    let body = json!({"model":"m","max_tokens":9,"system":"a","messages":[{"role":"user","content":"b"},{"role":"system","content":"c"}]});
    let caps = Capabilities {
        leading_system_only: true,
        ..Capabilities::default()
    };
    let sent = to_value(Dialect::Messages, &body, &caps);
    assert_eq!(
        sent["messages"],
        json!([
            {"role":"system","content":"a"},
            {"role":"user","content":"b"},
            {"role":"user","content":"<system>\nc\n</system>"}
        ])
    );
}

#[test]
fn a_schema_is_strict_only_where_it_can_be() {
    let ask = |schema: Value| {
        let body = json!({"model":"m","max_tokens":9,"messages":[],"output_config":{"format":{"type":"json_schema","schema":schema}}});
        to_value(Dialect::Messages, &body, &Capabilities::default())["response_format"]["json_schema"]["strict"].clone()
    };
    assert_eq!(
        ask(
            json!({"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false})
        ),
        true
    );
    assert_eq!(
        ask(json!({"type":"object","properties":{"a":{}},"additionalProperties":false})),
        false
    );
}
