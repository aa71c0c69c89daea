//! A `generateContent` request, written from the intermediate form.
use super::content_out::{contents, system};
use crate::{
    chat::Refusal,
    translate::{
        Capabilities, Reasoning,
        error::refuse,
        form::{Form, Format, ToolChoice},
        ids,
        json::{Object, write_str, write_text},
    },
};
use bytes::{Bytes, BytesMut};

/// Top-level fields of other dialects that are options here, under the name that they have here.
const OPTIONS: &[(&str, &str)] = &[
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
    ("seed", "seed"),
    ("top_k", "topK"),
];

/// The model and whether to stream are not in the body but in the path.
pub(crate) fn write(form: &Form<'_>, _model: &str, caps: &Capabilities) -> Result<Bytes, Refusal> {
    form.refuse_beyond(&[])?;
    let mut out = BytesMut::with_capacity(form.size + 1024);
    {
        let mut body = Object::new(&mut out);
        system(form, caps, &mut body);
        contents(form, caps, body.array("contents"))?;
        tools(form, caps, &mut body)?;
        options(form, caps, body.object("generationConfig"));
    }
    Ok(out.freeze())
}

fn options(form: &Form<'_>, caps: &Capabilities, mut config: Object<'_>) {
    if let Some(tokens) = form.max_tokens {
        let tokens = caps.max_output.map_or(tokens, |most| tokens.min(most));
        config.number("maxOutputTokens", tokens);
    }
    if let Some(json) = form.temperature {
        config.raw("temperature", json.get());
    }
    if let Some(json) = form.top_p {
        config.raw("topP", json.get());
    }
    if !form.stop.is_empty() {
        let mut stop = config.array("stopSequences");
        for text in &form.stop {
            write_text(stop.element(), text);
        }
    }
    for (name, option) in OPTIONS {
        if let Some(json) = form.rest.get(name) {
            config.raw(option, json.get());
        }
    }
    if caps.structured_output {
        match &form.format {
            Some(Format::Schema { schema, .. }) => {
                config.str("responseMimeType", "application/json");
                config.raw("responseJsonSchema", schema.get());
            }
            Some(Format::Object) => config.str("responseMimeType", "application/json"),
            None => {}
        }
    }
    thinking(form, caps, &mut config);
}

fn thinking(form: &Form<'_>, caps: &Capabilities, config: &mut Object<'_>) {
    let Some(effort) = form.thinking.effort() else {
        return;
    };
    match caps.reasoning {
        Reasoning::Effort => {
            let mut thinking = config.object("thinkingConfig");
            thinking.str("thinkingLevel", effort.as_str());
            thinking.bool("includeThoughts", true);
        }
        Reasoning::Budget => {
            let mut thinking = config.object("thinkingConfig");
            let budget = form.thinking.budget.unwrap_or_else(|| effort.budget());
            thinking.number("thinkingBudget", budget.min(MOST_THINKING));
            thinking.bool("includeThoughts", true);
        }
        _ => {}
    }
}

/// The largest budget that every model with budgets takes.
const MOST_THINKING: u64 = 24576;

fn tools(form: &Form<'_>, caps: &Capabilities, body: &mut Object<'_>) -> Result<(), Refusal> {
    if form.tools.is_empty() {
        return Ok(());
    }
    if !caps.tools {
        return Err(refuse("tools", "the model behind this name takes no tools"));
    }
    {
        let mut list = body.array("tools");
        let mut of_functions = list.object();
        let mut functions = of_functions.array("functionDeclarations");
        for tool in &form.tools {
            if let Some(kind) = &tool.vendor {
                let why = format!(
                    "`{kind}` is a tool of its vendor's own, which the model behind this name does not have"
                );
                return Err(refuse("tools", why));
            }
            let mut function = functions.object();
            function.str("name", &ids::tool_name(&tool.name));
            if let Some(description) = &tool.description {
                function.text("description", description);
            }
            if let Some(schema) = tool.schema {
                function.raw("parametersJsonSchema", schema.get());
            }
        }
    }
    let Some(choice) = &form.tool_choice else {
        return Ok(());
    };
    let mut config = body.object("toolConfig");
    let mut calling = config.object("functionCallingConfig");
    match choice {
        ToolChoice::Auto => calling.str("mode", "AUTO"),
        ToolChoice::Any => calling.str("mode", "ANY"),
        ToolChoice::None => calling.str("mode", "NONE"),
        ToolChoice::Tool(name) => {
            calling.str("mode", "ANY");
            let mut names = calling.array("allowedFunctionNames");
            write_str(names.element(), &ids::tool_name(name));
        }
    }
    Ok(())
}
