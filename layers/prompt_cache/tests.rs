use super::*;
use crate::testing::{body, chat_request, messages_request};
use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{AGE, CONTENT_TYPE},
};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tierway_services::{
    BoxError,
    chat::{
        Attempt, AttemptEnd, EarlyHead, FellBack, Journal, Notes, Reply, Request, Response, Role,
        Target, Tenant, Usage,
    },
};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{ServiceExt, service_fn};
use tower_test::mock;

fn layer() -> PromptCacheLayer<Memory> {
    PromptCacheLayer::new(Memory::new(1_000_000, Duration::from_secs(60)))
}

fn ask(more: Value) -> Request {
    let mut body =
        json!({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    chat_request(&body.to_string())
}

fn plain() -> Request {
    ask(json!({}))
}

fn whole(text: &str, finish: &str) -> String {
    json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}})
    .to_string()
}

/// The events of a stream that says "good morning", with or without its usage.
fn events(usage: bool) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(
            json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let mut events = vec![
        delta(
            json!({"role": "assistant", "content": "good "}),
            Value::Null,
        ),
        delta(json!({"content": "morning"}), Value::Null),
        delta(json!({}), json!("stop")),
    ];
    if usage {
        let told = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
        events.push(chunk(json!([]), told));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn says(text: &str) -> Response {
    let mut res = Response::new(Reply::whole(whole(text, "stop")));
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-tierway-provider", "p"),
        ("x-tierway-model", "real"),
        ("request-id", "once"),
    ] {
        res.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    res
}

fn streams(frames: Vec<Result<String, &'static str>>) -> Response {
    let mut res = Response::new(Reply::stream(Frames(frames.into())));
    let sse = HeaderValue::from_static("text/event-stream; charset=utf-8");
    res.headers_mut().insert(CONTENT_TYPE, sse);
    res
}

fn cache(res: &Response) -> &str {
    res.headers()["x-tierway-cache"].to_str().unwrap()
}

/// A leaf that answers with `answer` and counts how often it does.
fn leaf<A: Fn() -> Response + Clone>(
    calls: &Arc<AtomicUsize>,
    answer: A,
) -> impl Service<Request, Response = Response, Error = BoxError, Future: Send> + Clone + use<A> {
    let calls = calls.clone();
    service_fn(move |_: Request| {
        calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(answer()))
    })
}

/// What the second of two calls is marked, and its body.
async fn twice<A: Fn() -> Response + Clone + Send + 'static>(
    layer: PromptCacheLayer<Memory>,
    first: Request,
    second: Request,
    answer: A,
) -> (String, String, Response) {
    let svc = layer.layer(leaf(&Arc::default(), answer));
    let res = svc.clone().oneshot(first).await.unwrap();
    let _ = res.into_body().collect().await;
    let res = svc.oneshot(second).await.unwrap();
    let status = cache(&res).to_owned();
    let (head, reply) = res.into_parts();
    let text = body(Response::new(reply)).await;
    (status, text, Response::from_parts(head, Reply::default()))
}

#[tokio::test]
async fn a_second_call_costs_no_model() {
    let calls = Arc::default();
    let svc = layer().layer(leaf(&calls, || says("yes")));
    let early = EarlyHead::default();
    let mut first = plain();
    Notes::of_mut(&mut first).early = Some(early.clone());
    let res = svc.clone().oneshot(first).await.unwrap();
    assert_eq!(cache(&res), "miss");
    assert_eq!(early.said()["x-tierway-cache"], "miss");
    assert!(!res.body().is_stream());
    assert_eq!(body(res).await, whole("yes", "stop"));
    let journal = Journal::default();
    let mut again = plain();
    Notes::of_mut(&mut again).journal = Some(journal.clone());
    let res = svc.oneshot(again).await.unwrap();
    assert_eq!(cache(&res), "hit");
    assert_eq!(res.headers()[AGE], "0");
    assert_eq!(res.headers()["x-tierway-model"], "real");
    assert!(!res.headers().contains_key("request-id"));
    assert_eq!(body(res).await, whole("yes", "stop"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    journal.read(|j| {
        assert_eq!(j.cache, Some(CacheStatus::Hit));
        let (target, usage) = j.replayed.clone().unwrap();
        assert_eq!(target, Target::new("p", "real"));
        assert_eq!((usage.input, usage.output), (7, 2));
    });
}

#[tokio::test]
async fn a_hit_waits_for_nobody() {
    let (mut svc, mut handle) = mock::spawn_layer(layer());
    let mut fut = task::spawn(svc.call(plain()));
    assert_pending!(fut.poll());
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response(says("yes"));
    assert_ready_ok!(fut.poll());
    handle.allow(0);
    assert_ready_ok!(svc.poll_ready());
    let mut fut = task::spawn(svc.call(plain()));
    assert_eq!(cache(&assert_ready_ok!(fut.poll())), "hit");
    let mut fut = task::spawn(svc.call(ask(json!({"seed": 1}))));
    assert_pending!(fut.poll());
    assert_pending!(handle.poll_request());
    drop(fut);
    handle.allow(1);
    let mut fut = task::spawn(svc.call(ask(json!({"temperature": 1}))));
    assert_pending!(fut.poll());
    handle.next_request().await.unwrap().1.send_error("gone");
    assert!(matches!(fut.poll(), Poll::Ready(Err(_))));
}

#[tokio::test]
async fn what_is_not_safe_goes_past() {
    let with = |name: &'static str, value: &'static str| {
        let mut req = plain();
        req.headers_mut()
            .insert(name, HeaderValue::from_static(value));
        req
    };
    for req in [
        || ask(json!({"temperature": 0.7})),
        || ask(json!({"temperature": null})),
        || ask(json!({"n": 2})),
    ] {
        let (status, ..) = twice(layer(), req(), req(), || says("yes")).await;
        assert_eq!(status, "bypass");
    }
    for (name, value) in [
        ("cache-control", "max-age=0, no-store"),
        ("x-tierway-cache", "OFF"),
    ] {
        let (status, ..) = twice(layer(), plain(), with(name, value), || says("yes")).await;
        assert_eq!(status, "bypass");
        let (status, ..) = twice(layer(), with(name, value), plain(), || says("yes")).await;
        assert_eq!(status, "miss", "nothing was kept");
    }
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("x-tierway-cache", "refresh"),
    ] {
        let (status, ..) = twice(layer(), plain(), with(name, value), || says("yes")).await;
        assert_eq!(status, "miss");
        let (status, ..) = twice(layer(), with(name, value), plain(), || says("yes")).await;
        assert_eq!(status, "hit");
    }
    let sampled = || ask(json!({"temperature": 0.7}));
    let (status, ..) = twice(layer().sampled(true), sampled(), sampled(), || says("yes")).await;
    assert_eq!(status, "hit");
    let (status, ..) = twice(layer().max_request(10), plain(), plain(), || says("yes")).await;
    assert_eq!(status, "bypass");
}

#[tokio::test]
async fn tenants_never_share() {
    let for_tenant = |name: &'static str| {
        let mut req = plain();
        Notes::of_mut(&mut req).tenant = Some(Tenant::new(name));
        req
    };
    let (status, ..) = twice(layer(), for_tenant("a"), for_tenant("b"), || says("yes")).await;
    assert_eq!(status, "miss");
    let (status, ..) = twice(layer(), for_tenant("a"), for_tenant("a"), || says("yes")).await;
    assert_eq!(status, "hit");
}

#[tokio::test]
async fn only_good_whole_answers_are_kept() {
    let failed = || {
        let mut res = says("yes");
        *res.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        res
    };
    let calling = || {
        let call =
            json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
        Response::new(Reply::whole(answer.to_string()))
    };
    let cut = || {
        let mut frames: Vec<_> = events(true).into_iter().map(Ok).collect();
        frames[2] = Err("reset");
        streams(frames)
    };
    let unended = || streams(events(true).into_iter().take(2).map(Ok).collect());
    let refused: [fn() -> Response; 4] = [
        || Response::new(Reply::whole("<html>")),
        || Response::new(Reply::whole(r#"{"error":{"message":"no"}}"#)),
        || Response::new(Reply::default()),
        || says(&"x".repeat(5_000)),
    ];
    for (what, answer) in [
        ("failed", failed as fn() -> Response),
        ("calling", calling),
        ("cut", cut),
        ("unended", unended),
        ("html", refused[0]),
        ("error", refused[1]),
        ("nothing", refused[2]),
        ("large", refused[3]),
    ] {
        let svc = layer()
            .max_entry(4_000)
            .layer(leaf(&Arc::default(), answer));
        for _ in 0..2 {
            let res = svc.clone().oneshot(plain()).await.unwrap();
            assert_eq!(cache(&res), "miss", "{what}");
            let _ = res.into_body().collect().await;
        }
    }
    let (status, ..) = twice(layer().tool_calls(true), plain(), plain(), calling).await;
    assert_eq!(status, "hit");
}

#[tokio::test]
async fn a_stream_is_kept_at_its_end_and_replayed_as_asked() {
    let told = || ask(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let streaming = || ask(json!({"stream": true}));
    let answer = || streams(events(true).into_iter().map(Ok).collect());

    let (status, text, head) = twice(layer(), told(), told(), answer).await;
    assert_eq!((status.as_str(), text), ("hit", events(true).concat()));
    assert!(
        head.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );

    let (status, text, head) = twice(layer(), told(), plain(), answer).await;
    assert_eq!(status, "hit");
    assert_eq!(head.headers()[CONTENT_TYPE], "application/json");
    let folded: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(folded["choices"][0]["message"]["content"], "good morning");
    assert_eq!(folded["usage"]["completion_tokens"], 2);

    let (status, text, _) = twice(layer(), told(), streaming(), answer).await;
    assert_eq!(status, "hit");
    assert!(
        text.ends_with("data: [DONE]\n\n") && text.contains("good"),
        "{text}"
    );
    assert!(
        !text.contains("completion_tokens"),
        "usage is for who asks: {text}"
    );

    let (status, text, _) = twice(layer(), plain(), told(), || says("yes")).await;
    assert_eq!(status, "hit");
    assert!(
        text.starts_with("data: {") && text.contains("completion_tokens"),
        "{text}"
    );
}

#[tokio::test]
async fn a_messages_stream_replays_either_way() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"good morning"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .map(|data| {
        let value: Value = serde_json::from_str(data).unwrap();
        format!("event: {}\ndata: {data}\n\n", value["type"].as_str().unwrap())
    });
    let streaming = r#"{"model":"m","temperature":0,"max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let streaming = || messages_request(streaming);
    let plain = || {
        messages_request(
            r#"{"model":"m","temperature":0,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
        )
    };
    let sent = events.clone();
    let answer = move || streams(sent.iter().cloned().map(Ok).collect());
    let (status, text, _) = twice(layer(), streaming(), streaming(), answer.clone()).await;
    assert_eq!((status.as_str(), text), ("hit", events.concat()));
    let (status, text, _) = twice(layer(), streaming(), plain(), answer.clone()).await;
    assert_eq!(status, "hit");
    let folded: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(folded["content"][0]["text"], "good morning");
    assert_eq!(
        folded["usage"],
        json!({"input_tokens": 7, "output_tokens": 2})
    );
    let cut = move || streams(events.iter().take(5).cloned().map(Ok).collect());
    let (status, ..) = twice(layer(), streaming(), plain(), cut).await;
    assert_eq!(status, "miss", "without its last event it is not complete");
    let (status, text, _) = twice(layer(), plain(), streaming(), move || {
        Response::new(Reply::whole(folded.to_string()))
    })
    .await;
    assert_eq!(status, "hit");
    assert!(
        text.starts_with("event: message_start") && text.contains("good morning"),
        "{text}"
    );
    assert!(text.contains("event: message_stop"), "{text}");
}

#[tokio::test]
async fn a_stream_without_usage_gets_what_the_leaf_counted() {
    let svc = layer().layer(service_fn(|req: Request| async move {
        let mut attempt = Attempt::new(Target::new("p", "real"), Role::Only);
        attempt.end = AttemptEnd::Complete;
        let mut usage = Usage::default();
        (usage.input, usage.output) = (11, 3);
        attempt.usage = Some(usage);
        if let Some(journal) = Journal::of(&req) {
            journal.write(|j| j.attempts.push(attempt));
        }
        Ok::<_, BoxError>(streams(events(false).into_iter().map(Ok).collect()))
    }));
    let mut first = ask(json!({"stream": true}));
    Notes::of_mut(&mut first).journal = Some(Journal::default());
    let res = svc.clone().oneshot(first).await.unwrap();
    assert_eq!(body(res).await, events(false).concat());
    let res = svc.oneshot(plain()).await.unwrap();
    assert_eq!(cache(&res), "hit");
    let replayed: Value = serde_json::from_str(&body(res).await).unwrap();
    assert_eq!(replayed["choices"][0]["message"]["content"], "good morning");
    assert_eq!(replayed["usage"]["total_tokens"], 14);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_to_its_end_is_not_kept() {
    let streaming = || ask(json!({"stream": true}));
    let svc = layer().layer(leaf(&Arc::default(), || {
        streams(events(true).into_iter().map(Ok).collect())
    }));
    let mut res = svc.clone().oneshot(streaming()).await.unwrap();
    for _ in 0..3 {
        res.body_mut().frame().await.unwrap().unwrap();
    }
    drop(res);
    assert_eq!(cache(&svc.oneshot(streaming()).await.unwrap()), "miss");
}

#[tokio::test]
async fn a_body_that_ends_with_its_last_frame_is_kept_before_that_frame() {
    // As hyper reads a body of known length: it never polls past the last byte.
    let sized = || {
        let mut res = Response::new(Reply::stream(http_body_util::Full::<Bytes>::from(whole(
            "yes", "stop",
        ))));
        let json = HeaderValue::from_static("application/json");
        res.headers_mut().insert(CONTENT_TYPE, json);
        res
    };
    let svc = layer().layer(leaf(&Arc::default(), sized));
    let mut res = svc.clone().oneshot(plain()).await.unwrap();
    let length = whole("yes", "stop").len() as u64;
    assert_eq!(res.body().size_hint().exact(), Some(length));
    res.body_mut().frame().await.unwrap().unwrap();
    assert!(res.body().is_end_stream());
    drop(res);
    assert_eq!(cache(&svc.oneshot(plain()).await.unwrap()), "hit");
}

#[tokio::test]
async fn a_slow_store_is_waited_for_before_the_end() {
    /// Takes a turn of the runtime to keep anything.
    struct Slow(Memory);
    impl Store for Slow {
        fn get(&self, key: &Key) -> impl Future<Output = Option<Entry>> + Send {
            self.0.get(key)
        }
        async fn put(&self, key: Key, entry: Entry) {
            tokio::task::yield_now().await;
            self.0.put(key, entry).await;
        }
    }
    let store = Slow(Memory::new(1_000_000, Duration::from_secs(60)));
    let svc = PromptCacheLayer::new(store).layer(leaf(&Arc::default(), || {
        streams(events(true).into_iter().map(Ok).collect())
    }));
    let streaming = || ask(json!({"stream": true}));
    let res = svc.clone().oneshot(streaming()).await.unwrap();
    assert_eq!(body(res).await, events(true).concat());
    assert_eq!(cache(&svc.oneshot(streaming()).await.unwrap()), "hit");
}

#[test]
fn stacks_are_clone_send_and_sync() {
    fn check<T: Clone + Send + Sync>(_: &T) {}
    let leaf = service_fn(|_: Request| std::future::ready(Ok::<_, BoxError>(says("x"))));
    check(&layer().layer(leaf));
}

mod flights;

/// A body of these frames, one at a time.
struct Frames(VecDeque<Result<String, &'static str>>);
impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.0.pop_front();
        Poll::Ready(next.map(|frame| Ok(Frame::data(frame?.into()))))
    }
}
