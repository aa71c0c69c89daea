use super::{asked, fixtures, folder, pretty, run};
use crate::{
    dialect::Dialect,
    sse::Splitter,
    translate::{grammar, read_answer, read_stream_answer, to_stream, to_whole},
};
use bytes::Bytes;
use serde_json::Value;

const BOTH: [Dialect; 2] = [Dialect::Messages, Dialect::ChatCompletions];

fn events(stream: &str) -> Vec<Bytes> {
    let mut splitter = Splitter::new(1 << 20);
    splitter
        .push(Bytes::copy_from_slice(stream.as_bytes()))
        .unwrap();
    let mut events: Vec<Bytes> = splitter.by_ref().collect();
    events.push(Bytes::copy_from_slice(splitter.remainder()));
    events
}

/// A whole answer, told as a stream and gathered again, is the same answer with every field.
#[test]
fn whole_to_stream_to_whole() {
    for dialect in BOTH {
        for (name, body) in fixtures(&folder("answers", dialect)) {
            let stream = to_stream(dialect, body.as_bytes(), true).unwrap();
            if !matches!(&*name, "object-arguments" | "mistral-thinking") {
                grammar::check(dialect, &stream.concat()).unwrap_or_else(|v| panic!("{name}: {v}"));
            }
            let again = to_whole(dialect, &stream).unwrap_or_else(|| panic!("{name}"));
            let mut again: Value = serde_json::from_slice(&again).unwrap();
            let mut body: Value = serde_json::from_str(&body).unwrap();
            for value in [&mut again, &mut body] {
                even(value);
            }
            assert_eq!(again, body, "{name}");
        }
    }
}

/// Makes equal what means the same.
fn even(value: &mut Value) {
    let Some(choices) = value.get_mut("choices").and_then(Value::as_array_mut) else {
        return;
    };
    for choice in choices {
        let message = choice["message"].as_object_mut().unwrap();
        message.retain(|name, value| {
            let empty = value.is_null() || (name == "content" && value == "");
            !empty && value.as_array().is_none_or(|a| !a.is_empty())
        });
        for call in message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            call.as_object_mut().unwrap().remove("index");
        }
        choice
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "logprobs");
    }
}

#[test]
fn golden() {
    for dialect in BOTH {
        for (name, stream) in fixtures(&folder("streams", dialect)) {
            let whole = to_whole(dialect, &events(&stream));
            let (.., watched) = run(dialect, dialect, &asked(dialect), &[stream.as_bytes()]);
            if let Some(whole) = &whole {
                insta::assert_snapshot!(
                    format!("{}-whole-{name}", dialect.as_str()),
                    pretty(whole)
                );
                assert!(read_answer(dialect, whole).is_some(), "{name}");
                assert!(to_stream(dialect, whole, true).is_some(), "{name}");
            } else {
                // What was not said was made up for, on the way, by the translator.
                let unfinished = matches!(&*name, "no-message-stop" | "no-block-starts");
                assert!(unfinished || !watched.summary().complete, "{name}");
            }
        }
    }
}

#[test]
fn a_stream_is_read_as_its_answer() {
    let (_, stream) = fixtures("streams/chat")
        .into_iter()
        .find(|(n, _)| n == "interleaved-tools")
        .unwrap();
    let answer = read_stream_answer(Dialect::ChatCompletions, stream.as_bytes()).unwrap();
    assert_eq!(answer.text, "said in between");
    let calls: Vec<_> = answer
        .tool_calls
        .iter()
        .map(|c| (&*c.id, &*c.arguments))
        .collect();
    assert_eq!(
        calls,
        [
            ("call_1", r#"{"path": "}"}"#),
            ("call_2", r#"{"x":1}"#),
            ("call_3", "{}")
        ]
    );
    assert_eq!(answer.usage.unwrap().output, 50);
    // The last blank line may be missing.
    let (_, stream) = fixtures("streams/messages")
        .into_iter()
        .find(|(n, _)| n == "basic")
        .unwrap();
    let answer = read_stream_answer(Dialect::Messages, stream.as_bytes()).unwrap();
    assert_eq!(answer.text, "Hello there!");
    let (_, stream) = fixtures("streams/messages")
        .into_iter()
        .find(|(n, _)| n == "cut")
        .unwrap();
    assert_eq!(
        read_stream_answer(Dialect::Messages, stream.as_bytes()),
        None
    );
}

#[test]
fn log_probabilities_survive_the_stream() {
    let whole = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},
        "logprobs":{"content":[{"token":"Hi","logprob":-0.50,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"}]}"#;
    let stream = to_stream(Dialect::ChatCompletions, whole, false).unwrap();
    let answer = read_stream_answer(Dialect::ChatCompletions, &stream.concat()).unwrap();
    assert_eq!(answer.logprobs.len(), 1);
}
