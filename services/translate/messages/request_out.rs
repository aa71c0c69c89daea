//! A Messages request, written from the intermediate form.
use super::content_out::{message, messages, text_block};
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning,
        error::refuse,
        form::{Block, BlockKind, Form, Format, Role, ToolChoice},
        ids,
        json::{Json, Object, write_text},
        responses::is_signature,
        schema,
        text::Text,
    },
};
use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

/// Top-level fields that mean in Messages what they say, whoever's request they stand in.
const PASSED: &[&str] = &["top_k"];

pub(crate) fn write(form: &Form<'_>, model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    possible(form)?;
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        body.str("model", model);
        let most = caps.max_output.unwrap_or(u64::MAX);
        let max_tokens = form.max_tokens.unwrap_or(caps.default_max_tokens).min(most);
        body.number("max_tokens", max_tokens);
        let lonely = form.turns.is_empty();
        // A conversation of instructions alone, which chat completions allow, makes the last one the user's.
        let (system, spoken) = match form.system.split_last() {
            Some((last, system)) if lonely => (system, Some(last)),
            _ => (&*form.system, None),
        };
        write_system(form, caps, system, &mut body);
        let mut list = body.array("messages");
        if let Some(block) = spoken {
            message("user", std::slice::from_ref(block), caps, &mut list)?;
        }
        messages(form, caps, &mut list)?;
        drop(list);
        sampling(form, &mut body);
        if form.stream {
            body.bool("stream", true);
        }
        tools(form, caps, &mut body)?;
        output_config(form, caps, max_tokens, &mut body);
        if let Some(user) = &form.user {
            body.object("metadata").text("user_id", user);
        }
        for (name, json) in &form.rest.0 {
            if PASSED.contains(&&**name) {
                body.raw(name, json.get());
            }
        }
    }
    Ok(out.freeze())
}

pub(crate) fn possible(form: &Form<'_>) -> Result<(), Refusal> {
    form.refuse_beyond(&["n"])?;
    match form.rest.get("n").map(RawValue::get) {
        None | Some("1") => Ok(()),
        Some(_) => Err(refuse(
            "n",
            "the model behind this name gives one answer at a time",
        )),
    }
}

fn write_system(form: &Form<'_>, caps: &Capabilities, system: &[Block<'_>], body: &mut Object<'_>) {
    let enforced = caps.structured_output && matches!(form.format, Some(Format::Schema { .. }));
    let demand = form
        .format
        .as_ref()
        .filter(|_| !enforced)
        .map(schema::in_words);
    let mut texts: Vec<(&Text<'_>, Option<Json<'_>>)> = system
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::Text(text) if !text.is_blank() => Some((text, block.cache)),
            _ => None,
        })
        .collect();
    texts.extend(demand.iter().map(|text| (text, None)));
    match &*texts {
        [] => {}
        [(text, None)] => body.text("system", text),
        texts => {
            let mut list = body.array("system");
            for (text, cache) in texts {
                text_block(text, *cache, &mut list);
            }
        }
    }
}

/// Temperatures run to 2 in chat completions and to 1 here.
fn sampling(form: &Form<'_>, body: &mut Object<'_>) {
    if let Some(json) = form.temperature {
        let high = json.get().parse::<f64>().is_ok_and(|t| t > 1.0);
        body.raw("temperature", if high { "1" } else { json.get() });
    }
    if let Some(json) = form.top_p {
        body.raw("top_p", json.get());
    }
    if !form.stop.is_empty() {
        let mut stop = body.array("stop_sequences");
        for text in &form.stop {
            write_text(stop.element(), text);
        }
    }
}

// === tools ===

fn tools(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) -> Result<(), Refusal> {
    if form.tools.is_empty() {
        return Ok(());
    }
    if !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    let mut list = body.array("tools");
    for tool in &form.tools {
        if let Some(kind) = &tool.vendor {
            let why = format!("a `{kind}` tool cannot be offered to the model behind this name");
            return Err(refuse("tools", &why));
        }
        let mut object = list.object();
        object.str("name", &ids::tool_name(&tool.name));
        if let Some(description) = &tool.description {
            object.text("description", description);
        }
        // Chat completions may leave the schema of a tool without arguments out.
        let schema = tool
            .schema
            .map_or(r#"{"type":"object","properties":{}}"#, RawValue::get);
        object.raw("input_schema", schema);
        if let Some(strict) = tool.strict {
            object.raw("strict", strict.get());
        }
        if let Some(cache) = tool.cache {
            object.raw("cache_control", cache.get());
        }
    }
    drop(list);
    let single = form.parallel_tools == Some(false);
    let choice = match &form.tool_choice {
        None if single => Some(("auto", None)),
        None => None,
        Some(ToolChoice::Auto) => Some(("auto", None)),
        Some(ToolChoice::Any) => Some(("any", None)),
        Some(ToolChoice::None) => Some(("none", None)),
        Some(ToolChoice::Tool(name)) => Some(("tool", Some(name))),
    };
    if let Some((kind, name)) = choice {
        let mut choice = body.object("tool_choice");
        choice.str("type", kind);
        if let Some(name) = name {
            choice.str("name", &ids::tool_name(name));
        }
        if single && kind != "none" {
            choice.bool("disable_parallel_tool_use", true);
        }
    }
    Ok(())
}

// === thinking and form of the answer ===

fn output_config(form: &Form<'_>, caps: &Capabilities, max_tokens: u64, body: &mut Object<'_>) {
    let schema = match &form.format {
        Some(Format::Schema { schema, .. }) if caps.structured_output => Some(schema),
        _ => None,
    };
    let effort = form.thinking.effort().filter(|_| can_think(form));
    let word = effort.filter(|_| caps.reasoning == Reasoning::Effort);
    if schema.is_some() || word.is_some() {
        let mut config = body.object("output_config");
        if let Some(effort) = word {
            config.str("effort", effort.as_str());
        }
        if let Some(schema) = schema {
            let mut format = config.object("format");
            format.str("type", "json_schema");
            format.raw("schema", schema.get());
        }
    }
    if word.is_some() {
        body.object("thinking").str("type", "adaptive");
    }
    if caps.reasoning == Reasoning::Budget
        && let Some(effort) = effort
    {
        // The budget is part of the limit on output; with too little left for the answer there is no thinking.
        let budget = form.thinking.budget.unwrap_or(effort.budget());
        let budget = budget.min(max_tokens / 2);
        if budget >= 1024 {
            let mut thinking = body.object("thinking");
            thinking.str("type", "enabled");
            thinking.number("budget_tokens", budget);
        }
    }
}

/// Anthropic refuses thinking together with a temperature, with a forced tool, and in the middle of a round of tool calls whose own thinking
/// is not there. The wish to think is the one that yields: the others are exact.
pub(crate) fn can_think(form: &Form<'_>) -> bool {
    let forced = matches!(
        form.tool_choice,
        Some(ToolChoice::Any | ToolChoice::Tool(_))
    );
    let last_said = form.turns.iter().rev().find(|t| t.role == Role::Assistant);
    let in_round = last_said.is_some_and(|turn| {
        let calls = |b: &Block<'_>| matches!(b.kind, BlockKind::ToolUse { .. });
        turn.blocks.iter().any(calls) && !turn.blocks.iter().any(is_signed)
    });
    form.temperature.is_none_or(|t| t.get().parse() == Ok(1.0)) && !forced && !in_round
}

fn is_signed(block: &Block<'_>) -> bool {
    matches!(&block.kind, BlockKind::Thinking { signature: Some(signature), .. } if is_signature(signature))
}
