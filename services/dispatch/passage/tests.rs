use super::*;
use crate::{
    chat::Operation,
    dispatch::signatures::Signer,
    providers::{Beta, Betas, Kind},
};
use bytes::Bytes;
use std::sync::Arc;

fn prompt(dialect: Dialect, body: &str) -> Prompt {
    Prompt::parse(dialect, Operation::Generate, body.to_owned().into()).unwrap()
}

/// What is sent to a model of this kind by a gateway that has seen `a1` signed by Anthropic and `k1` by `kimi`.
fn sent(kind: Kind, dialect: Dialect, betas: &'static str, body: &str) -> String {
    let signatures = Arc::new(Signatures::default());
    for (house, signature) in [("anthropic", "a1"), ("kimi", "k1")] {
        let signer = Signer {
            signatures: signatures.clone(),
            house: house.into(),
        };
        signer.note(&Bytes::from(format!(r#""signature":"{signature}""#)));
    }
    let prompt = prompt(dialect, body);
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-beta", http::HeaderValue::from_static(betas));
    let house = kind.signs_as("m").unwrap_or("kimi");
    let (edits, _) = edits(&prompt, kind.passage(), (house, "m"), &signatures, &headers);
    let out = prompt.edited(edits);
    serde_json::from_slice::<serde_json::Value>(&out).expect("still JSON");
    String::from_utf8(out.to_vec()).unwrap()
}

fn to_anthropic(body: &str) -> String {
    sent(Kind::Anthropic, Dialect::Messages, "", body)
}

/// A conversation whose assistant said this.
fn said(content: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{content}]}},{{"role":"user","content":"go on"}}],"top_p":1.00}}"#
    )
}

const SIGNED: &str = r#"{"type":"thinking","thinking":"t","signature":"a1"}"#;
const UNSIGNED: &str = r#"{"type":"thinking","thinking":"\u0074 \"q\"","signature":""}"#;
const BARE: &str = r#"{ "type":"thinking", "thinking":"x"}"#;
const FOREIGN: &str = r#"{"type":"thinking","thinking":"k","signature":"k1"}"#;
/// What a Responses upstream said in secret, carried through Messages.
const CARRIED: &str = r#"{"type":"thinking","thinking":"c","signature":"encrypted.gAAAA"}"#;
const UNSEEN: &str = r#"{"type":"thinking","thinking":"u","signature":"who knows"}"#;
const REDACTED: &str = r#"{"type":"redacted_thinking","data":"ZGF0YQ=="}"#;
const TEXT: &str = r#"{"type":"text", "text":"x"}"#;
const CALL: &str = r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"n":1.50}}"#;

// Case 27: what its own house signed arrives as it was, to the byte.
#[test]
fn what_is_signed_by_its_reader_is_not_touched() {
    for content in [SIGNED, UNSEEN, REDACTED] {
        let body = said(&format!("{content} , {TEXT},{CALL}"));
        assert_eq!(to_anthropic(&body), body);
    }
    let own = said(&format!("{FOREIGN},{TEXT}"));
    assert_eq!(
        sent(Kind::AnthropicCompatible, Dialect::Messages, "", &own),
        own
    );
}

// Case 28: unsigned and foreign thoughts are cut out, and nothing around them changes.
#[test]
fn what_its_reader_would_refuse_is_cut_out() {
    for (content, kept) in [
        (format!("{UNSIGNED},{TEXT}"), TEXT.to_owned()),
        (format!("{UNSIGNED} ,\n {TEXT}"), format!("\n {TEXT}")),
        (format!("{TEXT},{UNSIGNED}"), TEXT.to_owned()),
        (format!("{TEXT} , {FOREIGN} "), format!("{TEXT}  ")),
        (format!("{BARE},{UNSIGNED},{CALL}"), CALL.to_owned()),
        (format!("{CARRIED},{TEXT}"), TEXT.to_owned()),
        (
            format!("{SIGNED},{FOREIGN},{CALL}"),
            format!("{SIGNED},{CALL}"),
        ),
        (
            format!("{BARE},{TEXT},{UNSIGNED},{CALL},{BARE}"),
            format!("{TEXT},{CALL}"),
        ),
    ] {
        // `  ` where the blank before a cut comma stays.
        let got = to_anthropic(&said(&content));
        let kept = said(&kept);
        assert_eq!(
            got.replace("  ]", "]"),
            kept.replace("  ]", "]"),
            "{content}"
        );
    }
    // The other way round: who signs himself does not take Anthropic's.
    let body = said(&format!("{SIGNED},{TEXT}"));
    let got = sent(Kind::AnthropicCompatible, Dialect::Messages, "", &body);
    assert_eq!(got, said(TEXT));
}

#[test]
fn a_turn_of_nothing_but_thoughts_becomes_text() {
    let words = r#"{"type":"text","text":"\u0074 \"q\""}"#;
    assert_eq!(to_anthropic(&said(UNSIGNED)), said(words));
    assert_eq!(
        to_anthropic(&said(&format!("{UNSIGNED}, {BARE}"))),
        said(words)
    );
    let empty = r#"{"type":"thinking","thinking":" "}"#;
    let marked = r#"{"type":"text","text":"(thinking)"}"#;
    assert_eq!(to_anthropic(&said(empty)), said(marked));
}

#[test]
fn local_servers_get_their_unsigned_thoughts_back() {
    let body = said(&format!("{UNSIGNED},{FOREIGN},{CALL}"));
    for kind in [Kind::Ollama, Kind::LlamaCpp, Kind::LmStudio] {
        assert_eq!(sent(kind, Dialect::Messages, "x-2025", &body), body);
    }
}

/// A conversation in the middle of a turn of tools.
fn mid_tools(first: &str, thinking: &str) -> String {
    format!(
        r#"{{"model":"m",{thinking}"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{first}{CALL}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}}]}}]}}"#
    )
}

#[test]
fn who_did_not_begin_with_a_thought_is_not_told_to_think() {
    let enabled = r#""thinking":{"type":"enabled","budget_tokens":2048},"#;
    let edits = r#""context_management":{"edits":[{"type":"clear_thinking_20251015"}]},"#;
    for first in [String::new(), format!("{UNSIGNED},")] {
        let body = mid_tools(&first, &format!("{enabled}{edits}"));
        assert_eq!(to_anthropic(&body), mid_tools("", ""));
        // Adaptive thinking does not ask for it.
        let adaptive = r#""thinking":{"type":"adaptive"},"#;
        let body = mid_tools(&first, &format!("{adaptive}{edits}"));
        assert_eq!(
            to_anthropic(&body),
            mid_tools("", &format!("{adaptive}{edits}"))
        );
    }
    let begun = mid_tools(&format!("{SIGNED},"), enabled);
    assert_eq!(to_anthropic(&begun), begun);
}

// Case 8.
#[test]
fn a_tool_choice_without_tools_is_left_out_where_it_is_refused() {
    let chat = Dialect::ChatCompletions;
    for (body, left) in [
        (
            r#"{"model":"m", "tool_choice":{"type":"auto"}, "messages":[]}"#,
            r#"{"model":"m",  "messages":[]}"#,
        ),
        (
            r#"{"model":"m","messages":[],"tools":[] , "tool_choice" : "auto" }"#,
            r#"{"model":"m","messages":[],"tools":[]  }"#,
        ),
    ] {
        assert_eq!(to_anthropic(body), left);
        for kind in [
            Kind::OpenAi,
            Kind::AzureOpenAi,
            Kind::OpenAiCompatible,
            Kind::DeepSeek,
            Kind::Groq,
            Kind::Mistral,
            Kind::Xai,
            Kind::Together,
            Kind::Fireworks,
            Kind::Moonshot,
            Kind::Zai,
            Kind::Cerebras,
            Kind::Vllm,
        ] {
            assert_eq!(sent(kind, chat, "", body), left, "{kind}");
        }
        assert_eq!(sent(Kind::OpenRouter, chat, "", body), body);
        assert_eq!(sent(Kind::Ollama, Dialect::Messages, "", body), body);
    }
    let with = r#"{"model":"m","messages":[],"tools":[{"name":"f"}],"tool_choice":{"type":"any"}}"#;
    assert_eq!(to_anthropic(with), with);
}

// Case 6: a field goes with its beta.
#[test]
fn a_beta_that_does_not_pass_takes_its_fields_along() {
    let body = r#"{"model":"m","mcp_servers":[{"a":1}],"tools":[{"name":"f","input_examples":[{}],"input_schema":{"input_examples":1}},{"defer_loading":true,"name":"g"}],"messages":[{"role":"system","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral","scope":"global"}}],"output_config":{"effort":"low"}}],"x_future":1e3,"context_management":{},"output_config":{"task_budget":{"total":9} , "effort":"high"},"speed":"fast"}"#;
    let betas = "mcp-client-2025-04-04,context-management-2025-06-27, fast-mode-2026-02-01,advanced-tool-use-2025-11-20,task-budgets-2026-03-13,per-turn-control-2026-07-01,prompt-caching-scope-2026-01-05";
    assert_eq!(sent(Kind::Anthropic, Dialect::Messages, betas, body), body);
    assert_eq!(sent(Kind::Ollama, Dialect::Messages, betas, body), body);
    const KNOWN: &[Beta] = &[
        Beta::new("context-management-"),
        Beta::new("tool-search-tool-"),
    ];
    let only = Passage {
        betas: Betas::Only(KNOWN),
        threads: false,
        signed: true,
        refuses_lone_tool_choice: true,
        blind_to: &[],
    };
    let prompt = prompt(Dialect::Messages, body);
    let mut headers = HeaderMap::new();
    let mut betas = betas.to_owned();
    betas.push_str(",tool-search-tool-2025-10-19");
    headers.insert("anthropic-beta", betas.parse().unwrap());
    let signatures = Signatures::default();
    let (edits, told) = edits(&prompt, &only, ("anthropic", "m"), &signatures, &headers);
    assert_eq!(
        prompt.edited(edits),
        r#"{"model":"m","tools":[{"name":"f","input_schema":{"input_examples":1}},{"defer_loading":true,"name":"g"}],"messages":[{"role":"system","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],"x_future":1e3,"context_management":{},"output_config":{ "effort":"high"}}"#
    );
    assert_eq!(
        told,
        [
            "mcp-client-2025-04-04",
            "fast-mode-2026-02-01",
            "advanced-tool-use-2025-11-20",
            "task-budgets-2026-03-13",
            "per-turn-control-2026-07-01",
            "prompt-caching-scope-2026-01-05",
            "mcp_servers",
            "speed",
            "tools.input_examples",
            "output_config.task_budget",
            "messages.output_config",
            "messages.content.cache_control.scope",
        ]
    );
}

/// What is sent to a server of chat completions.
fn shaped(body: &str) -> Result<String, Refusal> {
    let prompt = prompt(Dialect::ChatCompletions, body);
    let edits = shapes(&prompt, &Capabilities::default())?;
    if edits.is_empty() {
        return Ok(body.to_owned());
    }
    Ok(String::from_utf8(prompt.edited(edits).to_vec()).unwrap())
}

// Case 41.
#[test]
fn tools_in_anthropics_shape_become_functions_and_nothing_else_changes() {
    let own = r#"{"type":"function", "function":{"name":"o","parameters":{"properties":{"input_schema":{"type":"object"}}}}}"#;
    let body = |first: &str, last: &str| {
        format!(
            r#"{{ "tools":[{first} , {own},{last} ],"model":"m","messages":[{{"role":"user","content":"\u0068i"}}],"seed":1.00,"tool_choice":"auto"}}"#
        )
    };
    let got = shaped(&body(
        r#"{"name":"f","description":"d\u00e9 \"q\"","input_schema":{ "type":"object", "n":1.50},"cache_control":{"type":"ephemeral"}}"#,
        r#"{"input_schema":{},"type":"custom","name":"g","description":null}"#,
    ));
    let expected = body(
        r#"{"type":"function","function":{"name":"f","description":"d\u00e9 \"q\"","parameters":{ "type":"object", "n":1.50}}}"#,
        r#"{"type":"function","function":{"name":"g","parameters":{}}}"#,
    );
    assert_eq!(got.unwrap(), expected);
    // Others are their senders' business.
    for other in [
        own,
        r#"{"type":"custom","custom":{"name":"input_schema"}}"#,
        r#"{"type":"web_search","name":"w","input_schema":{}}"#,
        r#"{"name":7,"input_schema":{}}"#,
        r#"{"name":"r","parameters":{},"input_schema":{}}"#,
        "7",
    ] {
        let body = body(other, other);
        assert_eq!(shaped(&body).unwrap(), body);
    }
    // In Messages this is how tools look.
    let messages = r#"{"model":"m","messages":[],"tools":[{"name":"f","input_schema":{}}]}"#;
    let prompt = prompt(Dialect::Messages, messages);
    let none = shapes(&prompt, &Capabilities::default()).unwrap();
    assert!(none.is_empty());
}

// Case 41.
#[test]
fn calls_and_results_in_anthropics_shape_become_those_of_chat_completions() {
    let conversation = |turns: &str| {
        format!(
            r#"{{"model":"m","messages":[ {{"role":"system","content":"tool_use"}}, {{"role":"user","name":"n","content":[{{"type":"text","text":"tool_result"}}]}},{turns} , {{"role":"user","content":"go  on"}}],"top_p":1.00}}"#
        )
    };
    let got = shaped(&conversation(
        r#"{"role":"assistant","content":[{"type":"text","text":"look"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"n":1.50}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"ok"}]},{"type":"text","text":"and?"}]}"#,
    ));
    let expected = conversation(
        r#"{"role":"assistant","content":"look","tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"n\":1.50}"}}]},
        {"role":"tool","tool_call_id":"toolu_1","content":"ok"},{"role":"user","content":"and?"}"#,
    );
    assert_eq!(got.unwrap(), expected);
    let own = conversation(
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"tool_use","type":"function","function":{"name":"tool_use","arguments":"{}"}}]},{"role":"tool","tool_call_id":"tool_use","content":"tool_result"}"#,
    );
    assert_eq!(shaped(&own).unwrap(), own);
    let nameless = conversation(r#"{"role":"user","content":[{"type":"tool_result"}]}"#);
    let refusal = shaped(&nameless).unwrap_err();
    assert!(refusal.message().contains("tool_use_id"), "{refusal}");
}
