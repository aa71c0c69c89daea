//! Converse, in which providers are spoken to and nobody calls.
use super::{asked, fixtures, folder, pretty, prompt_of, run, steady};
use crate::{
    dialect::Dialect,
    translate::{Capabilities, Reasoning, answer, grammar, read_answer, request, summary},
};
use bytes::Bytes;
use serde_json::{Value, json};

const CALLERS: [Dialect; 2] = [Dialect::Messages, Dialect::ChatCompletions];
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn sent_to(model: &str, dialect: Dialect, body: &Value, caps: &Capabilities) -> Value {
    let prompt = prompt_of(dialect, &body.to_string());
    let sent = request(&prompt, Dialect::Converse, model, caps).unwrap();
    serde_json::from_slice(&sent).unwrap()
}

fn sent(body: &Value) -> Value {
    sent_to(CLAUDE, Dialect::Messages, body, &Capabilities::default())
}

const ELSEWHERE: &str = "\"url\": \"https://";

/// A body with its images in it, not elsewhere.
fn sent_along(body: &str) -> String {
    let mut out = body.replace(
        "\"type\": \"url\", \"url\": \"https://example.com/a.png\"",
        "\"type\": \"base64\", \"media_type\": \"image/png\", \"data\": \"iVBORw0KGgo=\"",
    );
    while let Some(at) = out.find(ELSEWHERE) {
        let from = at + ELSEWHERE.len();
        let end = from + out[from..].find('"').unwrap();
        out.replace_range(at..end, "\"url\": \"data:image/png;base64,iVBORw0KGgo=");
    }
    out
}

#[test]
fn requests() {
    for dialect in CALLERS {
        for (name, body) in fixtures(&folder("requests", dialect)) {
            let prompt = prompt_of(dialect, &body);
            let caps = Capabilities {
                reasoning: Reasoning::Effort,
                ..Capabilities::default()
            };
            let is_elsewhere = body.contains(ELSEWHERE);
            let refused = request(&prompt, Dialect::Converse, CLAUDE, &caps).is_err();
            assert_eq!(refused, is_elsewhere, "{name}: nobody fetches images");
            let prompt = prompt_of(dialect, &sent_along(&body));
            let shown = match request(&prompt, Dialect::Converse, CLAUDE, &caps) {
                Ok(sent) => pretty(&sent),
                Err(refusal) => format!("refused: {refusal}"),
            };
            insta::assert_snapshot!(
                format!("converse-request-{}-{name}", dialect.as_str()),
                shown
            );
        }
    }
}

#[test]
fn answers() {
    for (name, body) in fixtures("answers/converse") {
        let body = Bytes::from(body);
        for to in CALLERS {
            let (sent, told) = answer(Dialect::Converse, to, &body, &asked(to)).unwrap();
            assert!(told.complete, "{name}");
            let shown = steady(&pretty(&sent));
            insta::assert_snapshot!(format!("converse-answer-{}-{name}", to.as_str()), shown);
            let (here, there) = (
                read_answer(Dialect::Converse, &body).unwrap(),
                read_answer(to, &sent).unwrap(),
            );
            assert_eq!(here.tool_calls, there.tool_calls, "{name}");
            assert_eq!(there.model.as_deref(), Some("m"), "as the caller named it");
            let usage = summary(to, &sent).usage.unwrap();
            assert_eq!(here.usage.unwrap().input_total(), usage.input_total());
        }
    }
    let no = answer(
        Dialect::Converse,
        Dialect::Messages,
        &Bytes::from_static(b"{\"Output\":{}}"),
        &asked(Dialect::Messages),
    );
    assert!(no.is_err());
}

#[test]
fn streams() {
    for (name, stream) in fixtures("streams/converse") {
        for to in CALLERS {
            let (sent, end, translator) =
                run(Dialect::Converse, to, &asked(to), &[stream.as_bytes()]);
            let sent = String::from_utf8(sent).unwrap();
            if let Err(violation) = grammar::check(to, sent.as_bytes()) {
                panic!("{name}: {violation}\n{sent}");
            }
            let summary = translator.summary();
            assert_eq!(summary.complete, end.is_ok() && summary.error.is_none());
            let shown = format!("{}\n=> {summary:#?}", steady(&sent));
            insta::assert_snapshot!(format!("converse-stream-{}-{name}", to.as_str()), shown);
        }
    }
}

#[test]
fn what_users_say_in_a_row_is_one_message() {
    let sent = sent(&json!({"model":"m","max_tokens":1,"messages":[
        {"role":"user","content":"a"},
        {"role":"system","content":"be brief"},
        {"role":"user","content":[{"type":"text","text":" "},{"type":"text","text":"b"}]},
        {"role":"assistant","content":"c"},
    ]}));
    assert_eq!(
        sent["messages"],
        json!([
            {"role":"user","content":[{"text":"a"},{"text":"<system>\nbe brief\n</system>"},{"text":"b"}]},
            {"role":"assistant","content":[{"text":"c"}]},
        ])
    );
}

#[test]
fn a_wish_to_cache_becomes_a_point_where_the_model_can() {
    let body = json!({"model":"m","max_tokens":1,
        "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "tools":[{"name":"t","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]});
    let point = json!({"cachePoint":{"type":"default"}});
    let hour = json!({"cachePoint":{"type":"default","ttl":"1h"}});
    let caps = Capabilities::default();
    let claude = sent_to(CLAUDE, Dialect::Messages, &body, &caps);
    assert_eq!(claude["system"][1], hour);
    assert_eq!(claude["toolConfig"]["tools"][1], point);
    assert_eq!(claude["messages"][0]["content"][1], point);
    let nova = sent_to("amazon.nova-pro-v1:0", Dialect::Messages, &body, &caps);
    assert_eq!(nova["system"][1], point, "no hours there");
    let llama = sent_to("meta.llama3-8b", Dialect::Messages, &body, &caps);
    assert!(!llama.to_string().contains("cachePoint"));
}

#[test]
fn calls_in_the_conversation_need_tools() {
    let messages = json!([
        {"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"","is_error":true}]},
    ]);
    let sent = sent(&json!({"model":"m","max_tokens":1,"messages":messages}));
    assert_eq!(
        sent["toolConfig"],
        json!({"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}}]})
    );
    assert_eq!(
        sent["messages"][2]["content"][0]["toolResult"],
        json!({"toolUseId":"t1","content":[{"text":"(empty)"}],"status":"error"})
    );
}

#[test]
fn choices_of_tools() {
    for (choice, expected) in [
        (json!({"type":"auto"}), json!({"auto":{}})),
        (json!({"type":"any"}), json!({"any":{}})),
        (
            json!({"type":"tool","name":"f"}),
            json!({"tool":{"name":"f"}}),
        ),
    ] {
        let sent = sent(
            &json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],
            "tools":[{"name":"f","description":"","input_schema":{"type":"object"}}],"tool_choice":choice}),
        );
        assert_eq!(sent["toolConfig"]["toolChoice"], expected);
        assert!(
            sent["toolConfig"]["tools"][0]["toolSpec"]
                .get("description")
                .is_none()
        );
    }
    let none = sent(
        &json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],
        "tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}}),
    );
    assert!(none.get("toolConfig").is_none());
}

#[test]
fn images_and_documents() {
    let shown = |block: Value| {
        let body =
            json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[block]}]});
        let prompt = prompt_of(Dialect::Messages, &body.to_string());
        request(&prompt, Dialect::Converse, CLAUDE, &Capabilities::default())
            .map(|sent| {
                serde_json::from_slice::<Value>(&sent).unwrap()["messages"][0]["content"].clone()
            })
            .map_err(|no| no.message().to_owned())
    };
    let base64 = |media: &str| json!({"type":"base64","media_type":media,"data":"AAAA"});
    assert_eq!(
        shown(json!({"type":"image","source":base64("image/jpg")})).unwrap(),
        json!([{"image":{"format":"jpeg","source":{"bytes":"AAAA"}}}])
    );
    assert_eq!(
        shown(json!({"type":"document","title":"Report: 2026/1  (draft).pdf","source":base64("application/pdf")})).unwrap(),
        json!([{"document":{"format":"pdf","name":"Report- 2026-1 (draft)-pdf","source":{"bytes":"AAAA"}}},
            {"text":"The document is attached."}])
    );
    assert_eq!(
        shown(
            json!({"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}})
        )
        .unwrap()[0],
        json!({"document":{"format":"txt","name":"document","source":{"text":"x"}}})
    );
    for (block, words) in [
        (
            json!({"type":"image","source":{"type":"url","url":"https://h/a.png"}}),
            "sent along",
        ),
        (
            json!({"type":"image","source":base64("image/tiff")}),
            "image/tiff",
        ),
        (
            json!({"type":"document","source":base64("video/mp4")}),
            "video/mp4",
        ),
    ] {
        assert!(shown(block).unwrap_err().contains(words));
    }
}

#[test]
fn what_converse_does_not_know_goes_in_the_models_own_words() {
    let body = json!({"model":"m","max_tokens":9000,"top_k":5,"messages":[{"role":"user","content":"a"}],
        "thinking":{"type":"enabled","budget_tokens":4096}});
    let with = |model, reasoning| {
        let caps = Capabilities {
            reasoning,
            ..Capabilities::default()
        };
        sent_to(model, Dialect::Messages, &body, &caps)
    };
    assert_eq!(
        with(CLAUDE, Reasoning::Budget)["additionalModelRequestFields"],
        json!({"top_k":5,"thinking":{"type":"enabled","budget_tokens":4096}})
    );
    let adaptive = with(CLAUDE, Reasoning::Effort);
    assert_eq!(adaptive["outputConfig"], json!({"effort":"medium"}));
    assert_eq!(
        adaptive["additionalModelRequestFields"]["thinking"],
        json!({"type":"adaptive"})
    );
    assert_eq!(
        with("openai.gpt-oss-20b-1:0", Reasoning::Effort)["additionalModelRequestFields"],
        json!({"top_k":5,"reasoning_effort":"medium"})
    );
    assert_eq!(
        with("amazon.nova-pro-v1:0", Reasoning::Unsupported)["additionalModelRequestFields"],
        json!({"inferenceConfig":{"topK":5}})
    );
}

#[test]
fn a_schema_is_a_string() {
    let body = json!({"model":"m","messages":[{"role":"user","content":"a"}],
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}});
    let caps = Capabilities::default();
    let sent = sent_to(CLAUDE, Dialect::ChatCompletions, &body, &caps);
    assert_eq!(
        sent["outputConfig"]["textFormat"],
        json!({"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"n"}}})
    );
    assert!(sent.get("inferenceConfig").is_none());
}
