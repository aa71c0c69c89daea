//! How many tokens a prompt has, when no provider says.
//!
//! [`count`] runs `OpenAI`'s public vocabulary `o200k_base` over everything that a model is shown. On recorded calls to `OpenAI` it is within
//! one token on text, and within about a sixth where tools are offered, which are counted as the JSON that describes them. Models with
//! other vocabularies count otherwise, Anthropic's and most open ones more, on code and JSON by a fifth and over: leave room. Images are
//! counted by Anthropic's published formula (width x height / 750, at most 1600), documents and sound by their size.
//!
//! [`estimate`] only divides bytes by four, and needs no vocabulary.
use crate::chat::{Part, PartKind, Prompt};

#[cfg(feature = "tokens")]
mod count;
#[cfg(feature = "tokens")]
mod image;
#[cfg(feature = "tokens")]
mod vocabulary;

#[cfg(feature = "tokens")]
pub use count::{count, is_loaded, load};

/// What an image costs that cannot be measured, as large as Anthropic scales images down to.
const IMAGE: u64 = 1600;
/// What frames each turn: its role and its boundaries.
const TURN: u64 = 4;

/// About how many tokens `prompt` has: its bytes over four. Never 0.
///
/// ```
/// # use tierway_services::{chat::{Operation, Prompt}, dialect::Dialect, tokens::estimate};
/// let body = r#"{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
/// let prompt = Prompt::parse(Dialect::Messages, Operation::Generate, body.into()).unwrap();
/// assert_eq!(estimate(&prompt), 12);
/// ```
#[must_use]
pub fn estimate(prompt: &Prompt) -> u64 {
    let facts = prompt.facts();
    let parts: u64 = shown(prompt).map(|part| estimate_part(prompt, part)).sum();
    let tools = facts
        .tools_span
        .as_ref()
        .map_or(0, |s| (s.end - s.start).into());
    (parts + quarter(tools) + TURN * facts.turns.len() as u64).max(1)
}

/// What a model is shown, tools aside.
fn shown(prompt: &Prompt) -> impl Iterator<Item = &Part> {
    let facts = prompt.facts();
    let turns = facts.turns.iter().flat_map(|turn| &turn.parts);
    facts.system.iter().chain(turns)
}

/// About how many tokens one part of `prompt` has: its bytes over four; an image as large as they are scaled down to.
#[must_use]
pub fn estimate_part(prompt: &Prompt, part: &Part) -> u64 {
    let length = u64::from(part.span.end - part.span.start);
    match part.kind {
        PartKind::Image => IMAGE,
        // Pictures inside a result are long in bytes and short in tokens.
        PartKind::ToolResult | PartKind::Document | PartKind::Other
            if length > 4 * IMAGE && holds_data(prompt.json(&part.span)) =>
        {
            quarter(length).min(2 * IMAGE)
        }
        PartKind::Text => quarter(length.saturating_sub(2)),
        _ => quarter(length),
    }
}

fn holds_data(json: &str) -> bool {
    json.contains("base64") || json.contains("input_audio")
}

const fn quarter(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}
