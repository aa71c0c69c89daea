//! A chat completions request, written from the intermediate form.
use super::content_out::messages;
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning,
        error::refuse,
        form::{Form, Format, Tool, ToolChoice},
        ids,
        json::{Object, write_text},
        schema,
        text::Text,
    },
};
use bytes::{Bytes, BytesMut};

/// Top-level fields that mean in chat completions what they say, whoever's request they stand in.
const PASSED: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "presence_penalty",
    "prompt_cache_key",
    "safety_identifier",
    "seed",
    "verbosity",
];

pub(crate) fn write(form: &Form<'_>, model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        body.str("model", model);
        messages(form, caps, body.array("messages"))?;
        if let Some(tokens) = form.max_tokens {
            let tokens = caps.max_output.map_or(tokens, |most| tokens.min(most));
            body.number(caps.max_tokens_field.as_str(), tokens);
        }
        if let Some(json) = form.temperature {
            body.raw("temperature", json.get());
        }
        if let Some(json) = form.top_p {
            body.raw("top_p", json.get());
        }
        if !form.stop.is_empty() {
            let mut stop = body.array("stop");
            for text in &form.stop {
                write_text(stop.element(), text);
            }
        }
        if form.stream {
            body.bool("stream", true);
            if caps.streaming_usage {
                body.object("stream_options").bool("include_usage", true);
            }
        }
        tools(form, caps, &mut body)?;
        response_format(form, caps, &mut body);
        if caps.reasoning != Reasoning::Unsupported
            && let Some(effort) = form.thinking.effort()
        {
            body.str("reasoning_effort", effort.as_str());
        }
        for (name, json) in &form.rest.0 {
            if PASSED.contains(&&**name) || caps.own_fields.contains(&&**name) {
                body.raw(name, json.get());
            }
        }
    }
    Ok(out.freeze())
}

// === tools ===

fn tools(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) -> Result<(), Refusal> {
    if form.tools.is_empty() {
        // Without tools, a choice among them is refused by the vendors.
        return Ok(());
    }
    if !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    let mut list = body.array("tools");
    for tool in &form.tools {
        write_tool(tool, list.object())?;
    }
    drop(list);
    tool_choice(form, body, |mut choice, name| {
        choice.object("function").str("name", name);
    });
    if form.parallel_tools == Some(false) && caps.parallel_tools {
        body.bool("parallel_tool_calls", false);
    }
    Ok(())
}

/// Writes the choice among tools as OpenAI has it; `named` writes the name of the one tool that is to be called.
pub(crate) fn tool_choice(
    form: &Form<'_>,
    body: &mut Object<'_>,
    named: impl FnOnce(Object<'_>, &str),
) {
    match &form.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => body.str("tool_choice", "auto"),
        Some(ToolChoice::Any) => body.str("tool_choice", "required"),
        Some(ToolChoice::None) => body.str("tool_choice", "none"),
        Some(ToolChoice::Tool(name)) => {
            let mut choice = body.object("tool_choice");
            choice.str("type", "function");
            named(choice, &ids::tool_name(name));
        }
    }
}

fn write_tool(tool: &Tool<'_>, mut object: Object<'_>) -> Result<(), Refusal> {
    if let Some(kind) = &tool.vendor {
        return Err(refuse(
            "tools",
            format!(
                "`{kind}` is a tool of its vendor's own, which the model behind this name does not have"
            ),
        ));
    }
    object.str("type", "function");
    let mut function = object.object("function");
    function.str("name", &ids::tool_name(&tool.name));
    if let Some(description) = &tool.description {
        function.text("description", description);
    }
    if let Some(schema) = tool.schema {
        function.raw("parameters", schema.get());
    }
    // OpenAI refuses to be strict about a schema that leaves something open; Anthropic does not.
    if let Some(strict) = tool.strict
        && tool.schema.is_none_or(schema::is_strict)
    {
        function.raw("strict", strict.get());
    }
    Ok(())
}

fn response_format(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) {
    match &form.format {
        Some(Format::Schema {
            name,
            schema,
            strict,
        }) if caps.structured_output => {
            let mut format = body.object("response_format");
            format.str("type", "json_schema");
            let mut json_schema = format.object("json_schema");
            json_schema.text("name", name.as_ref().unwrap_or(&Text::plain("answer")));
            json_schema.raw("schema", schema.get());
            // OpenAI refuses in strict mode what Anthropic enforces anyway: optional fields.
            json_schema.bool(
                "strict",
                strict.unwrap_or_else(|| schema::is_strict(schema)),
            );
        }
        Some(Format::Object) if caps.structured_output => {
            body.object("response_format").str("type", "json_object");
        }
        _ => {}
    }
}
