//! A Messages request, read into the intermediate form.
use crate::{
    chat::{Facts, Refusal},
    translate::{
        form::{Block, BlockKind, Effort, Form, Role, Thinking, Turn, settle_tool_results},
        json::{At, Fields, Json, conversation},
        parts,
    },
};

/// Claude Code's first system block: a line for Anthropic's billing that changes with every request. To any other model it is noise, and it
/// would spoil the provider's prompt cache.
const BILLING: &str = "x-anthropic-billing-header:";

pub(crate) fn read<'a>(body: &'a str, facts: &Facts) -> Result<Form<'a>, Refusal> {
    let (mut fields, messages) = conversation(body)?;
    for known in ["model", "stream", "max_tokens"] {
        fields.take(known);
    }
    let system = parts::content(fields.take("system"), &At::top("system"))?;
    let choice = fields.take("tool_choice");
    let config = fields.take("output_config");
    let config = config
        .and_then(|c| Fields::parse(c.get()))
        .unwrap_or_default();
    let format = config.get("format").or(fields.get("output_format"));
    let metadata = fields.take("metadata");
    Ok(Form {
        size: body.len(),
        system: system.into_iter().filter(|b| !is_billing(b)).collect(),
        turns: turns(messages)?,
        tools: parts::tools(fields.take("tools"), &At::top("tools"))?,
        tool_choice: parts::tool_choice(choice, &At::top("tool_choice"))?,
        parallel_tools: choice
            .and_then(|c| Fields::parse(c.get()))
            .and_then(|c| c.get("disable_parallel_tool_use"))
            .map(|disabled| disabled.get() != "true"),
        max_tokens: facts.max_tokens,
        temperature: fields.take("temperature"),
        top_p: fields.take("top_p"),
        stop: parts::stop(fields.take("stop_sequences"), &At::top("stop_sequences"))?,
        format: parts::format(format, &At::top("output_config").field("format"))?,
        thinking: thinking(fields.take("thinking"), &config),
        stream: facts.stream,
        user: metadata
            .and_then(|m| Fields::parse(m.get()))
            .and_then(|m| m.text("user_id")),
        rest: fields,
    })
}

fn is_billing(block: &Block<'_>) -> bool {
    matches!(&block.kind, BlockKind::Text(text) if text.begins_with(BILLING))
}

fn turns(messages: Vec<Fields<'_>>) -> Result<Vec<Turn<'_>>, Refusal> {
    let at = At::top("messages");
    let mut turns = Vec::with_capacity(messages.len());
    for (i, message) in messages.into_iter().enumerate() {
        let at = at.element(i);
        let role = match message.string("role").as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => return Err(at.field("role").wrong("user, assistant or system")),
        };
        let blocks = parts::content(message.get("content"), &at.field("content"))?;
        turns.push(Turn { role, blocks });
    }
    Ok(settle_tool_results(turns))
}

/// `thinking` says whether and with how many tokens, `output_config.effort` how hard. Switched off outweighs effort.
fn thinking(json: Option<Json<'_>>, config: &Fields<'_>) -> Thinking {
    let fields = json
        .and_then(|j| Fields::parse(j.get()))
        .unwrap_or_default();
    let effort = config.string("effort").and_then(|e| Effort::of(&e));
    match fields.string("type").as_deref() {
        Some("disabled") => Thinking::default(),
        Some("enabled") => Thinking {
            effort,
            budget: fields
                .get("budget_tokens")
                .and_then(|b| b.get().parse().ok()),
        },
        _ => Thinking {
            effort,
            budget: None,
        },
    }
}
