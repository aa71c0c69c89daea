//! Reading a body's [`Facts`] in one borrowed pass.
use super::Dialect;
use crate::chat::{Facts, Kind, Operation, Part, PartKind, Refusal, Speaker, Turn};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{borrow::Cow, ops::Range};

impl Dialect {
    /// Reads the facts of a request body in this dialect.
    ///
    /// # Errors
    /// A [`Refusal`] of kind [`InvalidRequest`](Kind::InvalidRequest) that names the field at fault.
    pub(crate) fn read_facts(self, operation: Operation, raw: &[u8]) -> Result<Facts, Refusal> {
        let body: Body<'_> = serde_json::from_slice(raw).map_err(|e| malformed(&e))?;
        let place = Place::of(raw)?;
        let model_json = body.model.ok_or_else(|| missing("model"))?;
        let model: String = read("model", "a string", model_json)?;
        let turns = match (self, body.messages) {
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
        })
    }
}

/// The top level of a body. Every field is looked at only as far as its end, then read where needed.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
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
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with a type")]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
}

/// Where the body begins, so that a borrowed part's place can be told.
struct Place {
    start: usize,
}

impl Place {
    fn of(raw: &[u8]) -> Result<Self, Refusal> {
        if u32::try_from(raw.len()).is_err() {
            return Err(Refusal::new(Kind::TooLarge, "request body is over 4 GiB"));
        }
        Ok(Self {
            start: raw.as_ptr() as usize,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the body is under 4 GiB, see `of`"
    )]
    fn span(&self, json: &RawValue) -> Range<u32> {
        let from = (json.get().as_ptr() as usize - self.start) as u32;
        from..from + json.get().len() as u32
    }

    fn turns(&self, messages: &RawValue) -> Result<Vec<Turn>, Refusal> {
        let messages: Vec<Message<'_>> = read(
            "messages",
            "an array of objects, each with a role",
            messages,
        )?;
        messages
            .into_iter()
            .enumerate()
            .map(|(i, m)| self.turn(i, &m))
            .collect()
    }

    fn turn(&self, i: usize, message: &Message<'_>) -> Result<Turn, Refusal> {
        self.turn_at(format_args!("messages[{i}]"), message)
    }

    fn turn_at(&self, at: std::fmt::Arguments<'_>, message: &Message<'_>) -> Result<Turn, Refusal> {
        let speaker = match message.role.as_deref() {
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Assistant,
            Some("system" | "developer") => Speaker::System,
            Some("tool" | "function") => Speaker::Tool,
            Some(_) => Speaker::Other,
            None => return Err(missing(format!("{at}.role"))),
        };
        let mut parts = match message.content {
            Some(content) if speaker == Speaker::Tool => vec![Part {
                kind: PartKind::ToolResult,
                span: self.span(content),
            }],
            Some(content) => self.parts(format_args!("{at}.content"), content)?,
            None => Vec::new(),
        };
        if let Some(calls) = message.tool_calls.filter(|c| c.get() != "null") {
            let calls: Vec<&RawValue> = read(format_args!("{at}.tool_calls"), "an array", calls)?;
            parts.extend(calls.into_iter().map(|c| Part {
                kind: PartKind::ToolUse,
                span: self.span(c),
            }));
        }
        Ok(Turn { speaker, parts })
    }

    /// The items of a Responses input: a string, or an array; an answer's items are one turn.
    fn items(&self, input: Option<&RawValue>) -> Result<Vec<Turn>, Refusal> {
        let Some(input) = input.filter(|i| i.get() != "null") else {
            return Ok(Vec::new());
        };
        if input.get().starts_with('"') {
            let part = Part {
                kind: PartKind::Text,
                span: self.span(input),
            };
            return Ok(vec![Turn {
                speaker: Speaker::User,
                parts: vec![part],
            }]);
        }
        let items: Vec<&RawValue> = read("input", "a string or an array of items", input)?;
        let mut turns: Vec<Turn> = Vec::with_capacity(items.len());
        for (i, json) in items.into_iter().enumerate() {
            let turn = self.item(i, json)?;
            match turns.last_mut() {
                Some(last)
                    if last.speaker == turn.speaker
                        && matches!(turn.speaker, Speaker::Assistant | Speaker::Tool) =>
                {
                    last.parts.extend(turn.parts);
                }
                _ => turns.push(turn),
            }
        }
        Ok(turns)
    }

    fn item(&self, i: usize, json: &RawValue) -> Result<Turn, Refusal> {
        let name = format_args!("input[{i}]");
        let item: Item<'_> = read(name, "an object", json)?;
        let (speaker, kind) = match item.r#type.as_deref() {
            None | Some("message") => {
                let message = Message {
                    role: item.role,
                    content: item.content,
                    tool_calls: None,
                };
                return self.turn_at(format_args!("input[{i}]"), &message);
            }
            Some("reasoning") => (Speaker::Assistant, PartKind::Thinking),
            Some(kind) if kind.ends_with("_call") => (Speaker::Assistant, PartKind::ToolUse),
            Some(kind) if kind.ends_with("_output") => (Speaker::Tool, PartKind::ToolResult),
            Some("additional_tools") => (Speaker::System, PartKind::Tools),
            Some(_) => (Speaker::Other, PartKind::Other),
        };
        let part = Part {
            kind,
            span: self.span(json),
        };
        Ok(Turn {
            speaker,
            parts: vec![part],
        })
    }

    /// The parts of a content: a string, an array of blocks, or null.
    fn parts(
        &self,
        name: impl std::fmt::Display,
        content: &RawValue,
    ) -> Result<Vec<Part>, Refusal> {
        match content.get().as_bytes().first() {
            Some(b'"') => Ok(vec![Part {
                kind: PartKind::Text,
                span: self.span(content),
            }]),
            Some(b'n') => Ok(Vec::new()),
            Some(b'[') => {
                let blocks: Vec<&RawValue> =
                    read(&name, "a string or an array of blocks", content)?;
                blocks.into_iter().map(|b| self.part(&name, b)).collect()
            }
            _ => Err(wrong(name, "a string or an array of blocks")),
        }
    }

    fn part(&self, name: impl std::fmt::Display, json: &RawValue) -> Result<Part, Refusal> {
        if json.get().starts_with('"') {
            return Ok(Part {
                kind: PartKind::Text,
                span: self.span(json),
            });
        }
        let block: Block<'_> = read(name, "an array of blocks, each an object with a type", json)?;
        let kind = match (block.r#type.as_deref(), block.text) {
            (Some("text" | "input_text" | "output_text"), Some(text))
                if text.get().starts_with('"') =>
            {
                return Ok(Part {
                    kind: PartKind::Text,
                    span: self.span(text),
                });
            }
            (Some("image" | "image_url" | "input_image"), _) => PartKind::Image,
            (Some("document" | "file" | "input_file"), _) => PartKind::Document,
            (Some("tool_use" | "server_tool_use"), _) => PartKind::ToolUse,
            (Some(t), _) if t.ends_with("tool_result") => PartKind::ToolResult,
            (Some("thinking" | "redacted_thinking"), _) => PartKind::Thinking,
            _ => PartKind::Other,
        };
        Ok(Part {
            kind,
            span: self.span(json),
        })
    }
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

fn asks_usage(options: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<Options>(options.get()).is_ok_and(|o| o.include_usage == Some(true))
}

fn thinks(body: &Body<'_>) -> bool {
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

fn wants_json(body: &Body<'_>) -> bool {
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

// === errors ===

fn read<'a, T: Deserialize<'a>>(
    name: impl std::fmt::Display,
    expected: &str,
    json: &'a RawValue,
) -> Result<T, Refusal> {
    serde_json::from_str(json.get()).map_err(|_| wrong(name, expected))
}

fn optional<'a, T: Deserialize<'a>>(
    name: &str,
    expected: &str,
    json: Option<&'a RawValue>,
) -> Result<Option<T>, Refusal> {
    json.map_or(Ok(None), |json| read(name, expected, json))
}

fn wrong(name: impl std::fmt::Display, expected: &str) -> Refusal {
    Refusal::new(
        Kind::InvalidRequest,
        format!("{name}: {expected} is expected"),
    )
    .with_param(name.to_string())
}

fn missing(name: impl std::fmt::Display) -> Refusal {
    Refusal::new(Kind::InvalidRequest, format!("{name}: field required"))
        .with_param(name.to_string())
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::new(
        Kind::InvalidRequest,
        format!("request body is not valid: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Prompt;
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
