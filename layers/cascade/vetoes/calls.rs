//! What is plainly wrong with tool calls.
use super::super::{Draft, draft::Asked, schemas::Fault};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{borrow::Cow, collections::HashMap};
use tierway_services::chat::{PartKind, Prompt, ToolCall};

/// As many turns in a row with one and the same call are a loop.
const LOOP: usize = 2;

/// What is wrong with the calls of a whole answer.
pub(super) fn fault(draft: &Draft<'_>) -> Option<&'static str> {
    let calls = draft.tool_calls();
    if calls.is_empty() {
        return None;
    }
    draft.asked(|asked| {
        let found = calls.iter().find_map(|call| one(call, asked));
        found.or_else(|| repeated(calls, draft.request().body()))
    })
}

/// What is certain to be wrong of calls whose last one may still be growing.
pub(super) fn certain(draft: &Draft<'_>) -> Option<&'static str> {
    let calls = draft.tool_calls();
    let unknown = |call: &ToolCall| draft.asked(|asked| asked.tools().find(&call.name).is_err());
    if calls.iter().any(unknown) {
        return Some("unknown_tool");
    }
    let malformed = calls.iter().any(|call| !begins_object(&call.arguments));
    malformed.then_some("invalid_json")
}

fn one(call: &ToolCall, asked: &Asked<'_>) -> Option<&'static str> {
    let Ok(tool) = asked.tools().find(&call.name) else {
        return Some("unknown_tool");
    };
    if !is_object(&call.arguments) {
        return Some("invalid_json");
    }
    let fault = tool?.fault(&arguments(&call.arguments)?)?;
    Some(match fault {
        Fault::Missing => "missing_argument",
        Fault::Unknown => "unknown_argument",
        Fault::Type => "argument_type",
        Fault::Value => "argument_value",
        Fault::Other => "argument_schema",
    })
}

/// Whether a tool call's arguments are a JSON object. A tool without parameters may be called with no text at all.
fn is_object(arguments: &str) -> bool {
    arguments.trim().is_empty()
        || serde_json::from_str::<HashMap<Cow<'_, str>, IgnoredAny>>(arguments).is_ok()
}

/// Whether these can still become a JSON object.
fn begins_object(arguments: &str) -> bool {
    let text = arguments.trim_start();
    (text.is_empty() || text.starts_with('{')) && super::begins_json(text)
}

fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).ok()
}

/// Calls that were made twice in one answer, or in each of the last turns.
fn repeated(calls: &[ToolCall], prompt: &Prompt) -> Option<&'static str> {
    let made: Vec<(&str, Option<Value>)> = calls
        .iter()
        .map(|call| (call.name.as_str(), arguments(&call.arguments)))
        .collect();
    let twice = made
        .iter()
        .enumerate()
        .any(|(i, call)| made.iter().take(i).any(|other| other == call));
    if twice {
        return Some("duplicate_call");
    }
    let turns = prompt.facts().turns.iter().rev();
    let mut turns = turns.filter(|turn| turn.has(PartKind::ToolUse)).take(LOOP);
    let mut before = 0;
    let again = turns.all(|turn| {
        before += 1;
        let parts = turn.parts.iter().filter(|p| p.kind == PartKind::ToolUse);
        let mut parts = parts.filter_map(|part| past(prompt.json(&part.span)));
        parts.any(|(name, arguments)| {
            made.iter()
                .any(|call| call.0 == name && call.1.as_ref() == Some(&arguments))
        })
    });
    (again && before == LOOP).then_some("looping_call")
}

/// A call in the conversation, in whichever dialect: its name and its arguments.
fn past(json: &str) -> Option<(String, Value)> {
    let call: Value = serde_json::from_str(json).ok()?;
    let function = call.get("function").unwrap_or(&call);
    let name = function.get("name")?.as_str()?.to_owned();
    let given = function
        .get("arguments")
        .or_else(|| function.get("input"))?;
    let arguments = match given {
        Value::String(text) => arguments(text)?,
        other => other.clone(),
    };
    Some((name, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chat_request, messages_request};
    use serde_json::json;
    use std::time::Duration;
    use tierway_services::chat::{Answer, Request};

    fn weather() -> Value {
        json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
            "required": ["city"]})
    }
    fn chat() -> Request {
        chat_request(&json!({"model": "m", "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": weather()}}]}).to_string())
    }
    fn messages(turns: Value) -> Request {
        messages_request(
            &json!({"model": "m", "max_tokens": 9, "messages": turns,
            "tools": [{"name": "weather", "input_schema": weather()}]})
            .to_string(),
        )
    }
    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall {
            id: "c".into(),
            name: name.into(),
            arguments: arguments.into(),
        }
    }
    fn judged(req: &Request, calls: Vec<ToolCall>) -> Option<&'static str> {
        let mut answer = Answer::default();
        answer.tool_calls = calls;
        fault(&Draft::new(&answer, req, Duration::ZERO))
    }

    #[test]
    fn calls_are_held_to_their_tools() {
        let plain = messages(json!([{"role": "user", "content": "hi"}]));
        for (name, arguments, expected) in [
            ("weather", r#"{"city":"Paris"}"#, None),
            ("weather", r#"{"city":"Paris","unit":"C","days":3}"#, None),
            ("wether", r#"{"city":"Paris"}"#, Some("unknown_tool")),
            ("weather", r#"{"city":"Paris""#, Some("invalid_json")),
            ("weather", "{}", Some("missing_argument")),
            ("weather", "", Some("missing_argument")),
            (
                "weather",
                r#"{"city":"Paris","zip":1}"#,
                Some("unknown_argument"),
            ),
            ("weather", r#"{"city":7}"#, Some("argument_type")),
            (
                "weather",
                r#"{"city":"Paris","unit":"K"}"#,
                Some("argument_value"),
            ),
        ] {
            for req in [&chat(), &plain] {
                assert_eq!(
                    judged(req, vec![call(name, arguments)]),
                    expected,
                    "{name} {arguments}"
                );
            }
        }
        let same = vec![
            call("weather", r#"{"city":"Paris"}"#),
            call("weather", r#"{ "city": "Paris" }"#),
        ];
        assert_eq!(judged(&plain, same), Some("duplicate_call"));
    }

    #[test]
    fn tools_that_cannot_be_read_are_not_held_against_a_call() {
        let odd = messages_request(
            r#"{"model":"m","max_tokens":9,"messages":[],"tools":[{"type":"x"},{"name":"f","input_schema":{"type":7}}]}"#,
        );
        assert_eq!(judged(&odd, vec![call("g", "{}")]), None);
        assert_eq!(judged(&odd, vec![call("f", r#"{"a":1}"#)]), None);
    }

    #[test]
    fn the_same_call_over_and_over_is_a_loop() {
        let turn = |city: &str| {
            json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {"city": city}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "?"}]}])
        };
        let after = |cities: &[&str]| {
            let mut turns = vec![json!({"role": "user", "content": "hi"})];
            for city in cities {
                turns.extend(turn(city).as_array().unwrap().clone());
            }
            messages(turns.into())
        };
        for (before, expected) in [
            (&["Paris"][..], None),
            (&["Paris", "Rome"], None),
            (&["Paris", "Paris"], Some("looping_call")),
            (&["Rome", "Paris", "Paris"], Some("looping_call")),
        ] {
            let again = vec![call("weather", r#"{"city":"Paris"}"#)];
            assert_eq!(judged(&after(before), again), expected, "{before:?}");
        }
    }

    #[test]
    fn what_is_wrong_already_is_seen_early() {
        let req = chat();
        let early = |calls: Vec<ToolCall>| {
            let mut answer = Answer::default();
            answer.tool_calls = calls;
            certain(&Draft::new(&answer, &req, Duration::ZERO).partial())
        };
        for (name, arguments, expected) in [
            ("weather", "", None),
            ("weather", r#"{"city":"Pa"#, None),
            ("weather", r#"{"city":"Paris"}"#, None),
            ("weather", r#"{"city":}"#, Some("invalid_json")),
            ("weather", "[", Some("invalid_json")),
            ("wether", "", Some("unknown_tool")),
        ] {
            assert_eq!(
                early(vec![call(name, arguments)]),
                expected,
                "{name} {arguments}"
            );
        }
    }
}
