//! A Responses request, read into the intermediate form.
use super::{
    answer::{arguments, reasoning, wrapped},
    tools::{self, Offer},
};
use crate::{
    chat::{Facts, Kind, Refusal},
    translate::{
        form::{
            Block, BlockKind, Effort, Form, Role, Thinking, Tool, ToolChoice, Turn,
            settle_tool_results,
        },
        json::{At, Fields, Json, elements},
        parts,
        text::{Text, string},
    },
};
use std::borrow::Cow;

/// Top-level fields that ask for what only the provider that keeps it can give, each with the value that asks for nothing.
const KEPT_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "background",
        "false",
        "answers are given while the caller waits",
    ),
    (
        "conversation",
        "",
        "conversations are kept at their provider",
    ),
    ("prompt", "", "prompt templates are kept at their provider"),
];

/// The schema of the function that stands for a tool that takes free text.
const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}"#;

pub(crate) fn read<'a>(body: &'a str, facts: &Facts) -> Result<Form<'a>, Refusal> {
    let fields = Fields::parse(body).ok_or_else(|| At::top("body").wrong("an object"))?;
    for (name, harmless, why) in KEPT_ELSEWHERE {
        if fields.get(name).is_some_and(|json| json.get() != *harmless) {
            return Err(At::top(name).refuse(format_args!(
                "the model behind this name cannot do this: {why}"
            )));
        }
    }
    if let Some(id) = fields.string("previous_response_id") {
        return Err(gone(&id));
    }
    let offers = tools::offers(&fields);
    let mut turns = turns(fields.get("input"), &offers)?;
    let mut system: Vec<Block<'a>> = fields
        .text("instructions")
        .map(Block::text)
        .into_iter()
        .collect();
    let leading = turns
        .iter()
        .take_while(|turn| turn.role == Role::System)
        .count();
    system.extend(turns.drain(..leading).flat_map(|turn| turn.blocks));
    let effort = fields.object("reasoning").and_then(|r| r.text("effort"));
    let format = fields.object("text").and_then(|t| t.get("format"));
    let (tool_choice, allowed) = tool_choice(fields.get("tool_choice"), &offers)?;
    Ok(Form {
        size: body.len(),
        system,
        turns: settle_tool_results(turns),
        tools: offered(&offers, &allowed)?,
        tool_choice,
        parallel_tools: fields.get("parallel_tool_calls").map(|p| p.get() == "true"),
        max_tokens: facts.max_tokens,
        temperature: fields.get("temperature"),
        top_p: fields.get("top_p"),
        stop: Vec::new(),
        format: parts::format(format, &At::top("text").field("format"))?,
        thinking: Thinking {
            effort: effort.and_then(|e| Effort::of(&e.decode())),
            budget: None,
        },
        stream: facts.stream,
        user: fields
            .text("safety_identifier")
            .or_else(|| fields.text("user")),
        rest: Fields::default(),
    })
}

/// An earlier answer that nobody here keeps.
fn gone(id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::new(
        Kind::NotFound,
        format!("previous_response_id: no response {shown} is stored here (any more): send the conversation along"),
    )
    .with_param("previous_response_id")
    .with_code("previous_response_not_found")
}

/// An earlier item that nobody here keeps.
fn not_found(id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::new(
        Kind::NotFound,
        format!("Item with id '{shown}' not found. Items are kept with their answers, for a while, unless `store` is false: send the item along."),
    )
    .with_param("input")
}

// === the conversation ===

fn turns<'a>(input: Option<Json<'a>>, offers: &[Offer<'a>]) -> Result<Vec<Turn<'a>>, Refusal> {
    let at = At::top("input");
    let mut turns = Vec::new();
    let Some(json) = input else {
        return Ok(turns);
    };
    if let Some(text) = Text::of(json) {
        add(&mut turns, Role::User, Block::text(text));
        return Ok(turns);
    }
    let items = elements(json).ok_or_else(|| at.wrong("a string or an array of items"))?;
    for (i, json) in items.into_iter().enumerate() {
        item(json, offers, &at.element(i), &mut turns)?;
    }
    Ok(turns)
}

/// Adds a block, to the last turn where it belongs to it: an answer's items are one turn, and so are the results of its calls.
fn add<'a>(turns: &mut Vec<Turn<'a>>, role: Role, block: Block<'a>) {
    let is_result = |block: &Block<'_>| matches!(block.kind, BlockKind::ToolResult { .. });
    match turns.last_mut() {
        Some(last)
            if last.role == role
                && (role == Role::Assistant
                    || is_result(&block) && last.blocks.iter().all(is_result)) =>
        {
            last.blocks.push(block);
        }
        _ => turns.push(Turn {
            role,
            blocks: vec![block],
        }),
    }
}

fn item<'a>(
    json: Json<'a>,
    offers: &[Offer<'a>],
    at: &At<'_>,
    turns: &mut Vec<Turn<'a>>,
) -> Result<(), Refusal> {
    let item = Fields::read(json, at)?;
    let kind = item.string("type").unwrap_or(Cow::Borrowed("message"));
    match &*kind {
        "message" => {
            let content = parts::content(item.get("content"), &at.field("content"))?;
            let role = match item.string("role").as_deref() {
                Some("user") => Role::User,
                Some("assistant") => Role::Assistant,
                Some("system" | "developer") => Role::System,
                _ => {
                    return Err(at
                        .field("role")
                        .wrong("user, assistant, system or developer"));
                }
            };
            if role == Role::Assistant {
                content.into_iter().for_each(|b| add(turns, role, b));
            } else if !content.is_empty() {
                turns.push(Turn {
                    role,
                    blocks: content,
                });
            }
        }
        "function_call" | "custom_tool_call" => {
            let name = item.need_text("name", at)?;
            let namespace = item.string("namespace");
            let name = tools::called(offers, namespace.as_deref(), &name.decode());
            let arguments = match item.get("input").filter(|_| kind == "custom_tool_call") {
                Some(input) if Text::of(input).is_some() => wrapped(input),
                Some(_) => return Err(at.field("input").wrong("a string")),
                None => arguments(item.get("arguments")),
            };
            let call = BlockKind::ToolUse {
                id: item.need_text("call_id", at)?,
                name: Text::Plain(Cow::Owned(name)),
                arguments,
            };
            add(turns, Role::Assistant, Block::new(call));
        }
        "function_call_output" | "custom_tool_call_output" => {
            let result = BlockKind::ToolResult {
                id: item.need_text("call_id", at)?,
                content: parts::content(item.get("output"), &at.field("output"))?,
                is_error: false,
            };
            let mut block = Block::new(result);
            block.cache = item.get("cache_control");
            add(turns, Role::User, block);
        }
        "reasoning" => {
            if let Some(thinking) = reasoning(&item) {
                add(turns, Role::Assistant, Block::new(thinking));
            }
        }
        // Read as tools; and what was found on the web is in the words of the answer that found it.
        "additional_tools" | "web_search_call" => {}
        "item_reference" => return Err(not_found(&item.string("id").unwrap_or_default())),
        other => {
            return Err(at.refuse(format_args!(
                "an item of type `{other}` cannot be shown to the model behind this name"
            )));
        }
    }
    Ok(())
}

// === tools ===

fn offered<'a>(offers: &[Offer<'a>], allowed: &[String]) -> Result<Vec<Tool<'a>>, Refusal> {
    let mut list = Vec::with_capacity(offers.len());
    for offer in offers {
        if !allowed.is_empty() && !allowed.contains(&offer.flat) {
            continue;
        }
        let described = offer.fields.text("description");
        let (description, schema, strict) = match &offer.kind {
            tools::Kind::Function => (
                described,
                offer.fields.get("parameters"),
                offer.fields.get("strict"),
            ),
            tools::Kind::Custom => {
                let schema: Option<Json<'a>> = serde_json::from_str(FREE_TEXT).ok();
                (Some(explained(offer, described)), schema, None)
            }
            tools::Kind::Vendor(kind) if tools::may_drop(kind) => continue,
            tools::Kind::Vendor(kind) => {
                return Err(At::top("tools").refuse(format_args!(
                    "`{kind}` is a tool of OpenAI's own, which the model behind this name does not have"
                )));
            }
        };
        list.push(Tool {
            name: Text::Plain(Cow::Owned(offer.flat.clone())),
            description,
            schema,
            strict: strict.filter(|s| s.get() == "true"),
            cache: None,
            vendor: None,
        });
    }
    Ok(list)
}

/// The description of a tool that takes free text, with the grammar of that text: a model that is not held to it must be told.
fn explained<'a>(offer: &Offer<'a>, described: Option<Text<'a>>) -> Text<'a> {
    let format = offer.fields.object("format");
    let grammar = format.filter(|f| f.string("type").as_deref() == Some("grammar"));
    let Some(grammar) = grammar else {
        return described.unwrap_or(Text::plain(""));
    };
    let syntax = grammar.string("syntax").unwrap_or_default();
    let definition = grammar.string("definition").unwrap_or_default();
    let described = described.map_or(String::new(), |d| format!("{}\n\n", d.decode()));
    Text::Plain(Cow::Owned(format!(
        "{described}The input must match this {syntax} grammar:\n{definition}"
    )))
}

/// The choice among tools, and the names of those that may be chosen; none for all.
fn tool_choice<'a>(
    json: Option<Json<'a>>,
    offers: &[Offer<'a>],
) -> Result<(Option<ToolChoice<'a>>, Vec<String>), Refusal> {
    let at = At::top("tool_choice");
    let Some(json) = json else {
        return Ok((None, Vec::new()));
    };
    let Some(fields) = Fields::parse(json.get()) else {
        return Ok((parts::tool_choice(Some(json), &at)?, Vec::new()));
    };
    let meant = |fields: &Fields<'_>| {
        let name = fields.string("name")?;
        Some(tools::called(
            offers,
            fields.string("namespace").as_deref(),
            &name,
        ))
    };
    match fields.string("type").as_deref() {
        Some("function" | "custom") => {
            let name = meant(&fields).ok_or_else(|| at.field("name").missing())?;
            let choice = ToolChoice::Tool(Text::Plain(Cow::Owned(name)));
            Ok((Some(choice), Vec::new()))
        }
        Some("allowed_tools") => {
            let list = fields.get("tools").and_then(elements).unwrap_or_default();
            let allowed = list
                .into_iter()
                .filter_map(|tool| meant(&Fields::parse(tool.get())?))
                .collect();
            let must = fields.get("mode").and_then(string);
            let choice = match must.as_deref() {
                Some("required") => ToolChoice::Any,
                _ => ToolChoice::Auto,
            };
            Ok((Some(choice), allowed))
        }
        Some(kind) => Err(at.refuse(format_args!(
            "`{kind}` is a tool of OpenAI's own, which the model behind this name does not have"
        ))),
        None => Err(at.wrong("a string or an object with a type")),
    }
}
