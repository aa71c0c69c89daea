//! From one dialect to another.
mod capabilities;
mod completions;
pub(crate) mod converse;
mod count;
mod error;
mod event;
mod form;
mod gemini;
pub mod grammar;
mod ids;
pub(crate) mod json;
mod messages;
mod observe;
mod ollama;
mod parts;
mod read;
mod replay;
mod responses;
mod schema;
mod sequence;
mod stream;
mod summary;
mod text;

pub use capabilities::{Capabilities, MaxTokensField, Reasoning};
pub use error::error;
pub use read::{read_answer, read_stream_answer};
pub use replay::{to_stream, to_whole};
pub use stream::StreamTranslator;
pub use summary::{Summary, summary};

use crate::{
    chat::{Kind, Operation, Prompt, Refusal},
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
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let form = match facts.dialect {
        Dialect::Messages => messages::request_in::read(body, facts),
        Dialect::ChatCompletions => completions::request_in::read(body, facts),
        from => Err(error::not_spoken(from)),
    }?;
    match to {
        Dialect::Messages => messages::request_out::write(&form, model, caps),
        Dialect::ChatCompletions => completions::request_out::write(&form, model, caps),
        Dialect::Responses => responses::write_request(&form, model, caps),
        Dialect::Converse => converse::write_request(&form, model, caps),
        Dialect::Gemini => gemini::write_request(&form, model, caps),
        Dialect::Ollama => ollama::write_request(&form, model, caps),
    }
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
    let summary = summary(from, body);
    if from == to {
        return Ok((body.clone(), summary));
    }
    if let Some(error) = summary.error {
        return Err(error);
    }
    let whole = std::str::from_utf8(body)
        .ok()
        .and_then(|body| read_whole(from, body));
    let Some(mut whole) = whole else {
        return Err(error::nonsense(
            "the upstream answered what is no answer of its dialect",
        ));
    };
    whole.restore_names(prompt);
    if whole.model.is_none() {
        whole.model = Some(text::Text::plain(&prompt.facts().model));
    }
    let body = match to {
        Dialect::Messages => messages::answer::write(&whole),
        Dialect::ChatCompletions => completions::answer::write(&whole, wants_functions(prompt)),
        to => return Err(error::not_spoken(to)),
    };
    Ok((body, summary))
}

fn read_whole(dialect: Dialect, body: &str) -> Option<form::Whole<'_>> {
    match dialect {
        Dialect::Messages => messages::answer::read(body),
        Dialect::ChatCompletions => completions::answer::read(body),
        Dialect::Responses => responses::read_answer(body),
        Dialect::Converse => converse::read_answer(body),
        Dialect::Gemini => gemini::read_answer(body),
        Dialect::Ollama => ollama::read_answer(body),
    }
}

/// Whether the caller offered its tools as the deprecated `functions`.
fn wants_functions(prompt: &Prompt) -> bool {
    let raw = prompt.raw();
    prompt.facts().dialect == Dialect::ChatCompletions
        && memchr::memmem::find(raw, b"\"functions\"").is_some()
        && std::str::from_utf8(raw)
            .ok()
            .and_then(json::Fields::parse)
            .is_some_and(|fields| {
                fields.get("tools").is_none() && fields.get("functions").is_some()
            })
}

/// Whether the caller asked to be told the usage of a stream of chat completions.
fn wants_usage(prompt: &Prompt) -> bool {
    matches!(prompt.facts().stream_options, Some((_, true)))
}

#[cfg(test)]
mod tests;
