//! An answer, freed of its dialect, for whoever judges it.
use super::{
    form::{Arguments, BlockKind},
    json::{Fields, Json, elements},
    read_whole, summary, to_whole,
};
use crate::{
    chat::{Answer, Logprob, StopReason, ToolCall},
    dialect::Dialect,
    sse::Splitter,
};
use bytes::Bytes;
#[cfg(feature = "client")]
use {memchr::memmem::Finder, std::sync::LazyLock};

/// Reads a whole answer, freed of its dialect; `None` where it is none.
///
/// ```
/// use tierway_services::{dialect::Dialect, translate};
/// let body = br#"{"id":"msg_1","type":"message","role":"assistant","model":"m","stop_reason":"end_turn",
///     "content":[{"type":"text","text":"Paris."}],"usage":{"input_tokens":9,"output_tokens":2}}"#;
/// let answer = translate::read_answer(Dialect::Messages, body).unwrap();
/// assert_eq!(answer.text, "Paris.");
/// ```
#[must_use]
pub fn read_answer(dialect: Dialect, body: &[u8]) -> Option<Answer> {
    let body = std::str::from_utf8(body).ok()?;
    let whole = read_whole(dialect, body)?;
    let mut answer = Answer {
        stop: summary(dialect, body.as_bytes())
            .stop
            .map(|_| whole.settled_stop()),
        model: whole.model.as_ref().map(|m| m.decode().into_owned()),
        usage: whole.usage,
        ..Answer::default()
    };
    answer.refused = whole.stop == Some(StopReason::Refusal);
    for block in &whole.blocks {
        match &block.kind {
            BlockKind::Text(text) => {
                if !answer.text.is_empty() {
                    answer.text.push('\n');
                }
                answer.text.push_str(&text.decode());
            }
            BlockKind::ToolUse {
                id,
                name,
                arguments,
            } => answer.tool_calls.push(ToolCall {
                id: id.decode().into_owned(),
                name: name.decode().into_owned(),
                arguments: match arguments {
                    Arguments::Object(json) => json.clone().into_owned(),
                    Arguments::Text(text) => text.decode().into_owned(),
                },
            }),
            _ => {}
        }
    }
    answer.logprobs = answer_logprobs(dialect, body);
    Some(answer)
}

/// Whether some tool call of a whole answer has arguments that are no JSON object. They are delivered as the model wrote them; who runs
/// the tool should know.
#[cfg(feature = "client")]
pub(crate) fn has_invalid_arguments(dialect: Dialect, body: &[u8]) -> bool {
    // Prepared once: to prepare them costs more than to look through most answers.
    static CALLS: LazyLock<[Finder<'static>; 2]> =
        // `tool_use` and `tool_calls`, and those of Responses and of old.
        LazyLock::new(|| ["\"tool_", "function_call"].map(Finder::new));
    if !CALLS.iter().any(|word| word.find(body).is_some()) {
        return false;
    }
    let whole = std::str::from_utf8(body)
        .ok()
        .and_then(|body| read_whole(dialect, body));
    whole.is_some_and(|whole| {
        whole.blocks.iter().any(|block| {
            matches!(
                &block.kind,
                BlockKind::ToolUse {
                    arguments: Arguments::Text(_),
                    ..
                }
            )
        })
    })
}

/// Reads a recorded stream as the answer that it brought; `None` where it did not end well.
#[must_use]
pub fn read_stream_answer(dialect: Dialect, sse: &[u8]) -> Option<Answer> {
    let mut splitter = Splitter::new(sse.len());
    splitter.push(Bytes::copy_from_slice(sse)).ok()?;
    let mut events: Vec<Bytes> = splitter.by_ref().collect();
    if !splitter.remainder().is_empty() {
        events.push(Bytes::copy_from_slice(splitter.remainder()));
    }
    read_answer(dialect, &to_whole(dialect, &events)?)
}

/// The log-probabilities of a whole answer, where its dialect has a place for them.
pub(super) fn answer_logprobs(dialect: Dialect, body: &str) -> Vec<Logprob> {
    let found = match dialect {
        Dialect::ChatCompletions => logprobs(body),
        Dialect::Responses => output_logprobs(body),
        _ => None,
    };
    found.unwrap_or_default()
}

/// The log-probabilities in one event of a stream, or in a whole answer of chat completions, whose choices have them in the same place.
pub(super) fn stream_logprobs(dialect: Dialect, data: &str) -> Vec<Logprob> {
    if memchr::memmem::find(data.as_bytes(), b"\"logprob\"").is_none() {
        return Vec::new();
    }
    let found = match dialect {
        Dialect::ChatCompletions => logprobs(data),
        Dialect::Responses => Fields::parse(data).and_then(|event| tokens(event.get("logprobs")?)),
        _ => None,
    };
    found.unwrap_or_default()
}

fn logprobs(body: &str) -> Option<Vec<Logprob>> {
    let choices = elements(Fields::parse(body)?.get("choices")?)?;
    let choice = Fields::parse(choices.first()?.get())?;
    tokens(choice.object("logprobs")?.get("content")?)
}

/// The log-probabilities of an answer of Responses: those of its texts.
fn output_logprobs(body: &str) -> Option<Vec<Logprob>> {
    let mut all = Vec::new();
    for item in elements(Fields::parse(body)?.get("output")?)? {
        let parts = Fields::parse(item.get())?.get("content").and_then(elements);
        for part in parts.unwrap_or_default() {
            let part = Fields::parse(part.get()).unwrap_or_default();
            all.extend(part.get("logprobs").and_then(tokens).unwrap_or_default());
        }
    }
    Some(all)
}

fn tokens(list: Json<'_>) -> Option<Vec<Logprob>> {
    let tokens = elements(list)?.into_iter();
    Some(
        tokens
            .filter_map(|t| logprob(Fields::parse(t.get())?))
            .collect(),
    )
}

fn logprob(token: Fields<'_>) -> Option<Logprob> {
    let number = |fields: &Fields<'_>| fields.get("logprob")?.get().parse::<f64>().ok();
    let text = token.string("token")?.into_owned();
    let top = token.get("top_logprobs").and_then(elements);
    // The likeliest of the others: the token that was taken need not be the likeliest of all, and stands among them or not.
    let runner_up = top
        .unwrap_or_default()
        .into_iter()
        .filter_map(|other| Fields::parse(other.get()))
        .filter(|other| other.string("token").is_some_and(|t| t != text))
        .filter_map(|other| number(&other))
        .fold(None, |best: Option<f64>, p| {
            Some(best.map_or(p, |b| b.max(p)))
        });
    Some(Logprob {
        logprob: number(&token)?,
        token: text,
        runner_up,
    })
}
