use super::*;
use crate::{
    prompt_cache::{Memory, PromptCacheLayer},
    testing::{body, chat_request},
};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tierway_services::chat::{AttemptEnd, Notes, Operation, Reply, Role, Target, Tenant};
use tower::{ServiceExt, service_fn};

/// Vectors by the words that a text holds, so that any two texts of the same words are the same; and how often it was asked.
#[derive(Clone, Default)]
struct Words(Arc<AtomicUsize>);

impl Embed for Words {
    async fn embed(&self, text: &str, _: &chat::Request) -> Option<Vec<f32>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if text.contains("unembeddable") {
            return None;
        }
        let mut vector = vec![0.0; 64];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
            if word.len() > 3 && !matches!(word, "what" | "please" | "tell") {
                vector[word.bytes().map(usize::from).sum::<usize>() % 64] += 1.0;
            }
        }
        Some(vector)
    }
}

/// The semantic cache over the exact one over a model that numbers its answers.
struct Bench {
    asked: Arc<Mutex<Vec<String>>>,
    words: Words,
    layer: SemanticCacheLayer<Words>,
    exact: PromptCacheLayer<Memory>,
}

impl Bench {
    fn new() -> Self {
        let words = Words::default();
        Self {
            asked: Arc::default(),
            layer: SemanticCacheLayer::new(words.clone()),
            exact: PromptCacheLayer::new(Memory::new(1 << 20, Duration::from_secs(300))),
            words,
        }
    }
    async fn send(&self, req: chat::Request) -> chat::Response {
        let asked = self.asked.clone();
        let model = service_fn(move |req: chat::Request| {
            let raw: Value = serde_json::from_slice(req.body().raw()).unwrap();
            let said = raw["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
            asked.lock().unwrap().push(said.clone());
            let answer = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": format!("answer to {said}")}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}});
            async move { Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer.to_string()))) }
        });
        let service = self.layer.layer(self.exact.layer(model));
        service.oneshot(req).await.unwrap()
    }
    /// What the answer says of the cache.
    async fn says(&self, req: chat::Request) -> String {
        let res = self.send(req).await;
        let says = res.headers()[CACHE].to_str().unwrap().to_owned();
        body(res).await;
        says
    }
    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
    fn embedded(&self) -> usize {
        self.words.0.load(Ordering::Relaxed)
    }
}

fn ask(text: &str) -> chat::Request {
    with(text, |_| {})
}

fn with(text: &str, set: impl FnOnce(&mut Value)) -> chat::Request {
    let mut body = json!({"model": "m", "temperature": 0, "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": text}]});
    set(&mut body);
    chat_request(&body.to_string())
}

const ASKED: &str = "What is the capital of France?";
const AGAIN: &str = "Please tell me the capital of France";

#[tokio::test]
async fn the_same_question_in_other_words_costs_no_model() {
    let bench = Bench::new();
    let first = body(bench.send(ask(ASKED)).await).await;
    let journal = Journal::default();
    let mut again = ask(AGAIN);
    Notes::of_mut(&mut again).journal = Some(journal.clone());
    let res = bench.send(again).await;
    assert_eq!(res.headers()[CACHE], "semantic; similarity=1.000");
    assert!(res.headers().contains_key("age"));
    assert_eq!(body(res).await, first);
    assert_eq!((bench.calls(), bench.embedded()), (1, 2));
    assert_eq!(journal.read(|j| j.cache), Some(CacheStatus::Semantic));
    assert!(journal.read(|j| j.replayed.is_some() || j.attempts.is_empty()));
    // The very same words need no vector.
    assert_eq!(bench.says(ask(ASKED)).await, "hit");
    assert_eq!((bench.calls(), bench.embedded()), (1, 2));
    // As a stream, if that is asked.
    let streamed = with(AGAIN, |b| b["stream"] = true.into());
    let res = bench.send(streamed).await;
    assert_eq!(res.headers()["content-type"], "text/event-stream");
    assert!(body(res).await.contains("answer to"));
    assert_eq!(bench.calls(), 1);
}

#[tokio::test]
async fn what_differs_is_asked() {
    let bench = Bench::new();
    bench.says(ask(ASKED)).await;
    for other in [
        "What is the capital of Francia?",
        "What was the capital of France?",
        "What is the capital of France today?",
        "What is not the capital of France?",
        "Where is the capital of France?",
    ] {
        assert_eq!(bench.says(ask(other)).await, "miss", "{other}");
    }
    assert_eq!(bench.calls(), 6);
}

#[tokio::test]
async fn all_else_must_be_the_same() {
    let bench = Bench::new();
    bench.says(ask(ASKED)).await;
    let sets: [fn(&mut Value); 6] = [
        |b| b["messages"][0]["content"] = "be long".into(),
        |b| b["max_tokens"] = 7.into(),
        |b| b["model"] = "n".into(),
        |b| b["tools"] = json!([{"type": "function", "function": {"name": "f"}}]),
        |b| b["response_format"] = json!({"type": "json_object"}),
        |b| {
            let turns = b["messages"].as_array_mut().unwrap();
            turns.insert(1, json!({"role": "user", "content": "hi"}));
        },
    ];
    for (i, set) in sets.into_iter().enumerate() {
        assert_eq!(bench.says(with(AGAIN, set)).await, "miss", "{i}");
    }
    // The same question for two tenants is two calls, in whichever words.
    let of = |tenant: &str, text: &str| {
        let mut req = ask(text);
        Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
        req
    };
    let before = bench.calls();
    let mut said = Vec::new();
    for (tenant, text) in [("a", ASKED), ("b", ASKED), ("b", AGAIN), ("c", AGAIN)] {
        said.push(bench.says(of(tenant, text)).await);
    }
    assert_eq!(said, ["miss", "miss", "semantic; similarity=1.000", "miss"]);
    assert_eq!(bench.calls() - before, 3);
}

#[tokio::test]
async fn the_caller_decides() {
    let bench = Bench::new();
    bench.says(ask(ASKED)).await;
    for (name, value, says) in [
        ("cache-control", "no-store", "bypass"),
        ("cache-control", "no-cache", "miss"),
        ("x-tierway-cache", "off", "bypass"),
    ] {
        let mut req = ask(AGAIN);
        let name = HeaderName::from_static(name);
        req.headers_mut()
            .insert(name, HeaderValue::from_static(value));
        assert_eq!(bench.says(req).await, says);
    }
    let sampled = with(AGAIN, |b| b["temperature"] = 1.into());
    assert_eq!(bench.says(sampled).await, "bypass");
    assert_eq!(bench.embedded(), 1);
}

#[tokio::test]
async fn an_answer_that_is_gone_is_asked_for_in_the_callers_words() {
    let mut bench = Bench::new();
    bench.says(ask(ASKED)).await;
    bench.exact = PromptCacheLayer::new(Memory::new(1 << 20, Duration::from_secs(300)));
    assert_eq!(bench.says(ask(AGAIN)).await, "miss");
    let last = bench.asked.lock().unwrap().last().cloned();
    assert_eq!(last, Some(format!("\"{AGAIN}\"")));
    assert_eq!(bench.says(ask(ASKED)).await, "semantic; similarity=1.000");
    assert_eq!(bench.calls(), 2);
}

#[tokio::test]
async fn without_a_vector_the_model_is_asked() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.says(ask("something unembeddable")).await;
    }
    assert_eq!(bench.calls(), 1, "the exact cache goes on");
    // What is no text alone is not compared.
    let seen = with("x", |b| {
        b["messages"][1]["content"] = json!([{"type": "image_url", "image_url": {"url": "https://a/b"}}, {"type": "text", "text": "what is it"}]);
    });
    bench.says(seen).await;
    assert_eq!(bench.embedded(), 2);
}

#[tokio::test]
async fn vectors_are_asked_for_and_paid_by_the_call() {
    let seen = Arc::new(Mutex::new(None));
    let model = {
        let seen = seen.clone();
        service_fn(move |req: chat::Request| {
            let journal = Journal::of(&req).unwrap();
            let role = Notes::of(&req).role;
            let mut attempt = chat::Attempt::new(Target::of(&req).unwrap().clone(), role);
            attempt.end = AttemptEnd::Complete;
            journal.write(|j| j.attempts.push(attempt));
            let body = String::from_utf8(req.body().raw().to_vec()).unwrap();
            *seen.lock().unwrap() = Some((req.body().facts().operation, body));
            async {
                let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1e-2]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
                Ok::<_, Infallible>(chat::Response::new(Reply::whole(answer)))
            }
        })
    };
    let remote = Remote::new(model, Target::new("local", "all-minilm"));
    let journal = Journal::default();
    let mut call = ask(ASKED);
    Notes::of_mut(&mut call).journal = Some(journal.clone());
    assert_eq!(remote.embed("a \"b\"", &call).await, Some(vec![0.5, -0.01]));
    let body = r#"{"input":"a \"b\"","model":"all-minilm"}"#.to_owned();
    assert_eq!(*seen.lock().unwrap(), Some((Operation::Embed, body)));
    assert_eq!(journal.read(|j| j.attempts[0].role), Role::Embedding);
}

#[tokio::test]
async fn a_vector_is_not_waited_for_long() {
    let silent = service_fn(|_: chat::Request| std::future::pending::<Result<_, Infallible>>());
    let remote = Remote::new(silent, Target::new("p", "m")).patience(Duration::from_millis(5));
    assert_eq!(remote.embed("x", &ask("x")).await, None);
    let failing = service_fn(|_: chat::Request| async {
        let mut res = chat::Response::new(Reply::whole("{}"));
        *res.status_mut() = http::StatusCode::BAD_GATEWAY;
        Ok::<_, Infallible>(res)
    });
    assert_eq!(
        Remote::new(failing, Target::new("p", "m"))
            .embed("x", &ask("x"))
            .await,
        None
    );
}

#[test]
fn questions_are_bounded() {
    let index = Index::new(400_000, Duration::from_secs(60));
    let scope = |i: usize| crate::prompt_cache::Key::of(&ask(&format!("scope {i}"))).unwrap();
    for i in 0..index::MOST + 50 {
        index.add(scope(0), &format!("question {i}"), vec![1.0, 0.0]);
    }
    assert!(!index.has(&scope(0), "question 49") && index.has(&scope(0), "question 50"));
    assert_eq!(
        index.nearest(&scope(0), &[1.0, 0.0], 0.9).len(),
        index::MOST
    );
    assert!(index.nearest(&scope(0), &[0.0, 1.0], 0.9).is_empty());
    assert!(
        index
            .nearest(&scope(0), &[1.0], 0.0)
            .iter()
            .all(|(likeness, _)| *likeness == 0.0)
    );
    for i in 1..100 {
        index.add(scope(i), "question", vec![0.0; 4096]);
    }
    let (_, bytes) = index.len();
    assert!(bytes <= 400_000, "{bytes}");
}

// === the labelled pairs ===

/// Label, two questions, and the cosine of their vectors by all-MiniLM-L6-v2, as `examples/semantic_pairs.rs` has measured it.
fn pairs() -> Vec<(bool, &'static str, &'static str, f32)> {
    let text = include_str!("../../tests/semantic/pairs.tsv");
    let pair = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        (
            cells[0] == "same",
            cells[1],
            cells[2],
            cells[3].parse().unwrap(),
        )
    };
    text.lines().map(pair).collect()
}

#[test]
fn hardly_any_hit_is_false() {
    let pairs = pairs();
    assert!(pairs.len() >= 300);
    // Every third pair was looked at only when all was settled.
    for (of, held_out) in [("fitted", false), ("held out", true)] {
        let mut counts = [0_usize; 4];
        for (i, (same, a, b, likeness)) in pairs.iter().enumerate() {
            if (i % 3 == 2) == held_out {
                let hit = *likeness >= THRESHOLD && difference(a, b).is_none();
                counts[usize::from(*same) * 2 + usize::from(hit)] += 1;
            }
        }
        let [_, wrong, missed, right] = counts;
        let precision = right as f64 / (right + wrong) as f64;
        let recall = right as f64 / (right + missed) as f64;
        assert!(precision >= 0.99, "{of}: precision {precision:.3}");
        assert!(recall >= 0.6, "{of}: recall {recall:.3}");
    }
}

#[test]
fn a_difference_has_no_direction() {
    for (_, a, b, _) in pairs() {
        assert_eq!(difference(a, b), difference(b, a), "{a} | {b}");
        assert_eq!(
            difference(a, a).filter(|d| *d != Difference::Time),
            None,
            "{a}"
        );
    }
}
