use super::*;
use crate::{
    cascade::{CascadeLayer, Learned, Model},
    testing::{ask, body},
};
use std::{
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tierway_services::chat::{self, Notes, Reply, Tier, Usd};
use tokio::task::JoinHandle;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const STREAM: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"It is 42.\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn says(text: &str) -> chat::Response {
    let body = serde_json::json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2}});
    chat::Response::new(Reply::whole(body.to_string()))
}

/// What a layer told, and the tasks that it wanted to have run.
#[derive(Clone, Default)]
struct Heard {
    events: Arc<Mutex<Vec<Event>>>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    asked: Arc<AtomicUsize>,
}

impl Heard {
    fn big(
        &self,
        answer: fn() -> chat::Response,
    ) -> impl Service<chat::Request, Response = chat::Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static {
        let asked = self.asked.clone();
        service_fn(move |req: chat::Request| {
            asked.fetch_add(1, Ordering::Relaxed);
            let target = chat::Target::of(&req).cloned().unwrap();
            let mut attempt = chat::Attempt::new(target, Notes::of(&req).role);
            attempt.end = chat::AttemptEnd::Complete;
            attempt.cost = Some(Usd::from_dollars(0.25));
            if let Some(journal) = Journal::of(&req) {
                journal.write(|j| j.attempts.push(attempt));
            }
            async move { Ok::<_, Infallible>(answer()) }
        })
    }
    fn layer<B>(&self, big: B) -> ShadowLayer<B> {
        let (events, tasks) = (self.events.clone(), self.tasks.clone());
        ShadowLayer::new(big, move |task| {
            tasks.lock().unwrap().push(tokio::spawn(task));
        })
        .share(1.0)
        .prices(|_| Some(Price::FREE))
        .on_event(move |event| events.lock().unwrap().push(event))
    }
    async fn done(&self) {
        loop {
            let Some(task) = self.tasks.lock().unwrap().pop() else {
                return;
            };
            task.await.unwrap();
        }
    }
    fn compared(&self) -> Vec<(bool, Option<f64>, Comparison)> {
        let events = self.events.lock().unwrap();
        let compared = events.iter().filter_map(|event| match event {
            Event::Compared(call, c) => Some((call.accepted, call.propensity, c.clone())),
            _ => None,
        });
        compared.collect()
    }
    fn skipped(&self) -> Vec<&'static str> {
        let events = self.events.lock().unwrap();
        let skipped = events.iter().filter_map(|event| match event {
            Event::Skipped(why) => Some(*why),
            _ => None,
        });
        skipped.collect()
    }
}

fn request() -> chat::Request {
    let mut req = ask("auto", "How many metres are 6 times 7 metres?");
    let notes = Notes::of_mut(&mut req);
    notes.tier = Some(Tier::Medium);
    notes.target = Some("p:big".parse().unwrap());
    notes.journal = Some(Journal::default());
    req.headers_mut()
        .insert("x-request-id", "r1".parse().unwrap());
    req
}

#[tokio::test]
async fn a_kept_draft_is_compared_after_the_caller_has_it() {
    let heard = Heard::default();
    let big = heard.big(|| says("It is 42."));
    let small = service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("It is 41.")) });
    let service = ServiceBuilder::new()
        .layer(heard.layer(big.clone()))
        .layer(CascadeLayer::new(small, Learned::new(Model::prior())))
        .service(big);
    let req = request();
    let journal = Journal::of(&req).unwrap().clone();
    let res = service.oneshot(req).await.unwrap();
    assert!(body(res).await.contains("41"));
    assert_eq!(
        heard.asked.load(Ordering::Relaxed),
        0,
        "nobody waits for it"
    );
    heard.done().await;
    let compared = heard.compared();
    let [(accepted, propensity, comparison)] = &compared[..] else {
        panic!("{:?}", heard.events)
    };
    assert_eq!((*accepted, *propensity), (true, Some(1.0)));
    assert_eq!(comparison.by, By::Agreement);
    assert_eq!(comparison.quality, Some((0.0, 1.0)));
    assert_eq!(comparison.small.unwrap().output, 2);
    // The call's own journal has nothing of it.
    assert_eq!(journal.read(|j| j.attempts.len()), 0);
    let events = heard.events.lock().unwrap();
    assert!(matches!(&events[0], Event::Judged(call) if call.request_id.as_deref() == Some("r1")));
    let Some(Event::Spent(spent)) = events.last() else {
        panic!("{events:?}")
    };
    let roles = spent.read(|j| j.attempts.iter().map(|a| a.role).collect::<Vec<_>>());
    assert_eq!(roles, [chat::Role::Shadow]);
}

#[tokio::test]
async fn a_deferred_draft_is_compared_for_nothing() {
    let heard = Heard::default();
    let big = heard.big(|| {
        let mut res = chat::Response::new(Reply::stream(http_body_util::Full::from(STREAM)));
        let kind = http::HeaderValue::from_static("text/event-stream");
        res.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        res
    });
    let small = service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("It is 42")) });
    let service = ServiceBuilder::new()
        .layer(heard.layer(big.clone()))
        .layer(CascadeLayer::new(
            small,
            Learned::new(Model::prior()).uncertified_defers(true),
        ))
        .service(big);
    let res = service.oneshot(request()).await.unwrap();
    assert_eq!(body(res).await, STREAM);
    heard.done().await;
    assert_eq!(heard.asked.load(Ordering::Relaxed), 1);
    let compared = heard.compared();
    let [(false, Some(1.0), comparison)] = &compared[..] else {
        panic!("{:?}", heard.events)
    };
    assert_eq!(comparison.quality, Some((1.0, 1.0)));
}

#[tokio::test]
async fn money_and_number_are_bounded_and_unknown_prices_are_not_paid() {
    let heard = Heard::default();
    let small = service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("42")) });
    // A quarter of a dollar each, of half a dollar and a bit.
    let layer = heard
        .layer(heard.big(|| says("42")))
        .prices(|_| {
            Some(Price {
                output: Usd::per_million(60.0),
                ..Price::FREE
            })
        })
        .a_day(Usd::from_dollars(0.51));
    let service = ServiceBuilder::new().layer(layer).service(small);
    for _ in 0..5 {
        service.clone().oneshot(request()).await.unwrap();
        heard.done().await;
    }
    assert_eq!(heard.asked.load(Ordering::Relaxed), 2);
    assert_eq!(heard.skipped(), ["over_budget"; 3]);

    let heard = Heard::default();
    let layer = heard.layer(heard.big(|| says("42"))).in_flight(1);
    let service = ServiceBuilder::new().layer(layer).service(small);
    service.clone().oneshot(request()).await.unwrap();
    service.oneshot(request()).await.unwrap();
    heard.done().await;
    assert_eq!(heard.skipped(), ["busy"]);

    let heard = Heard::default();
    let layer = heard.layer(heard.big(|| says("42"))).prices(|_| None);
    let service = ServiceBuilder::new().layer(layer).service(small);
    service.oneshot(request()).await.unwrap();
    assert_eq!(heard.skipped(), ["unpriced"]);
}

#[tokio::test]
async fn a_judge_is_asked_where_the_answers_do_not_tell() {
    let heard = Heard::default();
    let judge = |answer: &'static str| {
        Judge::new(service_fn(move |_: chat::Request| async move {
            Ok::<_, Infallible>(says(answer))
        }))
    };
    let small = service_fn(|_: chat::Request| async { Ok::<_, Infallible>(says("41")) });
    for (said, by, quality) in [
        ("0", By::Judge, Some((1.0, 1.0))),
        ("neither", By::Agreement, Some((0.0, 1.0))),
    ] {
        let layer = heard
            .layer(heard.big(|| says("42")))
            .judge(Some(judge(said)));
        let service = ServiceBuilder::new().layer(layer).service(small);
        service.oneshot(request()).await.unwrap();
        heard.done().await;
        let (_, _, last) = heard.compared().pop().unwrap();
        assert_eq!((last.by, last.quality), (by, quality));
    }
}
