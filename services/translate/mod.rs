//! From one dialect to another.
//!
//! What stays in its dialect passes as the very same bytes. What crosses goes through one intermediate form, read by one reader and written by
//! one writer a dialect: requests ([`request`]), whole answers ([`answer`]), streams ([`StreamTranslator`]), errors ([`error`]).
//!
//! Text, tool schemas and tool inputs cross in their sender's spelling: `1.00` stays `1.00`, keys keep their order. Nothing that matters is left
//! out in silence: what the other side cannot do is refused with the field's name, and the exceptions are these.
//!
//! # Requests, Messages to chat completions
//!
//! | field | becomes |
//! |---|---|
//! | `system` | the first message; its texts, like all texts of one turn, joined by a blank line, because few servers take an array of them. The `x-anthropic-billing-header` block of Claude Code is left out |
//! | `role: "system"` in `messages` | the same, in its place ([`leading_system_only`](Capabilities::leading_system_only): the user's words, marked `<system>`) |
//! | `tool_result` | a message of `role: "tool"` right behind the call, whatever stood between; `is_error` becomes the word `Error`; images follow in the user's message |
//! | `document` | a `file` part; text documents become text |
//! | `thinking`, `redacted_thinking` | left out: no other model may see them |
//! | calls of server tools and their results in the history | left out: what came of them is in the text that follows |
//! | `tools` | functions, deferred ones too; tools without a schema (`web_search_*`, `bash_*`) are refused; names over 64 characters are shortened and restored in the answer |
//! | `tool_choice` | the same; left out without `tools`; `disable_parallel_tool_use` becomes `parallel_tool_calls: false` |
//! | `max_tokens`, `stop_sequences`, `temperature`, `top_p`, `stream` | the same under their names there |
//! | `output_config.format` (`output_format`) | `response_format`, strict where the schema allows |
//! | `output_config.effort`, `thinking.budget_tokens` | `reasoning_effort` where the model [reasons](Capabilities::reasoning) |
//! | `cache_control` | left out; at texts the same where the provider [understands it](Capabilities::cache_marks) |
//! | `top_k`, `metadata`, `service_tier`, `context_management`, `container`, `mcp_servers`, `betas`, `safeguards` and whatever else has no name there | left out. `metadata.user_id` holds a device and a session, which is nothing to hand to another vendor |
//!
//! # Requests, chat completions to Messages
//!
//! | field | becomes |
//! |---|---|
//! | leading `system` and `developer` messages | `system`; where there is nothing else, the last one is the user's message |
//! | later ones | the user's words, marked `<system>` ([`system_in_messages`](Capabilities::system_in_messages): the same, in their place) |
//! | `tool_calls`, `function_call` | `tool_use`; arguments that are no JSON object travel as `{"_raw_arguments": "..."}` and come back as they were; no arguments are `{}` |
//! | messages of `role: "tool"` and `"function"` | `tool_result` blocks of one user turn right behind the calls |
//! | `image_url`, `file` | `image`, `document`; files that are only named by id are refused |
//! | `reasoning_content` | left out: thinking without a signature is refused |
//! | ids of calls over 40 characters or with other than letters, digits, `_`, `-` | ids made from them, the same for call and result |
//! | `tools` | the same, in OpenAI's, Anthropic's and the Responses API's shape, and `functions`; custom tools are refused |
//! | `max_tokens`, `max_completion_tokens` | `max_tokens`, or [a default](Capabilities::default_max_tokens) |
//! | `temperature` | the same, at most 1 |
//! | `response_format` | `json_schema`: `output_config.format`; `json_object`: a sentence at the end of `system` |
//! | `reasoning_effort` | by [`Reasoning`]; left out where Anthropic refuses thinking: with a temperature, a forced tool, or in a round of tool calls |
//! | `user`, `safety_identifier` | `metadata.user_id` |
//! | `n` over 1, `logprobs`, `top_logprobs`, `logit_bias`, `audio`, `modalities` with audio, `web_search_options` | refused |
//! | `seed`, `frequency_penalty`, `presence_penalty`, `prediction`, `store`, `metadata`, `service_tier`, `verbosity`, `prompt_cache_key` and whatever else has no name there | left out: they change how, not what, is answered |
//!
//! # Requests, chat completions in Anthropic's shape
//!
//! Cursor posts them. Tools `{name, description, input_schema}` become functions, with `strict` where the schema allows it and without
//! `cache_control`; messages with `tool_use` or `tool_result` blocks cross as above, each for itself. Not another byte changes.
//!
//! # Answers
//!
//! Usage is brought from one way of counting to the other: OpenAI's `prompt_tokens` includes cached tokens, Anthropic's `input_tokens` does
//! not. A stop reason `stop` beside a tool call becomes `tool_use`, or the caller would not run the tool. Thinking crosses as
//! `reasoning_content` and back, without its signature; server tools' blocks, citations and annotations have no counterpart and are left out.
//! Arguments of tool calls pass fragment by fragment in streams, valid or not.
mod capabilities;
mod completions;
pub(crate) mod converse;
mod count;
mod cursor;
mod demands;
mod error;
mod event;
mod form;
mod gather;
mod gemini;
pub mod grammar;
mod growing;
mod guard;
mod ids;
pub(crate) mod json;
#[cfg(feature = "client")]
pub(crate) mod logprobs;
mod messages;
mod observe;
mod ollama;
mod parts;
mod read;
mod repeat;
mod replay;
mod responses;
pub mod rounds;
mod schema;
mod sequence;
mod stream;
mod summary;
mod text;

pub use capabilities::{Capabilities, MaxTokensField, ParseReasoningError, Reasoning};
pub use cursor::chat_prompt;
#[cfg(feature = "client")]
pub(crate) use cursor::{chat_messages, chat_tool};
pub use error::error;
pub use gather::AnswerReader;
pub use guard::{guard, has_field, switch, with_limit_as};
#[cfg(feature = "client")]
pub(crate) use read::has_invalid_arguments;
pub use read::{read_answer, read_stream_answer};
pub use replay::{to_stream, to_whole};
pub use stream::StreamTranslator;
pub use summary::{Summary, cost, summary};

use crate::{
    chat::{Kind, Operation, Prompt, Refusal},
    dialect::Dialect,
};
use bytes::Bytes;
use serde::de::IgnoredAny;
use text::Text;

/// The body that asks `model`, at a provider of dialect `to`, what `prompt` asks.
///
/// In the prompt's own dialect these are its very bytes, save for the model's name and, for streams of chat completions, the wish to be
/// told the usage. Of a question for a count of tokens this is the body whose tokens are to be counted.
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
    if !matches!(
        facts.operation,
        Operation::Generate | Operation::CountTokens
    ) {
        return Err(Refusal::new(
            Kind::NotSupported,
            "only conversations can be asked for at the provider behind this model",
        ));
    }
    let body = std::str::from_utf8(prompt.raw()).unwrap_or_default();
    let form = match facts.dialect {
        Dialect::Messages => messages::request_in::read(body, facts),
        Dialect::ChatCompletions => completions::request_in::read(body, facts),
        Dialect::Responses => responses::request_in::read(body, facts),
        from => Err(error::not_spoken(from)),
    }?;
    match to {
        Dialect::Messages => messages::request_out::write(&form, model, caps),
        Dialect::ChatCompletions => completions::request_out::write(&form, model, caps),
        Dialect::Responses => responses::request_out::write(&form, model, caps),
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
    let nonsense = || error::nonsense("the upstream answered what is no answer of its dialect");
    if from == to {
        // A body that was cut short, or a page of something else, would be the caller's to puzzle over, and kept by caches.
        let read = summary != Summary::default() || is_json(body);
        return match body.trim_ascii_start().first() {
            Some(b'{') if read => Ok((body.clone(), summary)),
            _ => Err(nonsense()),
        };
    }
    if let Some(error) = summary.error {
        return Err(error);
    }
    let whole = std::str::from_utf8(body)
        .ok()
        .and_then(|body| read_whole(from, body));
    let Some(mut whole) = whole else {
        return Err(nonsense());
    };
    if whole.calls().any(Text::is_blank) {
        return Err(error::nameless());
    }
    whole.restore_calls(prompt);
    if whole.model.is_none() {
        whole.model = Some(Text::plain(&prompt.facts().model));
    }
    let body = match to {
        Dialect::Messages => messages::answer::write(&whole, prompt),
        Dialect::ChatCompletions => completions::answer::write(&whole, wants_functions(prompt)),
        Dialect::Responses => responses::answer::write(&whole, prompt),
        to => return Err(error::not_spoken(to)),
    };
    Ok((body, summary))
}

/// Whether this is JSON from its first byte to its last.
fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| crate::json::from_str::<IgnoredAny>(body).is_ok())
}

fn read_whole(dialect: Dialect, body: &str) -> Option<form::Whole<'_>> {
    match dialect {
        Dialect::Messages => messages::answer::read(body),
        Dialect::ChatCompletions => completions::answer::read(body),
        Dialect::Responses => responses::answer::read(body),
        Dialect::Converse => converse::read_answer(body),
        Dialect::Gemini => gemini::read_answer(body),
        Dialect::Ollama => ollama::read_answer(body),
    }
}

/// What `prompt` offers that is left out where the provider speaks `to`: tools that a model can do without, by their types. Whoever answers
/// should say so.
#[must_use]
pub fn dropped(prompt: &Prompt, to: Dialect) -> Vec<&'static str> {
    match prompt.facts().dialect {
        from if from == to => Vec::new(),
        Dialect::Responses => responses::dropped(prompt),
        _ => Vec::new(),
    }
}

/// Whether only the vendor of a dialect understands all of `prompt`, while others that speak the dialect know its plainer half.
#[must_use]
pub fn is_particular(prompt: &Prompt) -> bool {
    prompt.facts().dialect == Dialect::Responses && responses::is_particular(prompt)
}

/// Whether a signature is one that we made up, to carry through Messages what another dialect has no other place for. `signature` is the inside
/// of a JSON string.
#[cfg(feature = "client")]
pub(crate) fn is_our_signature(signature: &str) -> bool {
    signature.starts_with(responses::ENCRYPTED)
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
