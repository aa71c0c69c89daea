//! Providers keep the beginning of a prompt, so what we send for one turn must begin as what we sent for the last: in every caller's dialect, to
//! every provider's. A new turn may add to the body in one place, behind all turns before; not another byte may change.
use super::prompt_of;
use crate::{
    chat::Prompt,
    dialect::Dialect,
    providers::{Kind, Provider},
    translate::request,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const CALLERS: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];

/// A provider, a model of its, and the dialect in which it is asked.
const PROVIDERS: [(Kind, &str, Dialect); 13] = [
    (Kind::Anthropic, "claude-opus-5-5", Dialect::Messages),
    (Kind::Vertex, "claude-opus-4-6", Dialect::Messages),
    (
        Kind::Bedrock,
        "eu.anthropic.claude-opus-4-6-v1",
        Dialect::Messages,
    ),
    (Kind::Bedrock, "amazon.nova-pro-v1:0", Dialect::Converse),
    (Kind::OpenAi, "gpt-5.6", Dialect::ChatCompletions),
    (Kind::OpenAi, "gpt-5.6", Dialect::Responses),
    (Kind::AzureOpenAi, "gpt-5.6", Dialect::ChatCompletions),
    (
        Kind::OpenRouter,
        "anthropic/claude-opus-4.6",
        Dialect::ChatCompletions,
    ),
    (
        Kind::Databricks,
        "databricks-claude-opus-4-6",
        Dialect::ChatCompletions,
    ),
    (Kind::DeepSeek, "deepseek-chat", Dialect::ChatCompletions),
    (Kind::Gemini, "gemini-3-pro", Dialect::Gemini),
    (Kind::Ollama, "qwen2.5:3b", Dialect::Ollama),
    (Kind::LlamaCpp, "qwen", Dialect::ChatCompletions),
];

/// What is said in a round: by the user, by the model, and perhaps a tool's answer in between.
#[derive(Clone, Debug)]
struct Round {
    said: String,
    tool: Option<String>,
    answer: String,
    blocks: bool,
}

fn round() -> impl Strategy<Value = Round> {
    let text = "[ -~äß\u{1F600}]{0,60}[a-z]";
    (text, prop::option::of(text), text, any::<bool>()).prop_map(|(said, tool, answer, blocks)| {
        Round {
            said,
            tool,
            answer,
            blocks,
        }
    })
}

/// A conversation up to the user's word of the last of `rounds`. Each of the user's words ends with its number, so that it can be found again.
fn asked(dialect: Dialect, rounds: &[Round], tools: bool) -> Prompt {
    let mut list: Vec<Value> = Vec::new();
    let last = rounds.len() - 1;
    for (i, round) in rounds.iter().enumerate() {
        let said = format!("{} said-{i}-", round.said);
        let block = |kind: &str, text: &str| json!({"type": kind, "text": text});
        let is_responses = dialect == Dialect::Responses;
        let text = if is_responses { "input_text" } else { "text" };
        let content = if round.blocks {
            json!([block(text, "see:"), block(text, &said)])
        } else {
            json!(said)
        };
        list.push(json!({"role": "user", "content": content}));
        if i == last {
            break;
        }
        let id = format!("call_{i}");
        if let Some(result) = round.tool.as_ref().filter(|_| tools) {
            list.extend(match dialect {
                Dialect::Messages => vec![
                    json!({"role":"assistant","content":[{"type":"tool_use","id":id,"name":"look","input":{"b":1.50,"a":"x"}}]}),
                    json!({"role":"user","content":[{"type":"tool_result","tool_use_id":id,"content":result}]}),
                ],
                Dialect::Responses => vec![
                    json!({"type":"function_call","call_id":id,"name":"look","arguments":"{\"b\":1.50,\"a\":\"x\"}"}),
                    json!({"type":"function_call_output","call_id":id,"output":result}),
                ],
                _ => vec![
                    json!({"role":"assistant","content":null,"tool_calls":[{"id":id,"type":"function","function":{"name":"look","arguments":"{\"b\":1.50,\"a\":\"x\"}"}}]}),
                    json!({"role":"tool","tool_call_id":id,"content":result}),
                ],
            });
        }
        let answer = if is_responses {
            json!([block("output_text", &round.answer)])
        } else {
            json!(round.answer)
        };
        list.push(json!({"role": "assistant", "content": answer}));
    }
    let schema = json!({"type":"object","properties":{"a":{"type":"string"}}});
    let body = match dialect {
        Dialect::Messages => {
            json!({"model":"m","max_tokens":99,"system":"Be brief.","messages":list,
                "tools":[{"name":"look","description":"d","input_schema":schema}]})
        }
        Dialect::Responses => {
            json!({"model":"m","max_output_tokens":99,"instructions":"Be brief.","input":list,
                "tools":[{"type":"function","name":"look","description":"d","parameters":schema}]})
        }
        _ => {
            list.insert(0, json!({"role":"system","content":"Be brief."}));
            json!({"model":"m","max_tokens":99,"messages":list,
                "tools":[{"type":"function","function":{"name":"look","description":"d","parameters":schema}}]})
        }
    };
    let mut body = body;
    if !tools {
        body.as_object_mut().unwrap().remove("tools");
    }
    prompt_of(dialect, &body.to_string())
}

/// How many bytes two texts have in common at their beginnings.
fn common(a: impl Iterator<Item = u8>, b: impl Iterator<Item = u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn each_turn_begins_as_the_last_one_did(
        rounds in prop::collection::vec(round(), 2..6),
        tools in any::<bool>(),
    ) {
        for from in CALLERS {
            for (kind, model, to) in PROVIDERS {
                let provider = Provider::new("p", kind);
                let caps = provider.capabilities(model);
                let send = |upto: usize| {
                    let prompt = asked(from, &rounds[..upto], tools);
                    request(&prompt, to, model, &caps).unwrap()
                };
                let mut before = send(1);
                for upto in 2..=rounds.len() {
                    let now = send(upto);
                    let head = common(before.iter().copied(), now.iter().copied());
                    let tail = common(before.iter().rev().copied(), now.iter().rev().copied());
                    let shown = || format!(
                        "{from:?} to {kind} in {to:?}:\n{}\n{}",
                        String::from_utf8_lossy(&before), String::from_utf8_lossy(&now)
                    );
                    prop_assert!(head + tail >= before.len(), "changes in two places, {}", shown());
                    let mark = format!("said-{}-", upto - 2);
                    let said = memchr::memmem::rfind(&before, mark.as_bytes()).unwrap() + mark.len();
                    prop_assert!(head >= said, "changes what was said before, {}", shown());
                    before = now;
                }
            }
        }
    }
}
