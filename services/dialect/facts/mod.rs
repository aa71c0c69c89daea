//! Reading a body's [`Facts`] in one borrowed pass.
mod fault;
mod place;

pub(super) use self::{
    fault::{malformed, missing, optional, read, wrong},
    place::Place,
};
use super::Dialect;
use crate::chat::{Facts, Operation, PartKind, Refusal, Turn};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{borrow::Cow, ops::Deref};

impl Dialect {
    /// Reads the facts of a request body in this dialect.
    ///
    /// # Errors
    /// A [`Refusal`] of kind [`InvalidRequest`](Kind::InvalidRequest) that names the field at fault.
    pub(crate) fn read_facts(self, operation: Operation, raw: &[u8]) -> Result<Facts, Refusal> {
        if !operation.is_conversation() {
            return super::inputs::read_facts(self, operation, raw);
        }
        let mut body: Body<'_, Vec<Message<'_>>> =
            crate::json::from_slice(raw).map_err(|error| explain(raw, &error))?;
        let place = Place::of(raw)?;
        let model_json = body.model.ok_or_else(|| missing("model"))?;
        let model: String = read("model", "a string", model_json)?;
        let turns = match (self, body.messages.take()) {
            (Self::Responses, _) => place.items(body.input)?,
            (_, Some(messages)) => place.turns(messages)?,
            (_, None) => return Err(missing("messages")),
        };
        let stream = optional("stream", "true or false", body.stream)?.unwrap_or(false);
        let max_tokens = optional(
            "max_tokens",
            "a whole number",
            body.max_tokens
                .or(body.max_completion_tokens)
                .or(body.max_output_tokens),
        )?;
        Ok(Facts {
            dialect: self,
            operation,
            model,
            model_span: place.span(model_json),
            stream,
            stream_options: body
                .stream_options
                .filter(|o| o.get() != "null")
                .map(|o| (place.span(o), asks_usage(o))),
            max_tokens,
            temperature: optional("temperature", "a number", body.temperature)?,
            system: body
                .system
                .or(body.instructions.filter(|_| self == Self::Responses))
                .map(|s| place.parts("system", s))
                .transpose()?
                .unwrap_or_default(),
            tool_count: tools(body.tools.or(body.functions))? + added_tools(&turns),
            turns,
            tools_span: body.tools.or(body.functions).map(|t| place.span(t)),
            thinking: thinks(&body),
            json_output: wants_json(&body),
            choices: optional("n", "a whole number", body.n)?.unwrap_or(1),
            metadata_span: body.metadata.map(|m| place.span(m)),
            prompt_cache_key_span: body.prompt_cache_key.map(|k| place.span(k)),
            tool_choice_span: body.tool_choice.map(|c| place.span(c)),
            inputs: 0,
        })
    }
}

/// The top level of a body. Every field is looked at only as far as its end, then read where needed.
#[derive(Deserialize)]
#[serde(
    expecting = "a JSON object",
    bound(deserialize = "M: Deserialize<'de>")
)]
struct Body<'a, M> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    // Read on the way: looking for its end first would be a second pass over almost the whole body.
    messages: Option<M>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_cache_key: Option<&'a RawValue>,
}

/// A string that is borrowed where it can be. An optional `Cow` of its own would always be a copy: serde borrows no deeper than the field.
#[derive(Deserialize)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Word<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Word<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<Word<'a>>,
    #[serde(borrow)]
    role: Option<Word<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with a type")]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Option<Word<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    r#type: Option<Word<'a>>,
}

fn tools(tools: Option<&RawValue>) -> Result<usize, Refusal> {
    match tools {
        Some(tools) if tools.get() != "null" => {
            Ok(read::<Vec<IgnoredAny>>("tools", "an array", tools)?.len())
        }
        _ => Ok(0),
    }
}

/// The tools that an input brings in items of its own.
fn added_tools(turns: &[Turn]) -> usize {
    let parts = turns.iter().flat_map(|t| &t.parts);
    parts.filter(|p| p.kind == PartKind::Tools).count()
}

pub(super) fn asks_usage(options: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<Options>(options.get()).is_ok_and(|o| o.include_usage == Some(true))
}

fn thinks<M>(body: &Body<'_, M>) -> bool {
    let kind = body
        .thinking
        .and_then(|t| serde_json::from_str::<Typed<'_>>(t.get()).ok())
        .and_then(|t| t.r#type);
    #[derive(Deserialize)]
    struct Reasoning<'a> {
        #[serde(borrow)]
        effort: Option<&'a RawValue>,
    }
    let reasoning = body
        .reasoning
        .and_then(|r| serde_json::from_str::<Reasoning<'_>>(r.get()).ok());
    let effort = body
        .reasoning_effort
        .or(reasoning.and_then(|r| r.effort))
        .map(RawValue::get);
    matches!(kind.as_deref(), Some("enabled" | "adaptive"))
        || effort.is_some_and(|e| !matches!(e, "null" | "\"none\"" | "\"minimal\""))
}

fn wants_json<M>(body: &Body<'_, M>) -> bool {
    #[derive(Deserialize)]
    struct OutputConfig<'a> {
        #[serde(borrow)]
        format: Option<Typed<'a>>,
    }
    let format = body
        .response_format
        .and_then(|f| serde_json::from_str::<Typed<'_>>(f.get()).ok());
    let config = body
        .output_config
        .or(body.text)
        .and_then(|c| serde_json::from_str::<OutputConfig<'_>>(c.get()).ok())
        .and_then(|c| c.format);
    let json = |t: Option<Typed<'_>>| {
        t.and_then(|t| t.r#type)
            .is_some_and(|t| t.starts_with("json"))
    };
    json(format) || json(config)
}

/// What is wrong with a body that could not be read in one go: the field at fault, where it can be told.
fn explain(raw: &[u8], error: &serde_json::Error) -> Refusal {
    match serde_json::from_slice::<Body<'_, &RawValue>>(raw) {
        Ok(Body {
            messages: Some(messages),
            ..
        }) => {
            let wanted = "an array of objects, each with a role";
            read::<Vec<Message<'_>>>("messages", wanted, messages)
                .err()
                .unwrap_or_else(|| malformed(error))
        }
        Ok(_) => malformed(error),
        Err(error) => malformed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Prompt;
    use crate::chat::{Kind, Speaker};
    use bytes::Bytes;

    fn parse(dialect: Dialect, body: &str) -> Result<Prompt, Refusal> {
        Prompt::parse(
            dialect,
            Operation::Generate,
            Bytes::copy_from_slice(body.as_bytes()),
        )
    }

    #[test]
    fn a_messages_body() {
        let p = parse(
            Dialect::Messages,
            r#"{"model":"claude-x","max_tokens":9,"stream":true,"system":[{"type":"text","text":"be \"kind\"","cache_control":{"type":"ephemeral"}}],
            "thinking":{"type":"adaptive"},"tools":[{"name":"a"},{"name":"b"}],"messages":[
            {"role":"user","content":"hello"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"s"},{"type":"tool_use","id":"1","name":"a","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"ok"},{"type":"image","source":{}}]},
            {"role":"system","content":"remember"}]}"#,
        )
        .unwrap();
        let f = p.facts();
        assert_eq!(
            (
                f.model.as_str(),
                f.stream,
                f.max_tokens,
                f.tool_count,
                f.thinking
            ),
            ("claude-x", true, Some(9), 2, true)
        );
        assert_eq!(p.json(&f.model_span), "\"claude-x\"");
        assert_eq!(p.text(&f.system[0]), "be \"kind\"");
        assert!(f.tool_results_pending() && f.has_images());
        assert_eq!(p.text(&f.last_user_turn().unwrap().parts[0]), "hello");
        assert_eq!(f.turns[3].speaker, Speaker::System);
    }

    #[test]
    fn a_chat_body() {
        let p = parse(
            Dialect::ChatCompletions,
            r#"{"model":"gpt-x","max_completion_tokens":5,"response_format":{"type":"json_schema","json_schema":{}},"reasoning_effort":"high","messages":[
            {"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"u"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"1","content":"42"}]}"#,
        )
        .unwrap();
        let f = p.facts();
        assert!(f.json_output && f.thinking && f.tool_results_pending());
        assert_eq!(f.turns[2].parts[0].kind, PartKind::ToolUse);
        assert_eq!(f.max_tokens, Some(5));
    }

    #[test]
    fn faults_are_named() {
        for (body, expected) in [
            ("[]", "JSON object"),
            (r#"{"model": "#, "line 1 column"),
            (r#"{"messages":[]}"#, "model: field required"),
            (r#"{"model":"m"}"#, "messages: field required"),
            (r#"{"model":7,"messages":[]}"#, "model: a string"),
            (r#"{"model":"m","messages":{}}"#, "messages: an array"),
            (
                r#"{"model":"m","messages":[{"content":"x"}]}"#,
                "messages[0].role",
            ),
            (
                r#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
                "messages[0].content",
            ),
            (
                r#"{"model":"m","messages":[],"stream":"yes"}"#,
                "stream: true or false",
            ),
            (r#"{"model":"m","messages":[]} x"#, "trailing characters"),
        ] {
            let error = parse(Dialect::Messages, body).unwrap_err();
            assert!(error.message().contains(expected), "{body}: {error}");
            assert_eq!(error.kind(), Kind::InvalidRequest);
        }
        let deep = format!(
            r#"{{"model":"m","messages":{}1{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(parse(Dialect::Messages, &deep).is_err());
    }
}
