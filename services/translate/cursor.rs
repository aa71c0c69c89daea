//! What Cursor sends where chat completions are asked for: Responses bodies, and tools, calls and results in Anthropic's shape.
use super::{Capabilities, Reasoning, completions, responses};
#[cfg(feature = "client")]
use super::{
    json::{Fields, Json},
    schema,
};
#[cfg(feature = "client")]
use crate::chat::Facts;
use crate::{
    chat::{Operation, Prompt, Refusal},
    dialect::Dialect,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads the body of a call to `/v1/chat/completions`. Cursor posts Responses bodies there, and reads the answer as that of a chat completion
/// all the same: such a body, known by its `input` in the place of `messages`, is retold as one of chat completions.
///
/// # Errors
/// A [`Refusal`] that names the field at fault.
///
/// ```
/// use tierway_services::translate;
/// let body = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}],"stream":true}"#;
/// let prompt = translate::chat_prompt(body.into()).unwrap();
/// assert!(prompt.facts().stream);
/// assert_eq!(prompt.text(&prompt.facts().turns[0].parts[0]), "hi");
/// ```
pub fn chat_prompt(raw: Bytes) -> Result<Prompt, Refusal> {
    let chat = |raw| Prompt::parse(Dialect::ChatCompletions, Operation::Generate, raw);
    // Almost every body is what it should be, and is read but once.
    chat(raw.clone()).or_else(|refusal| {
        if is_responses(&raw) {
            chat(retold(raw)?)
        } else {
            Err(refusal)
        }
    })
}

fn is_responses(raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
        #[serde(borrow)]
        messages: Option<&'a RawValue>,
    }
    crate::json::from_slice::<Body<'_>>(raw)
        .is_ok_and(|b| b.input.is_some() && b.messages.is_none())
}

fn retold(raw: Bytes) -> Result<Bytes, Refusal> {
    let prompt = Prompt::parse(Dialect::Responses, Operation::Generate, raw)?;
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let form = responses::request_in::read(body, prompt.facts())?;
    // Who will answer is not known yet: nothing is held back here that might be understood there.
    let all = Capabilities {
        reasoning: Reasoning::Effort,
        ..Capabilities::default()
    };
    completions::request_out::write(&form, &prompt.facts().model, &all)
}

/// A tool of chat completions for one in Anthropic's shape, its texts and its schema as they are written; `None` for any other.
#[cfg(feature = "client")]
pub(crate) fn chat_tool(json: &str) -> Option<String> {
    let tool = Fields::parse(json)?;
    let other = ["function", "custom", "parameters"];
    if other.iter().any(|field| tool.get(field).is_some())
        || tool.get("type").is_some_and(|t| t.get() != "\"custom\"")
    {
        return None;
    }
    let schema = tool.get("input_schema")?;
    let name = tool.get("name").filter(|n| n.get().starts_with('"'))?;
    let mut function = format!("\"name\":{}", name.get());
    let mut field = |name: &str, json: Json<'_>| {
        function.push_str(&format!(",\"{name}\":{}", json.get()));
    };
    if let Some(description) = tool.get("description") {
        field("description", description);
    }
    field("parameters", schema);
    // OpenAI refuses to be strict about a schema that leaves something open; Anthropic does not.
    if let Some(strict) = tool.get("strict").filter(|_| schema::is_strict(schema)) {
        field("strict", strict);
    }
    Some(format!(
        "{{\"type\":\"function\",\"function\":{{{function}}}}}"
    ))
}

/// The messages of chat completions, with commas between, for one that holds calls or results in Anthropic's shape.
///
/// # Errors
/// A [`Refusal`] that names what cannot be told so.
#[cfg(feature = "client")]
pub(crate) fn chat_messages(
    message: &str,
    facts: &Facts,
    caps: &Capabilities,
) -> Result<String, Refusal> {
    let body = format!("{{\"messages\":[{message}]}}");
    let form = completions::request_in::read(&body, facts)?;
    let told = completions::request_out::write(&form, "", caps)?;
    let told = std::str::from_utf8(&told).ok().and_then(Fields::parse);
    let list = told.as_ref().and_then(|told| told.get("messages"));
    let list = list.map_or("", |list| list.get());
    let inside = list.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    Ok(inside.unwrap_or(message).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Kind;
    use serde_json::{Value, json};

    // Case 26.
    #[test]
    fn what_cursor_posts_is_a_chat_completion() {
        let body = json!({"model": "auto", "stream": true, "instructions": "be brief", "store": false, "include": [],
            "reasoning": {"effort": "high", "summary": "auto"}, "max_output_tokens": 99,
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\": 1}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "ok"}],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false}],
            "tool_choice": "auto"});
        let prompt = chat_prompt(body.to_string().into()).unwrap();
        let facts = prompt.facts();
        assert_eq!(
            (facts.dialect, &*facts.model),
            (Dialect::ChatCompletions, "auto")
        );
        assert!(facts.stream && facts.tool_count == 1 && facts.tool_results_pending());
        let chat: Value = serde_json::from_slice(prompt.raw()).unwrap();
        let roles: Vec<_> = chat["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["role"].as_str().unwrap())
            .collect();
        assert_eq!(roles, ["system", "user", "assistant", "tool"]);
        assert_eq!(
            chat["messages"][2]["tool_calls"][0]["function"]["arguments"],
            "{\"a\": 1}"
        );
        assert_eq!(chat["tools"][0]["function"]["name"], "f");
    }

    #[test]
    fn a_chat_completion_is_not_touched_and_nonsense_is_refused() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[],"input":7}"#);
        let prompt = chat_prompt(body.clone()).unwrap();
        assert_eq!(prompt.raw().as_ptr(), body.as_ptr());
        for body in [r#"{"model":"m"}"#, "[]", r#"{"model":"m","input":7}"#] {
            let refusal = chat_prompt(body.into()).unwrap_err();
            assert_eq!(refusal.kind(), Kind::InvalidRequest, "{body}");
        }
    }
}
