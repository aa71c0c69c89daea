//! Log-probabilities: wanted of an upstream, read out of its answer, and taken out of what a caller gets who did not want them.
use super::{
    json::{Fields, elements},
    read::{answer_logprobs, stream_logprobs},
};
use crate::{
    chat::{Logprob, Prompt},
    dialect::Dialect,
    sse::Event,
};
use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use std::ops::Range;

/// The likeliest tokens at each place: the one that was taken, as a rule, and its runner-up.
const TOP: &str = "2";
/// What Responses are to include.
const INCLUDED: &str = "message.output_text.logprobs";

/// Whether the caller asks for log-probabilities itself.
pub(crate) fn asks(prompt: &Prompt) -> bool {
    match prompt.facts().dialect {
        Dialect::ChatCompletions => super::has_field(prompt, &["logprobs", "top_logprobs"]),
        Dialect::Responses => {
            super::has_field(prompt, &["top_logprobs"])
                || memchr::memmem::find(prompt.raw(), INCLUDED.as_bytes()).is_some()
        }
        _ => false,
    }
}

/// A request's body that asks for log-probabilities too, and not another byte changed; `None` where its dialect has no words for that.
pub(crate) fn wanted(dialect: Dialect, body: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let open = text.find('{')? + 1;
    let (at, more) = match dialect {
        Dialect::ChatCompletions => (
            open..open,
            format!("\"logprobs\":true,\"top_logprobs\":{TOP},"),
        ),
        Dialect::Responses => match Fields::parse(text)?.get("include") {
            None => (
                open..open,
                format!("\"include\":[\"{INCLUDED}\"],\"top_logprobs\":{TOP},"),
            ),
            Some(list) => {
                let comma = if elements(list)?.is_empty() { "" } else { "," };
                let at = place(text, list.get())?.start + 1;
                let body = replaced(text, &[(at..at, format!("\"{INCLUDED}\"{comma}"))]);
                let body = std::str::from_utf8(&body).ok()?;
                return Some(replaced(
                    body,
                    &[(open..open, format!("\"top_logprobs\":{TOP},"))],
                ));
            }
        },
        _ => return None,
    };
    Some(replaced(text, &[(at, more)]))
}

/// The log-probabilities that an event of a stream brings.
pub(crate) fn of_event(dialect: Dialect, event: &[u8]) -> Vec<Logprob> {
    // Responses tell them again at the end of each text.
    let told_before = dialect == Dialect::Responses
        && memchr::memmem::find(event, b"response.output_text.delta").is_none();
    match Event::parse(event) {
        Some(event) if !told_before => stream_logprobs(dialect, event.data),
        _ => Vec::new(),
    }
}

/// The log-probabilities of a whole answer.
pub(crate) fn of_answer(dialect: Dialect, body: &[u8]) -> Vec<Logprob> {
    let body = std::str::from_utf8(body).unwrap_or_default();
    answer_logprobs(dialect, body)
}

/// Whether an event, or a whole answer, brings words, for which log-probabilities would have been told.
pub(crate) fn has_words(dialect: Dialect, event: &[u8]) -> bool {
    match dialect {
        Dialect::Responses => memchr::memmem::find(event, b"output_text").is_some(),
        _ => {
            let mut found = memchr::memmem::find_iter(event, b"\"content\"");
            found.any(|at| {
                let rest = event.get(at + 9..).unwrap_or_default().trim_ascii_start();
                let value = rest.strip_prefix(b":").unwrap_or_default();
                let value = value.trim_ascii_start();
                value.starts_with(b"\"") && !value.starts_with(b"\"\"")
            })
        }
    }
}

/// An event, or a whole answer, as it would be had nobody asked.
pub(crate) fn hidden(dialect: Dialect, bytes: Bytes) -> Bytes {
    if memchr::memmem::find(&bytes, b"logprobs\"").is_none() {
        return bytes;
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return bytes;
    };
    let edits = match dialect {
        Dialect::ChatCompletions => in_choices(text),
        Dialect::Responses => in_responses(text),
        _ => return bytes,
    };
    if edits.is_empty() {
        return bytes;
    }
    replaced(text, &edits)
}

type Edits = Vec<(Range<usize>, String)>;

fn in_choices(text: &str) -> Edits {
    let json = Event::parse(text.as_bytes()).map_or(text, |event| event.data);
    let choices = Fields::parse(json).and_then(|fields| elements(fields.get("choices")?));
    let choices = choices.unwrap_or_default().into_iter();
    choices
        .filter_map(|choice| Fields::parse(choice.get())?.get("logprobs"))
        .filter_map(|told| Some((place(text, told.get())?, "null".to_owned())))
        .collect()
}

/// Every list under `logprobs`, wherever an event of Responses repeats it, and the number that was asked for. Inside a string its quotes would
/// be escaped; where a tool's parameter has the name, its schema is no list.
fn in_responses(text: &str) -> Edits {
    let mut edits = Vec::new();
    let keys: [(&str, char, &str); 2] = [
        ("\"logprobs\"", '[', "[]"),
        ("\"top_logprobs\"", TOP.chars().next().unwrap_or('2'), "0"),
    ];
    for (key, begins, plain) in keys {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(key)) {
            from += at + key.len();
            let Some(rest) = text.get(from..).map(str::trim_start) else {
                break;
            };
            let Some(value) = rest.strip_prefix(':').map(str::trim_start) else {
                continue;
            };
            let start = text.len() - value.len();
            if !value.starts_with(begins) {
                continue;
            }
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<IgnoredAny>();
            if values.next().is_some_and(|read| read.is_ok()) {
                from = start + values.byte_offset();
                edits.push((start..from, plain.to_owned()));
            }
        }
    }
    edits.sort_by_key(|(at, _)| at.start);
    // Lists within a list that is replaced are gone with it.
    let mut end = 0;
    edits.retain(|(at, _)| {
        let apart = at.start >= end;
        end = end.max(at.end);
        apart
    });
    edits
}

/// Where `part`, a slice of `text`, stands in it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

fn replaced(text: &str, edits: &[(Range<usize>, String)]) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 64);
    let mut from = 0;
    for (at, with) in edits {
        let before = text.get(from..at.start).unwrap_or_default();
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(with.as_bytes());
        from = at.end;
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default().as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_asks_once() {
        for (dialect, body, asked) in [
            (
                Dialect::ChatCompletions,
                r#"{"model":"m"}"#,
                r#"{"logprobs":true,"top_logprobs":2,"model":"m"}"#,
            ),
            (
                Dialect::Responses,
                r#"{"model":"m"}"#,
                r#"{"include":["message.output_text.logprobs"],"top_logprobs":2,"model":"m"}"#,
            ),
            (
                Dialect::Responses,
                r#"{"include" : ["x"]}"#,
                r#"{"top_logprobs":2,"include" : ["message.output_text.logprobs","x"]}"#,
            ),
        ] {
            assert_eq!(wanted(dialect, &Bytes::from(body)).unwrap(), asked);
        }
        assert!(wanted(Dialect::Messages, &Bytes::from("{}")).is_none());
    }

    #[test]
    fn what_was_not_asked_for_is_taken_out_and_nothing_else() {
        let tokens =
            r#"[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-1.0}]}]"#;
        let chat = |logprobs: &str| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"\\\"logprobs\\\":[1]\"}},\"logprobs\":{logprobs}}}], \"x\": 1.00}}\n\n"
            )
        };
        let told = chat(&format!("{{\"content\":{tokens}}}"));
        assert_eq!(of_event(Dialect::ChatCompletions, told.as_bytes()).len(), 1);
        assert_eq!(hidden(Dialect::ChatCompletions, told.into()), chat("null"));
        let responses = |top: &str, logprobs: &str| {
            format!(
                "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"logprobs\":{logprobs},\"r\":{{\"top_logprobs\":{top},\"tools\":[{{\"logprobs\":{{}}}}]}}}}\n\n"
            )
        };
        let told = responses("2", tokens);
        assert_eq!(of_event(Dialect::Responses, told.as_bytes()).len(), 1);
        assert_eq!(
            hidden(Dialect::Responses, told.into()),
            responses("0", "[]")
        );
    }

    #[test]
    fn words_are_seen() {
        for (event, words) in [
            (r#"{"delta":{"content":"a"}}"#, true),
            (r#"{"delta":{"content": ""}}"#, false),
            (r#"{"delta":{"content":null,"tool_calls":[]}}"#, false),
        ] {
            assert_eq!(
                has_words(Dialect::ChatCompletions, event.as_bytes()),
                words,
                "{event}"
            );
        }
    }
}
