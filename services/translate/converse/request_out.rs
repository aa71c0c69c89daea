//! A Converse request, written from the intermediate form.
use super::{
    content_out::{cache_point, messages, uses_tools},
    family::Family,
};
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning, demands,
        error::refuse,
        form::{BlockKind, Form, Format, Tool, ToolChoice},
        ids,
        json::{Array, Object, write_text},
        messages::request_out::{can_think, possible},
        text::Text,
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

/// A tool without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Writes a request. The model's name stands in the path, not here, but decides what the model can take.
pub(crate) fn write(form: &Form<'_>, model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    possible(form)?;
    let family = Family::of(model);
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        let lonely = form.turns.is_empty();
        // A conversation of instructions alone, which chat completions allow, makes the last one the user's.
        let (system, spoken) = match form.system.split_last() {
            Some((last, system)) if lonely => (system, Some(last)),
            _ => (&*form.system, None),
        };
        write_system(form, caps, system, family, &mut body);
        messages(form, spoken, caps, family, body.array("messages"))?;
        inference(form, caps, &mut body);
        tools(form, caps, family, &mut body)?;
        output_config(form, caps, family, &mut body);
        additional(form, caps, family, &mut body);
    }
    Ok(out.freeze())
}

fn write_system(
    form: &Form<'_>,
    caps: &Capabilities,
    system: &[crate::translate::form::Block<'_>],
    family: Family,
    body: &mut Object<'_>,
) {
    let enforced = caps.structured_output && matches!(form.format, Some(Format::Schema { .. }));
    let demands = demands::of(
        form,
        &Capabilities {
            structured_output: enforced,
            ..caps.clone()
        },
    );
    let mut texts: Vec<_> = system
        .iter()
        .filter_map(|block| match &block.kind {
            BlockKind::Text(text) if !text.is_blank() => Some((text, block.cache)),
            _ => None,
        })
        .collect();
    texts.extend(demands.iter().map(|text| (text, None)));
    if texts.is_empty() {
        return;
    }
    let mut list = body.array("system");
    for (text, cache) in texts {
        list.object().text("text", text);
        cache_point(cache, family, &mut list);
    }
}

/// Temperatures run to 2 in chat completions and to 1 here.
fn inference(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) {
    let stop: Vec<_> = form.stop.iter().filter(|s| !s.is_blank()).collect();
    if form.max_tokens.is_none()
        && form.temperature.is_none()
        && form.top_p.is_none()
        && stop.is_empty()
    {
        return;
    }
    let mut config = body.object("inferenceConfig");
    if let Some(tokens) = form.max_tokens {
        config.number(
            "maxTokens",
            caps.max_output.map_or(tokens, |most| tokens.min(most)),
        );
    }
    if let Some(json) = form.temperature {
        let high = json.get().parse::<f64>().is_ok_and(|t| t > 1.0);
        config.raw("temperature", if high { "1" } else { json.get() });
    }
    if let Some(json) = form.top_p {
        config.raw("topP", json.get());
    }
    if !stop.is_empty() {
        let mut list = config.array("stopSequences");
        for text in stop {
            write_text(list.element(), text);
        }
    }
}

// === tools ===

fn tools(
    form: &Form<'_>,
    caps: &Capabilities,
    family: Family,
    body: &mut Object<'_>,
) -> Result<(), Refusal> {
    if !form.tools.is_empty() && !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    // Bedrock refuses calls in the conversation where no tools are offered, and knows no choice of none: then those that were called are
    // offered by their names alone.
    let used = uses_tools(form);
    let none = matches!(form.tool_choice, Some(ToolChoice::None));
    if form.tools.is_empty() || none {
        if used.is_empty() {
            return Ok(());
        }
        let mut config = body.object("toolConfig");
        let mut list = config.array("tools");
        for name in used {
            let mut tool = list.object();
            let mut spec = tool.object("toolSpec");
            spec.str("name", &name);
            spec.object("inputSchema").raw("json", NO_ARGUMENTS);
        }
        return Ok(());
    }
    let mut config = body.object("toolConfig");
    let mut list = config.array("tools");
    for tool in &form.tools {
        write_tool(tool, family, &mut list)?;
    }
    drop(list);
    match &form.tool_choice {
        None | Some(ToolChoice::None) => {}
        Some(ToolChoice::Auto) => config.object("toolChoice").raw("auto", "{}"),
        Some(ToolChoice::Any) => config.object("toolChoice").raw("any", "{}"),
        Some(ToolChoice::Tool(name)) => {
            let mut choice = config.object("toolChoice");
            choice.object("tool").str("name", &ids::tool_name(name));
        }
    }
    Ok(())
}

fn write_tool(tool: &Tool<'_>, family: Family, list: &mut Array<'_>) -> Result<(), Refusal> {
    if let Some(kind) = &tool.vendor {
        let why = format!("a `{kind}` tool cannot be offered to the model behind this name");
        return Err(refuse("tools", &why));
    }
    {
        let mut object = list.object();
        let mut spec = object.object("toolSpec");
        spec.str("name", &ids::tool_name(&tool.name));
        if let Some(description) = tool.description.as_ref().filter(|d| !d.is_blank()) {
            spec.text("description", description);
        }
        spec.object("inputSchema")
            .raw("json", tool.schema.map_or(NO_ARGUMENTS, RawValue::get));
        if let Some(strict) = tool.strict
            && matches!(strict.get(), "true" | "false")
        {
            spec.raw("strict", strict.get());
        }
    }
    cache_point(tool.cache, family, list);
    Ok(())
}

// === thinking and form of the answer ===

fn output_config(form: &Form<'_>, caps: &Capabilities, family: Family, body: &mut Object<'_>) {
    let schema = match &form.format {
        Some(Format::Schema { name, schema, .. }) if caps.structured_output => Some((name, schema)),
        _ => None,
    };
    let effort = form
        .thinking
        .effort()
        .filter(|_| caps.reasoning == Reasoning::Effort && family != Family::GptOss);
    if schema.is_none() && effort.is_none() {
        return;
    }
    let mut config = body.object("outputConfig");
    if let Some((name, schema)) = schema {
        let mut format = config.object("textFormat");
        format.str("type", "json_schema");
        let mut structure = format.object("structure");
        let mut json = structure.object("jsonSchema");
        // A string that holds JSON.
        json.str("schema", schema.get());
        json.text("name", name.as_ref().unwrap_or(&Text::plain("answer")));
    }
    if let Some(effort) = effort {
        config.str("effort", effort.as_str());
    }
}

/// What the model takes beyond what Converse knows, in the model's own words.
fn additional(form: &Form<'_>, caps: &Capabilities, family: Family, body: &mut Object<'_>) {
    let mut own = BytesMut::new();
    {
        let mut fields = Object::new(&mut own);
        if let Some(json) = form.rest.get("top_k") {
            match family {
                Family::Nova => fields.object("inferenceConfig").raw("topK", json.get()),
                _ => fields.raw("top_k", json.get()),
            }
        }
        let effort = form.thinking.effort().filter(|_| can_think(form));
        if let Some(effort) = effort {
            match (caps.reasoning, family) {
                (Reasoning::Effort | Reasoning::Budget, Family::GptOss) => {
                    fields.str("reasoning_effort", effort.as_str());
                }
                (Reasoning::Effort, Family::Claude) => {
                    fields.object("thinking").str("type", "adaptive");
                }
                (Reasoning::Budget, _) => {
                    // The budget is part of the limit on output; with too little left for the answer there is no thinking.
                    let most = form.max_tokens.unwrap_or(caps.default_max_tokens);
                    let budget = form
                        .thinking
                        .budget
                        .unwrap_or(effort.budget())
                        .min(most / 2);
                    if budget >= 1024 {
                        let mut thinking = fields.object("thinking");
                        thinking.str("type", "enabled");
                        thinking.number("budget_tokens", budget);
                    }
                }
                _ => {}
            }
        }
    }
    if own.len() > 2 {
        body.key("additionalModelRequestFields").put_slice(&own);
    }
}
