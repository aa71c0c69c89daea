use super::*;
use crate::{
    frames::Frames,
    testing::{ask, body as text, reply},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::{convert::Infallible, time::Duration};
use tierway_services::chat::{
    self, Attempt, Journal, KeyId, Notes, Reply, Role, Target, Tenant, Usage, Usd,
};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{ServiceBuilder, ServiceExt};
use tower_test::mock;

type Req = Request<Full<Bytes>>;
type Res = Response<Frames>;

fn table(limits: Limits) -> Table {
    Table::default().tenant("a", limits)
}

fn call(path: &str, length: u64) -> Req {
    let req = Request::post(path).header("content-length", length);
    let mut req = req.body(Full::default()).unwrap();
    Notes::of_mut(&mut req).tenant = Some(Tenant::new("a"));
    req
}

/// A model that uses so many tokens.
fn model(
    layer: LimitLayer<Table>,
    tokens: u64,
) -> impl tower::Service<
    Req,
    Response = Response<ResponseBody<Full<Bytes>>>,
    Error = Infallible,
    Future: Send,
> + Clone {
    ServiceBuilder::new()
        .layer(layer)
        .service_fn(move |req: Req| async move {
            let mut attempt = Attempt::new(Target::new("p", "m"), Role::Only);
            attempt.usage = Some(Usage {
                input: tokens,
                ..Usage::default()
            });
            if let Some(journal) = Journal::of(&req) {
                journal.write(|entries| entries.attempts.push(attempt));
            }
            Ok(Response::new(Full::<Bytes>::from("hello")))
        })
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_minute() {
    let limits = Limits {
        requests_per_minute: Some(3),
        ..Limits::default()
    };
    let model = model(LimitLayer::new(Quotas::new(), table(limits)), 1);
    for left in ["2", "1", "0"] {
        let res = model
            .clone()
            .oneshot(call("/v1/messages", 9))
            .await
            .unwrap();
        assert_eq!(res.status(), 200);
        assert_eq!(
            res.headers()["anthropic-ratelimit-requests-remaining"],
            left
        );
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    for (path, told) in [
        (
            "/v1/messages",
            r#"{"type":"error","error":{"type":"rate_limit_error""#,
        ),
        ("/v1/chat/completions", r#""code":"rate_limit_exceeded""#),
    ] {
        let res = model.clone().oneshot(call(path, 9)).await.unwrap();
        assert_eq!(res.status(), 429);
        assert_eq!(res.headers()["retry-after"], "31");
        let body = res.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(told) && body.contains("tenant:a"), "{body}");
    }
    // Counting is free, and so is everybody else.
    let count = call("/v1/messages/count_tokens", 9);
    assert_eq!(model.clone().oneshot(count).await.unwrap().status(), 200);
    let mut other = call("/v1/messages", 9);
    Notes::of_mut(&mut other).tenant = Some(Tenant::new("b"));
    assert_eq!(model.clone().oneshot(other).await.unwrap().status(), 200);
    tokio::time::advance(Duration::from_secs(31)).await;
    let res = model.oneshot(call("/v1/messages", 9)).await.unwrap();
    assert_eq!(res.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_what_was_used() {
    let limits = Limits {
        tokens_per_minute: Some(1000),
        ..Limits::default()
    };
    let cheap = model(LimitLayer::new(Quotas::new(), table(limits)), 10);
    // Each takes 500 for the while, and gives 490 back.
    for _ in 0..20 {
        let res = cheap.clone().oneshot(call("/v1/messages", 2000)).await;
        assert_eq!(res.unwrap().status(), 200);
    }
    let dear = model(LimitLayer::new(Quotas::new(), table(limits)), 1500);
    let first = dear
        .clone()
        .oneshot(call("/v1/messages", 40))
        .await
        .unwrap();
    let headers = first.headers().clone();
    assert_eq!(headers["anthropic-ratelimit-tokens-remaining"], "990");
    drop(first);
    let second = dear
        .clone()
        .oneshot(call("/v1/messages", 40))
        .await
        .unwrap();
    assert_eq!(second.status(), 429);
    tokio::time::advance(Duration::from_secs(61)).await;
    let third = dear.oneshot(call("/v1/messages", 40)).await.unwrap();
    assert_eq!(third.status(), 200);
}

#[tokio::test]
async fn a_place_is_held_until_the_body_has_gone() {
    let limits = Limits {
        concurrent: Some(1),
        ..Limits::default()
    };
    let layer = LimitLayer::new(Quotas::new(), table(limits));
    let (mut service, mut handle) = mock::spawn_layer::<Req, Res, _>(layer);
    handle.allow(9);
    assert_ready_ok!(service.poll_ready());
    let mut first = task::spawn(service.call(call("/v1/messages", 9)));
    assert_pending!(first.poll());
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response(Response::new(Frames::of(["a", "b"])));
    let mut res = assert_ready_ok!(first.poll());
    drop(first);
    res.body_mut().frame().await.unwrap().unwrap();
    assert_ready_ok!(service.poll_ready());
    let second = service.call(call("/v1/messages", 9)).await.unwrap();
    assert_eq!(second.status(), 429, "the head is not the end");
    drop(res);
    assert_ready_ok!(service.poll_ready());
    let mut third = task::spawn(service.call(call("/v1/messages", 9)));
    assert_pending!(third.poll());
    // Whoever leaves gives the place back too.
    handle.next_request().await.unwrap();
    drop(third);
    assert_ready_ok!(service.poll_ready());
    let mut fourth = task::spawn(service.call(call("/v1/messages", 9)));
    assert_pending!(fourth.poll());
}

#[tokio::test]
async fn a_key_and_its_tenant_are_both_kept_within_their_limits() {
    let rpm = |n| Limits {
        requests_per_minute: Some(n),
        ..Limits::default()
    };
    let table = Table::default().tenant("a", rpm(3)).key("k1", rpm(2));
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = heard.clone();
    let layer = LimitLayer::new(Quotas::new(), table)
        .on_refusal(move |who, why| ear.lock().unwrap().push(format!("{who} {}", why.as_str())));
    let model = model(layer, 1);
    let with = |key: Option<&str>| {
        let mut req = call("/v1/messages", 9);
        if let Some(key) = key {
            Notes::of_mut(&mut req).key = Some(KeyId::new(key));
        }
        model.clone().oneshot(req)
    };
    let mut statuses = Vec::new();
    // What the tenant is refused its key is not charged for.
    for key in [Some("k1"), Some("k1"), Some("k1"), None, None, Some("k2")] {
        statuses.push(with(key).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429, 429]);
    let expected = ["key:k1 requests", "tenant:a requests", "tenant:a requests"];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn is_not_ready_when_the_inner_is_not() {
    let layer = LimitLayer::new(Quotas::new(), Table::default());
    let (mut service, mut handle) = mock::spawn_layer::<Req, Res, _>(layer);
    handle.allow(0);
    assert_pending!(service.poll_ready::<Req>());
    let layer = BudgetLayer::new(Quotas::new(), Table::default());
    let (mut service, mut handle) = mock::spawn_layer::<chat::Request, chat::Response, _>(layer);
    handle.allow(0);
    assert_pending!(service.poll_ready());
}

// === budgets ===

fn dollars(amount: f64) -> Usd {
    Usd::from_dollars(amount)
}

fn priced(quotas: &Quotas, a_day: f64, most: f64) -> BudgetLayer<Table> {
    let limits = Limits {
        usd_per_day: Some(dollars(a_day)),
        ..Limits::default()
    };
    BudgetLayer::new(quotas.clone(), table(limits))
        .at_most(move |_| dollars(most))
        .cost(|attempt| attempt.cost.unwrap_or_default())
}

fn prompt() -> chat::Request {
    let mut req = ask("m", "hi");
    Notes::of_mut(&mut req).tenant = Some(Tenant::new("a"));
    req
}

fn spend(req: &chat::Request, cost: f64) {
    let mut attempt = Attempt::new(Target::new("p", "m"), Role::Only);
    attempt.cost = Some(dollars(cost));
    // Whoever is not limited has no journal here.
    if let Some(journal) = Journal::of(req) {
        journal.write(|entries| entries.attempts.push(attempt));
    }
}

#[tokio::test]
async fn what_is_spent_is_spent() {
    let quotas = Quotas::new();
    let service = ServiceBuilder::new()
        .layer(priced(&quotas, 1.0, 0.3))
        .service_fn(|req: chat::Request| async move {
            spend(&req, 0.25);
            Ok::<_, Infallible>(reply("yes"))
        });
    for _ in 0..4 {
        let res = service.clone().oneshot(prompt()).await.unwrap();
        assert_eq!(res.status(), 200);
    }
    assert_eq!(quotas.spent("tenant:a")[0], dollars(1.0));
    let res = service.clone().oneshot(prompt()).await.unwrap();
    assert_eq!(res.status(), 429);
    assert_eq!(res.headers()["x-should-retry"], "false");
    let after: u64 = res.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(after > 0 && after <= 86_400);
    assert!(text(res).await.contains("insufficient_quota"));
    // Whoever is not limited pays nothing here.
    let res = service.oneshot(ask("m", "hi")).await.unwrap();
    assert_eq!(res.status(), 200);
}

#[tokio::test]
async fn only_the_last_call_goes_beyond() {
    let quotas = Quotas::new();
    let (mut service, mut handle) =
        mock::spawn_layer::<chat::Request, chat::Response, _>(priced(&quotas, 1.0, 0.4));
    handle.allow(99);
    let mut begun = Vec::new();
    for _ in 0..2 {
        assert_ready_ok!(service.poll_ready());
        let mut call = task::spawn(service.call(prompt()));
        assert_pending!(call.poll());
        begun.push((call, handle.next_request().await.unwrap()));
    }
    assert_ready_ok!(service.poll_ready());
    let res = service.call(prompt()).await.unwrap();
    assert_eq!(
        (res.status().as_u16(), &res.headers()["retry-after"]),
        (429, &1.into())
    );
    assert!(!res.headers().contains_key("x-should-retry"), "soon enough");
    for (mut call, (req, send)) in begun {
        spend(&req, 0.4);
        send.send_response(Response::new(Reply::stream(Frames::of(["a"]))));
        drop(assert_ready_ok!(call.poll()));
    }
    assert_ready_ok!(service.poll_ready());
    let mut last = task::spawn(service.call(prompt()));
    assert_pending!(last.poll());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(prompt()).await.unwrap().status(), 429);
    let (req, send) = handle.next_request().await.unwrap();
    spend(&req, 0.4);
    send.send_response(reply("yes"));
    assert_ready_ok!(last.poll());
    assert_eq!(quotas.spent("tenant:a")[0], dollars(1.2));
}

#[tokio::test]
async fn whoever_leaves_pays_for_what_was_used() {
    let quotas = Quotas::new();
    let (mut service, mut handle) =
        mock::spawn_layer::<chat::Request, chat::Response, _>(priced(&quotas, 1.0, 0.4));
    assert_ready_ok!(service.poll_ready());
    let mut call = task::spawn(service.call(prompt()));
    assert_pending!(call.poll());
    let (req, _send) = handle.next_request().await.unwrap();
    spend(&req, 0.1);
    drop(call);
    assert_eq!(quotas.spent("tenant:a"), [dollars(0.1); 3]);
}

#[test]
fn books_of_before_count() {
    let quotas = Quotas::new();
    quotas.begin_with("tenant:a", [dollars(1.0), dollars(2.0), dollars(3.0)]);
    assert_eq!(quotas.spent("tenant:a")[2], dollars(3.0));
}
