//! What is cut out of a body that passes in its own dialect: see [`providers::passage`](crate::providers) for what, and why.
use super::signatures::Signatures;
use crate::{
    chat::{Edit, Kind, PartKind, Prompt, Refusal, Speaker, Turn},
    dialect::Dialect,
    providers::Passage,
    translate::{self, Capabilities},
};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, ops::Range};

type Span = Range<u32>;

/// The edits that make `prompt` fit for a model of a provider, and what the caller is to be told that it has lost. Almost always there are
/// none.
pub(super) fn edits<'p>(
    prompt: &'p Prompt,
    passage: &Passage,
    (house, model): (&str, &str),
    signatures: &Signatures,
    headers: &HeaderMap,
) -> (Vec<Edit<'p>>, Vec<String>) {
    let facts = prompt.facts();
    let mut cuts = Cuts {
        prompt,
        cut: Vec::new(),
        edits: Vec::new(),
        told: Vec::new(),
    };
    if passage.refuses_lone_tool_choice
        && facts.tool_count == 0
        && let Some(choice) = &facts.tool_choice_span
    {
        cuts.field("tool_choice", choice);
    }
    if facts.dialect == Dialect::Messages {
        if passage.signed {
            let foreign = |block: &Thought<'_>| match block.signature() {
                None => !block.redacted(),
                Some(signature) => {
                    translate::is_our_signature(signature)
                        || signatures.house(signature).is_some_and(|h| &*h != house)
                }
            };
            for turn in &facts.turns {
                cuts.thinking(turn, foreign);
            }
            cuts.thinking_not_begun(foreign);
        }
        cuts.betas(passage, model, headers);
    }
    let told = std::mem::take(&mut cuts.told);
    (cuts.done(), told)
}

/// Refuses a conversation of which somebody else holds the beginning.
///
/// # Errors
/// A [`Refusal`] with the code upon which Anthropic's SDK sends the whole conversation.
pub(super) fn whole(prompt: &Prompt) -> Result<(), Refusal> {
    let held = prompt.facts().dialect == Dialect::Messages
        && memchr::memmem::find(prompt.raw(), b"\"thread\"").is_some()
        && Fields::read(prompt)
            .and_then(|fields| fields.span("thread", |json| json != "null"))
            .is_some();
    if !held {
        return Ok(());
    }
    let message = "thread: the provider behind this name holds no conversations; send all messages";
    Err(Refusal::new(Kind::InvalidRequest, message)
        .with_code("thread_unsupported_request")
        .with_param("thread"))
}

/// The edits that put into chat completions what stands in such a body in Anthropic's shape, as Cursor sends it: tools, calls and results.
/// Nobody who speaks chat completions takes them so. Almost always there are none, and all that is looked at is what the facts know.
///
/// # Errors
/// A [`Refusal`] that names what cannot be told so.
pub(super) fn shapes<'p>(
    prompt: &'p Prompt,
    caps: &Capabilities,
) -> Result<Vec<Edit<'p>>, Refusal> {
    let facts = prompt.facts();
    let mut edits = Vec::new();
    if facts.dialect != Dialect::ChatCompletions {
        return Ok(edits);
    }
    let tools = facts.tools_span.as_ref().map(|span| prompt.json(span));
    if let Some(tools) = tools.filter(|tools| holds(tools, "\"input_schema\"")) {
        let tools: Vec<&RawValue> = crate::json::from_str(tools).unwrap_or_default();
        edits.extend(tools.into_iter().filter_map(|tool| {
            let with = translate::chat_tool(tool.get())?.into();
            let span = span(prompt, tool);
            Some(Edit { span, with })
        }));
    }
    let shaped = |turn: &Turn| is_shaped(prompt, turn);
    if !facts.turns.iter().any(shaped) {
        return Ok(edits);
    }
    let fields = Fields::read(prompt);
    let messages = fields.as_ref().and_then(|f| f.fields.get("messages"));
    let messages: Vec<&RawValue> = messages
        .and_then(|json| crate::json::from_str(json.get()).ok())
        .unwrap_or_default();
    // A message is a turn.
    for (message, turn) in messages.into_iter().zip(&facts.turns) {
        if shaped(turn) {
            edits.push(Edit {
                span: span(prompt, message),
                with: translate::chat_messages(message.get(), facts, caps)?.into(),
            });
        }
    }
    Ok(edits)
}

/// Whether a turn of chat completions holds calls or results in Anthropic's shape.
fn is_shaped(prompt: &Prompt, turn: &Turn) -> bool {
    let (kind, name) = match turn.speaker {
        Speaker::Assistant => (PartKind::ToolUse, "tool_use"),
        Speaker::User => (PartKind::ToolResult, "tool_result"),
        _ => return false,
    };
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: Option<Cow<'a, str>>,
    }
    let mut parts = turn.parts.iter().filter(|part| part.kind == kind);
    parts.any(|part| {
        let json = prompt.json(&part.span);
        holds(json, name)
            && crate::json::from_str::<Typed<'_>>(json)
                .is_ok_and(|part| part.r#type.as_deref() == Some(name))
    })
}

fn holds(json: &str, word: &str) -> bool {
    memchr::memmem::find(json.as_bytes(), word.as_bytes()).is_some()
}

/// A block of thinking.
#[derive(Deserialize)]
struct Thought<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
}

impl<'a> Thought<'a> {
    fn read(prompt: &'a Prompt, span: &Span) -> Option<Self> {
        crate::json::from_str(prompt.json(span)).ok()
    }
    /// What only its house can read bears no signature.
    fn redacted(&self) -> bool {
        self.r#type != "thinking"
    }
    fn signature(&self) -> Option<&'a str> {
        let literal = self.signature?.get().strip_prefix('"')?.strip_suffix('"')?;
        (!literal.is_empty()).then_some(literal)
    }
    /// Its words as a JSON string, if there are any.
    fn words(&self) -> Option<&'a str> {
        let literal = self.thinking?.get();
        let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
        (!inside.trim().is_empty()).then_some(literal)
    }
}

struct Cuts<'p> {
    prompt: &'p Prompt,
    cut: Vec<Span>,
    edits: Vec<Edit<'p>>,
    told: Vec<String>,
}

impl<'p> Cuts<'p> {
    /// Cuts out a field, its key included. Whether it did.
    fn field(&mut self, name: &str, value: &Span) -> bool {
        let head = self.prompt.json(&(0..value.start)).trim_end();
        let Some(head) = head.strip_suffix(':') else {
            return false;
        };
        // A key written with escapes is not recognised, and stays.
        let key = format!("\"{name}\"");
        let before = head.trim_end().strip_suffix(&key);
        self.cut
            .extend(before.map(|before| at(before.len())..value.end));
        before.is_some()
    }

    /// Cuts the thoughts out of a turn that its reader would refuse.
    fn thinking(&mut self, turn: &Turn, foreign: impl Fn(&Thought<'_>) -> bool) {
        let prompt = self.prompt;
        let thoughts = turn.parts.iter().filter(|p| p.kind == PartKind::Thinking);
        let thoughts: Vec<_> = thoughts
            .filter_map(|part| Some((part, Thought::read(prompt, &part.span)?)))
            .filter(|(_, thought)| foreign(thought))
            .collect();
        let (Some((first, _)), Some((last, _))) = (thoughts.first(), thoughts.last()) else {
            return;
        };
        if thoughts.len() < turn.parts.len() {
            self.cut
                .extend(thoughts.iter().map(|(part, _)| part.span.clone()));
            return;
        }
        // Nothing else was said, and an empty turn is refused too.
        let words = thoughts.iter().find_map(|(_, thought)| thought.words());
        let words = words.unwrap_or("\"(thinking)\"");
        self.edits.push(Edit {
            span: first.span.start..last.span.end,
            with: format!(r#"{{"type":"text","text":{words}}}"#).into(),
        });
    }

    /// In the middle of a turn of tools, a model that is to think within a budget wants the turn to have begun with a thought. Where it did
    /// not, because somebody else began it, it is not told to think until the next turn.
    fn thinking_not_begun(&mut self, foreign: impl Fn(&Thought<'_>) -> bool) {
        let facts = self.prompt.facts();
        if !facts.thinking || !facts.tool_results_pending() {
            return;
        }
        let turns = facts.turns.iter().rev();
        let called = turns.take(8).find(|turn| turn.has(PartKind::ToolUse));
        let begun = called
            .and_then(|turn| turn.parts.first())
            .is_none_or(|part| {
                part.kind == PartKind::Thinking
                    && !Thought::read(self.prompt, &part.span).is_some_and(|t| foreign(&t))
            });
        if begun {
            return;
        }
        let Some(fields) = Fields::read(self.prompt) else {
            return;
        };
        let budget = |json: &str| json.contains("\"enabled\"");
        if let Some(span) = fields.span("thinking", budget) {
            self.field("thinking", &span);
            // To forget thoughts is refused where there is no thinking.
            let clears = |json: &str| json.contains("clear_thinking");
            if let Some(span) = fields.span("context_management", clears) {
                self.field("context_management", &span);
            }
        }
    }

    /// Cuts out the fields of betas that do not pass.
    fn betas(&mut self, passage: &Passage, model: &str, headers: &HeaderMap) {
        let prompt = self.prompt;
        let listed = memchr::memmem::find(prompt.raw(), b"\"anthropic_beta\"").is_some();
        let fields = listed.then(|| Fields::read(prompt)).flatten();
        let listed = fields.and_then(|fields| fields.fields.get("anthropic_beta").copied());
        let asked = passage.betas.asked(headers, listed, model);
        self.told = asked.dropped;
        if asked.fields.is_empty() {
            return;
        }
        let Ok(body) = crate::json::from_slice::<&RawValue>(prompt.raw()) else {
            return;
        };
        for field in asked.fields {
            let mut cut = false;
            for value in field.find(body) {
                cut |= self.field(field.key(), &span(prompt, value));
            }
            if cut {
                self.told.push(field.name());
            }
        }
    }

    /// The edits, with the commas that belong to them.
    fn done(mut self) -> Vec<Edit<'p>> {
        let prompt = self.prompt;
        self.cut.sort_by_key(|span| span.start);
        self.cut.dedup();
        let mut runs: Vec<Span> = Vec::new();
        for span in self.cut {
            match runs.last_mut() {
                // It goes with what it stands in.
                Some(run) if span.end <= run.end => {}
                Some(run) if prompt.json(&(run.end..span.start)).trim() == "," => {
                    run.end = span.end
                }
                _ => runs.push(span),
            }
        }
        let whole = at(prompt.raw().len());
        self.edits.extend(runs.into_iter().map(|run| {
            let after = prompt.json(&(run.end..whole));
            let before = prompt.json(&(0..run.start)).trim_end();
            let span = if after.trim_start().starts_with(',') {
                let comma = after.len() - after.trim_start().len() + 1;
                run.start..run.end + at(comma)
            } else if before.ends_with(',') {
                at(before.len() - 1)..run.end
            } else {
                run
            };
            Edit {
                span,
                with: Cow::Borrowed(""),
            }
        }));
        self.edits
    }
}

/// The top level of a body.
struct Fields<'p> {
    prompt: &'p Prompt,
    fields: BTreeMap<String, &'p RawValue>,
}

impl<'p> Fields<'p> {
    fn read(prompt: &'p Prompt) -> Option<Self> {
        Some(Self {
            prompt,
            fields: crate::json::from_slice(prompt.raw()).ok()?,
        })
    }
    /// Where a field's value stands, if it is such.
    fn span(&self, name: &str, such: impl Fn(&str) -> bool) -> Option<Span> {
        let json = self.fields.get(name)?;
        such(json.get()).then(|| span(self.prompt, json))
    }
}

/// Where a value of a prompt's body stands in it.
fn span(prompt: &Prompt, json: &RawValue) -> Span {
    let from = json.get().as_ptr() as usize - prompt.raw().as_ptr() as usize;
    at(from)..at(from + json.get().len())
}

/// A place in a body, which is under 4 GiB: its facts could not have been read otherwise.
fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
