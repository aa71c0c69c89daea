//! The count of tokens in Responses: `input_tokens` includes cached tokens.
use crate::{
    chat::Usage,
    translate::{
        count::Count,
        json::{Json, Object},
    },
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
}

/// Reads a `usage`; `None` where it is no object.
pub(crate) fn read(json: Json<'_>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let count = |c: Option<Count>| c.unwrap_or_default().0;
    let details = wire.input_tokens_details.unwrap_or_default();
    let all = count(wire.input_tokens);
    let cache_read = count(details.cached_tokens).min(all);
    let cache_write = count(details.cache_write_tokens).min(all - cache_read);
    let reasoning = wire.output_tokens_details.unwrap_or_default();
    Some(Usage {
        input: all - cache_read - cache_write,
        output: count(wire.output_tokens),
        cache_read,
        cache_write,
        cache_write_1h: 0,
        reasoning: count(reasoning.reasoning_tokens),
        ..Usage::default()
    })
}

/// Writes the fields of a `usage`.
pub(crate) fn write(usage: &Usage, object: &mut Object<'_>) {
    object.number("input_tokens", usage.input_total());
    {
        let mut details = object.object("input_tokens_details");
        details.number("cached_tokens", usage.cache_read);
        details.number(
            "cache_write_tokens",
            usage.cache_write + usage.cache_write_1h,
        );
    }
    object.number("output_tokens", usage.output);
    object
        .object("output_tokens_details")
        .number("reasoning_tokens", usage.reasoning);
    object.number("total_tokens", usage.input_total() + usage.output);
}
