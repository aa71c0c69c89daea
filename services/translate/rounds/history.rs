use super::{
    Choice, Fields, Round, completions, list, messages,
    offer::{choose, field},
    quoted, responses, text,
};
use crate::{
    chat::{Edit, Prompt, Refusal},
    dialect::Dialect,
    translate::json::Json,
};
use std::ops::Range;

/// Whoever makes a short name of a conversation.
pub trait Digest {
    /// More of it.
    fn update(&mut self, more: &[u8]);
    /// The name of what has come so far.
    fn now(&self) -> [u8; 16];
}

/// What a model said at one place of a conversation, as the caller has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where it stands: one message, or several items.
    pub span: Range<u32>,
    /// What comes next, if anything.
    pub next: Option<Range<u32>>,
    /// The ids of the calls that it makes.
    pub calls: Vec<String>,
    /// The name of the conversation up to its end. White space, instructions and everything but words and calls count for nothing.
    pub digest: [u8; 16],
}

/// What a caller has not seen of an answer, and the conversation must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// All that went before the last round, messages or items with commas between.
    pub earlier: String,
    /// What the model said in the last round, calls that were hidden included.
    pub last: String,
    /// The results of those calls, told [beside](super::results) the caller's own.
    pub results: String,
}

impl Hidden {
    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.earlier.len() + self.last.len() + self.results.len()
    }
}

/// Everything that models said in the conversation so far; `digest` has the whole of it thereafter.
pub fn shown(prompt: &Prompt, digest: &mut dyn Digest) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut speaking = false;
    if let Some(json) = conversation(prompt).filter(|json| json.get().starts_with('"')) {
        // A lone text is the user's, as it stands in the next request.
        for word in super::plain(json).split_whitespace() {
            digest.update(word.as_bytes());
        }
    }
    for Element { span, fields } in elements(prompt) {
        let dialect = prompt.facts().dialect;
        let role = text(&fields, "role");
        if matches!(&*role, "system" | "developer") {
            continue;
        }
        let speaks = is_model(dialect, &role, &fields);
        if speaks != speaking {
            digest.update(if speaks { b"\0m" } else { b"\0u" });
        }
        let calls = look(dialect, &fields, digest);
        if !speaks {
            if let Some(last) = all.last_mut().filter(|_| speaking) {
                last.next = Some(span);
            }
        } else if let Some(last) = all.last_mut().filter(|_| speaking) {
            last.span.end = span.end;
            last.calls.extend(calls);
            last.digest = digest.now();
        } else {
            all.push(Shown {
                span,
                next: None,
                calls,
                digest: digest.now(),
            });
        }
        speaking = speaks;
    }
    if !speaking {
        digest.update(b"\0m");
    }
    all
}

impl Round {
    /// What the caller will send back of this answer, added to the conversation so far: the ids of its calls, and the conversation's name.
    pub fn shown(&self, digest: &mut dyn Digest) -> (Vec<String>, [u8; 16]) {
        let said = format!("[{}]", self.said());
        let said: Vec<Fields<'_>> = serde_json::from_str(&said).unwrap_or_default();
        let calls = said
            .iter()
            .flat_map(|fields| look(self.dialect, fields, digest));
        (calls.collect(), digest.now())
    }
}

/// Tells the digest what an element says, and gives the ids of the calls in it.
fn look(dialect: Dialect, fields: &Fields<'_>, digest: &mut dyn Digest) -> Vec<String> {
    let mut see = |text: &str| {
        for word in text.split_whitespace() {
            digest.update(word.as_bytes());
        }
    };
    match dialect {
        Dialect::Messages => messages::look(fields, &mut see),
        Dialect::ChatCompletions => completions::look(fields, &mut see),
        _ => responses::look(fields, &mut see),
    }
    let inner = match dialect {
        Dialect::Messages => list(fields, "content"),
        Dialect::ChatCompletions => list(fields, "tool_calls"),
        _ => {
            return text_of(fields, "function_call", "call_id")
                .into_iter()
                .collect();
        }
    };
    let kind = if dialect == Dialect::Messages {
        "tool_use"
    } else {
        ""
    };
    inner
        .into_iter()
        .filter_map(|json| text_of(&Fields::parse(json.get())?, kind, "id"))
        .collect()
}

/// A field of what is of this type.
fn text_of(fields: &Fields<'_>, kind: &str, name: &str) -> Option<String> {
    (kind.is_empty() || fields.string("type")? == kind)
        .then(|| text(fields, name))
        .filter(|id| !id.is_empty())
}

fn is_model(dialect: Dialect, role: &str, fields: &Fields<'_>) -> bool {
    match dialect {
        Dialect::Responses => {
            role == "assistant"
                || matches!(
                    &*text(fields, "type"),
                    "function_call" | "reasoning" | "custom_tool_call"
                )
        }
        _ => role == "assistant",
    }
}

/// The request with what its caller has not seen in its place.
///
/// # Errors
/// Where the outcome would be no request.
pub fn restored(prompt: &Prompt, found: &[(Shown, &Hidden)]) -> Result<Prompt, Refusal> {
    let facts = prompt.facts();
    let mut edits = Vec::new();
    for (shown, hidden) in found {
        let mut parts = vec![&*hidden.earlier, &*hidden.last];
        let mut turn = String::new();
        if facts.dialect != Dialect::Messages {
            parts.push(&hidden.results);
        } else if !hidden.results.is_empty() {
            match shown
                .next
                .as_ref()
                .and_then(|next| beside(prompt, next, &hidden.results))
            {
                Some(edit) => edits.push(edit),
                None => turn = format!(r#"{{"role":"user","content":[{}]}}"#, hidden.results),
            }
            parts.push(&turn);
        }
        parts.retain(|part| !part.is_empty());
        edits.push(Edit {
            span: shown.span.clone(),
            with: parts.join(",").into(),
        });
    }
    Prompt::parse(facts.dialect, facts.operation, prompt.edited(edits))
}

/// Puts results before those of the caller's own turn.
fn beside(prompt: &Prompt, turn: &Range<u32>, results: &str) -> Option<Edit<'static>> {
    let fields = Fields::parse(prompt.json(turn))?;
    if text(&fields, "role") != "user" {
        return None;
    }
    let content = fields.get("content")?;
    let span = span(prompt, content)?;
    if content.get().starts_with('"') {
        let own = content.get();
        return Some(Edit {
            span,
            with: format!(r#"[{results},{{"type":"text","text":{own}}}]"#).into(),
        });
    }
    let empty = list(&fields, "content").is_empty();
    let at = span.start + 1;
    Some(Edit {
        span: at..at,
        with: format!("{results}{}", if empty { "" } else { "," }).into(),
    })
}

/// The request of the next round: more at the end of the conversation, and not another byte changed but for what the model may do.
///
/// # Errors
/// Where the outcome would be no request.
pub fn go_on(prompt: &Prompt, more: &str, choice: Choice) -> Result<Prompt, Refusal> {
    let facts = prompt.facts();
    let mut edits: Vec<Edit<'_>> = choose(prompt, choice).into_iter().collect();
    edits.push(match conversation(prompt) {
        Some(json) if json.get().starts_with('[') => {
            let span = span(prompt, json).unwrap_or_default();
            let inside = json.get().get(1..json.get().len() - 1).unwrap_or_default();
            let at = span.end - 1;
            let comma = if inside.trim().is_empty() { "" } else { "," };
            Edit {
                span: at..at,
                with: format!("{comma}{more}").into(),
            }
        }
        Some(json) => Edit {
            span: span(prompt, json).unwrap_or_default(),
            with: format!("[{},{more}]", item(json)).into(),
        },
        None => field(prompt, name(facts.dialect), &format!("[{more}]")),
    });
    Prompt::parse(facts.dialect, facts.operation, prompt.edited(edits))
}

/// The user's words as the item that they stand for.
fn item(text: Json<'_>) -> String {
    let text = quoted(&super::plain(text));
    format!(
        r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":{text}}}]}}"#
    )
}

const fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Responses => "input",
        _ => "messages",
    }
}

struct Element<'a> {
    span: Range<u32>,
    fields: Fields<'a>,
}

fn conversation(prompt: &Prompt) -> Option<Json<'_>> {
    let body = std::str::from_utf8(prompt.raw()).ok()?;
    Fields::parse(body)?.get(name(prompt.facts().dialect))
}

fn elements(prompt: &Prompt) -> Vec<Element<'_>> {
    let Some(json) = conversation(prompt) else {
        return Vec::new();
    };
    let all = crate::translate::json::elements(json).unwrap_or_default();
    all.into_iter()
        .filter_map(|json| {
            Some(Element {
                span: span(prompt, json)?,
                fields: Fields::parse(json.get())?,
            })
        })
        .collect()
}

/// Where in the body a value stands that was borrowed from it.
fn span(prompt: &Prompt, json: Json<'_>) -> Option<Range<u32>> {
    let from = (json.get().as_ptr() as usize).checked_sub(prompt.raw().as_ptr() as usize)?;
    let to = from + json.get().len();
    Some(u32::try_from(from).ok()?..u32::try_from(to).ok()?)
}
