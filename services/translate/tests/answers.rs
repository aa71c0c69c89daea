use super::{asked, fixtures, folder, other, pretty, prompt_of, steady};
use crate::{
    chat::{Kind, StopReason},
    dialect::Dialect,
    translate::{answer, read_answer, summary},
};
use bytes::Bytes;

#[test]
fn golden() {
    for dialect in [Dialect::Messages, Dialect::ChatCompletions] {
        for (name, body) in fixtures(&folder("answers", dialect)) {
            let body = Bytes::from(body);
            let to = other(dialect);
            let (sent, told) = answer(dialect, to, &body, &asked(to)).unwrap();
            assert!(
                told.complete && told.id.is_some() && told.model.is_some(),
                "{name}"
            );
            let shown = steady(&pretty(&sent));
            insta::assert_snapshot!(format!("{}-answer-{name}", dialect.as_str()), shown);
            let (same, _) = answer(dialect, dialect, &body, &asked(dialect)).unwrap();
            assert_eq!(same.as_ptr(), body.as_ptr());
            // Both sides read the same answer, thinking and the vendor's own blocks aside.
            let (here, there) = (
                read_answer(dialect, &body).unwrap(),
                read_answer(to, &sent).unwrap(),
            );
            assert_eq!(
                here.text.replace('\n', ""),
                there.text.replace('\n', ""),
                "{name}"
            );
            assert_eq!(here.tool_calls.len(), there.tool_calls.len(), "{name}");
            if let Some(usage) = here.usage {
                let there_usage = summary(to, &sent).usage.unwrap();
                assert_eq!(usage.input_total(), there_usage.input_total(), "{name}");
                assert_eq!(usage.cache_read, there_usage.cache_read, "{name}");
                assert_eq!(
                    (usage.output, usage.reasoning),
                    (there_usage.output, there_usage.reasoning),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn arguments_that_are_no_json_cross_and_come_back() {
    let (_, body) = fixtures("answers/chat")
        .into_iter()
        .find(|(n, _)| n == "everything")
        .unwrap();
    let body = Bytes::from(body);
    let (sent, _) = answer(
        Dialect::ChatCompletions,
        Dialect::Messages,
        &body,
        &asked(Dialect::Messages),
    )
    .unwrap();
    let (back, _) = answer(
        Dialect::Messages,
        Dialect::ChatCompletions,
        &sent,
        &asked(Dialect::ChatCompletions),
    )
    .unwrap();
    let arguments = |body: &[u8]| -> Vec<String> {
        let answer = read_answer(Dialect::ChatCompletions, body).unwrap();
        answer.tool_calls.into_iter().map(|c| c.arguments).collect()
    };
    assert_eq!(arguments(&body), arguments(&back));
    assert_eq!(arguments(&back)[1], r#"{"command": "echo"#);
}

#[test]
fn an_error_with_a_good_status_is_an_error() {
    for (from, body, kind) in [
        (
            Dialect::ChatCompletions,
            r#"{"error":{"message":"out of credit","code":402}}"#,
            Kind::InvalidRequest,
        ),
        (
            Dialect::Messages,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
            Kind::Overloaded,
        ),
        (Dialect::ChatCompletions, "<html>", Kind::Upstream),
        (Dialect::Messages, "{}", Kind::Upstream),
        (
            Dialect::ChatCompletions,
            r#"{"choices":[]}"#,
            Kind::Upstream,
        ),
    ] {
        let no = answer(
            from,
            other(from),
            &Bytes::from_static(body.as_bytes()),
            &asked(other(from)),
        );
        assert_eq!(no.unwrap_err().kind(), kind, "{body}");
    }
}

#[test]
fn a_call_without_a_name_is_no_answer() {
    let body = r#"{"choices":[{"message":{"tool_calls":[{"id":"x","type":"function","function":{"name":"","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let (chat, messages) = (Dialect::ChatCompletions, Dialect::Messages);
    let no = answer(chat, messages, &body.into(), &asked(messages)).unwrap_err();
    assert!(no.message().contains("without its name"), "{no}");
}

#[test]
fn log_probabilities_are_read() {
    let body = br#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop","logprobs":{"content":[
        {"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.5},{"token":"Yo","logprob":-1.5},{"token":"Oi","logprob":-3}]},
        {"token":"!","logprob":-1e-3,"top_logprobs":[]}]}}]}"#;
    let answer = read_answer(Dialect::ChatCompletions, body).unwrap();
    assert_eq!(answer.stop, Some(StopReason::EndTurn));
    assert_eq!(answer.logprobs.len(), 2);
    assert_eq!(
        (answer.logprobs[0].logprob, answer.logprobs[0].runner_up),
        (-0.5, Some(-1.5))
    );
    assert_eq!(
        (answer.logprobs[1].logprob, answer.logprobs[1].runner_up),
        (-0.001, None)
    );
}

#[test]
fn callers_of_functions_get_a_function_call() {
    let prompt = prompt_of(
        Dialect::ChatCompletions,
        r#"{"model":"m","messages":[],"functions":[{"name":"f"}]}"#,
    );
    let body = Bytes::from_static(br#"{"id":"msg_1","type":"message","model":"m","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}"#);
    let (sent, _) = answer(Dialect::Messages, Dialect::ChatCompletions, &body, &prompt).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["choices"][0]["finish_reason"], "function_call");
    assert_eq!(
        sent["choices"][0]["message"]["function_call"]["arguments"],
        r#"{"a":1}"#
    );
}

#[test]
fn a_shortened_tool_name_comes_back_whole() {
    let long = "mcp__a_server_with_a_long_name__and_a_tool_with_an_even_longer_one";
    let prompt = prompt_of(
        Dialect::Messages,
        &format!(
            r#"{{"model":"m","messages":[],"tools":[{{"name":"{long}","input_schema":{{}}}}]}}"#
        ),
    );
    let sent =
        super::super::request(&prompt, Dialect::ChatCompletions, "m", &Default::default()).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    let short = sent["tools"][0]["function"]["name"].as_str().unwrap();
    let body = format!(
        r#"{{"choices":[{{"message":{{"tool_calls":[{{"id":"c","function":{{"name":"{short}","arguments":"{{}}"}}}}]}},"finish_reason":"stop"}}]}}"#
    );
    let (got, told) = answer(
        Dialect::ChatCompletions,
        Dialect::Messages,
        &Bytes::from(body),
        &prompt,
    )
    .unwrap();
    let got: serde_json::Value = serde_json::from_slice(&got).unwrap();
    assert_eq!(got["content"][0]["name"], long);
    assert_eq!(got["stop_reason"], "tool_use");
    assert_eq!(told.usage, None);
}
