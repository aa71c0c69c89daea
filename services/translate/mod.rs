//! From one dialect to another.
mod capabilities;
mod completions;
mod count;
mod error;
mod json;
mod messages;
mod observe;
mod stream;
mod summary;
mod text;

pub use capabilities::{Capabilities, MaxTokensField, Reasoning};
pub use error::error;
pub use stream::StreamTranslator;
pub use summary::{Summary, summary};

use crate::{
    chat::{Answer, Kind, Operation, Prompt, Refusal},
    dialect::Dialect,
};
use bytes::Bytes;

/// The body that asks `model`, at a provider of dialect `to`, what `prompt` asks.
///
/// In the prompt's own dialect these are its very bytes, save for the model's name and, for streams of chat completions, the wish to be
/// told the usage.
///
/// # Errors
/// A [`Refusal`] that names the field that cannot be translated, or that the model cannot take.
pub fn request(
    prompt: &Prompt,
    to: Dialect,
    model: &str,
    caps: &Capabilities,
) -> Result<Bytes, Refusal> {
    let facts = prompt.facts();
    if facts.dialect == to {
        let ask_usage = to == Dialect::ChatCompletions && caps.streaming_usage;
        return Ok(prompt.with_model(model, ask_usage));
    }
    if facts.operation != Operation::Generate {
        return Err(Refusal::new(
            Kind::NotSupported,
            "the provider behind this model does not count tokens",
        ));
    }
    Err(Refusal::new(Kind::NotSupported, "not translated yet"))
}

/// A whole answer of dialect `from` as the caller who sent `prompt` in dialect `to` is to get it, and what it says about itself. In the same
/// dialect these are the very same bytes.
///
/// # Errors
/// A [`Refusal`] where the body is an error in spite of its good status, or no answer of dialect `from` at all.
pub fn answer(
    from: Dialect,
    to: Dialect,
    body: &Bytes,
    prompt: &Prompt,
) -> Result<(Bytes, Summary), Refusal> {
    let _ = prompt;
    let summary = summary(from, body);
    if from == to {
        return Ok((body.clone(), summary));
    }
    Err(Refusal::new(Kind::NotSupported, "not translated yet"))
}

/// Reads a whole answer, freed of its dialect; `None` where it is none.
#[must_use]
pub fn read_answer(dialect: Dialect, body: &[u8]) -> Option<Answer> {
    let _ = (dialect, body);
    None
}

/// Reads a recorded stream as the answer that it brought; `None` where it did not end well.
#[must_use]
pub fn read_stream_answer(dialect: Dialect, sse: &[u8]) -> Option<Answer> {
    let _ = (dialect, sse);
    None
}

/// A stored whole answer as the stream that would have brought it; `None` where it is no answer of this dialect. Usage is told at the end
/// of a stream of chat completions only if `include_usage`.
#[must_use]
pub fn to_stream(dialect: Dialect, whole: &[u8], include_usage: bool) -> Option<Vec<Bytes>> {
    let _ = (dialect, whole, include_usage);
    None
}

/// A recorded stream, event by event, as the whole answer that it brought; `None` where it did not end well.
#[must_use]
pub fn to_whole(dialect: Dialect, events: &[Bytes]) -> Option<Bytes> {
    let _ = (dialect, events);
    None
}

/// Whether the caller asked to be told the usage of a stream of chat completions.
fn wants_usage(prompt: &Prompt) -> bool {
    matches!(prompt.facts().stream_options, Some((_, true)))
}
