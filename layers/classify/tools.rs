//! Whether any tool on offer has to do with what is asked.
//!
//! Where none fits, the right answer is to call none, and that is what small models get wrong: they call one all the same. Told from
//! the tools' names alone, and only where the tools are few: a coding agent offers the same twenty to every ask.
use super::features::Features;
use crate::learn::Ngrams;
use serde::Deserialize;
use std::borrow::Cow;
use tierway_services::chat::Prompt;

/// More tools than this are a harness's.
const MOST_TOOLS: usize = 8;
/// Tools of more bytes than this are not looked at: it would cost more than it tells.
const MOST_BYTES: usize = 16 * 1024;

/// A tool, in any dialect's spelling.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

/// From 0, where a tool's name is made of words of the ask, to 1, where no tool's name shares anything with it; `None` where it cannot be
/// told.
pub(super) fn misfit(prompt: &Prompt, ask: &Features) -> Option<f32> {
    let facts = prompt.facts();
    let span = facts.tools_span.as_ref()?;
    if facts.tool_count == 0 || facts.tool_count > MOST_TOOLS || span.len() > MOST_BYTES {
        return None;
    }
    let tools: Vec<Tool<'_>> = tierway_services::json::from_str(prompt.json(span)).ok()?;
    let names = tools
        .iter()
        .filter_map(|t| t.name.as_deref().or(t.function.as_ref()?.name.as_deref()));
    let asked = ask.grams.buckets();
    let best = names
        .map(|name| shared(name, asked))
        .fold(None, |best, fit| {
            Some(best.map_or(fit, |best: f32| best.max(fit)))
        })?;
    Some(1.0 - best)
}

/// Which share of the n-grams of a tool's name are in the ask.
fn shared(name: &str, asked: &[u32]) -> f32 {
    let mut grams = Ngrams::default();
    let mut word_starts = true;
    let mut from = 0;
    for (at, c) in name.char_indices() {
        // `get_weather`, `getWeather`, `weather.get`.
        if c.is_uppercase() && !word_starts || !c.is_alphanumeric() {
            grams.words(name.get(from..at).unwrap_or_default());
            grams.stop();
            from = at;
        }
        word_starts = c.is_uppercase() || !c.is_alphanumeric();
    }
    grams.words(name.get(from..).unwrap_or_default());
    let buckets = grams.buckets();
    let found = buckets.iter().filter(|b| asked.contains(b)).count();
    #[expect(clippy::cast_precision_loss, reason = "n-grams of a name")]
    let share = found as f32 / buckets.len().max(1) as f32;
    share
}
