//! Messages of an event stream, told as server-sent events, which is all that the translation knows.
use super::{Message, MessageKind};
use crate::{
    chat::{Kind, Refusal},
    dialect::Dialect,
    translate::converse,
};
use base64::Engine;
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A message as a server-sent event of the dialect that its provider speaks: for Messages, the event that a `chunk` carries, byte for byte;
/// for Converse, an object with the payload under the event's name, which is how Amazon's own SDKs see it. Exceptions become the
/// dialect's error events. `None` for what is no event of an answer.
pub(crate) fn retold(message: &Message, dialect: Dialect) -> Option<Bytes> {
    match (message.kind, dialect) {
        (MessageKind::Event, Dialect::Messages) => chunk(message),
        (MessageKind::Event, _) => Some(union(&message.name, &message.payload)),
        (_, Dialect::Messages) => {
            let told = exception(message);
            let no = converse::refusal(told.r#type, None, &told.message);
            Some(no.event(dialect))
        }
        _ => {
            let told = serde_json::to_vec(&exception(message)).unwrap_or_default();
            Some(union("exception", &told))
        }
    }
}

/// `InvokeModelWithResponseStream` packs each of Anthropic's events in base64, without its name.
fn chunk(message: &Message) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    if message.name != "chunk" {
        return None;
    }
    let chunk: Chunk<'_> = serde_json::from_slice(&message.payload).ok()?;
    let base64 = base64::engine::general_purpose::STANDARD;
    let Ok(event) = base64.decode(&*chunk.bytes) else {
        let no = Refusal::new(Kind::Upstream, "the upstream's stream held no base64");
        return Some(no.event(Dialect::Messages));
    };
    let mut out = BytesMut::with_capacity(event.len() + 64);
    if let Ok(Event { r#type }) = serde_json::from_slice(&event) {
        out.put_slice(b"event: ");
        out.put_slice(r#type.as_bytes());
        out.put_slice(b"\n");
    }
    data(&[&event], &mut out);
    Some(out.freeze())
}

fn union(name: &str, payload: &[u8]) -> Bytes {
    let name = serde_json::Value::from(name).to_string();
    let mut out = BytesMut::with_capacity(payload.len() + name.len() + 16);
    // What is not JSON is not hidden: the reader refuses it.
    data(&[b"{", name.as_bytes(), b":", payload, b"}"], &mut out);
    out.freeze()
}

/// A line break is never part of a JSON value, only between its parts.
fn data(pieces: &[&[u8]], out: &mut BytesMut) {
    out.put_slice(b"data: ");
    for line in pieces
        .iter()
        .flat_map(|piece| piece.split(|b| matches!(b, b'\n' | b'\r')))
    {
        out.put_slice(line);
    }
    out.put_slice(b"\n\n");
}

/// An exception, with what was told of it.
#[derive(Serialize)]
struct Told<'a> {
    r#type: &'a str,
    message: String,
}

fn exception(message: &Message) -> Told<'_> {
    #[derive(Default, Deserialize)]
    struct Payload {
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let payload: Payload = serde_json::from_slice(&message.payload).unwrap_or_default();
    let told = payload.message.unwrap_or_else(|| message.words.clone());
    if let Cow::Owned(_) = converse::scrubbed(&told) {
        // Who calls is not told all of it.
        tracing::warn!(
            exception = message.name,
            "Bedrock broke off a stream: {told}"
        );
    }
    Told {
        r#type: &message.name,
        message: told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, payload: &'static str) -> Message {
        Message {
            kind: MessageKind::Event,
            name: name.to_owned(),
            words: String::new(),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn a_chunk_is_the_event_in_it() {
        let chunk = event(
            "chunk",
            r#"{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIiwieCI6MS4wMH0=","p":"abc"}"#,
        );
        assert_eq!(
            retold(&chunk, Dialect::Messages).unwrap(),
            "event: message_stop\ndata: {\"type\":\"message_stop\",\"x\":1.00}\n\n"
        );
        assert_eq!(
            retold(&event("initial-response", "{}"), Dialect::Messages),
            None
        );
        let broken = retold(&event("chunk", r#"{"bytes":"*"}"#), Dialect::Messages).unwrap();
        assert!(broken.starts_with(b"event: error\n"));
    }

    #[test]
    fn an_event_of_converse_stands_under_its_name() {
        assert_eq!(
            retold(
                &event("messageStop", "{\n\"stopReason\":\"end_turn\"}"),
                Dialect::Converse
            )
            .unwrap(),
            "data: {\"messageStop\":{\"stopReason\":\"end_turn\"}}\n\n"
        );
    }

    #[test]
    fn exceptions_are_errors_of_their_kind() {
        for (name, kind) in [
            ("throttlingException", "rate_limit_error"),
            ("validationException", "invalid_request_error"),
            ("serviceUnavailableException", "overloaded_error"),
            ("modelTimeoutException", "timeout_error"),
            ("modelStreamErrorException", "api_error"),
            ("internalServerException", "api_error"),
        ] {
            let no = Message {
                kind: MessageKind::Exception,
                ..event(name, r#"{"message":"slow \"down\""}"#)
            };
            let told = retold(&no, Dialect::Messages).unwrap();
            let told = std::str::from_utf8(&told).unwrap();
            assert!(
                told.contains(kind) && told.contains(r#"slow \"down\""#),
                "{told}"
            );
        }
        let error = Message {
            kind: MessageKind::Error,
            name: "InternalError".to_owned(),
            words: "broken".to_owned(),
            payload: Bytes::new(),
        };
        let told = retold(&error, Dialect::Converse).unwrap();
        assert!(memchr::memmem::find(&told, b"broken").is_some());
    }
}
