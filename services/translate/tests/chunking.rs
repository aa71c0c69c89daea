use super::{asked, fixtures, folder, run, steady};
use crate::{dialect::Dialect, translate::grammar};
use proptest::prelude::*;

const BOTH: [Dialect; 2] = [Dialect::Messages, Dialect::ChatCompletions];

fn text(bytes: Vec<u8>) -> String {
    steady(&String::from_utf8_lossy(&bytes))
}

/// Each byte a chunk of its own: tool arguments, names and line ends are cut everywhere.
#[test]
fn byte_by_byte_is_the_same() {
    for from in BOTH {
        for (name, stream) in fixtures(&folder("streams", from)) {
            let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
            for to in BOTH {
                let (whole, ..) = run(from, to, &asked(to), &[stream.as_bytes()]);
                let (cut, ..) = run(from, to, &asked(to), &bytes);
                assert_eq!(text(cut), text(whole), "{name}");
            }
        }
    }
}

fn chat_chunk() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,6}".prop_map(|t| format!("{{\"content\":{}}}", serde_json::Value::from(t))),
        "[ -~]{0,6}".prop_map(|t| format!("{{\"reasoning_content\":{}}}", serde_json::Value::from(t))),
        (0..3u8, "[{}\\[\\]\":a1 \\\\]{0,5}", any::<bool>()).prop_map(|(i, a, begin)| {
            let a = serde_json::Value::from(a);
            let head = if begin { format!("\"id\":\"call_{i}\",\"type\":\"function\",") } else { String::new() };
            let name = if begin { "\"name\":\"f\"," } else { "" };
            format!("{{\"tool_calls\":[{{\"index\":{i},{head}\"function\":{{{name}\"arguments\":{a}}}}}]}}")
        }),
        Just("{}".to_owned()),
        Just("{\"content\":null,\"tool_calls\":null}".to_owned()),
    ];
    piece.prop_map(|delta| {
        format!("data: {{\"id\":\"c\",\"created\":1760000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n")
    })
}

fn message_event() -> impl Strategy<Value = String> {
    let event = |kind: &str, rest: String| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n")
    };
    let text = "[ -~]{0,6}".prop_map(|t| serde_json::Value::from(t).to_string());
    prop_oneof![
        Just(event(
            "message_start",
            ",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{\"input_tokens\":3}}".to_owned()
        )),
        prop_oneof![
            Just("{\"type\":\"text\",\"text\":\"\"}"),
            Just("{\"type\":\"thinking\",\"thinking\":\"\"}"),
            Just("{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}"),
            Just("{\"type\":\"server_tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}"),
        ]
        .prop_map(move |b| event(
            "content_block_start",
            format!(",\"index\":0,\"content_block\":{b}")
        )),
        (text, 0..4usize).prop_map(move |(t, k)| {
            let name = ["text", "thinking", "partial_json", "signature"][k];
            event(
                "content_block_delta",
                format!(",\"index\":0,\"delta\":{{\"type\":\"x\",\"{name}\":{t}}}"),
            )
        }),
        Just(event("content_block_stop", ",\"index\":0".to_owned())),
        Just(event("ping", String::new())),
        Just(event(
            "message_delta",
            ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}".to_owned()
        )),
        Just(event(
            "error",
            ",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}".to_owned()
        )),
        Just(": comment\n\n".to_owned()),
        Just("data: not json\n\n".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_chunking_is_the_same(cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..24)) {
        for from in BOTH {
            let (_, stream) = fixtures(&folder("streams", from)).into_iter().find(|(n, _)| n == "everything").unwrap();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            for to in BOTH {
                prop_assert_eq!(text(run(from, to, &asked(to), &chunks).0), text(run(from, to, &asked(to), &[bytes]).0));
            }
        }
    }

    /// Whatever an upstream sends, the caller gets a stream of its own dialect's grammar.
    #[test]
    fn any_chunks_give_a_stream_of_messages(chunks in proptest::collection::vec(chat_chunk(), 0..24), end in 0..3u8) {
        let mut stream = chunks.concat();
        if end > 0 {
            stream.push_str("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        }
        if end > 1 {
            stream.push_str("data: [DONE]\n\n");
        }
        let (sent, ..) = run(Dialect::ChatCompletions, Dialect::Messages, &asked(Dialect::Messages), &[stream.as_bytes()]);
        prop_assert_eq!(grammar::check(Dialect::Messages, &sent), Ok(()), "{}", String::from_utf8_lossy(&sent));
    }

    #[test]
    fn any_events_give_a_stream_of_chunks(events in proptest::collection::vec(message_event(), 0..24), end in any::<bool>()) {
        let mut stream = events.concat();
        if end {
            stream.push_str("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        }
        let (sent, ..) = run(Dialect::Messages, Dialect::ChatCompletions, &asked(Dialect::ChatCompletions), &[stream.as_bytes()]);
        prop_assert_eq!(grammar::check(Dialect::ChatCompletions, &sent), Ok(()), "{}", String::from_utf8_lossy(&sent));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), lines in proptest::collection::vec("(data|event|error|:)?:? ?[ -~]{0,40}", 0..8)) {
        let lines = lines.join("\n\n") + "\n\n";
        for from in BOTH {
            for to in BOTH {
                let _ = run(from, to, &asked(to), &[&bytes]);
                let _ = run(from, to, &asked(to), &[lines.as_bytes()]);
            }
            let _ = crate::translate::error(from, http::StatusCode::BAD_REQUEST, &bytes);
            let _ = crate::translate::summary(from, &bytes);
        }
    }
}
