use super::{Fields, list, text, written};
use crate::{
    chat::{Edit, Prompt, Refusal},
    dialect::Dialect,
    tools::Tool,
    translate::json::{Array, Object},
};
use bytes::BytesMut;

/// What a model may do with the tools in the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Call some or none. A call that the caller demanded has been made by then.
    Auto,
    /// Call none: it is to say what it knows by now.
    None,
}

/// The names of the tools that the caller itself offers.
#[must_use]
pub fn names(prompt: &Prompt) -> Vec<String> {
    let Some(span) = &prompt.facts().tools_span else {
        return Vec::new();
    };
    let tools: Vec<Fields<'_>> = serde_json::from_str(prompt.json(span)).unwrap_or_default();
    let name = |tool: &Fields<'_>| match tool.object("function") {
        Some(function) => text(&function, "name"),
        None => text(tool, "name"),
    };
    tools.iter().map(name).collect()
}

/// The request with more tools, behind the caller's own, and not another byte changed.
///
/// `None` where there is nothing to offer or the request cannot take it: the caller forbids calls, asks for several answers, or offers its
/// tools as the deprecated `functions`.
///
/// ```
/// use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect, tools::Tool, translate::rounds};
/// let body = r#"{"model":"m","max_tokens":9,"tools":[{"name":"own"}],"messages":[]}"#;
/// let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
/// let tool = Tool::new("dice", "roll", "Rolls.", r#"{"type":"object"}"#);
/// let offered = rounds::offer(&prompt, &[tool]).unwrap().unwrap();
/// assert_eq!(offered.raw(), concat!(r#"{"model":"m","max_tokens":9,"tools":[{"name":"own"},"#,
///     r#"{"name":"mcp__dice__roll","description":"Rolls.","input_schema":{"type":"object"}}],"messages":[]}"#));
/// ```
///
/// # Errors
/// Where the outcome would be no request; which cannot be, as long as schemas are JSON.
pub fn offer(prompt: &Prompt, tools: &[Tool]) -> Result<Option<Prompt>, Refusal> {
    let facts = prompt.facts();
    if tools.is_empty() || facts.choices > 1 || forbids(prompt) || has_functions(prompt) {
        return Ok(None);
    }
    let mut out = BytesMut::new();
    {
        let mut list = Array::new(&mut out);
        for tool in tools {
            describe(facts.dialect, tool, list.object());
        }
    }
    let more = written(&out);
    let more = more.strip_prefix('[').and_then(|m| m.strip_suffix(']'));
    let more = more.unwrap_or_default();
    let edit = match &facts.tools_span {
        Some(span) if prompt.json(span).starts_with('[') => {
            let own = prompt.json(span);
            let empty = own
                .get(1..own.len() - 1)
                .is_none_or(|own| own.trim().is_empty());
            let end = span.end - 1;
            Edit {
                span: end..end,
                with: if empty {
                    more.to_owned()
                } else {
                    format!(",{more}")
                }
                .into(),
            }
        }
        Some(span) => Edit {
            span: span.clone(),
            with: format!("[{more}]").into(),
        },
        None => field(prompt, "tools", &format!("[{more}]")),
    };
    Prompt::parse(facts.dialect, facts.operation, prompt.edited(vec![edit])).map(Some)
}

fn describe(dialect: Dialect, tool: &Tool, mut object: Object<'_>) {
    match dialect {
        Dialect::Messages => {
            object.str("name", &tool.offered);
            object.str("description", &tool.description);
            object.raw("input_schema", &tool.schema);
        }
        Dialect::Responses => {
            object.str("type", "function");
            object.str("name", &tool.offered);
            object.str("description", &tool.description);
            object.raw("parameters", &tool.schema);
            object.bool("strict", false);
        }
        _ => {
            object.str("type", "function");
            let mut function = object.object("function");
            function.str("name", &tool.offered);
            function.str("description", &tool.description);
            function.raw("parameters", &tool.schema);
        }
    }
}

fn forbids(prompt: &Prompt) -> bool {
    let Some(span) = &prompt.facts().tool_choice_span else {
        return false;
    };
    let json = prompt.json(span);
    json == "\"none\"" || Fields::parse(json).is_some_and(|c| text(&c, "type") == "none")
}

fn has_functions(prompt: &Prompt) -> bool {
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    prompt.facts().dialect == Dialect::ChatCompletions
        && memchr::memmem::find(body.as_bytes(), b"\"functions\"").is_some()
        && Fields::parse(body).is_some_and(|fields| !list(&fields, "functions").is_empty())
}

/// An edit that adds a field which is not there, behind the model's name.
pub(super) fn field(prompt: &Prompt, name: &str, json: &str) -> Edit<'static> {
    let at = prompt.facts().model_span.end;
    Edit {
        span: at..at,
        with: format!(",\"{name}\":{json}").into(),
    }
}

/// What makes the model do as `choice` says, where it would not by itself.
pub(super) fn choose(prompt: &Prompt, choice: Choice) -> Option<Edit<'static>> {
    let facts = prompt.facts();
    let word = match choice {
        Choice::Auto => "auto",
        Choice::None => "none",
    };
    let json = match facts.dialect {
        Dialect::Messages => format!(r#"{{"type":"{word}"}}"#),
        _ => format!("\"{word}\""),
    };
    let Some(span) = &facts.tool_choice_span else {
        return (choice == Choice::None).then(|| field(prompt, "tool_choice", &json));
    };
    let now = prompt.json(span);
    let kind = Fields::parse(now).map(|fields| text(&fields, "type"));
    let is = |word: &str| now.trim_matches('"') == word || kind.as_deref() == Some(word);
    // Left as it is where it says so already, for the sake of what else it says (`disable_parallel_tool_use`).
    (!is(word) && now != "null").then(|| Edit {
        span: span.clone(),
        with: json.into(),
    })
}
