//! Where in a body the texts of tools' results stand, and which calls they answer.
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap, ops::Range};
use tierway_services::{
    chat::{PartKind, Prompt},
    dialect::Dialect,
};

/// A text that a tool gave.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Its JSON string literal in the body.
    pub(super) span: Range<u32>,
    pub(super) text: Cow<'a, str>,
    /// The call that it answers, where that stands in the body.
    pub(super) call: Option<Call<'a>>,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) name: Cow<'a, str>,
    /// Its arguments, as JSON text or whatever text the tool takes.
    pub(super) arguments: Cow<'a, str>,
}

/// A message, an item or a block, in any of the dialects: only what results and calls are told by.
#[derive(Deserialize)]
struct Thing<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    messages: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// The texts of tools' results, in the order in which they stand. Whatever is not shaped as its dialect has it is passed over.
pub(super) fn results(prompt: &Prompt) -> Vec<Found<'_>> {
    let facts = prompt.facts();
    if !facts.turns.iter().any(|t| t.has(PartKind::ToolResult)) {
        return Vec::new();
    }
    let Ok(body) = tierway_services::json::from_slice::<Body<'_>>(prompt.raw()) else {
        return Vec::new();
    };
    let mut finder = Finder {
        start: prompt.raw().as_ptr() as usize,
        calls: HashMap::new(),
        found: Vec::new(),
    };
    let items = match facts.dialect {
        Dialect::Responses => things(body.input),
        _ => body
            .messages
            .into_iter()
            .flatten()
            .filter_map(thing)
            .collect(),
    };
    for item in items {
        match facts.dialect {
            Dialect::Messages => finder.message(&item),
            Dialect::ChatCompletions => finder.chat(item),
            Dialect::Responses => finder.item(item),
            _ => {}
        }
    }
    finder.found
}

struct Finder<'a> {
    start: usize,
    calls: HashMap<Cow<'a, str>, Call<'a>>,
    found: Vec<Found<'a>>,
}

impl<'a> Finder<'a> {
    fn message(&mut self, message: &Thing<'a>) {
        for block in things(message.content) {
            match block.r#type.as_deref() {
                Some("tool_use") => self.call(block.id, block.name, block.input),
                Some("tool_result") => self.result(block.tool_use_id, block.content),
                _ => {}
            }
        }
    }

    fn chat(&mut self, message: Thing<'a>) {
        if message.role.as_deref() == Some("tool") {
            self.result(message.tool_call_id, message.content);
        }
        for call in things(message.tool_calls) {
            if let Some(function) = call.function.and_then(thing) {
                self.call(call.id, function.name, function.arguments);
            }
        }
    }

    fn item(&mut self, item: Thing<'a>) {
        match item.r#type.as_deref() {
            Some("function_call") => self.call(item.call_id, item.name, item.arguments),
            Some("custom_tool_call") => self.call(item.call_id, item.name, item.input),
            Some("function_call_output" | "custom_tool_call_output") => {
                self.result(item.call_id, item.output);
            }
            _ => {}
        }
    }

    fn call(
        &mut self,
        id: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
        arguments: Option<&'a RawValue>,
    ) {
        if let (Some(id), Some(name)) = (id, name) {
            let arguments = arguments.map(|json| text(json).unwrap_or(Cow::Borrowed(json.get())));
            let arguments = arguments.unwrap_or_default();
            self.calls.insert(id, Call { name, arguments });
        }
    }

    fn result(&mut self, id: Option<Cow<'a, str>>, content: Option<&'a RawValue>) {
        let call = id.and_then(|id| self.calls.get(&id).cloned());
        let Some(content) = content else { return };
        if content.get().starts_with('"') {
            self.found(content, call);
            return;
        }
        for block in things(Some(content)) {
            if matches!(block.r#type.as_deref(), Some("text" | "input_text"))
                && let Some(literal) = block.text
            {
                self.found(literal, call.clone());
            }
        }
    }

    fn found(&mut self, literal: &'a RawValue, call: Option<Call<'a>>) {
        let json = literal.get();
        // They are pieces of the body, which is under 4 GiB: `Prompt::parse` sees to that.
        let from = (json.as_ptr() as usize).checked_sub(self.start);
        let from = from.and_then(|from| u32::try_from(from).ok());
        let length = u32::try_from(json.len()).ok();
        if let (Some(from), Some(length), Some(text)) = (from, length, text(literal)) {
            let span = from..from + length;
            self.found.push(Found { span, text, call });
        }
    }
}

/// What a string literal says; `None` of anything else.
fn text(literal: &RawValue) -> Option<Cow<'_, str>> {
    let json = literal.get();
    let plain = json.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(plain))
}

fn thing(json: &RawValue) -> Option<Thing<'_>> {
    serde_json::from_str(json.get()).ok()
}

/// The things of a list, as far as they are any.
fn things(json: Option<&RawValue>) -> Vec<Thing<'_>> {
    let list = json.and_then(|json| serde_json::from_str::<Vec<&RawValue>>(json.get()).ok());
    list.into_iter().flatten().filter_map(thing).collect()
}
