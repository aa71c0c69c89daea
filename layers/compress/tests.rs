use super::*;
use crate::testing::{body, chat_request, messages_request, reply, request};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Mutex};
use tierway_services::{chat::Notes, dialect::Dialect};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_test::mock;

const PRETTY: &str = "{\n    \"state\": \"open\",\n    \"number\": 1.00,\n    \"title\": \"a  b\",\n    \"labels\": [ ]\n}\n";
const SMALL: &str = r#"{"state":"open","number":1.00,"title":"a  b","labels":[]}"#;

/// A call of a tool and what it gave, as each dialect has them.
fn turns(dialect: Dialect, id: &str, tool: &str, arguments: &Value, result: &Value) -> Vec<Value> {
    match dialect {
        Dialect::Messages => vec![
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": tool, "input": arguments}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result}, {"type": "text", "text": "go   on  "}]}),
        ],
        Dialect::ChatCompletions => vec![
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": tool, "arguments": arguments.to_string()}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": result}),
        ],
        _ => vec![
            json!({"type": "function_call", "call_id": id, "name": tool, "arguments": arguments.to_string()}),
            json!({"type": "function_call_output", "call_id": id, "output": result}),
        ],
    }
}

fn conversation(dialect: Dialect, turns: &[Value]) -> String {
    let key = if dialect == Dialect::Responses {
        "input"
    } else {
        "messages"
    };
    let mut turns: Vec<String> = turns.iter().map(Value::to_string).collect();
    turns.insert(0, json!({"role": "user", "content": "look   "}).to_string());
    format!(
        r#"{{"model" : "m", "max_tokens":1, "x":1.00, "{key}":[{}]}}"#,
        turns.join(", ")
    )
}

const DIALECTS: [Dialect; 3] = [
    Dialect::Messages,
    Dialect::ChatCompletions,
    Dialect::Responses,
];

/// What goes on, and what is said of it.
async fn sent(layer: CompressLayer, req: chat::Request) -> (String, Option<String>) {
    let service =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(|req: chat::Request| async move {
                let raw: Bytes = req.body().raw().clone();
                Ok::<_, Infallible>(chat::Response::new(chat::Reply::whole(raw)))
            }));
    let res = service.oneshot(req).await.unwrap();
    let says = res.headers().get(HEADER).cloned();
    let says = says.map(|says| says.to_str().unwrap().to_owned());
    (body(res).await, says)
}

#[tokio::test]
async fn results_get_smaller_in_every_dialect_and_nothing_else_changes() {
    for dialect in DIALECTS {
        let kind = if dialect == Dialect::Responses {
            "input_text"
        } else {
            "text"
        };
        for (result, wanted) in [
            (json!(PRETTY), json!(SMALL)),
            (
                json!([{"type": kind, "text": PRETTY}, {"type": "image", "source": PRETTY}]),
                json!([{"type": kind, "text": SMALL}, {"type": "image", "source": PRETTY}]),
            ),
        ] {
            let arguments = json!({"query": PRETTY});
            let before = conversation(dialect, &turns(dialect, "1", "search", &arguments, &result));
            let (after, says) = sent(CompressLayer::new(), request(dialect, &before)).await;
            let wanted = conversation(dialect, &turns(dialect, "1", "search", &arguments, &wanted));
            assert_eq!(after, wanted, "{dialect:?}");
            let says = says.unwrap();
            let (total, parts) = says.split_once("; ").unwrap();
            assert_eq!(parts, format!("json={total}"), "{says}");
        }
    }
}

#[tokio::test]
async fn what_is_read_from_a_file_stays_as_it_is() {
    for dialect in DIALECTS {
        let read = turns(
            dialect,
            "1",
            "Read",
            &json!({"file_path": "a.json"}),
            &json!(PRETTY),
        );
        // Of a call that is not there nobody knows what it was.
        let mut orphan = turns(dialect, "1", "search", &json!({}), &json!(PRETTY));
        orphan.remove(0);
        for turns in [read, orphan] {
            let before = conversation(dialect, &turns);
            let req = request(dialect, &before);
            let raw = req.body().raw().clone();
            let inner = service_fn(move |req: chat::Request| {
                assert_eq!(req.body().raw().as_ptr(), raw.as_ptr(), "copied");
                async { Ok::<_, Infallible>(reply("ok")) }
            });
            let res = CompressLayer::new()
                .layer(inner)
                .oneshot(req)
                .await
                .unwrap();
            assert!(!res.headers().contains_key(HEADER));
        }
    }
}

#[tokio::test]
async fn the_second_of_two_is_a_reference() {
    let file = json!("fn main() {}\n".repeat(40));
    for dialect in DIALECTS {
        let mut all = turns(dialect, "1", "Read", &json!({"path": "a.rs"}), &file);
        all.extend(turns(
            dialect,
            "2",
            "Read",
            &json!({"path": "b.rs"}),
            &json!("fn b() {}\n".repeat(40)),
        ));
        let kept = all.clone();
        all.extend(turns(dialect, "3", "Read", &json!({"path": "a.rs"}), &file));
        let (after, says) = sent(
            CompressLayer::new(),
            request(dialect, &conversation(dialect, &all)),
        )
        .await;
        let mut wanted = kept;
        let told = "[identical to tool result 1 above: Read {\"path\":\"a.rs\"}]";
        wanted.extend(turns(
            dialect,
            "3",
            "Read",
            &json!({"path": "a.rs"}),
            &json!(told),
        ));
        assert_eq!(after, conversation(dialect, &wanted));
        assert!(says.unwrap().contains("; duplicate="));
        let off = CompressLayer::new().without(Transformation::Duplicate);
        assert_eq!(
            sent(off, request(dialect, &conversation(dialect, &all)))
                .await
                .1,
            None
        );
    }
}

#[tokio::test]
async fn each_transformation_can_be_left_out() {
    let rows: Vec<Value> = (0..9)
        .map(|n| json!({"number": n, "state": "open"}))
        .collect();
    let table = serde_json::to_string_pretty(&rows).unwrap();
    let bar =
        "\x1b[32m  0 %\r 50 %\r100 % of everything is done\x1b[0m, and then some more of it\n";
    let trailing = "some text with spaces       \n".repeat(5);
    for (text, transformation) in [
        (PRETTY, Transformation::Json),
        (&table, Transformation::Table),
        (bar, Transformation::Terminal),
        (&trailing, Transformation::Trailing),
    ] {
        let dialect = Dialect::ChatCompletions;
        let before = conversation(
            dialect,
            &turns(dialect, "1", "run", &json!({}), &json!(text)),
        );
        let told = format!("; {}=", transformation.as_str());
        let (_, says) = sent(CompressLayer::new(), chat_request(&before)).await;
        assert!(says.unwrap().contains(&told), "{text}");
        let off = CompressLayer::new().without(transformation);
        let (_, says) = sent(off, chat_request(&before)).await;
        assert!(!says.unwrap_or_default().contains(&told), "{text}");
    }
}

#[tokio::test]
async fn what_is_saved_is_written_down_and_told() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let layer = CompressLayer::new().on_saved({
        let heard = heard.clone();
        move |by, tokens| heard.lock().unwrap().push((by, tokens))
    });
    let dialect = Dialect::Messages;
    let before = conversation(
        dialect,
        &turns(dialect, "1", "search", &json!({}), &json!(PRETTY)),
    );
    let mut req = messages_request(&before);
    let (journal, early) = (Journal::default(), EarlyHead::default());
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    Notes::of_mut(&mut req).early = Some(early.clone());
    let (_, says) = sent(layer, req).await;
    let heard = heard.lock().unwrap().clone();
    let [(Transformation::Json, saved)] = *heard else {
        panic!("{heard:?}")
    };
    assert!(saved > 3);
    assert_eq!(journal.read(|j| j.compressed), saved);
    assert_eq!(says.unwrap(), early.said()[HEADER].to_str().unwrap());
}

#[tokio::test]
async fn the_held_out_and_the_counted_stay_as_they_are() {
    let dialect = Dialect::Messages;
    let before = conversation(
        dialect,
        &turns(dialect, "1", "search", &json!({}), &json!(PRETTY)),
    );
    let mut held_out = messages_request(&before);
    Notes::of_mut(&mut held_out).holdout = Some(Holdout::Baseline);
    assert_eq!(
        sent(CompressLayer::new(), held_out).await,
        (before.clone(), None)
    );
    let counted = Prompt::parse(dialect, Operation::CountTokens, before.clone().into()).unwrap();
    let counted = chat::Request::new(counted);
    assert_eq!(sent(CompressLayer::new(), counted).await, (before, None));
}

#[tokio::test]
async fn it_is_ready_when_the_inner_service_is() {
    let layer = CompressLayer::new();
    let (mut service, mut handle) = mock::spawn_layer::<chat::Request, chat::Response, _>(layer);
    handle.allow(0);
    tokio_test::assert_pending!(service.poll_ready());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
}

/// Results as tools give them, and as no tool does.
fn result() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,200}",
        Just(PRETTY.to_owned()),
        Just("line of a file\n".repeat(30)),
        (3..9_u32).prop_map(|n| {
            let rows: Vec<Value> = (0..n)
                .map(|n| json!({"number": n, "state": "open"}))
                .collect();
            serde_json::to_string_pretty(&rows).unwrap()
        }),
        "(ok|\x1b\\[1m|\r|\n|   ){0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_new_turn_changes_nothing_of_those_before(
        steps in prop::collection::vec((result(), "Read|Bash|search"), 1..6),
        dialect in prop_oneof![Just(Dialect::Messages), Just(Dialect::ChatCompletions), Just(Dialect::Responses)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut all, mut before) = (Vec::new(), String::new());
        for (n, (result, tool)) in steps.iter().enumerate() {
            all.extend(turns(dialect, &n.to_string(), tool, &json!({"q": n}), &json!(result)));
            let raw = conversation(dialect, &all);
            let (after, _) = runtime.block_on(sent(CompressLayer::new(), request(dialect, &raw)));
            prop_assert!(after.len() <= raw.len());
            prop_assert!(serde_json::from_str::<Value>(&after).is_ok());
            // All but the brackets that close it.
            let begun = before.strip_suffix("]}").unwrap_or_default();
            prop_assert!(after.starts_with(begun));
            before = after;
        }
    }
}
