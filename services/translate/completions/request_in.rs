//! A chat completions request, read into the intermediate form.
use crate::{
    chat::{Facts, Refusal},
    translate::{
        form::{
            Arguments, Block, BlockKind, Effort, Form, Role, Thinking, ToolChoice, Turn,
            settle_tool_results,
        },
        json::{At, Fields, Json, conversation, elements},
        parts,
        text::Text,
    },
};
use std::borrow::Cow;

pub(crate) fn read<'a>(body: &'a str, facts: &Facts) -> Result<Form<'a>, Refusal> {
    let (mut fields, messages) = conversation(body)?;
    for known in [
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
    ] {
        fields.take(known);
    }
    let mut turns = turns(messages)?;
    let leading = turns
        .iter()
        .take_while(|turn| turn.role == Role::System)
        .count();
    let system: Vec<Block<'a>> = turns
        .drain(..leading)
        .flat_map(|turn| turn.blocks)
        .collect();
    let tools = fields.take("tools").or(fields.take("functions"));
    let choice = fields.take("tool_choice");
    let legacy_choice = fields.take("function_call");
    let effort = fields.take("reasoning_effort").or_else(|| {
        // OpenRouter's shape.
        fields.object("reasoning")?.get("effort")
    });
    fields.take("reasoning");
    let user = fields.take("user");
    Ok(Form {
        size: body.len(),
        system,
        turns: settle_tool_results(turns),
        tools: parts::tools(tools, &At::top("tools"))?,
        tool_choice: match choice {
            Some(_) => parts::tool_choice(choice, &At::top("tool_choice"))?,
            None => legacy_tool_choice(legacy_choice)?,
        },
        parallel_tools: fields
            .take("parallel_tool_calls")
            .map(|p| p.get() == "true"),
        max_tokens: facts.max_tokens,
        temperature: fields.take("temperature"),
        top_p: fields.take("top_p"),
        stop: parts::stop(fields.take("stop"), &At::top("stop"))?,
        format: parts::format(fields.take("response_format"), &At::top("response_format"))?,
        thinking: Thinking {
            effort: effort
                .and_then(Text::of)
                .and_then(|e| Effort::of(&e.decode())),
            budget: None,
        },
        stream: facts.stream,
        user: user.or(fields.get("safety_identifier")).and_then(Text::of),
        rest: fields,
    })
}

/// `function_call`: a word as in `tool_choice`, or an object with a name alone.
fn legacy_tool_choice(json: Option<Json<'_>>) -> Result<Option<ToolChoice<'_>>, Refusal> {
    let at = At::top("function_call");
    match json.and_then(|j| Fields::parse(j.get())) {
        Some(fields) => Ok(Some(ToolChoice::Tool(fields.need_text("name", &at)?))),
        None => parts::tool_choice(json, &at),
    }
}

fn turns(messages: Vec<Fields<'_>>) -> Result<Vec<Turn<'_>>, Refusal> {
    let at = At::top("messages");
    let mut turns = Vec::with_capacity(messages.len());
    let mut legacy_calls = 0;
    for (i, message) in messages.into_iter().enumerate() {
        let at = at.element(i);
        if message.get("function_call").is_some() {
            legacy_calls += 1;
        }
        turns.push(turn(&message, legacy_calls, &at)?);
    }
    Ok(turns)
}

fn turn<'a>(message: &Fields<'a>, legacy_calls: usize, at: &At<'_>) -> Result<Turn<'a>, Refusal> {
    let content = parts::content(message.get("content"), &at.field("content"))?;
    let (role, blocks) = match message.string("role").as_deref() {
        Some("system" | "developer") => (Role::System, content),
        Some("user") => (Role::User, content),
        Some("assistant") => (Role::Assistant, said(message, content, legacy_calls, at)?),
        Some("tool") => {
            let id = message.need_text("tool_call_id", at)?;
            (Role::User, vec![result(id, content)])
        }
        // A legacy answer bears no id; it answers the latest call.
        Some("function") => (Role::User, vec![result(legacy_id(legacy_calls), content)]),
        _ => {
            return Err(at
                .field("role")
                .wrong("system, developer, user, assistant or tool"));
        }
    };
    Ok(Turn { role, blocks })
}

fn result<'a>(id: Text<'a>, mut content: Vec<Block<'a>>) -> Block<'a> {
    // A mark at its end is meant for all of it: inside a result no dialect has a place for marks.
    let cache = content.last_mut().and_then(|block| block.cache.take());
    Block {
        kind: BlockKind::ToolResult {
            id,
            content,
            is_error: false,
        },
        cache,
    }
}

/// What an assistant's message holds beside its content.
fn said<'a>(
    message: &Fields<'a>,
    mut blocks: Vec<Block<'a>>,
    legacy_calls: usize,
    at: &At<'_>,
) -> Result<Vec<Block<'a>>, Refusal> {
    let reasoning = message
        .text("reasoning_content")
        .or_else(|| message.text("reasoning"));
    if let Some(text) = reasoning {
        let kind = BlockKind::Thinking {
            text,
            signature: None,
        };
        blocks.insert(0, Block::new(kind));
    }
    if let Some(refusal) = message.text("refusal") {
        blocks.push(Block::text(refusal));
    }
    let calls_at = at.field("tool_calls");
    if let Some(json) = message.get("tool_calls") {
        let calls = elements(json).ok_or_else(|| calls_at.wrong("an array"))?;
        for (i, json) in calls.into_iter().enumerate() {
            blocks.push(call(json, &calls_at.element(i))?);
        }
    }
    if let Some(call) = message.object("function_call") {
        let at = at.field("function_call");
        blocks.push(Block::new(BlockKind::ToolUse {
            id: legacy_id(legacy_calls),
            name: call.need_text("name", &at)?,
            arguments: arguments(&call),
        }));
    }
    Ok(blocks)
}

fn call<'a>(json: Json<'a>, at: &At<'_>) -> Result<Block<'a>, Refusal> {
    let call = Fields::read(json, at)?;
    let Some(function) = call.object("function") else {
        return Err(at.field("function").missing());
    };
    Ok(Block::new(BlockKind::ToolUse {
        id: call.need_text("id", at)?,
        name: function.need_text("name", &at.field("function"))?,
        arguments: arguments(&function),
    }))
}

/// A call's `arguments`: JSON in a string, or, from some servers, plain JSON.
pub(super) fn arguments<'a>(function: &Fields<'a>) -> Arguments<'a> {
    match function.get("arguments") {
        None => Arguments::Object(Cow::Borrowed("{}")),
        Some(json) => match Text::of(json) {
            Some(text) => Arguments::of_text(text),
            None => Arguments::of_json(json),
        },
    }
}

/// The id of the `call`th legacy call of a conversation.
fn legacy_id(call: usize) -> Text<'static> {
    Text::Plain(Cow::Owned(format!("call_{call}")))
}
