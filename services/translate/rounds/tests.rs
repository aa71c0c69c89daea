use super::*;
use crate::{
    chat::{Operation, Prompt},
    sse::Splitter,
    tools::{Output, Tool},
    translate::{to_stream, to_whole},
};

fn ours(name: &str) -> bool {
    name.starts_with("mcp__")
}

const MESSAGES: [&str; 2] = [
    r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Let me look."},{"type":"tool_use","id":"t1","name":"mcp__time__now","input":{"tz":"UTC"}},{"type":"tool_use","id":"c1","name":"Bash","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":3}}"#,
    r#"{"id":"msg_2","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Noon."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":20,"output_tokens":7,"cache_read_input_tokens":0}}"#,
];
const CHAT: [&str; 2] = [
    r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Let me look.","refusal":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"mcp__time__now","arguments":"{\"tz\":\"UTC\"}"}},{"id":"c1","type":"function","function":{"name":"Bash","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#,
    r#"{"id":"chatcmpl-2","object":"chat.completion","created":2,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Noon."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}"#,
];
const RESPONSES: [&str; 2] = [
    r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"id":"m1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Let me look.","annotations":[]}]},{"id":"f1","type":"function_call","status":"completed","call_id":"t1","name":"mcp__time__now","arguments":"{\"tz\":\"UTC\"}"},{"id":"f2","type":"function_call","status":"completed","call_id":"c1","name":"Bash","arguments":"{}"}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#,
    r#"{"id":"resp_2","object":"response","status":"completed","model":"m","output":[{"id":"m2","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Noon.","annotations":[]}]}],"usage":{"input_tokens":20,"output_tokens":7,"total_tokens":27}}"#,
];
const ALL: [(Dialect, [&str; 2]); 3] = [
    (Dialect::Messages, MESSAGES),
    (Dialect::ChatCompletions, CHAT),
    (Dialect::Responses, RESPONSES),
];

fn round(dialect: Dialect, body: &'static str) -> Round {
    Round::read(dialect, Bytes::from_static(body.as_bytes())).unwrap()
}

fn value(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn calls_are_the_same_in_all_dialects() {
    for (dialect, [first, second]) in ALL {
        let calls = round(dialect, first).calls().to_vec();
        let names: Vec<&str> = calls.iter().map(|call| &*call.name).collect();
        assert_eq!(names, ["mcp__time__now", "Bash"], "{dialect:?}");
        assert_eq!(
            (&*calls[0].id, &*calls[0].arguments),
            ("t1", r#"{"tz":"UTC"}"#)
        );
        assert!(round(dialect, second).calls().is_empty());
    }
}

/// What both a stream and a whole answer of two rounds must show.
fn check(dialect: Dialect, body: &[u8]) {
    let text = std::str::from_utf8(body).unwrap();
    assert!(!text.contains("mcp__"), "{text}");
    let answer = crate::translate::read_answer(dialect, body).unwrap();
    assert!(answer.text.contains("Let me look.") && answer.text.contains("Noon."));
    assert_ne!(
        answer.text, "Let me look.Noon.",
        "two rounds are two paragraphs"
    );
    assert_eq!(answer.tool_calls.len(), 1, "{text}");
    let usage = answer.usage.unwrap();
    assert_eq!(
        (usage.input_total(), usage.output),
        if dialect == Dialect::Messages {
            (33, 12)
        } else {
            (30, 12)
        }
    );
}

#[test]
fn whole_answers_are_merged() {
    for (dialect, bodies) in ALL {
        let rounds = bodies.map(|body| round(dialect, body));
        check(dialect, &merged(&rounds, &ours).unwrap());
        let alone = merged(&rounds[1..], &ours).unwrap();
        assert_eq!(alone.as_ptr(), rounds[1].whole().as_ptr(), "not touched");
    }
}

#[test]
fn streams_are_woven() {
    for (dialect, bodies) in ALL {
        let mut weaver = Weaver::new(dialect);
        let mut shown = Vec::new();
        for (nth, body) in bodies.iter().enumerate() {
            if nth > 0 {
                weaver.end_round();
            }
            for event in to_stream(dialect, body.as_bytes(), true).unwrap() {
                shown.extend(weaver.push(&event, &ours));
            }
        }
        shown.push(weaver.finish());
        let all: Vec<u8> = shown.concat();
        let text = String::from_utf8(all.clone()).unwrap();
        for once in [
            "message_start",
            "message_stop",
            "response.created",
            "response.completed",
            "[DONE]",
        ] {
            assert!(
                text.matches(&format!("{once}\n")).count() <= 1,
                "{once}: {text}"
            );
        }
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(all.into()).unwrap();
        let events: Vec<Bytes> = splitter.collect();
        let whole = to_whole(dialect, &events).unwrap();
        check(dialect, &whole);
        if dialect == Dialect::Messages {
            let indices: Vec<u64> = events
                .iter()
                .filter_map(|e| crate::sse::Event::parse(e))
                .filter(|e| e.name == Some("content_block_start"))
                .map(|e| value(e.data.as_bytes())["index"].as_u64().unwrap())
                .collect();
            assert_eq!(indices, [0, 1, 2, 3]);
        }
        if dialect == Dialect::Responses {
            let numbers: Vec<u64> = events
                .iter()
                .filter_map(|e| crate::sse::Event::parse(e))
                .map(|e| {
                    value(e.data.as_bytes())["sequence_number"]
                        .as_u64()
                        .unwrap()
                })
                .collect();
            assert!(
                numbers.iter().copied().eq(0..numbers.len() as u64),
                "{numbers:?}"
            );
            assert!(text.contains(r#""id":"resp_1""#) && !text.contains("resp_2"));
        }
    }
}

#[test]
fn a_stream_of_one_round_is_what_it_was() {
    for (dialect, bodies) in ALL {
        let body = bodies[1].as_bytes();
        let mut weaver = Weaver::new(dialect);
        let events = to_stream(dialect, body, true).unwrap();
        let mut shown: Vec<Bytes> = Vec::new();
        for event in &events {
            shown.extend(weaver.push(event, &ours));
        }
        shown.push(weaver.finish());
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(shown.concat().into()).unwrap();
        let again: Vec<Bytes> = splitter.collect();
        assert_eq!(
            value(&to_whole(dialect, &again).unwrap()),
            value(&to_whole(dialect, &events).unwrap()),
            "{dialect:?}"
        );
    }
}

#[test]
fn a_turn_without_shown_calls_ends() {
    for (dialect, bodies) in ALL {
        let body = bodies[0]
            .replace(r#","Bash""#, "")
            .replace("Bash", "mcp__b__c");
        let rounds = [Round::read(dialect, body.clone().into()).unwrap()];
        let whole = merged(&rounds, &ours).unwrap();
        let answer = crate::translate::read_answer(dialect, &whole).unwrap();
        assert_eq!(
            answer.stop,
            Some(crate::chat::StopReason::EndTurn),
            "{dialect:?}"
        );
        let mut weaver = Weaver::new(dialect);
        for event in to_stream(dialect, body.as_bytes(), true).unwrap() {
            weaver.push(&event, &ours);
        }
        let end = String::from_utf8(weaver.finish().to_vec()).unwrap();
        assert!(
            !end.contains("\"tool_use\"") && !end.contains("\"tool_calls\""),
            "{end}"
        );
    }
}

/// A digest that is the text itself, as far as sixteen bytes go.
#[derive(Default)]
struct Plain(Vec<u8>);
impl Digest for Plain {
    fn update(&mut self, more: &[u8]) {
        self.0.extend_from_slice(more);
    }
    fn now(&self) -> [u8; 16] {
        let sum = self.0.iter().fold(7_u128, |sum, b| {
            sum.wrapping_mul(31).wrapping_add(u128::from(*b))
        });
        sum.to_le_bytes()
    }
}

fn asked(dialect: Dialect) -> Prompt {
    let body = match dialect {
        Dialect::Responses => r#"{"model":"m","input":"What time is it?"}"#,
        _ => {
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"What time is it?"}],"x":1.00}"#
        }
    };
    Prompt::parse(dialect, Operation::Generate, body.into()).unwrap()
}

#[test]
fn a_conversation_goes_on_and_is_restored() {
    for (dialect, [first, second]) in ALL {
        let first = round(dialect, first);
        // All calls of the first round are run here, for once.
        let outputs: Vec<(String, Output)> = first
            .calls()
            .iter()
            .map(|call| {
                (
                    call.id.clone(),
                    Output::text(format!("result of {}", call.id)),
                )
            })
            .collect();
        let told = results(dialect, &outputs, false);
        let earlier = format!("{},{told}", first.said());
        let next = go_on(&asked(dialect), &earlier, Choice::Auto).unwrap();
        assert!(
            next.facts().tool_results_pending(),
            "{dialect:?} {:?}",
            next.raw()
        );
        if dialect != Dialect::Responses {
            assert!(next.raw().ends_with(br#""x":1.00}"#));
        }

        let last = round(dialect, second);
        let rounds = [first.clone(), last.clone()];
        let hide_all = |_: &str| true;
        let visible = Round::read(dialect, merged(&rounds, &hide_all).unwrap()).unwrap();
        let hidden = Hidden {
            earlier,
            last: last.said(),
            results: String::new(),
        };
        let mut digest = Plain::default();
        assert!(shown(&asked(dialect), &mut digest).is_empty());
        let (calls, name) = visible.shown(&mut digest);
        assert!(calls.is_empty());

        let again = go_on(&asked(dialect), &visible.said(), Choice::Auto).unwrap();
        let user = match dialect {
            Dialect::Responses => {
                r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"Thanks"}]}"#
            }
            _ => r#"{"role":"user","content":"Thanks"}"#,
        };
        let again = go_on(&again, user, Choice::Auto).unwrap();
        let found = shown(&again, &mut Plain::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].digest, name, "{dialect:?}: known again");
        let whole = restored(&again, &[(found[0].clone(), &hidden)]).unwrap();
        // The very beginning that the provider has seen.
        let stem = next.raw().len()
            - if dialect == Dialect::Responses {
                2
            } else {
                r#"],"x":1.00}"#.len()
            };
        assert_eq!(whole.raw()[..stem], next.raw()[..stem], "{dialect:?}");
        assert!(String::from_utf8_lossy(whole.raw()).contains("result of t1"));
    }
}

#[test]
fn results_stand_beside_those_of_the_caller() {
    for (dialect, [first, _]) in ALL {
        let first = round(dialect, first);
        let output = [("t1".to_owned(), Output::text("noon"))];
        let hidden = Hidden {
            earlier: String::new(),
            last: first.said(),
            results: results(dialect, &output, true),
        };
        let visible = Round::read(
            dialect,
            merged(std::slice::from_ref(&first), &ours).unwrap(),
        )
        .unwrap();
        let again = go_on(&asked(dialect), &visible.said(), Choice::Auto).unwrap();
        let own = match dialect {
            Dialect::Messages => {
                r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"rainy"}]}"#
            }
            Dialect::ChatCompletions => r#"{"role":"tool","tool_call_id":"c1","content":"rainy"}"#,
            _ => r#"{"type":"function_call_output","call_id":"c1","output":"rainy"}"#,
        };
        let again = go_on(&again, own, Choice::Auto).unwrap();
        let found = shown(&again, &mut Plain::default());
        assert_eq!(found[0].calls, ["c1"]);
        let whole = restored(&again, &[(found[0].clone(), &hidden)]).unwrap();
        let body = String::from_utf8(whole.raw().to_vec()).unwrap();
        let place = |what: &str| {
            body.find(what)
                .unwrap_or_else(|| panic!("{what} in {body}"))
        };
        assert!(place("mcp__time__now") < place("noon"));
        assert!(place("noon") < place("rainy"), "{body}");
        if dialect == Dialect::Messages {
            let turns = value(body.as_bytes())["messages"].as_array().unwrap().len();
            assert_eq!(turns, 3, "one turn of results: {body}");
        }
    }
}

#[test]
fn tools_come_last_and_nothing_else_changes() {
    let tool = Tool::new("time", "now", "Tells the time.", r#"{"type":"object"}"#);
    for (dialect, own) in [
        (Dialect::Messages, r#"{"name":"Bash","input_schema":{}}"#),
        (
            Dialect::ChatCompletions,
            r#"{"type":"function","function":{"name":"Bash"}}"#,
        ),
        (Dialect::Responses, r#"{"type":"function","name":"Bash"}"#),
    ] {
        let prompt = asked(dialect);
        let offered = offer(&prompt, std::slice::from_ref(&tool))
            .unwrap()
            .unwrap();
        assert_eq!(names(&offered), ["mcp__time__now"]);
        assert_eq!(offered.facts().tool_count, 1);
        let body = format!(
            r#"{{"tools":[{own}],{}"#,
            &std::str::from_utf8(prompt.raw()).unwrap()[1..]
        );
        let prompt = Prompt::parse(dialect, Operation::Generate, body.into()).unwrap();
        let offered = offer(&prompt, std::slice::from_ref(&tool))
            .unwrap()
            .unwrap();
        assert_eq!(names(&offered), ["Bash", "mcp__time__now"]);
        let same = prompt.facts().tools_span.clone().unwrap().end as usize - 1;
        assert_eq!(offered.raw()[..same], prompt.raw()[..same]);
        let more = r#"{"type":"message","role":"user","content":"x"}"#;
        let forbidden = go_on(&offered, more, Choice::None).unwrap();
        assert!(
            offer(&forbidden, std::slice::from_ref(&tool))
                .unwrap()
                .is_none(),
            "{dialect:?}"
        );
        assert!(offer(&prompt, &[]).unwrap().is_none());
    }
}
