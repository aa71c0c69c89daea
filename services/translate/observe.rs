//! Watching a stream that passes in its own dialect. Almost every event is looked at with a few substring searches and forwarded; only
//! those that tell something about the answer are parsed.
use super::{Summary, completions, error, messages, repeat::Repeat, responses};
use crate::{
    chat::{Prompt, Usd},
    dialect::{Dialect, literal::literal_len},
    sse::Event,
};
use bytes::Bytes;
use memchr::memmem::{self, Finder};
use std::sync::LazyLock;

#[derive(Debug)]
pub(super) struct Observer {
    dialect: Dialect,
    /// Usage was asked for by us, not by the caller, so the caller is not to see it.
    hide_usage: bool,
    seen: bool,
    repeat: Repeat,
    /// What the answer cost, as far as it was told.
    pub(super) cost: Option<Usd>,
}

impl Observer {
    pub(super) fn new(dialect: Dialect, prompt: &Prompt) -> Self {
        Self {
            dialect,
            hide_usage: dialect == Dialect::ChatCompletions && !super::wants_usage(prompt),
            seen: false,
            repeat: Repeat::default(),
            cost: None,
        }
    }

    /// Takes an event; gives the bytes of output that it brings.
    pub(super) fn push(
        &mut self,
        event: Bytes,
        summary: &mut Summary,
        out: &mut Vec<Bytes>,
    ) -> usize {
        if let Some(brought) = self.repeat.fits(&event) {
            out.push(event);
            return brought;
        }
        // A line that was cut off is looked at closely, and found out.
        let closed = event.trim_ascii_end().ends_with(b"}");
        let plain = closed
            && match self.dialect {
                Dialect::Messages => is_block_delta(&event),
                Dialect::Responses => is_delta(&event),
                _ => self.seen && is_plain_chunk(&event),
            };
        let mut forward = true;
        if !plain && let Some(Event { data, .. }) = Event::parse(&event) {
            self.seen = true;
            match self.dialect {
                Dialect::Messages => messages::observe(data, summary),
                Dialect::Responses => responses::observe(data, summary),
                // Nobody calls in the dialects of providers alone, so that their streams never pass unread.
                _ => {
                    let usage_only = completions::observe(data, summary);
                    self.cost = completions::cost(data).or(self.cost);
                    forward = !(usage_only && self.hide_usage);
                }
            }
        }
        if std::str::from_utf8(&event).is_err() {
            summary.error = Some(error::garbage());
        }
        if let Some(refusal) = summary.error.as_ref().filter(|e| **e == error::garbage()) {
            // Forwarded, it would break the caller's parser, and the reason would be lost.
            out.push(refusal.event(self.dialect));
            return 0;
        }
        let brought = output(self.dialect, &event);
        if plain && let Some(at) = text_at(self.dialect, &event) {
            self.repeat.take(&event, at, brought);
        }
        if forward {
            let whole = event.ends_with(b"\n\n") || event.ends_with(b"\n\r\n");
            out.push(event);
            if !whole {
                // The upstream ended without the last blank line, and without it the event would not be dispatched.
                out.push(Bytes::from_static(b"\n\n"));
            }
        }
        brought
    }

    /// What ends the answer where all but the terminal event has come.
    pub(super) const fn terminal(&self) -> Bytes {
        match self.dialect {
            Dialect::Messages => Bytes::from_static(messages::STOP),
            // Its last event tells why it ends.
            Dialect::Responses => Bytes::new(),
            _ => Bytes::from_static(completions::DONE),
        }
    }
}

/// Whether the event adds to a block, told from its first bytes.
fn is_block_delta(event: &[u8]) -> bool {
    let head = event.get(..64).unwrap_or(event);
    head.starts_with(b"event: content_block_delta")
        || memmem::find(head, b"content_block_delta").is_some()
}

/// Whether an event of Responses adds to an item, told from its first bytes.
fn is_delta(event: &[u8]) -> bool {
    let head = event.get(..96).unwrap_or(event);
    memmem::find(head, b".delta").is_some()
}

/// Whether a chunk brings neither a finish reason nor usage nor an error. The keys searched for cannot stand inside text, where their
/// quotes would be escaped.
fn is_plain_chunk(event: &[u8]) -> bool {
    let keys = &*KEYS;
    let tells = |key| value_of(event, key).is_some_and(|v| !v.starts_with(b"null"));
    !tells(&keys.finish_reason)
        && !tells(&keys.usage)
        && !tells(&keys.error)
        && value_of(event, &keys.choices).is_some()
}

/// The keys that are looked for in every event: what a search has to prepare for each costs more than the search.
struct Keys {
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
    choices: Finder<'static>,
    /// Before what each dialect puts out.
    of_messages: [Finder<'static>; 3],
    of_responses: [Finder<'static>; 1],
    of_completions: [Finder<'static>; 5],
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    finish_reason: Finder::new("\"finish_reason\""),
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    choices: Finder::new("\"choices\""),
    of_messages: ["\"text\"", "\"partial_json\"", "\"thinking\""].map(Finder::new),
    of_responses: ["\"delta\""].map(Finder::new),
    of_completions: [
        "\"content\"",
        "\"reasoning_content\"",
        "\"arguments\"",
        "\"reasoning\"",
        // Legacy completions.
        "\"text\"",
    ]
    .map(Finder::new),
});

/// What follows a key (its quotes included) and its colon, wherever it first stands.
fn value_of<'a>(json: &'a [u8], key: &Finder<'_>) -> Option<&'a [u8]> {
    let mut rest = json;
    loop {
        let at = key.find(rest)?;
        rest = rest.get(at + key.needle().len()..)?.trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b":") {
            return Some(value.trim_ascii_start());
        }
    }
}

/// The bytes of text, thinking and tool arguments in an event.
fn output(dialect: Dialect, event: &[u8]) -> usize {
    let keys = match dialect {
        Dialect::Messages => &KEYS.of_messages[..],
        Dialect::Responses => &KEYS.of_responses[..],
        _ => &KEYS.of_completions[..],
    };
    let length = |key: &Finder<'_>| value_of(event, key).and_then(literal_len).unwrap_or(0);
    match dialect {
        // A block's delta is of one kind.
        Dialect::Messages => keys.iter().map(length).find(|l| *l > 0).unwrap_or(0),
        _ => keys.iter().map(length).sum(),
    }
}

/// Where in a plain event the text stands in which those that follow are likely to differ. What tells that the event is plain must stand before
/// it or behind it.
fn text_at(dialect: Dialect, event: &[u8]) -> Option<usize> {
    let keys = match dialect {
        Dialect::Messages => &KEYS.of_messages[..],
        Dialect::Responses => &KEYS.of_responses[..],
        _ => &KEYS.of_completions[..],
    };
    let mut values = keys.iter().filter_map(|key| value_of(event, key));
    let at = event.len() - values.find(|value| value.starts_with(b"\""))?.len();
    let before = event.get(..at)?;
    let told = match dialect {
        Dialect::Messages => is_block_delta(before),
        Dialect::Responses => is_delta(before),
        _ => true,
    };
    told.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Operation;
    use proptest::prelude::*;

    /// What is said of each event, by one observer of all or by a new one for each.
    fn told(dialect: Dialect, events: &[String], anew: bool) -> Vec<(usize, Vec<Bytes>, Summary)> {
        let body = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#;
        let prompt = Prompt::parse(dialect, Operation::Generate, body.into()).unwrap();
        let mut observer = Observer::new(dialect, &prompt);
        let each = events.iter().map(|event| {
            if anew {
                observer = Observer::new(dialect, &prompt);
            }
            observer.seen = true;
            let (mut summary, mut out) = (Summary::default(), Vec::new());
            let brought = observer.push(event.clone().into(), &mut summary, &mut out);
            (brought, out, summary)
        });
        each.collect()
    }

    proptest! {
        #[test]
        fn events_like_those_before_are_told_as_if_they_were_the_first(
            parts in prop::collection::vec((0..8_usize, 0..9_usize), 1..12)
        ) {
            const TEXTS: [&str; 9] = [
                "", "hi", "\\\"usage\\\":{", "usage", "error", "a\\\\", "\u{e9}", "\",\"usage\":{\"prompt_tokens\":1},\"x\":\"", "content_block_delta",
            ];
            for dialect in [Dialect::ChatCompletions, Dialect::Messages] {
                let events: Vec<String> = parts.iter().map(|(shape, text)| {
                    let text = TEXTS[*text];
                    match (dialect, shape) {
                        (_, 0) => format!("data: {text}\n\n"),
                        (Dialect::Messages, 1..6) => format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"),
                        (Dialect::Messages, 6) => format!("data: {{\"text\":\"{text}\",\"type\":\"content_block_delta\"}}\n\n"),
                        (_, 1..5) => format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"),
                        (_, 5) => format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]}}\n\n"),
                        (_, 6) => format!("data: {{\"choices\":[{{\"delta\":{{\"reasoning\":\"ab\",\"content\":\"{text}\"}}}}],\"usage\":null}}\n"),
                        _ => format!("data: {{\"error\":{{\"message\":\"{text}\"}}}}\n\n"),
                    }
                }).collect();
                prop_assert_eq!(told(dialect, &events, false), told(dialect, &events, true), "{:?}", events);
            }
        }
    }

    #[test]
    fn output_is_measured_without_parsing() {
        for (dialect, event, bytes) in [
            (
                Dialect::Messages,
                r#"data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a\"b"}}"#,
                4,
            ),
            (
                Dialect::Messages,
                r#"data: {"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
                2,
            ),
            (Dialect::Messages, r#"data: {"type":"ping"}"#, 0),
            (
                Dialect::ChatCompletions,
                r#"data: {"choices":[{"delta":{"content":"hi","reasoning":"x"}}]}"#,
                3,
            ),
            (
                Dialect::ChatCompletions,
                r#"data: {"choices":[{"delta":{"content":null}}]}"#,
                0,
            ),
        ] {
            assert_eq!(output(dialect, event.as_bytes()), bytes, "{event}");
        }
    }

    #[test]
    fn plain_chunks_are_told_apart() {
        for (chunk, plain) in [
            (
                r#"{"choices":[{"delta":{"content":"\"usage\":{"},"finish_reason":null}],"usage":null}"#,
                true,
            ),
            (
                r#"{"choices":[{"delta":{},"finish_reason": "stop"}]}"#,
                false,
            ),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false),
            (r#"{"error":{"message":"x"},"choices":[]}"#, false),
            ("[DONE]", false),
        ] {
            assert_eq!(is_plain_chunk(chunk.as_bytes()), plain, "{chunk}");
        }
    }
}
