mod ends;
mod rules;

use super::*;
use crate::testing::{body, request};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tierway_services::{
    chat::{Journal, Notes, Prompt, Reply, Tenant},
    dialect::Dialect,
    tools::{Call, Output, Tool},
    translate,
};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// Tools that tell what they were asked; one waits for ever.
#[derive(Clone, Default)]
struct Tools {
    calls: Arc<Mutex<Vec<String>>>,
    waiting: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);
impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Toolbox for Tools {
    fn tools(&self) -> Arc<[Tool]> {
        let schema = r#"{"type":"object"}"#;
        [
            Tool::new("time", "now", "Tells the time.", schema).read_only(true),
            Tool::new("time", "wait", "Waits for ever.", schema).read_only(true),
            Tool::new("files", "write", "Writes a file.", schema),
        ]
        .into()
    }
    async fn call(&self, call: Call) -> Output {
        let name = call.tool.full_name();
        self.calls
            .lock()
            .unwrap()
            .push(format!("{name} {}", call.arguments));
        if name == "time.wait" {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(self.waiting.clone());
            std::future::pending::<()>().await;
        }
        Output::text(format!("{name} says noon"))
    }
}

/// A model that gives these answers, one a round, as a stream where one is asked for; and what it was asked.
#[derive(Clone, Default)]
struct Model {
    answers: Arc<Mutex<VecDeque<String>>>,
    asked: Arc<Mutex<Vec<Prompt>>>,
}

type Service = BoxCloneSyncService<chat::Request, chat::Response, Infallible>;

impl Model {
    fn new(answers: impl IntoIterator<Item = String>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Self::default()
        }
    }
    fn asked(&self, round: usize) -> String {
        let asked = self.asked.lock().unwrap();
        String::from_utf8(asked[round].raw().to_vec()).unwrap()
    }
    fn rounds(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
    fn under(&self, layer: McpLayer<Tools>) -> Service {
        let model = self.clone();
        let service = tower::service_fn(move |req: chat::Request| {
            let model = model.clone();
            async move {
                let facts = req.body().facts();
                let (dialect, stream) = (facts.dialect, facts.stream);
                model.asked.lock().unwrap().push(req.body().clone());
                let answer = model.answers.lock().unwrap().pop_front().unwrap();
                let mut res = chat::Response::new(Reply::whole(answer.clone()));
                if stream {
                    let events = translate::to_stream(dialect, answer.as_bytes(), true).unwrap();
                    // Cut in the middle of an event, as networks do.
                    let all: Bytes = events.concat().into();
                    let (a, b) = (all.slice(..all.len() / 2), all.slice(all.len() / 2..));
                    let pieces =
                        [a, b].map(|piece| Ok::<_, Infallible>(http_body::Frame::data(piece)));
                    let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
                    *res.body_mut() = Reply::stream(body);
                    let kind = HeaderValue::from_static("text/event-stream");
                    res.headers_mut().insert("content-type", kind);
                }
                Ok::<_, Infallible>(res)
            }
        });
        BoxCloneSyncService::new(layer.layer(service))
    }
}

/// An answer in Messages: some text, then calls.
fn says(text: &str, calls: &[(&str, &str, &str)]) -> String {
    let mut content = Vec::new();
    if !text.is_empty() {
        content.push(serde_json::json!({"type": "text", "text": text}));
    }
    for (id, name, input) in calls {
        let input: serde_json::Value = serde_json::from_str(input).unwrap();
        content
            .push(serde_json::json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    let stop = if calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    serde_json::json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5}})
    .to_string()
}

const NOW: (&str, &str, &str) = ("t1", "mcp__time__now", "{}");
const BASH: (&str, &str, &str) = ("c1", "Bash", "{}");
const WRITE: (&str, &str, &str) = ("w1", "mcp__files__write", r#"{"path":"a"}"#);

fn ask(messages: &str, stream: bool) -> chat::Request {
    let body = format!(
        r#"{{"model":"m","max_tokens":99,"stream":{stream},"tools":[{{"name":"Bash","input_schema":{{"type":"object"}}}}],"messages":{messages}}}"#
    );
    let mut req = request(Dialect::Messages, &body);
    req.headers_mut()
        .insert(MCP, HeaderValue::from_static("on"));
    Notes::of_mut(&mut req).journal = Some(Journal::default());
    req
}

const HELLO: &str = r#"[{"role":"user","content":"What time is it?"}]"#;

fn layer(tools: &Tools) -> McpLayer<Tools> {
    McpLayer::new(tools.clone())
}

async fn answer(service: &Service, req: chat::Request) -> serde_json::Value {
    let res = service.clone().oneshot(req).await.unwrap();
    serde_json::from_str(&body(res).await).unwrap()
}

/// What a stream shows, as the whole answer that it brings.
async fn streamed(service: &Service, req: chat::Request) -> (String, serde_json::Value) {
    let res = service.clone().oneshot(req).await.unwrap();
    let text = body(res).await;
    let mut splitter = tierway_services::sse::Splitter::new(1 << 20);
    splitter.push(text.clone().into()).unwrap();
    let events: Vec<Bytes> = splitter.collect();
    let whole = translate::to_whole(Dialect::Messages, &events).unwrap();
    (text, serde_json::from_slice(&whole).unwrap())
}

#[tokio::test]
async fn who_does_not_ask_is_not_touched() {
    let tools = Tools::default();
    let model = Model::new([says("hi", &[]), says("hi", &[])]);
    let service = model.under(layer(&tools));
    for said in [None, Some("off")] {
        let mut req = ask(HELLO, false);
        req.headers_mut().remove(MCP);
        if let Some(said) = said {
            req.headers_mut()
                .insert(MCP, HeaderValue::from_static(said));
        }
        let sent = req.body().raw().clone();
        let res = service.clone().oneshot(req).await.unwrap();
        assert!(!res.headers().contains_key(MCP));
        let asked = model.asked.lock().unwrap().last().unwrap().raw().clone();
        assert_eq!(asked.as_ptr(), sent.as_ptr(), "the very same bytes");
    }
}

#[tokio::test]
async fn calls_are_run_and_the_model_is_asked_again() {
    let tools = Tools::default();
    let model = Model::new([says("Let me look.", &[NOW]), says("Noon.", &[])]);
    let service = model.under(layer(&tools));
    let req = ask(HELLO, false);
    let journal = Journal::of(&req).unwrap().clone();
    let whole = answer(&service, req).await;
    assert_eq!(whole["content"].as_array().unwrap().len(), 2, "{whole}");
    assert_eq!(whole["content"][1]["text"], "Noon.");
    assert_eq!(whole["stop_reason"], "end_turn");
    assert_eq!(whole["usage"]["input_tokens"], 20);
    assert!(model.asked(0).contains(r#"{"name":"mcp__files__write""#));
    let again = model.asked(1);
    assert!(
        again.contains(r#""tool_use_id":"t1","content":"time.now says noon""#),
        "{again}"
    );
    let same = model.asked(0).len() - "]}".len();
    assert_eq!(again[..same], model.asked(0)[..same], "the beginning stays");
    journal.read(|entries| {
        let run = &entries.tool_runs[0];
        assert_eq!(
            (&*run.server, &*run.tool, run.outcome),
            ("time", "now", "ok")
        );
        assert!(run.got > 0);
    });
}

#[tokio::test]
async fn a_stream_is_one_stream() {
    let tools = Tools::default();
    let model = Model::new([
        says("Let me look.", &[NOW, ("t2", "mcp__time__now", "{}")]),
        says("Noon.", &[BASH]),
    ]);
    let service = model.under(layer(&tools));
    let (text, whole) = streamed(&service, ask(HELLO, true)).await;
    for once in [
        "event: message_start",
        "event: message_delta",
        "event: message_stop",
    ] {
        assert_eq!(text.matches(once).count(), 1, "{text}");
    }
    assert!(!text.contains("mcp__"), "{text}");
    let content = whole["content"].as_array().unwrap();
    assert_eq!(content.len(), 3, "{whole}");
    assert_eq!(content[2]["name"], "Bash");
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(whole["usage"]["output_tokens"], 10);
    assert_eq!(tools.calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_turn_that_calls_both_is_restored() {
    for stream in [false, true] {
        let tools = Tools::default();
        let model = Model::new([
            says("Both.", &[NOW, BASH]),
            says("Done.", &[]),
            says("Bye.", &[]),
        ]);
        let service = model.under(layer(&tools));
        let whole = if stream {
            streamed(&service, ask(HELLO, true)).await.1
        } else {
            answer(&service, ask(HELLO, false)).await
        };
        assert_eq!(model.rounds(), 1, "the caller's turn first");
        assert_eq!(whole["stop_reason"], "tool_use");
        let content = whole["content"].clone();
        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"ok"}]}"#;
        let back = format!(
            r#"[{{"role":"user","content":"What time is it?"}},{{"role":"assistant","content":{content}}},{result}]"#
        );
        answer(&service, ask(&back, false)).await;
        let asked = model.asked(1);
        let place = |what: &str| {
            asked
                .find(what)
                .unwrap_or_else(|| panic!("{what}: {asked}"))
        };
        assert!(place(r#""id":"t1""#) < place("says noon"));
        assert!(place("says noon") < place(r#""tool_use_id":"c1""#));
        // And in the turn after that, whose tenant is another's: nothing.
        let mut other = ask(&back, false);
        Notes::of_mut(&mut other).tenant = Some(Tenant::new("other"));
        answer(&service, other).await;
        assert!(!model.asked(2).contains("says noon"));
    }
}

#[tokio::test]
async fn what_was_done_is_known_in_the_next_turn() {
    let tools = Tools::default();
    let model = Model::new([
        says("Let me look.", &[NOW]),
        says("Noon.", &[]),
        says("You are welcome.", &[]),
    ]);
    let service = model.under(layer(&tools));
    let whole = answer(&service, ask(HELLO, false)).await;
    // A client may merge blocks and space them as it likes.
    let said: Vec<&str> = whole["content"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|b| b["text"].as_str())
        .collect();
    let said = serde_json::Value::from(said.join("\n\n"));
    let back = format!(
        r#"[{{"role":"user","content":"What time is it?"}},{{"role":"assistant","content":{said}}},{{"role":"user","content":"Thanks"}}]"#
    );
    answer(&service, ask(&back, false)).await;
    let same = model.asked(1).len() - "]}".len();
    assert_eq!(
        model.asked(2)[..same],
        model.asked(1)[..same],
        "what the provider has cached"
    );
    let strange = back.replace("What time", "Which time");
    model.answers.lock().unwrap().push_back(says("?", &[]));
    answer(&service, ask(&strange, false)).await;
    assert!(
        !model.asked(3).contains("says noon"),
        "another conversation"
    );
}

#[tokio::test]
async fn an_error_in_a_later_round_is_told() {
    let tools = Tools::default();
    for stream in [false, true] {
        let round = Arc::new(AtomicUsize::new(0));
        let service = tower::service_fn(move |req: chat::Request| {
            let first = round.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                let stream = req.body().facts().stream;
                let mut res = chat::Response::new(Reply::default());
                if first {
                    let answer = says("Let me look.", &[NOW]);
                    *res.body_mut() = Reply::whole(answer.clone());
                    if stream {
                        let events =
                            translate::to_stream(Dialect::Messages, answer.as_bytes(), true);
                        *res.body_mut() = Reply::whole(events.unwrap().concat());
                        let kind = HeaderValue::from_static("text/event-stream");
                        res.headers_mut().insert("content-type", kind);
                    }
                } else {
                    let no = chat::Refusal::new(chat::Kind::Overloaded, "later");
                    res = no.into_response(Dialect::Messages);
                }
                Ok::<_, Infallible>(res)
            }
        });
        let service = layer(&tools).layer(service);
        let res = service.oneshot(ask(HELLO, stream)).await.unwrap();
        assert_eq!(res.status().is_success(), stream);
        let text = body(res).await;
        assert!(
            text.contains("overloaded_error") && text.contains("later"),
            "{text}"
        );
    }
}

#[test]
fn clones_are_shared_and_sendable() {
    fn check<T: Clone + Send + Sync>(_: &T) {}
    let tools = Tools::default();
    check(&layer(&tools));
    check(&layer(&tools).layer(()));
}
