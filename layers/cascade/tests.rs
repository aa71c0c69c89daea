mod checks;
mod leaks;
mod model;
mod streams;

use super::{future::timeless, *};
use crate::testing::{ask, body, chat_request};
use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::json;
use std::pin::Pin;
use tierway_services::chat::{
    CascadeStatus, EarlyHead, Journal, Notes, Reply, Request, Response, Role,
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_test::mock;

type Handle = mock::Handle<Request, Response>;
type Svc<C> = mock::Spawn<Cascade<mock::Mock<Request, Response>, mock::Mock<Request, Response>, C>>;

/// A cascade between two mocks: the service, the small model's handle, the big one's.
fn between<C: Confidence + Send + Sync + 'static>(
    confidence: C,
    set: impl FnOnce(
        CascadeLayer<mock::Mock<Request, Response>, C>,
    ) -> CascadeLayer<mock::Mock<Request, Response>, C>,
) -> (Svc<C>, Handle, Handle) {
    let (small, small_handle) = mock::pair();
    let (big, big_handle) = mock::pair();
    let layer = set(CascadeLayer::new(small, confidence));
    (mock::Spawn::new(layer.layer(big)), small_handle, big_handle)
}

fn sure(confidence: f64) -> impl Confidence + Send + Sync + 'static {
    confidence_fn(move |_: &Draft<'_>| Verdict::new(confidence, "so"))
}

fn medium(mut req: Request) -> (Request, Journal) {
    let journal = Journal::default();
    Notes::of_mut(&mut req).tier = Some(Tier::Medium);
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    (req, journal)
}

fn whole(text: &str) -> String {
    json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})
    .to_string()
}

fn says(text: &str) -> Response {
    Response::new(Reply::whole(whole(text)))
}

fn cascade(res: &Response) -> &str {
    res.headers()["x-tierway-cascade"].to_str().unwrap()
}

#[tokio::test]
async fn a_good_draft_is_kept_and_the_big_model_never_reserved() {
    let (mut svc, mut small, mut big) = between(sure(0.97), |l| l);
    big.allow(0);
    assert_ready_ok!(svc.poll_ready());
    let (req, journal) = medium(ask("auto", "hi"));
    let mut fut = task::spawn(svc.call(req));
    assert_pending!(fut.poll());
    let (req, send) = small.next_request().await.unwrap();
    assert_eq!(Notes::of(&req).role, Role::Small);
    send.send_response(says("yes"));
    let res = assert_ready_ok!(fut.poll());
    assert_eq!(
        cascade(&res),
        "accepted; confidence=0.97; threshold=0.85; reason=so; certified=no"
    );
    assert_eq!(body(res).await, whole("yes"));
    assert_pending!(big.poll_request());
    assert_eq!(
        journal.read(|j| j.cascade.as_ref().map(timeless)),
        Some(CascadeStatus::new(true, Some(0.97), 0.85, "so"))
    );
}

#[tokio::test]
async fn a_poor_draft_is_dropped_and_the_big_model_answers() {
    let (mut svc, mut small, mut big) = between(sure(0.84), |l| l);
    let (req, journal) = medium(ask("auto", "hi"));
    let mut fut = task::spawn(svc.call(req));
    assert_pending!(fut.poll());
    small
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(says("eh"));
    assert_pending!(fut.poll());
    assert!(
        journal.read(|j| j.cascade.is_some()),
        "known before the big model answers"
    );
    let (req, send) = big.next_request().await.unwrap();
    assert_eq!(Notes::of(&req).role, Role::Big);
    send.send_response(says("sure"));
    let res = assert_ready_ok!(fut.poll());
    assert_eq!(
        cascade(&res),
        "deferred; confidence=0.84; threshold=0.85; reason=so; certified=no"
    );
    assert_eq!(body(res).await, whole("sure"));
}

#[tokio::test]
async fn every_failure_of_the_small_model_defers() {
    let failed = |status: u16| {
        let mut res = says("x");
        *res.status_mut() = http::StatusCode::from_u16(status).unwrap();
        res
    };
    let cut = || Response::new(Reply::stream(Cut));
    for (reason, draft) in [
        ("small_failed", Err("down")),
        ("small_failed", Ok(failed(429))),
        ("small_failed", Ok(failed(500))),
        ("small_failed", Ok(cut())),
        ("draft_too_long", Ok(says(&"x".repeat(1_000)))),
        ("unreadable", Ok(Response::new(Reply::whole("<html>")))),
    ] {
        let (mut svc, mut small, mut big) = between(sure(1.0), |l| l.max_draft(500));
        let (req, journal) = medium(ask("auto", "hi"));
        let mut fut = task::spawn(svc.call(req));
        assert_pending!(fut.poll());
        let (_, send) = small.next_request().await.unwrap();
        match draft {
            Ok(res) => send.send_response(res),
            Err(error) => send.send_error(error),
        }
        assert_pending!(fut.poll());
        big.next_request()
            .await
            .unwrap()
            .1
            .send_response(says("big"));
        let res = assert_ready_ok!(fut.poll());
        assert_eq!(cascade(&res), format!("deferred; reason={reason}"));
        assert_eq!(body(res).await, whole("big"));
        assert_eq!(
            journal.read(|j| j.cascade.as_ref().map(timeless)),
            Some(CascadeStatus::new(false, None, 0.85, reason))
        );
    }
}

#[tokio::test]
async fn what_is_not_eligible_goes_straight_to_the_big_model() {
    let plain = || medium(ask("auto", "hi")).0;
    let with = |more: serde_json::Value| {
        let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        medium(chat_request(&body.to_string())).0
    };
    let tier = |tier: Option<Tier>| {
        let mut req = plain();
        Notes::of_mut(&mut req).tier = None;
        if let Some(tier) = tier {
            Notes::of_mut(&mut req).tier = Some(tier);
        }
        req
    };
    let own = Target::new("local", "small");
    let mut bound = plain();
    Notes::of_mut(&mut bound).target = Some(own.clone());
    for (reason, req) in [
        ("tier", tier(None)),
        ("tier", tier(Some(Tier::Simple))),
        ("tier", tier(Some(Tier::Reasoning))),
        ("stream", with(json!({"stream": true}))),
        ("tools", with(json!({"tools": [{}]}))),
        ("choices", with(json!({"n": 2}))),
        ("same_model", bound),
    ] {
        let (mut svc, mut small, mut big) = between(sure(1.0), |l| l.unless_bound_to(own.clone()));
        let mut fut = task::spawn(svc.call(req));
        assert_pending!(fut.poll());
        let (req, send) = big.next_request().await.unwrap();
        assert_eq!(Notes::of(&req).role, Role::Only);
        send.send_response(says("big"));
        let res = assert_ready_ok!(fut.poll());
        assert_eq!(cascade(&res), format!("skipped; reason={reason}"));
        assert_pending!(small.poll_request());
    }
}

#[tokio::test]
async fn streams_and_tools_get_a_draft_when_told_to() {
    let (mut svc, mut small, mut big) = between(sure(1.0), |l| l.streams(true).tools(true));
    big.allow(0);
    let (req, _) = medium(chat_request(
        r#"{"model":"auto","stream":true,"tools":[{}],"messages":[{"role":"user","content":"hi"}]}"#,
    ));
    let mut fut = task::spawn(svc.call(req));
    assert_pending!(fut.poll());
    let events = concat!(
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"yes\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n"
    );
    let mut res = Response::new(Reply::stream(http_body_util::Full::<Bytes>::from(events)));
    let sse = http::HeaderValue::from_static("text/event-stream");
    res.headers_mut().insert(http::header::CONTENT_TYPE, sse);
    small.next_request().await.unwrap().1.send_response(res);
    let res = assert_ready_ok!(fut.poll());
    assert!(cascade(&res).starts_with("accepted"));
    assert_eq!(body(res).await, events);
}

#[tokio::test]
async fn the_big_models_errors_are_the_callers() {
    let (mut svc, mut small, mut big) = between(sure(0.0), |l| l);
    let mut fut = task::spawn(svc.call(medium(ask("auto", "hi")).0));
    assert_pending!(fut.poll());
    small
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(says("x"));
    assert_pending!(fut.poll());
    big.next_request().await.unwrap().1.send_error("gone");
    assert_ready_err!(fut.poll());
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_arm_at_work() {
    // A model that never answers and holds on to its count while it tries.
    let hanging = |working: &Arc<()>| {
        let working = working.clone();
        tower::service_fn(move |_: Request| {
            let working = working.clone();
            async move {
                let _working = working;
                std::future::pending::<Result<Response, &str>>().await
            }
        })
    };
    let refusing = tower::service_fn(|_: Request| std::future::ready(Err::<Response, _>("down")));
    let working = Arc::new(());
    let hung = hanging(&working);
    let idle = Arc::strong_count(&working);

    let layer = CascadeLayer::new(hung.clone(), Vetoes::default());
    let mut fut = task::spawn(layer.layer(refusing).call(medium(ask("auto", "hi")).0));
    assert_pending!(fut.poll());
    assert!(
        Arc::strong_count(&working) > idle,
        "the small model is at work"
    );
    drop((fut, layer));
    assert_eq!(Arc::strong_count(&working), idle);

    let layer = CascadeLayer::new(refusing, Vetoes::default());
    let mut fut = task::spawn(layer.layer(hung.clone()).call(medium(ask("auto", "hi")).0));
    assert_pending!(fut.poll());
    assert!(
        Arc::strong_count(&working) > idle,
        "the big model is at work"
    );
    drop(fut);
    assert_eq!(Arc::strong_count(&working), idle);
}

#[tokio::test]
async fn an_arm_that_is_busy_is_waited_for_in_the_future() {
    let (mut svc, mut small, _big) = between(sure(1.0), |l| l);
    small.allow(0);
    assert_ready_ok!(svc.poll_ready());
    let mut fut = task::spawn(svc.call(medium(ask("auto", "hi")).0));
    assert_pending!(fut.poll());
    assert_pending!(small.poll_request());
    small.allow(1);
    assert_pending!(fut.poll());
    small
        .next_request()
        .await
        .unwrap()
        .1
        .send_response(says("x"));
    assert_ready_ok!(fut.poll());
}

#[test]
fn stacks_are_clone_send_and_sync() {
    fn check<T: Clone + Send + Sync>(_: &T) {}
    let leaf = tower::service_fn(|_: Request| std::future::ready(Ok::<_, &str>(says("x"))));
    check(&CascadeLayer::new(leaf, Vetoes::default()).layer(leaf));
}

/// A body that breaks off.
struct Cut;
impl Body for Cut {
    type Data = Bytes;
    type Error = tierway_services::BoxError;
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err("reset".into())))
    }
}

#[tokio::test]
async fn what_is_certain_is_said_before_the_answer() {
    let word = |early: &EarlyHead| early.said()["x-tierway-cascade"].clone();
    let (mut svc, mut small, _big) = between(sure(0.2), |l| l);
    assert_ready_ok!(svc.poll_ready());
    let (mut req, _) = medium(ask("auto", "hi"));
    let early = EarlyHead::default();
    Notes::of_mut(&mut req).early = Some(early.clone());
    let mut fut = task::spawn(svc.call(req));
    assert_pending!(fut.poll());
    assert_eq!(word(&early), "pending");
    let (_, send) = small.next_request().await.unwrap();
    send.send_response(says("hm"));
    assert_pending!(fut.poll());
    assert!(word(&early).to_str().unwrap().starts_with("deferred; "));
    let mut direct = ask("auto", "hi");
    Notes::of_mut(&mut direct).early = Some(early.clone());
    let mut fut = task::spawn(svc.call(direct));
    assert_pending!(fut.poll());
    assert_eq!(word(&early), "skipped; reason=tier");
}
