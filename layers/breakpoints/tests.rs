use super::*;
use crate::testing::{body, reply};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tierway_services::{chat::Reply, dialect::Dialect, providers::Kind};
use tower::ServiceExt;

const OPUS: &str = "claude-opus-5"; // keeps 512 tokens and more
const HOUR: &str = r#"{"type":"ephemeral","ttl":"1h"}"#;

/// The layer over something that answers with the request that it got.
struct Bench {
    layer: CacheBreakpointLayer,
    seconds: Arc<AtomicU64>,
    kind: Kind,
    model: &'static str,
}

impl Bench {
    fn new(kind: Kind, model: &'static str) -> Self {
        let seconds = Arc::new(AtomicU64::new(0));
        let (start, clock) = (Instant::now(), seconds.clone());
        let layer = CacheBreakpointLayer::new(move |t| kind.prefix_cache(&t.model))
            .clock(move || start + Duration::from_secs(clock.load(Ordering::Relaxed)));
        Self {
            layer,
            seconds,
            kind,
            model,
        }
    }
    fn with(mut self, set: impl FnOnce(CacheBreakpointLayer) -> CacheBreakpointLayer) -> Self {
        self.layer = set(self.layer);
        self
    }
    fn wait(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }
    fn request(&self, dialect: Dialect, body: &str) -> chat::Request {
        let prompt = Prompt::parse(dialect, Operation::Generate, body.to_owned().into());
        let mut req = chat::Request::new(prompt.unwrap());
        let target = Target::new(self.kind.as_str(), self.model);
        Notes::of_mut(&mut req).target = Some(target);
        req
    }
    /// What was sent on, and what the answer says of it.
    async fn send(&self, dialect: Dialect, body: &str) -> (String, String) {
        self.call(self.request(dialect, body)).await
    }
    async fn call(&self, req: chat::Request) -> (String, String) {
        let echo = |req: chat::Request| async move {
            Ok::<_, Infallible>(chat::Response::new(Reply::whole(req.body().raw().clone())))
        };
        let service = self.layer.layer(tower::service_fn(echo));
        let res = service.oneshot(req).await.unwrap();
        let says = res.headers().get(HEADER);
        let says = says.map_or(String::new(), |v| v.to_str().unwrap().to_owned());
        (body(res).await, says)
    }
}

/// So many tokens of text, about.
fn words(tokens: usize) -> String {
    "word ".repeat(tokens * 4 / 5)
}

fn count(sent: &str) -> usize {
    sent.matches("\"cache_control\"").count()
}

fn messages(system: &str, turns: &[(&str, &str)]) -> String {
    let turns: Vec<Value> = turns
        .iter()
        .map(|(role, text)| json!({"role": role, "content": text}))
        .collect();
    json!({"model": "m", "max_tokens": 9, "system": system, "messages": turns}).to_string()
}

#[tokio::test]
async fn marks_stand_behind_system_and_last_turn() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let body = messages(&words(900), &[("user", "hi")]);
    let (sent, says) = bench.send(Dialect::Messages, &body).await;
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let mark = json!({"type": "ephemeral"});
    assert_eq!(sent["system"][0]["cache_control"], mark);
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], mark);
    assert!(
        says.starts_with("placed=2; ttl=5m; read=0; write=9"),
        "{says}"
    );
}

#[tokio::test]
async fn every_shape_is_marked_where_its_readers_look() {
    let long = words(900);
    let mark = json!({"type": "ephemeral"});
    for (dialect, body, path) in [
        (
            Dialect::Messages,
            json!({"model":"m","max_tokens":9,"tools":[{"name":"a","input_schema":{}},{"name":"b","description":long,"input_schema":{"x":[1]}}],"messages":[{"role":"user","content":[]}]}),
            "/tools/1/cache_control",
        ),
        (
            Dialect::Messages,
            json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":long},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"b","input":{}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"x"}]}]}]}),
            "/messages/2/content/0/cache_control",
        ),
        (
            Dialect::ChatCompletions,
            json!({"model":"m","messages":[{"role":"system","content":long},{"role":"user","content":""}]}),
            "/messages/0/content/0/cache_control",
        ),
        (
            Dialect::ChatCompletions,
            json!({"model":"m","messages":[{"role":"user","content":long},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"b","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"1","content":"done"}]}),
            "/messages/2/content/0/cache_control",
        ),
        (
            Dialect::ChatCompletions,
            json!({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":long},{"type":"image_url","image_url":{"url":"https://a/b.png"}}]}]}),
            "/messages/0/content/1/cache_control",
        ),
        (
            Dialect::Responses,
            json!({"model":"m","input":long}),
            "/input/0/content/0/cache_control",
        ),
        (
            Dialect::Responses,
            json!({"model":"m","input":[{"role":"developer","content":[{"type":"input_text","text":long}]},{"type":"function_call","call_id":"1","name":"b","arguments":"{}"},
                {"type":"function_call_output","call_id":"1","output":"done"}]}),
            "/input/2/cache_control",
        ),
    ] {
        let bench = Bench::new(Kind::Anthropic, OPUS);
        let (sent, says) = bench.send(dialect, &body.to_string()).await;
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent.pointer(path), Some(&mark), "{dialect:?} {path} {says}");
    }
}

#[tokio::test]
async fn what_is_not_marked_is_not_touched() {
    let long = words(900);
    let own = format!(
        r#"{{"model":"m","cache_control":{{"type":"ephemeral"}},"messages":[{{"role":"user","content":"{long}"}}]}}"#
    );
    let said = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"\"cache_control\" {long}"}}]}}"#
    );
    let short = messages("be brief", &[("user", "hi")]);
    let nowhere = messages("", &[("user", &long), ("assistant", "and")]);
    for (body, expected) in [
        (&own, "none; reason=client"),
        (&short, "none; reason=short"),
        (&nowhere, "none; reason=nowhere"),
    ] {
        let bench = Bench::new(Kind::Anthropic, OPUS);
        let (sent, says) = bench.send(Dialect::Messages, body).await;
        assert_eq!((&sent, &*says), (body, expected));
    }
    let bench = Bench::new(Kind::Anthropic, OPUS);
    assert_eq!(count(&bench.send(Dialect::Messages, &said).await.0), 1);
    for kind in [
        Kind::Ollama,
        Kind::Groq,
        Kind::AnthropicCompatible,
        Kind::OpenAi,
    ] {
        let bench = Bench::new(kind, OPUS);
        let body = messages(&long, &[("user", "hi")]);
        assert_eq!(
            bench.send(Dialect::Messages, &body).await,
            (body, String::new())
        );
    }
}

#[tokio::test]
async fn a_conversation_reads_what_it_has_written() {
    let price = |_: &Target| {
        Some(Price {
            input: Usd::per_million(3.0),
            cache_read: Some(Usd::per_million(0.3)),
            cache_write: Some(Usd::per_million(3.75)),
            ..Price::FREE
        })
    };
    let bench = Bench::new(Kind::Anthropic, OPUS).with(|layer| layer.prices(price));
    let system = words(1000);
    let first = messages(&system, &[("user", "one")]);
    let (_, says) = bench.send(Dialect::Messages, &first).await;
    // 1000 of the system and 1 of the turn, one read of each expected: 1001 x (2.7 - 0.75) / 1e6.
    assert_eq!(says, "placed=2; ttl=5m; read=0; write=1001; worth=0.001951");
    bench.wait(60);
    let second = messages(
        &system,
        &[("user", "one"), ("assistant", "two"), ("user", "more")],
    );
    let (sent, says) = bench.send(Dialect::Messages, &second).await;
    assert!(
        says.starts_with("placed=2; ttl=5m; read=1001; write=2; "),
        "{says}"
    );
    assert_eq!(count(&sent), 2);
    // Six minutes later nothing is left of it.
    bench.wait(6 * 60);
    let (_, says) = bench.send(Dialect::Messages, &second).await;
    assert!(says.starts_with("placed=2; ttl=5m; read=0; "), "{says}");
}

#[tokio::test]
async fn what_nobody_goes_on_from_is_not_written() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let ask = |i: usize| messages("be brief", &[("user", &format!("{i} {}", words(900)))]);
    let mut said = Vec::new();
    for i in 0..20 {
        said.push(bench.send(Dialect::Messages, &ask(i)).await.1);
    }
    assert!(said[0].starts_with("placed=1"), "{}", said[0]);
    assert_eq!(said[19], "none; reason=unpaid");
    // What is in the cache already is read all the same.
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let first = ask(0);
    bench.send(Dialect::Messages, &first).await;
    for i in 1..20 {
        bench.send(Dialect::Messages, &ask(i)).await;
    }
    let (_, says) = bench.send(Dialect::Messages, &first).await;
    assert!(says.starts_with("placed=1; ttl=5m; read=9"), "{says}");
}

#[tokio::test]
async fn those_who_come_back_late_are_kept_for_an_hour() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let system = words(2000);
    let mut says = String::new();
    for i in 0..40 {
        bench.wait(20 * 60);
        let body = messages(&system, &[("user", &format!("ask {i}"))]);
        let (sent, said) = bench.send(Dialect::Messages, &body).await;
        if said.contains("ttl=1h") {
            assert!(sent.contains(HOUR) && !sent.contains(r#"{"type":"ephemeral"}"#));
        }
        says = said;
    }
    assert!(says.contains("ttl=1h; read=2000; "), "{says}");
    // Where there is no such thing, five minutes do not pay.
    let bench = Bench::new(Kind::Databricks, "databricks-claude-sonnet-4-5");
    for i in 0..40 {
        bench.wait(20 * 60);
        let body = messages(&system, &[("user", &format!("ask {i}"))]);
        says = bench.send(Dialect::Messages, &body).await.1;
    }
    assert_eq!(says, "none; reason=unpaid");
}

#[tokio::test]
async fn what_is_out_of_sight_is_marked_again() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let system = words(900);
    let mut turns = vec![("user", "begin")];
    bench
        .send(Dialect::Messages, &messages(&system, &turns))
        .await;
    for _ in 0..12 {
        turns.extend([("assistant", "a"), ("user", "b")]);
    }
    let (sent, says) = bench
        .send(Dialect::Messages, &messages(&system, &turns))
        .await;
    assert!(says.starts_with("placed=3"), "{says}");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    for place in [
        "/system/0",
        "/messages/0/content/0",
        "/messages/24/content/0",
    ] {
        assert!(sent.pointer(place).unwrap().get("cache_control").is_some());
    }
}

#[tokio::test]
async fn tenants_know_nothing_of_each_other() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let body = messages(&words(900), &[("user", "hi")]);
    let mut read = Vec::new();
    for tenant in ["a", "b", "a"] {
        let mut req = bench.request(Dialect::Messages, &body);
        Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
        read.push(!bench.call(req).await.1.contains("read=0"));
    }
    assert_eq!(read, [false, false, true]);
}

#[tokio::test]
async fn openai_is_told_a_name_where_that_is_wanted() {
    let bench = Bench::new(Kind::OpenAi, "gpt-5").with(|layer| layer.keys(true));
    let ask = |more: &str| {
        format!(r#"{{"model":"m" ,"messages":[{{"role":"user","content":"hi"}}{more}]}}"#)
    };
    let (first, says) = bench.send(Dialect::ChatCompletions, &ask("")).await;
    assert_eq!(says, "key");
    let key = |sent: &str| {
        let sent: Value = serde_json::from_str(sent).unwrap();
        sent["prompt_cache_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        first,
        ask("").replacen(
            r#""m""#,
            &format!(r#""m","prompt_cache_key":"{}""#, key(&first)),
            1
        )
    );
    let more = r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#;
    let (second, _) = bench.send(Dialect::ChatCompletions, &ask(more)).await;
    assert_eq!((key(&first), key(&first).len()), (key(&second), 32));
    let own =
        r#"{"model":"m","prompt_cache_key":"mine","messages":[{"role":"user","content":"hi"}]}"#;
    let (sent, says) = bench.send(Dialect::ChatCompletions, own).await;
    assert_eq!((&*sent, &*says), (own, "none; reason=client"));
}

#[tokio::test]
async fn drafts_are_marked_and_not_spoken_of() {
    let bench = Bench::new(Kind::Anthropic, OPUS);
    let journal = Journal::default();
    let mut req = bench.request(Dialect::Messages, &messages(&words(900), &[("user", "hi")]));
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    Notes::of_mut(&mut req).role = Role::Small;
    assert_eq!(count(&bench.call(req).await.0), 2);
    assert_eq!(journal.read(|j| j.breakpoints), None);
    let mut req = bench.request(Dialect::Messages, &messages("", &[("user", "hi")]));
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    bench.call(req).await;
    assert_eq!(
        journal.read(|j| j.breakpoints),
        Some(BreakpointStatus::Short)
    );
}

#[tokio::test]
async fn is_not_ready_when_what_it_wraps_is_not() {
    let layer = CacheBreakpointLayer::new(|_| None);
    let (mut mock, mut handle) = tower_test::mock::spawn_with(|mock| layer.layer(mock));
    handle.allow(0);
    assert!(mock.poll_ready().is_pending());
    handle.allow(1);
    assert!(mock.poll_ready().is_ready());
    let future = mock.call(crate::testing::ask("m", "hi"));
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response(reply("{}"));
    assert!(future.await.is_ok());
}

// === what a prefix is ===

/// The same request with its marks gone, and texts in one shape.
fn unmarked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "cache_control");
            Value::Object(
                kept.map(|(name, value)| {
                    let value = match value.as_str() {
                        Some(text) if matches!(&**name, "content" | "system" | "output") => {
                            json!([{"type": "text", "text": text}])
                        }
                        Some(text) if name == "input" => {
                            json!([{"role": "user", "content": [{"type": "text", "text": text}]}])
                        }
                        Some("input_text") => json!("text"),
                        _ => unmarked(value),
                    };
                    (name.clone(), value)
                })
                .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.iter().map(unmarked).collect()),
        other => other.clone(),
    }
}

fn conversation(dialect: Dialect, turns: &[(u8, String)]) -> String {
    let mut list = Vec::new();
    for (i, (kind, text)) in turns.iter().enumerate() {
        let (call, id) = (kind % 3, format!("call_{i}"));
        let user = match (dialect, kind % 2) {
            (Dialect::Responses, _) => json!([{"type": "input_text", "text": text}]),
            (_, 0) => json!(text),
            _ => json!([{"type": "text", "text": "first"}, {"type": "text", "text": text}]),
        };
        list.push(json!({"role": "user", "content": user}));
        match (dialect, call) {
            (Dialect::Messages, 0) => {
                list.push(json!({"role":"assistant","content":[{"type":"tool_use","id":id,"name":"f","input":{"n":1.50}}]}));
                list.push(json!({"role":"user","content":[{"type":"tool_result","tool_use_id":id,"content":text}]}));
            }
            (Dialect::ChatCompletions, 0) => {
                list.push(json!({"role":"assistant","content":null,"tool_calls":[{"id":id,"type":"function","function":{"name":"f","arguments":"{}"}}]}));
                list.push(json!({"role":"tool","tool_call_id":id,"content":text}));
            }
            (Dialect::Responses, 0) => {
                list.push(json!({"type":"function_call","call_id":id,"name":"f","arguments":"{}"}));
                list.push(json!({"type":"function_call_output","call_id":id,"output":text}));
            }
            (Dialect::Responses, _) => {
                list.push(
                    json!({"role":"assistant","content":[{"type":"output_text","text":text}]}),
                );
            }
            _ => list.push(json!({"role": "assistant", "content": text})),
        }
    }
    list.push(json!({"role": "user", "content": "and now?"}));
    let field = if dialect == Dialect::Responses {
        "input"
    } else {
        "messages"
    };
    json!({"model": "m", "max_tokens": 9, field: list}).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Marks change nothing that is asked, are four at most, and stand on blocks alone; with them gone, every turn is the beginning of the next.
    #[test]
    fn marks_say_nothing(
        turns in prop::collection::vec((any::<u8>(), "[ -~äß\u{1F600}\n]{1,400}"), 1..12),
        dialect in prop::sample::select(vec![Dialect::Messages, Dialect::ChatCompletions, Dialect::Responses]),
        kind in prop::sample::select(vec![Kind::Anthropic, Kind::OpenRouter, Kind::Vertex]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let model = if kind == Kind::OpenRouter { "anthropic/claude-opus-5" } else { OPUS };
        let bench = Bench::new(kind, model);
        for upto in 1..=turns.len() {
            let body = conversation(dialect, &turns[..upto]);
            let (sent, says) = runtime.block_on(bench.send(dialect, &body));
            let marks = sent.matches(r#""cache_control":{"type":"ephemeral"}"#).count();
            prop_assert!(marks <= 4);
            if marks == 0 {
                prop_assert_eq!(&sent, &body, "{}", says);
            }
            let (was, is): (Value, Value) = (serde_json::from_str(&body).unwrap(), serde_json::from_str(&sent).unwrap());
            prop_assert_eq!(unmarked(&was), unmarked(&is));
        }
    }
}
