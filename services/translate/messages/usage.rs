//! Anthropic's count of tokens: `input_tokens` leaves cached tokens out.
use crate::{
    chat::{Service, Usage},
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
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<Creation>,
    output_tokens_details: Option<Details>,
    service_tier: Option<String>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct Creation {
    ephemeral_1h_input_tokens: Option<Count>,
}
#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    thinking_tokens: Option<Count>,
}

/// Reads a `usage` over what is known already. A stream tells it in two parts, and the second may leave out, or set to zero, what the
/// first has told.
pub(crate) fn read(json: Json<'_>, known: Option<Usage>) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(json.get()).ok()?;
    let mut usage = known.unwrap_or_default();
    let set = |place: &mut u64, told: Option<u64>| match told {
        Some(0) | None => {}
        Some(told) => *place = told,
    };
    let count = |c: Option<Count>| c.map(|c| c.0);
    set(&mut usage.input, count(wire.input_tokens));
    // Output counts up from message to message, so the latest word holds, be it zero.
    usage.output = count(wire.output_tokens).unwrap_or(usage.output);
    set(&mut usage.cache_read, count(wire.cache_read_input_tokens));
    let an_hour = wire
        .cache_creation
        .and_then(|c| count(c.ephemeral_1h_input_tokens));
    set(&mut usage.cache_write_1h, an_hour);
    let written = count(wire.cache_creation_input_tokens);
    let rest = written.map(|all| all.saturating_sub(usage.cache_write_1h));
    set(&mut usage.cache_write, rest);
    if let Some(tier) = &wire.service_tier {
        usage.service = Service::named(tier);
    }
    set(
        &mut usage.reasoning,
        wire.output_tokens_details
            .and_then(|d| count(d.thinking_tokens)),
    );
    Some(usage)
}

/// Writes the fields of a `usage`.
pub(crate) fn write(usage: &Usage, object: &mut Object<'_>) {
    object.number("input_tokens", usage.input);
    object.number(
        "cache_creation_input_tokens",
        usage.cache_write + usage.cache_write_1h,
    );
    object.number("cache_read_input_tokens", usage.cache_read);
    if usage.cache_write_1h > 0 {
        let mut creation = object.object("cache_creation");
        creation.number("ephemeral_5m_input_tokens", usage.cache_write);
        creation.number("ephemeral_1h_input_tokens", usage.cache_write_1h);
    }
    object.number("output_tokens", usage.output);
    if usage.reasoning > 0 {
        object
            .object("output_tokens_details")
            .number("thinking_tokens", usage.reasoning);
    }
}
