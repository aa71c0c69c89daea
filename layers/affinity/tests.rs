use super::{decide::Seen, *};
use crate::{
    classify::ClassifyLayer,
    testing::{body, chat_request, messages_request, reply},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{convert::Infallible, future::pending, sync::Mutex};
use tierway_services::chat::{Attempt, AttemptEnd, Notes, Reply, Role, Usage, Usd};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_test::mock;

fn price(input: f64) -> Price {
    Price {
        input: Usd::per_million(input),
        output: Usd::per_million(5.0 * input),
        cache_read: Some(Usd::per_million(0.1 * input)),
        cache_write: Some(Usd::per_million(1.25 * input)),
        ..Price::FREE
    }
}

/// Simple and medium are two models, complex and reasoning one.
fn target(tier: Tier) -> Option<Target> {
    Some(match tier {
        Tier::Simple => Target::new("p", "small"),
        Tier::Medium => Target::new("p", "middle"),
        _ => Target::new("p", "big"),
    })
}

fn priced(target: &Target) -> Option<Price> {
    match &*target.model {
        "small" => Some(price(1.0)),
        "middle" => Some(price(3.0)),
        _ => Some(price(5.0)),
    }
}

fn layer<St>(store: St) -> AffinityLayer<St> {
    AffinityLayer::new(store).targets(target).prices(priced)
}

fn memory() -> Memory {
    Memory::new(1000, Duration::from_secs(3600))
}

/// A turn of a conversation that begins with `first`; its last text says which tier the policy takes.
fn turn(first: &str, turns: usize, last: &Value) -> Value {
    let mut messages = vec![json!({"role": "user", "content": first})];
    for _ in 1..turns {
        messages.push(json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}));
    }
    if turns > 1 {
        messages.pop();
        messages.push(json!({"role": "user", "content": last}));
    }
    json!({"model": "auto", "messages": messages, "tools": [{"name": "f", "input_schema": {}}]})
}

fn result() -> Value {
    json!([{"type": "tool_result", "tool_use_id": "t", "content": "ok"}])
}

/// A policy that reads the wanted tier from a header.
fn by_header(req: &chat::Request) -> Option<Decision> {
    let word = |name: &str| req.headers().get(name)?.to_str().ok();
    let tier: Tier = word("x-want")?.parse().ok()?;
    let mut decision = Decision::new(tier, word("x-reason").unwrap_or("header").to_owned());
    if let Some((name, from)) = word("x-note").and_then(|n| n.split_once('/')) {
        decision.tier = from.parse().ok()?;
        decision = decision.moved(tier, name.to_owned());
    }
    Some(decision)
}

fn call(body: &Value, want: &str, more: &[(&'static str, &str)]) -> chat::Request {
    let mut req = messages_request(&body.to_string());
    for (name, value) in [("x-want", want)].iter().chain(more) {
        req.headers_mut().insert(*name, value.parse().unwrap());
    }
    req
}

/// What was answered: the tier that the leaf saw, and the reason.
fn told(res: &chat::Response) -> (String, String) {
    let header = |name: &str| res.headers()[name].to_str().unwrap().to_owned();
    (header("x-tierway-tier"), header("x-tierway-reason"))
}

/// A leaf that answers as the model of the tier, and had `cached` tokens in its cache.
fn leaf(
    cached: u64,
) -> impl Fn(chat::Request) -> std::future::Ready<Result<chat::Response, Infallible>> + Clone {
    move |req| {
        let bound = target(Tier::of(&req).unwrap()).unwrap();
        let mut attempt = Attempt::new(bound, Role::Only);
        attempt.end = AttemptEnd::Complete;
        attempt.usage = Some(Usage {
            input: 500,
            output: 300,
            cache_read: cached,
            ..Usage::default()
        });
        Journal::of(&req)
            .unwrap()
            .write(|j| j.attempts.push(attempt));
        std::future::ready(Ok(reply("{}")))
    }
}

macro_rules! service {
    ($layer:expr, $leaf:expr) => {
        ServiceBuilder::new()
            .layer(ClassifyLayer::new(by_header))
            .layer($layer)
            .service(service_fn($leaf))
    };
}

#[tokio::test]
async fn a_warm_and_dear_prefix_is_kept_and_a_short_one_is_given_up() {
    for (cached, tier, reason) in [
        (100_000, "complex", "header; session:kept"),
        (0, "simple", "header; session:deescalated"),
    ] {
        let svc = service!(layer(memory()), leaf(cached));
        let one = turn("hard", 1, &json!(null));
        let res = svc.clone().oneshot(call(&one, "complex", &[])).await;
        assert_eq!(told(&res.unwrap()), ("complex".into(), "header".into()));
        let two = turn("hard", 2, &json!("thanks"));
        let res = svc.clone().oneshot(call(&two, "simple", &[])).await;
        assert_eq!(
            told(&res.unwrap()),
            (tier.into(), reason.into()),
            "{cached}"
        );
        // What was decided last is what is kept.
        let three = turn("hard", 3, &result());
        let res = svc.oneshot(call(&three, "medium", &[])).await.unwrap();
        assert_eq!(told(&res).0, tier);
    }
}

#[tokio::test]
async fn unknown_prices_keep_and_one_model_for_two_tiers_is_no_switch() {
    let unpriced = AffinityLayer::new(memory()).targets(target);
    let svc = service!(unpriced, leaf(0));
    let (one, two) = (turn("a", 1, &json!(null)), turn("a", 2, &json!("b")));
    let _ = svc.clone().oneshot(call(&one, "complex", &[])).await;
    let res = svc
        .clone()
        .oneshot(call(&two, "simple", &[]))
        .await
        .unwrap();
    assert_eq!(told(&res).0, "complex");
    let res = svc.oneshot(call(&two, "reasoning", &[])).await.unwrap();
    assert_eq!(told(&res), ("reasoning".into(), "header".into()));
}

#[tokio::test]
async fn the_task_outgrows_the_model_unless_nothing_was_asked() {
    let svc = service!(layer(memory()), leaf(100_000));
    let (one, two) = (turn("a", 1, &json!(null)), turn("a", 2, &json!("b")));
    let _ = svc.clone().oneshot(call(&one, "simple", &[])).await;
    let no_ask = [("x-reason", "no_ask")];
    let res = svc.clone().oneshot(call(&two, "medium", &no_ask)).await;
    assert_eq!(told(&res.unwrap()).0, "simple");
    let res = svc
        .clone()
        .oneshot(call(&two, "medium", &[]))
        .await
        .unwrap();
    let outgrown = ("medium".to_owned(), "header; session:escalated".to_owned());
    assert_eq!(told(&res), outgrown);
    let pending = turn("a", 3, &result());
    let res = svc.oneshot(call(&pending, "simple", &[])).await.unwrap();
    assert_eq!(told(&res).0, "medium");
}

#[tokio::test]
async fn only_a_guard_parts_a_result_from_its_call() {
    let one = turn("a", 1, &json!(null));
    let pending = turn("a", 2, &result());
    for (note, tier) in [
        ("floor:payments/simple", "simple"),
        ("rule:docs/simple", "simple"),
        ("guard:context/simple", "complex"),
    ] {
        let svc = service!(layer(memory()), leaf(0));
        let _ = svc.clone().oneshot(call(&one, "simple", &[])).await;
        let noted = [("x-note", note)];
        let res = svc.oneshot(call(&pending, "complex", &noted)).await;
        assert_eq!(told(&res.unwrap()).0, tier, "{note}");
    }
    let blind = layer(memory()).fits(|_, tier| tier != Tier::Simple);
    let svc = service!(blind, leaf(0));
    let _ = svc.clone().oneshot(call(&one, "simple", &[])).await;
    let res = svc.oneshot(call(&pending, "medium", &[])).await.unwrap();
    assert_eq!(told(&res).0, "medium");
}

#[tokio::test]
async fn between_asks_floors_ceilings_and_rules_win() {
    let (one, two) = (turn("a", 1, &json!(null)), turn("a", 2, &json!("b")));
    for (first, want, note, tier) in [
        ("simple", "complex", "floor:payments/simple", "complex"),
        ("complex", "medium", "ceiling:tenant/complex", "medium"),
        ("complex", "simple", "rule:docs/medium", "simple"),
        // A floor below what the conversation has demands nothing of it.
        ("complex", "medium", "floor:payments/simple", "complex"),
    ] {
        let svc = service!(layer(memory()), leaf(100_000));
        let _ = svc.clone().oneshot(call(&one, first, &[])).await;
        let res = svc.oneshot(call(&two, want, &[("x-note", note)])).await;
        assert_eq!(told(&res.unwrap()).0, tier, "{first} {want} {note}");
    }
}

#[tokio::test]
async fn what_is_beside_the_conversation_neither_reads_nor_writes() {
    let svc = service!(layer(memory()), leaf(100_000));
    let id = ("x-session-id", "s");
    let _ = svc
        .clone()
        .oneshot(call(&turn("a", 2, &json!("b")), "complex", &[id]))
        .await;
    let title = json!({"model": "auto", "messages": [{"role": "user", "content": "name it"}]});
    // The last is told by nobody, but has not the tools that its harness always offers.
    for reason in ["side_request", "probe", "asked", "header"] {
        let mut req = call(&title, "simple", &[id, ("x-reason", reason)]);
        let journal = Journal::default();
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        let res = svc.clone().oneshot(req).await.unwrap();
        assert_eq!(told(&res), ("simple".into(), reason.into()));
        let status = (reason != "asked").then_some(AffinityStatus::Aside);
        assert_eq!(journal.read(|j| j.affinity), status, "{reason}");
        let res = svc
            .clone()
            .oneshot(call(&turn("a", 3, &result()), "simple", &[id]))
            .await;
        assert_eq!(told(&res.unwrap()).0, "complex", "{reason}");
    }
}

#[tokio::test]
async fn a_conversation_that_was_cut_down_has_nothing_to_lose() {
    let svc = service!(layer(memory()), leaf(100_000));
    let id = [("x-session-id", "s")];
    let _ = svc
        .clone()
        .oneshot(call(&turn("a", 9, &json!("b")), "complex", &id))
        .await;
    let res = svc
        .clone()
        .oneshot(call(&turn("a", 10, &json!("c")), "simple", &id))
        .await;
    assert_eq!(told(&res.unwrap()).0, "complex");
    let summary = turn("the summary", 1, &json!(null));
    let res = svc.oneshot(call(&summary, "simple", &id)).await.unwrap();
    assert_eq!(told(&res).1, "header; session:deescalated");
}

#[tokio::test]
async fn a_count_of_tokens_is_made_where_the_conversation_is() {
    use tierway_services::{chat::Prompt, dialect::Dialect};
    let svc = service!(layer(memory()), leaf(100_000));
    let id = ("x-session-id", "s");
    let _ = svc
        .clone()
        .oneshot(call(&turn("a", 3, &json!("b")), "complex", &[id]))
        .await;
    let two = turn("a", 4, &json!("b"));
    // A piece of it, as a client counts them one by one.
    let piece = json!({"model": "auto", "messages": [{"role": "user", "content": "a"}]});
    for body in [two, piece] {
        let operation = Operation::CountTokens;
        let prompt = Prompt::parse(Dialect::Messages, operation, body.to_string().into());
        let mut req = chat::Request::new(prompt.unwrap());
        let headers = req.headers_mut();
        headers.insert("x-want", "simple".parse().unwrap());
        headers.insert(id.0, id.1.parse().unwrap());
        let journal = Journal::default();
        Notes::of_mut(&mut req).journal = Some(journal.clone());
        let res = svc.clone().oneshot(req).await.unwrap();
        assert_eq!(told(&res).0, "complex");
        assert_eq!(journal.read(|j| j.affinity), None);
    }
}

#[tokio::test]
async fn a_failed_answer_is_not_remembered() {
    let failing = |_: chat::Request| async {
        let mut res = reply("{}");
        *res.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(res)
    };
    let store = memory();
    let svc = service!(layer(store.clone()), failing);
    let one = call(&turn("a", 1, &json!(null)), "complex", &[]);
    let session = crate::classify::session(&one).unwrap();
    let _ = svc.oneshot(one).await;
    assert_eq!(store.get(session).await, None);
}

/// A store that never answers.
struct Stuck;
impl Sessions for Stuck {
    async fn get(&self, _: Session) -> Option<Pin> {
        pending().await
    }
    async fn put(&self, _: Session, _: Pin) {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_us_waiting_knows_nothing() {
    let svc = service!(layer(Stuck), leaf(0));
    let started = tokio::time::Instant::now();
    let res = svc
        .oneshot(call(&turn("a", 1, &json!(null)), "medium", &[]))
        .await;
    assert_eq!(told(&res.unwrap()).0, "medium");
    assert_eq!(started.elapsed(), Duration::from_millis(100));
}

/// Counts what is written.
#[derive(Default)]
struct Counting(Mutex<Vec<Pin>>);
impl Sessions for Arc<Counting> {
    async fn get(&self, _: Session) -> Option<Pin> {
        self.0.lock().unwrap().last().cloned()
    }
    async fn put(&self, _: Session, pin: Pin) {
        self.0.lock().unwrap().push(pin);
    }
}

#[tokio::test]
async fn a_stream_is_remembered_at_its_head_and_at_its_end_or_when_it_is_left() {
    let streaming = |req: chat::Request| {
        let answer = leaf(7)(req);
        async move {
            let text = http_body_util::Full::new(bytes::Bytes::from("data: 1\n\n"));
            let _ = answer.await;
            Ok::<_, Infallible>(chat::Response::new(Reply::stream(text)))
        }
    };
    let store = Arc::new(Counting::default());
    let svc = service!(layer(store.clone()), streaming);
    let puts = || store.0.lock().unwrap().len();
    let one = turn("a", 1, &json!(null));
    let res = svc
        .clone()
        .oneshot(call(&one, "complex", &[]))
        .await
        .unwrap();
    assert_eq!(puts(), 1);
    assert_eq!(body(res).await, "data: 1\n\n");
    assert_eq!(puts(), 2);
    let pins = store.0.lock().unwrap().clone();
    assert_eq!(
        (pins[0].answered_at, pins[1].cached, pins[1].calls),
        (0, 7, 1)
    );
    assert!(pins[1].answered_at > 0 && pins[1].input == 507);
    // The conversation is where it was, so its head says nothing new.
    let res = svc
        .oneshot(call(&turn("a", 2, &result()), "complex", &[]))
        .await
        .unwrap();
    assert_eq!(puts(), 2);
    drop(res);
    assert_eq!(puts(), 3);
    assert_eq!(store.0.lock().unwrap()[2].calls, 2);
}

#[tokio::test]
async fn passes_through_what_is_none_of_its_business() {
    let (mut svc, mut handle) =
        mock::spawn_layer::<chat::Request, chat::Response, _>(layer(memory()));
    handle.allow(0);
    assert_pending!(svc.poll_ready());
    handle.allow(1);
    assert_ready_ok!(svc.poll_ready());
    let mut fut = task::spawn(svc.call(chat_request(r#"{"model":"a:b","messages":[]}"#)));
    handle
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(reply("yes"));
    let res = assert_ready_ok!(fut.poll());
    assert_eq!(body(res).await, "yes");
}

#[derive(Clone, Copy, Debug)]
struct Step {
    pending: bool,
    wanted: Tier,
    floor: bool,
    cached: u64,
    pause: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        any::<bool>(),
        0..4_usize,
        any::<bool>(),
        0..200_000_u64,
        prop_oneof![0..10_u64, 200..400_u64, 3500..3700_u64],
    );
    let step = step.prop_map(|(pending, tier, floor, cached, pause)| Step {
        pending,
        wanted: Tier::ALL[tier],
        floor,
        cached,
        pause,
    });
    prop::collection::vec(step, 1..40)
}

proptest! {
    /// Whatever is decided for them, results go to the model that made the call; and no switch is made that is not said.
    #[test]
    fn a_result_goes_where_its_call_came_from(steps in steps()) {
        let settings = &*layer(()).settings;
        let mut known: Option<Pin> = None;
        let mut now = 1_700_000_000;
        for (at, step) in steps.iter().enumerate() {
            now += step.pause;
            let mut decision = Decision::new(step.wanted, "test");
            if step.floor {
                decision = decision.moved(step.wanted.max(Tier::Complex), "floor:x");
            }
            let seen = Seen { pending: step.pending, turns: 2 * at as u32 + 1, tools: true, max_tokens: 0, now };
            let verdict = decide::decide(known.as_ref(), &decision, &seen, settings, |_| true);
            let bound = target(verdict.tier).unwrap();
            if let Some(pin) = &known {
                if step.pending {
                    prop_assert_eq!(&bound, &pin.target);
                    prop_assert_eq!(verdict.tier, pin.tier);
                } else if bound != pin.target {
                    use AffinityStatus::{Deescalated, Escalated, Forced};
                    prop_assert!(matches!(verdict.status, Deescalated | Escalated | Forced));
                    prop_assert_eq!(verdict.tier, decision.tier);
                }
                if step.floor && !step.pending {
                    prop_assert!(bound == target(Tier::Complex).unwrap());
                }
            }
            let mut pin = Pin::new(verdict.tier, bound.clone());
            pin.follow(known.as_ref(), &verdict, decision.tier, &seen);
            let mut attempt = Attempt::new(bound, Role::Only);
            attempt.end = AttemptEnd::Complete;
            attempt.usage = Some(Usage { input: 100, output: 100, cache_read: step.cached, ..Usage::default() });
            let journal = Journal::default();
            journal.write(|j| j.attempts.push(attempt));
            journal.read(|j| pin.count(j, now));
            prop_assert_eq!(Pin::read(pin.write().as_bytes()), Some(pin.clone()));
            known = Some(pin);
        }
    }
}

#[test]
fn a_draft_leaves_nothing_in_the_big_models_cache() {
    let mut pin = Pin::new(Tier::Complex, Target::new("p", "big"));
    let journal = Journal::default();
    journal.write(|j| {
        let mut draft = Attempt::new(Target::new("p", "small"), Role::Small);
        draft.end = AttemptEnd::Complete;
        draft.usage = Some(Usage {
            input: 10,
            cache_read: 90,
            ..Usage::default()
        });
        j.attempts.push(draft);
        j.cascade = Some(tierway_services::chat::CascadeStatus::new(
            true, None, 0.8, "test",
        ));
    });
    journal.read(|j| pin.count(j, 1));
    assert_eq!((pin.input, pin.cached, pin.answered_at), (100, 0, 0));
}

#[test]
fn a_layer_is_cheap_to_clone_and_says_what_it_has() {
    let layer = layer(memory());
    assert!(format!("{:?}", layer.clone()).contains("prices: true"));
}
